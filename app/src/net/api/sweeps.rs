//! Routes of sweeps.

use web_sys::{File, FormData};
use wire::sweep::command::{SweepCommand, SweepRequest};
use wire::sweep::preview::SweepPreview;
use wire::sweep::record::{Sweep, SweepDecision, SweepView};
use wire::sweep::results::{SweepImportance, TrialCurve};
use wire::sweep::spec::SweepSpec;

use super::failure::ApiFailure;
use super::request::{escape, get, post_form, read, refusal, send};
use crate::base::at;

/// Decisions of one request.
pub(crate) const DECISIONS: usize = 1_000;

/// The newest sweeps that this person may see, newest first.
pub(crate) async fn list() -> Result<Vec<Sweep>, ApiFailure> {
    get("/sweeps").await
}

/// Counts the trials of a sweep and estimates their cost, without starting it.
pub(crate) async fn preview(spec: &SweepSpec) -> Result<SweepPreview, ApiFailure> {
    send("POST", "/sweeps/preview", Some(spec)).await
}

pub(crate) async fn start(spec: &SweepSpec) -> Result<Sweep, ApiFailure> {
    send("POST", "/sweeps", Some(spec)).await
}

/// Imports an Optuna study from its SQLite file into a project, `default` by default.
pub(crate) async fn import(file: &File, study: &str, project: Option<&str>) -> Result<Sweep, ApiFailure> {
    let form = FormData::new().map_err(|_| ApiFailure::unreachable())?;
    form.append_with_blob_and_filename("file", file, &file.name()).map_err(|_| ApiFailure::unreachable())?;
    let study = (!study.is_empty()).then(|| format!("study={}", escape(study)));
    let project = project.map(|project| format!("project={}", escape(project)));
    let query: Vec<String> = study.into_iter().chain(project).collect();
    let (status, text) = post_form(&at(&format!("/api/v1/sweeps/import?{}", query.join("&"))), &form, |_| ()).await?;
    if (200..300).contains(&status) { read(&text) } else { Err(refusal(status, &text)) }
}

/// A sweep with all trials, or with those that changed after `since`.
pub(crate) async fn view(sweep: i64, since: Option<u64>) -> Result<SweepView, ApiFailure> {
    let since = since.map(|since| format!("?since={since}")).unwrap_or_default();
    get(&format!("/sweeps/{sweep}{since}")).await
}

/// The decisions after number `after`, at most [`DECISIONS`].
pub(crate) async fn decisions(sweep: i64, after: u64) -> Result<Vec<SweepDecision>, ApiFailure> {
    get(&format!("/sweeps/{sweep}/decisions?after={after}&limit={DECISIONS}")).await
}

/// Sends a command to a sweep of this revision.
pub(crate) async fn command(sweep: i64, revision: u64, command: SweepCommand) -> Result<Sweep, ApiFailure> {
    send("POST", &format!("/sweeps/{sweep}/commands"), Some(&SweepRequest { revision, command })).await
}

/// How much of the spread of the results each parameter explains.
pub(crate) async fn importance(sweep: i64) -> Result<SweepImportance, ApiFailure> {
    get(&format!("/sweeps/{sweep}/importance")).await
}

/// The metric of each trial by step, in at most about `points` points each.
pub(crate) async fn curves(sweep: i64, points: u32) -> Result<Vec<TrialCurve>, ApiFailure> {
    get(&format!("/sweeps/{sweep}/curves?points={points}")).await
}

/// Address of the trials as a table: `csv` or `parquet`.
pub(crate) fn table_path(sweep: i64, format: &str) -> String {
    at(&format!("/api/v1/sweeps/{sweep}/trials.{format}"))
}
