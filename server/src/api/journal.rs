//! The research journal of a project: its timeline, how often rules and authors were right, and the report of both as a file.

use axum::Json;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use research::calibration::ProjectCalibration;
use serde::Deserialize;
use store::{ConversationReader, Identity, JournalQuery};
use utoipa::IntoParams;
use wire::ApiErrorBody;
use wire::number::grouped;
use wire::research_journal::{EntryKind, JournalPage, Place};

use super::assistant::asker;
use super::extract::{Path, Query, checked_limit};
use crate::auth::project::{ProjectViewer, check_exists};
use crate::error::ApiError;
use crate::export::report::{self, Format, Gathered};
use crate::lab::Lab;

/// Entries of a page: the default and the maximum.
const ENTRIES: u32 = 100;
const MAX_ENTRIES: u32 = 500;
/// Longest search, characters: each entry is searched for each of its words.
const MAX_SEARCH: usize = 200;

/// The entries to return.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TimelineQuery {
    /// Only entries before this place: the `next` of the previous page. By default the newest entries.
    before: Option<String>,
    /// Maximum number of entries, 1 to 500; 100 by default.
    limit: Option<u32>,
    /// Words that an entry must all have in its text, its author or the name of its run, experiment or sweep; letter case is ignored. At most
    /// 200 characters.
    #[serde(default)]
    q: String,
    /// Kinds of entries, separated by commas: hypothesis, verdict, experiment, comparison, sweep, command, finding, note, conversation, run. All
    /// by default.
    #[serde(default)]
    kinds: String,
    /// Name of the person, rule or agent; `system` for the lab itself. All by default.
    author: Option<String>,
}

impl TimelineQuery {
    fn resolve(self, project: String, reader: Option<ConversationReader>) -> Result<JournalQuery, ApiError> {
        let invalid = |field: &str, message: String| ApiError::invalid("query_invalid", message).field(field);
        let place =
            |text: String| text.parse::<Place>().map_err(|error| invalid("before", format!("{text:?} is {error}")));
        let search = self.q.chars().count();
        if search > MAX_SEARCH {
            return Err(invalid("q", format!("the search has {} characters", grouped(search as u64)))
                .hint(format!("enter at most {MAX_SEARCH} characters")));
        }
        let words = self.kinds.split(',').map(str::trim).filter(|word| !word.is_empty());
        let kinds = words.map(str::parse).collect::<Result<Vec<EntryKind>, _>>();
        Ok(JournalQuery {
            project,
            before: self.before.map(place).transpose()?,
            limit: checked_limit(self.limit.unwrap_or(ENTRIES), MAX_ENTRIES)? as usize,
            search: self.q,
            kinds: kinds.map_err(|error| invalid("kinds", error.to_string()))?,
            author: self.author.filter(|author| !author.is_empty()),
            reader,
        })
    }
}

/// Returns the research journal of a project, newest first: hypotheses with their predictions, verdicts, comparisons, commands,
/// findings, notes, sweeps, and what happened to runs. Evaluations, samples and periodic checkpoints are left out. Conversations with the
/// assistant are those of the sender; nobody else, and no agent, finds them.
#[utoipa::path(get, path = "/projects/{name}/journal", tag = "experiments", params(("name" = String, Path), TimelineQuery),
    responses((status = 200, body = JournalPage)))]
pub async fn list_journal(
    ProjectViewer(identity): ProjectViewer,
    State(lab): State<Lab>,
    Path(name): Path<String>,
    Query(query): Query<TimelineQuery>,
) -> Result<Json<JournalPage>, ApiError> {
    check_exists(&lab, &name).await?;
    Ok(Json(lab.store().research_journal(&query.resolve(name, asker::reader(&identity))?).await?))
}

/// Returns how often predictions came true in a project: for each rule, the fraction of its judged findings that were correct; for each
/// author of experiments, the Brier score and the reliability diagram.
#[utoipa::path(get, path = "/projects/{name}/calibration", tag = "experiments", params(("name" = String, Path)),
    responses((status = 200, body = ProjectCalibration)))]
pub async fn get_calibration(
    _: ProjectViewer,
    State(lab): State<Lab>,
    Path(name): Path<String>,
) -> Result<Json<ProjectCalibration>, ApiError> {
    check_exists(&lab, &name).await?;
    Ok(Json(report::calibration_of(lab.store(), &name).await?))
}

/// Exports the research journal of a project as Markdown: hypotheses, verdicts, sweeps, runs, loss curves, findings, calibration and timeline.
/// The timeline has the first messages of the sender's own conversations with the assistant.
#[utoipa::path(get, path = "/projects/{name}/report.md", tag = "experiments", params(("name" = String, Path)),
    responses((status = 200, content_type = "text/markdown", body = String),
        (status = 429, description = "Too many reports, fits and replays are computed or wait.", body = ApiErrorBody)))]
pub async fn export_report_markdown(
    ProjectViewer(identity): ProjectViewer,
    State(lab): State<Lab>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    export(&lab, &identity, name, Format::Markdown).await
}

/// Exports the research journal of a project as one HTML file that loads no other file, with the contents of report.md.
#[utoipa::path(get, path = "/projects/{name}/report.html", tag = "experiments", params(("name" = String, Path)),
    responses((status = 200, content_type = "text/html", body = String),
        (status = 429, description = "Too many reports, fits and replays are computed or wait.", body = ApiErrorBody)))]
pub async fn export_report_html(
    ProjectViewer(identity): ProjectViewer,
    State(lab): State<Lab>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    export(&lab, &identity, name, Format::Html).await
}

async fn export(lab: &Lab, identity: &Identity, project: String, format: Format) -> Result<Response, ApiError> {
    let _place = lab.fits.enter(identity)?;
    let gathered = Gathered::read(lab.store(), &project, asker::reader(identity)).await?;
    let text = lab.drawings.draw(move || Ok(report::write(&gathered, format))).await?;
    // Names of projects are letters, digits and hyphens.
    let disposition = format!("attachment; filename=\"{project}.{}\"", format.ending());
    let headers = [(CONTENT_TYPE, format.content_type().to_owned()), (CONTENT_DISPOSITION, disposition)];
    Ok((headers, text).into_response())
}
