//! Runs: planned, asked for, listed, renamed, put away, deleted and brought back.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use store::{NewRun, StoreError};
use utoipa::{IntoParams, ToSchema};
use wire::device::DeviceKind;
use wire::event::{Author, EventRecord};
use wire::link::Report;
use wire::plan::{PlanView, resolve};
use wire::preset::{PresetInfo, presets};
use wire::run::References;
use wire::{
    ApiErrorBody, Command, CorpusId, DeviceId, Event, PlanError, RunId, RunSpec, RunState, RunSummary, RunView,
};

use crate::api_error::{ApiError, Body, Path, Query};
use crate::app_state::AppState;
use crate::auth::{Steerer, Viewer, author};
use crate::clock::{now_ms, random};
use crate::{devices, forks};

/// Longest name, characters.
pub const NAME_CHARS: usize = 80;
/// Priorities beyond this say nothing more.
const PRIORITY: i32 = 1000;

/// The table of starting points, smallest first.
#[utoipa::path(get, path = "/presets", tag = "runs", responses((status = 200, body = Vec<PresetInfo>)))]
pub async fn list_presets(_: Viewer) -> Json<Vec<PresetInfo>> {
    Json(presets())
}

/// Resolves a spec to every number it stands for, without starting anything.
#[utoipa::path(post, path = "/plan", tag = "runs", request_body = RunSpec, responses((status = 200, body = PlanView), (status = 422, body = ApiErrorBody)))]
pub async fn plan_run(
    _: Viewer,
    State(state): State<AppState>,
    Body(spec): Body<RunSpec>,
) -> Result<Json<PlanView>, ApiError> {
    plan(&state, &spec).await.map(Json)
}

/// Which runs to list.
#[derive(Deserialize, IntoParams)]
pub struct WhichRuns {
    /// Those deleted lately, too.
    #[serde(default)]
    deleted: bool,
}

/// All runs, newest first.
#[utoipa::path(get, path = "/runs", tag = "runs", params(WhichRuns), responses((status = 200, body = Vec<RunSummary>)))]
pub async fn list_runs(
    _: Viewer,
    State(state): State<AppState>,
    Query(which): Query<WhichRuns>,
) -> Result<Json<Vec<RunSummary>>, ApiError> {
    state.store.runs(which.deleted).await.map(Json).map_err(|source| ApiError::internal("listing the runs", source))
}

/// Asks for a run. It starts when a device is free.
#[utoipa::path(post, path = "/runs", tag = "runs", request_body = RunSpec, responses((status = 201, body = RunView), (status = 422, body = ApiErrorBody)))]
pub async fn create_run(
    Steerer(identity): Steerer,
    State(state): State<AppState>,
    Body(spec): Body<RunSpec>,
) -> Result<(StatusCode, Json<RunView>), ApiError> {
    let author = author(&identity);
    check_priority(spec.priority)?;
    let (view, changes, _fork) = match &spec.parent {
        Some(parent) => {
            let fork = forks::prepare(&state, &spec, parent, author.clone()).await?;
            (fork.view.clone(), fork.changes.clone(), Some(fork))
        }
        None => (plan(&state, &spec).await?, vec![], None),
    };
    let id = make(&state, spec, view, changes, author).await?;
    let view = view_of(&state, &id).await?;
    Ok((StatusCode::CREATED, Json(view)))
}

/// Makes a run of what has been resolved, and puts it into the queue.
pub async fn make(
    state: &AppState,
    spec: RunSpec,
    view: PlanView,
    changes: Vec<(Command, Event)>,
    author: Author,
) -> Result<RunId, ApiError> {
    let (made_up, id) = wire::id::name_run(random());
    let name = match &spec.name {
        Some(name) => checked_name(name)?,
        None => made_up,
    };
    let new = new_run(state, id.clone(), name, spec, view, author).await?;
    check_queue(state, &new.plan.device, new.any_of()).await?;
    let summary = state.store.create_fork(&new, &changes).await.map_err(|source| store_error(&id, source))?;
    state.hub.publish(summary, vec![], vec![], vec![]);
    state.wake_scheduler();
    Ok(id)
}

/// Refuses one more where too many wait already.
pub async fn check_queue(state: &AppState, device: &DeviceId, any_of: Option<DeviceKind>) -> Result<(), ApiError> {
    let (waiting, limit) = (state.store.queue_length(device, any_of).await, state.settings.queue_limit);
    let waiting = waiting.map_err(|source| ApiError::internal("reading the queue", source))?;
    if waiting < limit {
        return Ok(());
    }
    Err(ApiError::conflict("queue_full", format!("{waiting} runs wait for {device} already, and {limit} may"))
        .field("device")
        .hint("stop or delete some that wait, choose another device, or serve with a larger --queue-limit"))
}

