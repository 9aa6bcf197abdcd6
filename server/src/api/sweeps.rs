//! Sweeps: previewed, started, listed, commanded and exported.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use store::StoreError;
use utoipa::IntoParams;
use wire::ApiErrorBody;
use wire::sweep::command::SweepRequest;
use wire::sweep::preview::SweepPreview;
use wire::sweep::record::{Sweep, SweepDecision, SweepView};
use wire::sweep::spec::SweepSpec;

use super::extract::{Body, Path, Query, checked_limit};
use crate::auth::sweep::{SweepSteerer, SweepViewer};
use crate::auth::{Contributor, SignedIn, project};
use crate::error::ApiError;
use crate::export::body::{BodyWriter, stream};
use crate::export::trials as table;
use crate::lab::Lab;
use crate::runs::sweeps::{command, start, study};

/// Maximum number of sweeps or decisions of a page.
const MOST: u32 = 1_000;

/// A page of the list of sweeps.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SweepQuery {
    /// Only sweeps with smaller ids: that of the last sweep of the page before.
    before: Option<i64>,
    /// Maximum number of sweeps, 1 to 1,000; 100 by default.
    #[serde(default = "hundred")]
    limit: u32,
}

fn hundred() -> u32 {
    100
}

/// The trials of a sweep that are returned.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TrialQuery {
    /// Only trials that changed since this number of changes, which an earlier answer has; all by default.
    since: Option<u64>,
}

/// A page of decisions.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DecisionQuery {
    /// Only decisions after this number; all by default.
    #[serde(default)]
    after: u64,
    /// Maximum number of decisions, 1 to 1,000; 100 by default.
    #[serde(default = "hundred")]
    limit: u32,
}

/// Lists the sweeps that the sender may see, newest first.
#[utoipa::path(get, path = "/sweeps", tag = "sweeps", params(SweepQuery), responses((status = 200, body = Vec<Sweep>)))]
pub async fn list_sweeps(
    SignedIn(identity): SignedIn,
    State(lab): State<Lab>,
    Query(SweepQuery { before, limit }): Query<SweepQuery>,
) -> Result<Json<Vec<Sweep>>, ApiError> {
    let limit = checked_limit(limit, MOST)?;
    Ok(Json(lab.store().sweeps(&identity.grants.visible(), before, limit).await?))
}

/// Counts the trials of a sweep and estimates their tokens and training time, without starting it.
#[utoipa::path(post, path = "/sweeps/preview", tag = "sweeps", request_body = SweepSpec,
    responses((status = 200, body = SweepPreview), (status = 422, description = "The field that is invalid.", body = ApiErrorBody)))]
pub async fn preview_sweep(
    SignedIn(identity): SignedIn,
    State(lab): State<Lab>,
    Body(spec): Body<SweepSpec>,
) -> Result<Json<SweepPreview>, ApiError> {
    start::preview(&lab, &identity, spec).await.map(Json)
}

/// Starts a sweep. Its trials are created one by one as runs of the queue.
#[utoipa::path(post, path = "/sweeps", tag = "sweeps", request_body = SweepSpec,
    responses((status = 201, body = Sweep), (status = 409, description = "Too many sweeps run or are paused.", body = ApiErrorBody),
        (status = 422, description = "The field that is invalid.", body = ApiErrorBody)))]
pub async fn start_sweep(
    SignedIn(identity): SignedIn,
    State(lab): State<Lab>,
    Body(spec): Body<SweepSpec>,
) -> Result<(StatusCode, Json<Sweep>), ApiError> {
    Ok((StatusCode::CREATED, Json(start::start(&lab, &identity, spec).await?)))
}

/// The study to import.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StudyQuery {
    /// Name of the study; by default the only one in the file.
    study: Option<String>,
    /// The project that the sweep belongs to; `default` by default.
    project: Option<String>,
}

/// Imports an Optuna 4 study from its SQLite file as a stopped sweep. Its trials have ended and have no runs; trials that had not ended are left
/// out. A parameter that is not a hyperparameter of this program is named imported.NAME.
#[utoipa::path(post, path = "/sweeps/import", tag = "sweeps", params(StudyQuery),
    request_body(content = Vec<u8>, description = "The SQLite file; or multipart/form-data with it.", content_type = "application/octet-stream"),
    responses((status = 201, body = Sweep), (status = 409, description = "The project has reached its limit of disk.", body = ApiErrorBody),
        (status = 413, description = "The file is larger than 64 MB.", body = ApiErrorBody),
        (status = 422, description = "What is wrong with the file.", body = ApiErrorBody)))]
