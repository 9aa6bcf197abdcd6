//! Runs made of resolved specs, and put into the queue.

use std::hash::{BuildHasher, Hasher, RandomState};

use store::NewRun;
use wire::access::project::DEFAULT_PROJECT;
use wire::control::author::Author;
use wire::device::DeviceKind;
use wire::number::grouped;
use wire::run::References;
use wire::run::plan::PlanView;
use wire::{Command, CorpusId, DeviceId, Event, RunId, RunSpec, RunState, RunSummary};

use super::edit::check_priority;
use super::plan::plan;
use super::{devices, forks, scoring};
use crate::error::ApiError;
use crate::lab::name::checked_name;
use crate::lab::{Lab, limits};
use crate::live::clock::now_ms;

/// Creates a run of a spec; it starts when a device is idle.
///
/// # Errors
/// The field of the spec that cannot be resolved; 404 for an unknown task; 409 for a full queue; an error of the store.
pub async fn create(lab: &Lab, spec: RunSpec, author: Author) -> Result<RunId, ApiError> {
    check_priority(spec.priority)?;
    scoring::check_exist(lab, &spec.tasks).await?;
    // The parent's checkpoint is held until the run exists.
    let (view, changes, _fork) = match &spec.parent {
        Some(parent) => {
            let fork = forks::prepare(lab, &spec, parent, author.clone()).await?;
            (fork.view.clone(), fork.changes.clone(), Some(fork))
        }
        None => (plan(lab, &spec).await?, vec![], None),
    };
    insert(lab, spec, view, changes, author).await
}

/// Stores a run that has been resolved, and queues it.
///
/// # Errors
/// 422 for an invalid name, 409 for a full queue and for a project over its limit of disk; an error of the store.
pub async fn insert(
    lab: &Lab,
    spec: RunSpec,
    view: PlanView,
    changes: Vec<(Command, Event)>,
    author: Author,
) -> Result<RunId, ApiError> {
    let new = prepare(lab, spec, view, author).await?;
    let summary = lab.store().create_fork(&new, &changes).await?;
    announce(lab, &new, summary).await?;
    Ok(new.id)
}

/// The record of a run of a resolved spec, if it may be created and queued.
///
/// # Errors
/// 422 for an invalid name, 409 for a full queue and for a project over its limit of disk; an error of the store.
pub async fn prepare(lab: &Lab, spec: RunSpec, view: PlanView, author: Author) -> Result<NewRun, ApiError> {
    let (generated, id) = new_id();
    let name = match &spec.name {
        Some(name) => checked_name(name)?,
        None => generated,
    };
    let new = new_run(lab, id, name, spec, view, author).await?;
    limits::check_disk(lab, new.spec.project.as_deref().unwrap_or(DEFAULT_PROJECT)).await?;
    check_queue(lab, &new.plan.device, new.any_of(), new.spec.pool.as_deref()).await?;
    Ok(new)
}

/// Publishes a run that was stored, and wakes the queue.
///
/// # Errors
/// An error of the store.
pub async fn announce(lab: &Lab, new: &NewRun, summary: RunSummary) -> Result<(), ApiError> {
    lab.feed.hub.publish(summary, vec![], vec![], vec![]);
    if let Some(reason) = devices::reason_to_wait(lab, &new.spec, &new.plan.device) {
        // Unless it has started meanwhile.
        let is_queued = |run: &RunSummary| run.state == RunState::Queued;
        lab.feed.set_state_if(&new.id, is_queued, RunState::Queued, Some(reason)).await?;
    }
    lab.feed.wake_queue();
    Ok(())
}

/// A random name and id. They are not secret.
pub fn new_id() -> (String, RunId) {
    wire::id::name_run(RandomState::new().build_hasher().finish())
}

/// Checks that the queue of a run's pool or device has room.
///
/// # Errors
/// 409 for a full queue; an error of the store.
pub async fn check_queue(
    lab: &Lab,
    device: &DeviceId,
    any_of: Option<DeviceKind>,
    pool: Option<&str>,
) -> Result<(), ApiError> {
    let (queued, limit) = (lab.store().queue_length(device, any_of, pool).await?, lab.settings.queue_limit);
    if queued < limit {
        return Ok(());
    }
    let place = pool.map_or_else(|| device.to_string(), |pool| format!("the pool {pool}"));
    let runs = if queued == 1 { "1 run is".to_owned() } else { format!("{} runs are", grouped(queued)) };
    Err(ApiError::conflict("queue_full", format!("{runs} queued for {place}, and the limit is {limit}"))
        .field(if pool.is_some() { "pool" } else { "device" })
        .hint("stop or delete queued runs, choose another device, or start the server with a larger --queue-limit"))
}

/// Whether a refusal to create a run may end by itself: the queue is full, or an agent has as many runs as it may have now.
pub fn is_full_for_now(error: &ApiError) -> bool {
    let is_count = matches!(error.body.field.as_deref(), Some("runs_at_once" | "trials_per_day"));
    error.body.code == "queue_full" || error.body.code == "agent_budget" && is_count
}

/// The record of a new run.
async fn new_run(
    lab: &Lab,
    id: RunId,
    name: String,
    spec: RunSpec,
    view: PlanView,
    author: Author,
) -> Result<NewRun, ApiError> {
    let corpora = lab.data.corpora.list().await?;
    let name_of = |id: &CorpusId| {
        corpora.iter().find(|info| info.id == *id).map_or_else(|| id.to_string(), |info| info.name.clone())
    };
    let dataset = lab.data.corpora.dataset(&view.plan).await;
    Ok(NewRun {
        id,
        name,
        corpus: view.plan.corpora().iter().map(name_of).collect::<Vec<_>>().join(" + "),
        references: References::new(view.plan.recipe.model.vocab, dataset.as_ref()),
        device_name: devices::name_of(lab, &spec, &view.plan.device),
        spec,
        plan: view.plan,
        estimate: view.estimate,
        created_ms: now_ms(),
        author,
    })
}
