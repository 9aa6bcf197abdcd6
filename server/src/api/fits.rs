//! Fits over runs and replays of stopping rules. The runs are named by id, tag, sweep or project.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use research::fits::report::{FitKind, FitReport, Target};
use research::stopping::settings::{ReplayReport, RuleKind};
use serde::Deserialize;
use store::Identity;
use utoipa::IntoParams;
use wire::access::Role;
use wire::number::counted;
use wire::sweep::record::Sweep;
use wire::{ApiErrorBody, RunId, RunState, RunSummary};

use super::comparison::visible;
use super::extract::Query;
use super::sweeps::known;
use crate::auth::{SignedIn, project, run, sweep};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::runs::comparison::tagged;
use crate::runs::fits;

/// Maximum number of names in a list of runs.
const MAX_NAMES: usize = 500;
/// Prefixes of names that stand for several runs.
const PREFIXES: [&str; 3] = ["tag:", "sweep:", "project:"];
/// Maximum number of such names in a list.
const MAX_GROUPS: usize = 10;
/// Largest size, number of tokens and compute that a law is extrapolated to.
const LARGEST: f64 = 1e30;
/// Maximum number of runs that train at the same time in a replay.
const MAX_PARALLEL: usize = 1_000;

/// The fit, its runs, and the targets of the extrapolation of a scaling law.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FitQuery {
    /// One of the five fits.
    kind: FitKind,
    /// The runs, separated by commas: ids, `tag:NAME` and `project:NAME` for the runs that trained all their steps, `sweep:ID` for the finished
    /// trials of a sweep; at most 10 tags, projects and sweeps. `learning_rate` and `batch_size` need one run.
    runs: String,
    /// Parameters without embeddings to extrapolate a scaling law to; 4 times the largest by default.
    parameters: Option<f64>,
    /// Training tokens to extrapolate a scaling law to; 4 times the largest by default.
    tokens: Option<f64>,
    /// Training FLOPs for which a scaling law gives the best size; those of the extrapolation by default.
    flops: Option<f64>,
    /// For a mix: the dataset whose loss it predicts; the mean of the losses of all datasets by default.
    dataset: Option<String>,
}

/// The rule, and the runs over which it is replayed.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ReplayQuery {
    /// One of the three rules.
    rule: RuleKind,
    /// The runs, as those of a fit. A single `sweep:ID` stands for its trials that have ended, with its metric and the thresholds of its rule.
    runs: String,
    /// Number of runs that train at the same time, 1 to 1,000; by default that of the sweep, else 1.
    parallel: Option<usize>,
}

/// Fits a law to runs, with 95 % intervals: a scaling law, isoFLOP profiles, the best data mix, a learning-rate range test or the batch size that
/// the gradient noise scale suggests. If the runs do not determine the fit, the response contains the reason instead.
#[utoipa::path(get, path = "/fit", tag = "runs", params(FitQuery),
    responses((status = 200, body = FitReport),
        (status = 404, description = "A run, a sweep or a project does not exist.", body = ApiErrorBody),
        (status = 410, description = "The folder with the curves of the run was removed.", body = ApiErrorBody),
        (status = 429, description = "Too many fits and replays are being computed or waiting.", body = ApiErrorBody)))]
pub async fn fit_runs(
    SignedIn(identity): SignedIn,
    State(lab): State<Lab>,
    Query(query): Query<FitQuery>,
) -> Result<Json<FitReport>, ApiError> {
    let FitQuery { kind, runs, parameters, tokens, flops, dataset } = query;
    for (field, value) in [("parameters", parameters), ("tokens", tokens), ("flops", flops)] {
        if value.is_some_and(|value| !(1.0..=LARGEST).contains(&value)) {
            return Err(ApiError::invalid("query_invalid", format!("{field} is out of range"))
                .field(field)
                .hint("give a number from 1 to 1e30"));
        }
    }
    let _place = lab.fits.enter(&identity)?;
    let runs = match named(&lab, &identity, &runs).await? {
        Named::Sweep(sweep) => fits::finished_of(&lab, &sweep).await?,
        Named::Runs(runs) => runs,
    };
    fits::fit(&lab, kind, &runs, Target { parameters, tokens, flops }, dataset).await.map(Json)
}

/// Replays a stopping rule over runs that have ended, for a range of its thresholds: compute saved, regret and winners lost of each.
#[utoipa::path(get, path = "/replay", tag = "runs", params(ReplayQuery),
    responses((status = 200, body = ReplayReport),
        (status = 404, description = "A run, a sweep or a project does not exist.", body = ApiErrorBody),
        (status = 429, description = "Too many fits and replays are being computed or waiting.", body = ApiErrorBody)))]