pub async fn import_study(
    Contributor(identity): Contributor,
    State(lab): State<Lab>,
    Query(StudyQuery { study, project }): Query<StudyQuery>,
    request: Request,
) -> Result<(StatusCode, Json<Sweep>), ApiError> {
    let project = project::named(&lab, &identity, project).await?;
    let sweep = study::import(&lab, &identity, request, study.as_deref(), &project).await?;
    Ok((StatusCode::CREATED, Json(sweep)))
}

/// Returns a sweep with its trials.
#[utoipa::path(get, path = "/sweeps/{id}", tag = "sweeps", params(("id" = i64, Path), TrialQuery), responses((status = 200, body = SweepView)))]
pub async fn get_sweep(
    _: SweepViewer,
    State(lab): State<Lab>,
    Path(id): Path<i64>,
    Query(TrialQuery { since }): Query<TrialQuery>,
) -> Result<Json<SweepView>, ApiError> {
    // The sweep first: a trial that changes in between is in the next answer again.
    let sweep = known(&lab, id).await?;
    Ok(Json(SweepView { sweep, trials: lab.store().trials(id, since).await? }))
}

/// Lists what was decided about a sweep and its trials, oldest first, with the numbers that led to it.
#[utoipa::path(get, path = "/sweeps/{id}/decisions", tag = "sweeps", params(("id" = i64, Path), DecisionQuery),
    responses((status = 200, body = Vec<SweepDecision>)))]
pub async fn list_decisions(
    _: SweepViewer,
    State(lab): State<Lab>,
    Path(id): Path<i64>,
    Query(DecisionQuery { after, limit }): Query<DecisionQuery>,
) -> Result<Json<Vec<SweepDecision>>, ApiError> {
    known(&lab, id).await?;
    let limit = checked_limit(limit, MOST)?;
    Ok(Json(lab.store().sweep_decisions(id, after, limit).await?))
}

/// Pauses, resumes, stops or extends a sweep, changes its stopping rule, or retries or resumes one of its trials.
#[utoipa::path(post, path = "/sweeps/{id}/commands", tag = "sweeps", params(("id" = i64, Path)), request_body = SweepRequest,
    responses((status = 200, body = Sweep),
        (status = 409, description = "The sweep has changed since the revision, or its state does not allow it.", body = ApiErrorBody),
        (status = 422, description = "A number of trials or a threshold is out of range.", body = ApiErrorBody),
        (status = 504, description = "The worker of a trial has not answered in time.", body = ApiErrorBody)))]
pub async fn command_sweep(
    SweepSteerer(identity): SweepSteerer,
    State(lab): State<Lab>,
    Path(id): Path<i64>,
    Body(request): Body<SweepRequest>,
) -> Result<Json<Sweep>, ApiError> {
    command::carry_out(&lab, &identity, id, request).await.map(Json)
}

/// Exports the trials of a sweep as CSV: one row for each trial, one column for each parameter.
#[utoipa::path(get, path = "/sweeps/{id}/trials.csv", tag = "sweeps", params(("id" = i64, Path)),
    responses((status = 200, content_type = "text/csv", body = Vec<u8>)))]
pub async fn export_trials_csv(
    _: SweepViewer,
    State(lab): State<Lab>,
    Path(id): Path<i64>,
) -> Result<Response, ApiError> {
    let (sweep, trials) = (known(&lab, id).await?, lab.store().trials(id, None).await?);
    let name = format!("sweep-{id}.csv");
    Ok(stream("text/csv; charset=utf-8", &name, move |out| table::write_csv(&sweep, &trials, out)))
}

/// Exports the trials of a sweep as Parquet, with the columns of trials.csv.
#[utoipa::path(get, path = "/sweeps/{id}/trials.parquet", tag = "sweeps", params(("id" = i64, Path)),
    responses((status = 200, content_type = "application/vnd.apache.parquet", body = Vec<u8>)))]
pub async fn export_trials_parquet(
    _: SweepViewer,
    State(lab): State<Lab>,
    Path(id): Path<i64>,
) -> Result<Response, ApiError> {
    let (sweep, trials) = (known(&lab, id).await?, lab.store().trials(id, None).await?);
    let name = format!("sweep-{id}.parquet");
    let write = move |out: &mut BodyWriter| table::write_parquet(&sweep, &trials, out);
    Ok(stream("application/vnd.apache.parquet", &name, write))
}

/// A sweep that exists.
pub(super) async fn known(lab: &Lab, id: i64) -> Result<Sweep, ApiError> {
    Ok(lab.store().sweep(id).await?.ok_or(StoreError::UnknownSweep { id })?)
}