fn check_priority(priority: Option<i32>) -> Result<(), ApiError> {
    match priority.filter(|priority| !(-PRIORITY..=PRIORITY).contains(priority)) {
        Some(priority) => Err(ApiError::invalid("value_invalid", format!("{priority} is no priority"))
            .field("priority")
            .hint("-1000 to 1000; 0 is usual, higher goes first")),
        None => Ok(()),
    }
}

/// What the store is given of a new run.
async fn new_run(
    state: &AppState,
    id: RunId,
    name: String,
    spec: RunSpec,
    view: PlanView,
    author: Author,
) -> Result<NewRun, ApiError> {
    let texts = state.texts.list().await?;
    let named = |id: &CorpusId| {
        texts.iter().find(|info| info.id == *id).map_or_else(|| id.to_string(), |info| info.name.clone())
    };
    let dataset = state.texts.dataset(&view.plan).await;
    Ok(NewRun {
        id,
        name,
        corpus: view.plan.corpora().iter().map(named).collect::<Vec<_>>().join(" + "),
        references: References::new(view.plan.recipe.model.vocab, dataset.as_ref()),
        device_name: devices::name_of(state, &spec, &view.plan.device),
        spec,
        plan: view.plan,
        estimate: view.estimate,
        created_ms: now_ms(),
        author,
    })
}

/// A whole run, as its page opens it.
#[utoipa::path(get, path = "/runs/{id}", tag = "runs", params(("id" = RunId, Path)), responses((status = 200, body = RunView), (status = 404, body = ApiErrorBody)))]
pub async fn get_run(
    _: Viewer,
    State(state): State<AppState>,
    Path(run): Path<RunId>,
) -> Result<Json<RunView>, ApiError> {
    view_of(&state, &run).await.map(Json)
}

/// What may be changed about a run's entry; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RunChange {
    /// Name for people.
    name: Option<String>,
    /// Put away, or back.
    archived: Option<bool>,
    /// Place in its device's queue, from 1.
    queue_place: Option<u32>,
    /// Higher goes first in the queue, -1000 to 1000.
    priority: Option<i32>,
}

/// Renames a run, puts it away, moves it in the queue, or gives it another priority.
#[utoipa::path(patch, path = "/runs/{id}", tag = "runs", params(("id" = RunId, Path)), request_body = RunChange,
    responses((status = 200, body = RunSummary), (status = 409, body = ApiErrorBody)))]
pub async fn change_run(
    _: Steerer,
    State(state): State<AppState>,
    Path(run): Path<RunId>,
    Body(change): Body<RunChange>,
) -> Result<Json<RunSummary>, ApiError> {
    let before = summary(&state, &run).await?;
    check_priority(change.priority)?;
    if let Some(name) = &change.name {
        state.store.rename(&run, &checked_name(name)?).await.map_err(|source| store_error(&run, source))?;
    }
    if let Some(archived) = change.archived {
        state.store.set_archived(&run, archived).await.map_err(|source| store_error(&run, source))?;
    }
    if let Some(priority) = change.priority {
        state.store.set_priority(&run, priority).await.map_err(|source| store_error(&run, source))?;
    }
    if let Some(place) = change.queue_place {
        if before.state != RunState::Queued {
            return Err(ApiError::conflict("not_queued", format!("{run} is not in a queue")).field("queue_place"));
        }
        state.store.move_in_queue(&run, place.max(1)).await.map_err(|source| store_error(&run, source))?;
    }
    state.wake_scheduler();
    let after = announce(&state, &run).await?;
    Ok(Json(after))
}

/// Deletes a run. It can be brought back for a while.
#[utoipa::path(delete, path = "/runs/{id}", tag = "runs", params(("id" = RunId, Path)),
    responses((status = 200, body = RunSummary), (status = 409, description = "It still trains.", body = ApiErrorBody)))]
pub async fn delete_run(
    _: Steerer,
    State(state): State<AppState>,
    Path(run): Path<RunId>,
) -> Result<Json<RunSummary>, ApiError> {
    let before = summary(&state, &run).await?;
    if before.state.is_live() {
        return Err(ApiError::conflict("run_live", format!("{run} is at work"))
            .hint("stop it first: POST .../commands {\"kind\": \"stop\"}"));
    }
    state.store.delete_run(&run, now_ms()).await.map_err(|source| store_error(&run, source))?;
    state.wake_scheduler();
    announce(&state, &run).await.map(Json)
}