pub async fn replay_rule(
    SignedIn(identity): SignedIn,
    State(lab): State<Lab>,
    Query(ReplayQuery { rule, runs, parallel }): Query<ReplayQuery>,
) -> Result<Json<ReplayReport>, ApiError> {
    if parallel.is_some_and(|parallel| !(1..=MAX_PARALLEL).contains(&parallel)) {
        return Err(ApiError::invalid("query_invalid", "parallel is out of range")
            .field("parallel")
            .hint(format!("give a number from 1 to {MAX_PARALLEL}")));
    }
    let _place = lab.fits.enter(&identity)?;
    match named(&lab, &identity, &runs).await? {
        Named::Sweep(sweep) => fits::replay_sweep(&lab, &sweep, rule, parallel).await.map(Json),
        Named::Runs(runs) => fits::replay_runs(&lab, &runs, rule, parallel).await.map(Json),
    }
}

/// The runs of a list.
enum Named {
    /// One sweep and nothing else.
    Sweep(Box<Sweep>),
    /// Each run once. A list with more runs than a fit reads may end after one too many.
    Runs(Vec<RunId>),
}

/// Reads a list of runs that the sender may see.
async fn named(lab: &Lab, identity: &Identity, list: &str) -> Result<Named, ApiError> {
    let names = names_of(list)?;
    if let [name] = names[..]
        && let Some(id) = name.strip_prefix("sweep:")
    {
        return Ok(Named::Sweep(Box::new(sweep_of(lab, identity, id).await?)));
    }
    let needs_all = |name: &&str| name.starts_with("tag:") || name.starts_with("project:");
    let seen = if names.iter().any(needs_all) { visible(lab, identity).await? } else { vec![] };
    let mut runs = BTreeSet::new();
    for name in names {
        runs.extend(runs_of(lab, identity, name, &seen).await?);
        if runs.len() > fits::MAX_RUNS {
            break;
        }
    }
    Ok(Named::Runs(runs.into_iter().collect()))
}

/// The names of a list, each once.
fn names_of(list: &str) -> Result<Vec<&str>, ApiError> {
    let names: BTreeSet<&str> = list.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let is_group = |name: &&&str| PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    let (count, groups) = (names.len(), names.iter().filter(is_group).count());
    if count == 0 || count > MAX_NAMES || groups > MAX_GROUPS {
        let names = counted(count as u64, "name");
        let message = format!("{names} were given, {groups} of them of tags, sweeps or projects");
        return Err(invalid(message).hint(format!(
            "give 1 to {MAX_NAMES} ids of runs, or at most {MAX_GROUPS} of tag:NAME, sweep:ID and project:NAME, separated by commas"
        )));
    }
    Ok(names.into_iter().collect())
}

/// The runs of one name. `visible` are those that the sender may see; only tags and projects need them.
async fn runs_of(lab: &Lab, identity: &Identity, name: &str, visible: &[RunSummary]) -> Result<Vec<RunId>, ApiError> {
    if let Some(id) = name.strip_prefix("sweep:") {
        return Ok(fits::finished_of(lab, &sweep_of(lab, identity, id).await?).await?);
    }
    if let Some(tag) = name.strip_prefix("tag:") {
        return Ok(tagged(tag, visible));
    }
    if let Some(project) = name.strip_prefix("project:") {
        return finished_in(lab, identity, project, visible).await;
    }
    let id: RunId = name.parse().map_err(|_| unknown(name))?;
    run::check(lab, identity, &id, Role::View).await?;
    lab.feed.summary(&id).await?;
    Ok(vec![id])
}

/// The runs of a project that trained all their steps.
async fn finished_in(
    lab: &Lab,
    identity: &Identity,
    name: &str,
    visible: &[RunSummary],
) -> Result<Vec<RunId>, ApiError> {
    project::check(identity, name, Role::View)?;
    project::check_exists(lab, name).await?;
    let is_meant =
        |run: &&RunSummary| run.project == name && run.state == RunState::Finished && run.deleted_ms.is_none();
    Ok(visible.iter().filter(is_meant).map(|run| run.id.clone()).collect())
}

async fn sweep_of(lab: &Lab, identity: &Identity, id: &str) -> Result<Sweep, ApiError> {
    let id: i64 = id.parse().map_err(|_| unknown(&format!("sweep:{id}")))?;
    sweep::check(lab, identity, id, Role::View).await?;
    known(lab, id).await
}

fn invalid(message: String) -> ApiError {
    ApiError::invalid("query_invalid", message).field("runs")
}

fn unknown(name: &str) -> ApiError {
    let shown: String = name.chars().take(80).collect();
    invalid(format!("{shown:?} names no runs"))
        .hint("give ids of runs, tag:NAME, sweep:ID or project:NAME, separated by commas")
}
