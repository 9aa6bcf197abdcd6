//! Fair comparison of runs and groups of runs, and more seeds of a run for the noise floor.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use research::compare::FairComparison;
use serde::Deserialize;
use store::{Identity, NewComparison};
use utoipa::{IntoParams, ToSchema};
use wire::access::Role;
use wire::number::counted;
use wire::research_journal::JournalEntry;
use wire::series::Axis;
use wire::{ApiErrorBody, RunId, RunSummary};

use super::extract::{Body, Path, Query};
use crate::auth::run::{self, RunSteerer};
use crate::auth::{SignedIn, author, project};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::runs::comparison::{self, MAX_RUNS, Wanted};
use crate::runs::seeds;

/// Maximum number of groups that are compared with one baseline.
const MAX_GROUPS: usize = 16;

/// What is compared. A group is a list of runs, separated by commas; `tag:NAME` stands for the runs with this tag that trained all their
/// steps.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FairQuery {
    /// The group that the others are compared with: ids of runs, or `tag:NAME`.
    baseline: String,
    /// The other groups, separated by semicolons.
    change: String,
    /// What is equal: tokens by default, FLOPs or training time. Steps count as tokens.
    #[serde(default = "tokens")]
    equal: Axis,
    /// How much of it; by default as much as all the runs have used at their last evaluation.
    at: Option<f64>,
}

fn tokens() -> Axis {
    Axis::Tokens
}

/// Compares groups of runs by their validation loss at an equal budget: the difference with its confidence interval, the variation that the
/// interval contains, and the conclusion in a sentence. Where a fair comparison is not possible, the answer has the reasons instead.
#[utoipa::path(get, path = "/compare", tag = "runs", params(FairQuery),
    responses((status = 200, body = FairComparison), (status = 404, description = "A run does not exist.", body = ApiErrorBody)))]
pub async fn compare_fairly(
    SignedIn(identity): SignedIn,
    State(lab): State<Lab>,
    Query(query): Query<FairQuery>,
) -> Result<Json<FairComparison>, ApiError> {
    Ok(Json(compared(&lab, &identity, query).await?.0))
}

/// Compares as `GET` does, and adds the conclusion to the research journal of the project of the runs.
#[utoipa::path(post, path = "/compare", tag = "runs", params(FairQuery),
    responses((status = 201, body = JournalEntry), (status = 404, description = "A run does not exist.", body = ApiErrorBody),
        (status = 409, description = "A run is deleted.", body = ApiErrorBody)))]
pub async fn add_comparison(
    SignedIn(identity): SignedIn,
    State(lab): State<Lab>,
    Query(query): Query<FairQuery>,
) -> Result<(StatusCode, Json<JournalEntry>), ApiError> {
    let (found, named, visible) = compared(&lab, &identity, query).await?;
    let runs = kept(&named, &visible)?;
    let projects: BTreeSet<&str> = runs.iter().map(|run| run.project.as_str()).collect();
    let (Some(project), 1) = (projects.first(), projects.len()) else {
        let names = projects.into_iter().collect::<Vec<_>>().join(", ");
        return Err(ApiError::invalid("projects_differ", format!("the runs are in several projects: {names}"))
            .field("change")
            .hint("compare runs of one project, so that the comparison can be added to its journal"));
    };
    project::check(&identity, project, Role::Steer)?;
    let new = NewComparison {
        project: (*project).to_owned(),
        author: author(&identity),
        names: runs.iter().map(|run| run.name.as_str()).collect::<Vec<_>>().join(", "),
        text: found.changes.iter().map(|change| change.sentence.as_str()).collect::<Vec<_>>().join(" "),
        runs: runs.iter().map(|run| run.id.clone()).collect(),
    };
    Ok((StatusCode::CREATED, Json(lab.store().add_comparison(new).await?)))
}

/// The summaries of runs that are not deleted: the entry of a deleted one would be without its name.
fn kept<'a>(named: &[RunId], visible: &'a [RunSummary]) -> Result<Vec<&'a RunSummary>, ApiError> {
    let summary = |id: &RunId| {
        visible.iter().find(|run| run.id == *id).ok_or_else(|| {
            ApiError::conflict("run_deleted", format!("{id} is deleted, so the comparison cannot be added"))
                .hint("restore it first: POST /api/v1/runs/{id}/restore")
        })
    };
    named.iter().map(summary).collect()
}