/// Brings a deleted run back.
#[utoipa::path(post, path = "/runs/{id}/restore", tag = "runs", params(("id" = RunId, Path)), responses((status = 200, body = RunSummary)))]
pub async fn restore_run(
    _: Steerer,
    State(state): State<AppState>,
    Path(run): Path<RunId>,
) -> Result<Json<RunSummary>, ApiError> {
    summary(&state, &run).await?;
    state.store.restore_run(&run).await.map_err(|source| store_error(&run, source))?;
    state.wake_scheduler();
    announce(&state, &run).await.map(Json)
}

/// Resolves a spec against the lab as it stands.
async fn plan(state: &AppState, spec: &RunSpec) -> Result<PlanView, ApiError> {
    if let Some(parent) = &spec.parent {
        return forks::plan(state, spec, parent).await;
    }
    let texts = state.texts.list().await?;
    let wanted = devices::for_kind(spec, &state.fleet.infos())?;
    let mut view =
        resolve(&wanted.spec, &texts, &wanted.devices).map_err(|error| explain_missing_text(state, spec, error))?;
    view.notes.extend(wanted.note);
    Ok(view)
}

/// A text that is being made right now is not unknown, only late.
fn explain_missing_text(state: &AppState, spec: &RunSpec, error: PlanError) -> PlanError {
    let wanted = spec.corpus.iter().chain(spec.mix.iter().flat_map(BTreeMap::keys));
    match wanted.filter(|_| error.field == "corpus").find_map(|corpus| state.jobs.running_on(corpus)) {
        Some(job) => PlanError {
            hint: Some(format!("it is on its way ({}); try again in a moment", job.title.to_lowercase())),
            ..error
        },
        None => error,
    }
}

/// A name for people as it is kept: trimmed, on one line, not too long.
pub fn checked_name(name: &str) -> Result<String, ApiError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > NAME_CHARS || name.chars().any(char::is_control) {
        return Err(ApiError::invalid("name_invalid", format!("a name has 1 to {NAME_CHARS} characters on one line"))
            .field("name"));
    }
    Ok(name.to_owned())
}

/// One line of a run, or 404.
pub async fn summary(state: &AppState, run: &RunId) -> Result<RunSummary, ApiError> {
    state.store.summary(run).await.map_err(|source| store_error(run, source))?.ok_or_else(|| unknown(run))
}

/// The stored run with its stream's cursor, read first: whatever comes in between is in both and in neither twice.
async fn view_of(state: &AppState, run: &RunId) -> Result<RunView, ApiError> {
    let cursor = state.hub.cursor(run);
    let view = state.store.run(run).await.map_err(|source| store_error(run, source))?.ok_or_else(|| unknown(run))?;
    Ok(RunView { cursor, ..view })
}

/// Appends what the lab itself has to say to a run's journal, and tells everyone who watches.
pub async fn append(state: &AppState, run: &RunId, report: Report) -> Result<EventRecord, ApiError> {
    let (record, summary) = state.store.append(run, report).await.map_err(|source| store_error(run, source))?;
    state.hub.publish(summary, vec![], vec![record.clone()], vec![]);
    Ok(record)
}

/// A report of the lab itself.
pub fn report_of(author: Author, step: u64, event: Event, becomes: Option<RunState>) -> Report {
    Report { segment: 0, step, at_ms: now_ms(), author, command_id: None, reason: None, event, state: becomes }
}

/// Tells everyone who watches how the run's entry stands now.
pub async fn announce(state: &AppState, run: &RunId) -> Result<RunSummary, ApiError> {
    let summary = summary(state, run).await?;
    state.hub.publish(summary.clone(), vec![], vec![], vec![]);
    Ok(summary)
}

fn unknown(run: &RunId) -> ApiError {
    ApiError::not_found(format!("there is no run {run}")).hint("GET /api/v1/runs lists them")
}

/// What the store could not do with a run.
pub fn store_error(run: &RunId, source: StoreError) -> ApiError {
    let code = match &source {
        StoreError::UnknownRun { .. } => return unknown(run),
        StoreError::RunExists { .. } => "run_exists",
        StoreError::RunIsLive { .. } => "run_live",
        StoreError::NotQueued { .. } => "not_queued",
        StoreError::CheckpointNeeded { .. } => "checkpoint_needed",
        StoreError::UnknownCheckpoint { run, .. } => {
            let hint = format!("GET /api/v1/runs/{run}/checkpoints lists those that are kept");
            return ApiError::not_found(source.to_string()).hint(hint);
        }
        StoreError::RunFolderMissing { .. } => {
            return ApiError::new(StatusCode::GONE, "run_folder_missing", source.to_string());
        }
        StoreError::DiskFull { .. } => {
            return ApiError::new(StatusCode::INSUFFICIENT_STORAGE, "disk_full", source.to_string());
        }
        _ => return ApiError::internal("the lab's store", source),
    };
    ApiError::conflict(code, source.to_string())
}