/// The comparison; its runs, each once, those of the baseline first; and the runs that the sender may see.
async fn compared(
    lab: &Lab,
    identity: &Identity,
    query: FairQuery,
) -> Result<(FairComparison, Vec<RunId>, Vec<RunSummary>), ApiError> {
    let visible = visible(lab, identity).await?;
    let baseline = group(lab, identity, &query.baseline, &visible).await?;
    let mut changes = vec![];
    for text in query.change.split(';').filter(|text| !text.trim().is_empty()) {
        changes.push(group(lab, identity, text, &visible).await?);
    }
    let count = baseline.len() + changes.iter().map(Vec::len).sum::<usize>();
    if changes.is_empty() || changes.len() > MAX_GROUPS || count > MAX_RUNS {
        let (groups, runs) = (counted(changes.len() as u64, "group"), counted(count as u64, "run"));
        let message = format!("{groups} and {runs} in all were given to compare with the baseline");
        return Err(ApiError::invalid("query_invalid", message).field("change").hint(format!(
            "give 1 to {MAX_GROUPS} groups, separated by semicolons, of at most {MAX_RUNS} runs together with the baseline"
        )));
    }
    if query.at.is_some_and(|at| !(at.is_finite() && at > 0.0)) {
        return Err(ApiError::invalid("query_invalid", "at is not a positive number").field("at"));
    }
    let wanted = Wanted { baseline, changes };
    let found = comparison::compare(lab.store(), &wanted, &visible, query.equal, query.at).await?;
    let named = wanted.baseline.into_iter().chain(wanted.changes.into_iter().flatten()).collect();
    Ok((found, each_once(named), visible))
}

/// The runs that the sender may see.
pub(super) async fn visible(lab: &Lab, identity: &Identity) -> Result<Vec<RunSummary>, ApiError> {
    let mut runs = lab.store().runs(false).await?;
    runs.retain(|run| identity.grants.on_run(&run.id, &run.project).is_some_and(|role| role.includes(Role::View)));
    Ok(runs)
}

/// The runs that a text names, each once.
async fn group(lab: &Lab, identity: &Identity, text: &str, visible: &[RunSummary]) -> Result<Vec<RunId>, ApiError> {
    let mut runs: Vec<RunId> = vec![];
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let named = match name.strip_prefix("tag:") {
            Some(tag) => comparison::tagged(tag, visible),
            None => {
                let id: RunId = name.parse().map_err(|_| unknown(name))?;
                run::check(lab, identity, &id, Role::View).await?;
                lab.feed.summary(&id).await?;
                vec![id]
            }
        };
        if named.is_empty() {
            return Err(ApiError::invalid("group_empty", format!("no run with {name} has trained all its steps"))
                .hint("give ids of runs, or wait until they are finished"));
        }
        runs.extend(named);
    }
    if runs.is_empty() {
        return Err(ApiError::invalid("group_empty", "a group has no run")
            .hint("give ids of runs, separated by commas, or tag:NAME"));
    }
    Ok(each_once(runs))
}

/// The runs, each once, in their order.
fn each_once(mut runs: Vec<RunId>) -> Vec<RunId> {
    let mut seen = BTreeSet::new();
    runs.retain(|run| seen.insert(run.clone()));
    runs
}

fn unknown(name: &str) -> ApiError {
    let shown: String = name.chars().take(80).collect();
    ApiError::invalid("query_invalid", format!("{shown:?} is not the id of a run"))
        .hint("give ids of runs, separated by commas, or tag:NAME")
}

/// How many runs with other seeds to queue.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoreSeeds {
    /// 1 to 20; 3 by default.
    #[serde(default = "three")]
    count: u32,
}

fn three() -> u32 {
    3
}

/// Queues runs that differ from a run only in the seed, for its noise floor. All of them, and the run itself, get the tag `seeds:ID`.
#[utoipa::path(post, path = "/runs/{id}/seeds", tag = "runs", params(("id" = RunId, Path)), request_body = MoreSeeds,
    responses((status = 201, body = Vec<RunSummary>),
        (status = 409, description = "The run was changed while it trained, or the queue is full.", body = ApiErrorBody)))]
pub async fn run_seeds(
    RunSteerer(identity): RunSteerer,
    State(lab): State<Lab>,
    Path(run): Path<RunId>,
    Body(MoreSeeds { count }): Body<MoreSeeds>,
) -> Result<(StatusCode, Json<Vec<RunSummary>>), ApiError> {
    Ok((StatusCode::CREATED, Json(seeds::repeat(&lab, &identity, &run, count).await?)))
}
