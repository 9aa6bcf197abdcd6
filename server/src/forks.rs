//! Forks: runs that begin with a checkpoint of another. Nothing is copied: the plan names the parent's checkpoint, which is kept
//! until the fork has one of its own.

use store::HeldCheckpoint;
use wire::event::{Author, EventRecord};
use wire::fork;
use wire::history::Origin;
use wire::plan::PlanView;
use wire::spec::Parent;
use wire::{ApiErrorBody, CheckpointId, Command, Event, PlanError, RunId, RunSpec, RunSummary, RunView};

use crate::api_error::ApiError;
use crate::app_state::AppState;
use crate::runs::store_error;
use crate::{commands, runs, steer};

/// A fork that can be made: its parent's checkpoint stays where it is while this lives.
pub struct Fork {
    /// Every number.
    pub view: PlanView,
    /// What is changed before its first step.
    pub changes: Vec<(Command, Event)>,
    _held: HeldCheckpoint,
}

/// Resolves a fork without making or ordering anything; from a run at work without a checkpoint named, as of now.
pub async fn plan(state: &AppState, spec: &RunSpec, parent: &Parent) -> Result<PlanView, ApiError> {
    let view = parent_of(state, parent).await?;
    let id = match (named(state, &view, parent).await?, commands::is_at_work(state, &view.summary)) {
        (Some(id), _) => Some(id),
        (None, true) => None,
        (None, false) => Some(newest(state, &view).await?),
    };
    let origin = match id {
        Some(id) => origin(state, &parent.run, id).await?.0,
        None => {
            let segment = view.segments.last().map_or(0, |segment| segment.segment);
            let checkpoint = CheckpointId { segment, step: view.summary.step };
            let from = wire::checkpoint::CheckpointRef { run: parent.run.clone(), checkpoint };
            Origin { from, dials: view.dials.clone(), best_valid: view.summary.best_valid }
        }
    };
    resolve(state, spec, &view, origin).await.map(|(view, _)| view)
}

/// Resolves a fork for good: where its parent is at work and no checkpoint is named, one is taken now.
pub async fn prepare(state: &AppState, spec: &RunSpec, parent: &Parent, author: Author) -> Result<Fork, ApiError> {
    let view = parent_of(state, parent).await?;
    let id = match (named(state, &view, parent).await?, commands::is_at_work(state, &view.summary)) {
        (Some(id), _) => id,
        (None, true) => take_checkpoint(state, &parent.run, author, "for a fork").await?,
        (None, false) => newest(state, &view).await?,
    };
    let (origin, held) = origin(state, &parent.run, id).await?;
    let (view, changes) = resolve(state, spec, &view, origin).await?;
    Ok(Fork { view, changes, _held: held })
}

/// Carries a command out, and makes a run beside it that is not told of it.
pub async fn command_with_twin(
    state: &AppState,
    summary: &RunSummary,
    author: Author,
    command: Command,
) -> Result<(EventRecord, RunId), ApiError> {
    let run = &summary.id;
    if !matches!(
        command,
        Command::Set { .. }
            | Command::Redraw { .. }
            | Command::Edit { .. }
            | Command::Rollback { .. }
            | Command::Undo { .. }
    ) {
        return Err(ApiError::invalid(
            "no_twin",
            "a twin shows what a change did, and this changes nothing that is learned",
        )
        .field("twin")
        .hint("set, redraw, edit, rollback or undo"));
    }
    if !commands::is_at_work(state, summary) {
        return Err(commands::cannot(summary));
    }
    let command = steer::expand(state, summary, command).await?;
    let held = steer::verify(state, summary, &command).await?;
    let checkpoint = take_checkpoint(state, run, author.clone(), "for a twin").await?;
    let mut parent =
        Parent { run: run.clone(), step: None, checkpoint: Some(checkpoint), changes: vec![], twin_of: None };
    let mut spec = RunSpec { name: Some(twin_name(&summary.name)), parent: Some(parent.clone()), ..RunSpec::default() };
    // All that could be refused is refused before the command takes effect.
    let fork = prepare(state, &spec, &parent, author.clone()).await?;
    runs::check_queue(state, &fork.view.plan.device, None).await?;
    let record = commands::order(state, run, author.clone(), command).await?;
    drop(held);
    parent.twin_of = Some(record.number);
    spec.parent = Some(parent);
    let twin = runs::make(state, spec, fork.view, fork.changes, author).await?;
    Ok((record, twin))
}

/// `amber-fox twin`, within the length that names have.
fn twin_name(name: &str) -> String {
    let short: String = name.chars().take(runs::NAME_CHARS - 5).collect();
    format!("{short} twin")
}

async fn take_checkpoint(state: &AppState, run: &RunId, author: Author, why: &str) -> Result<CheckpointId, ApiError> {
    let command = Command::Checkpoint { reason: Some(why.to_owned()) };
    let record = commands::order(state, run, author, command).await?;
    match record.event {
        Event::Checkpointed { checkpoint } => Ok(checkpoint.id),
        other => Err(ApiError::conflict("checkpoint_failed", format!("{run} has no checkpoint: {}", other.phrase()))
            .hint("name one that it keeps: parent.checkpoint")),
    }
}

async fn parent_of(state: &AppState, parent: &Parent) -> Result<RunView, ApiError> {
    let found = state.store.run(&parent.run).await.map_err(|source| store_error(&parent.run, source))?;
    let view = found.ok_or_else(|| PlanError::new("parent.run", format!("there is no run {}", parent.run)))?;
    if view.summary.deleted_ms.is_some() {
        return Err(PlanError::new("parent.run", format!("{} is deleted", parent.run))
            .hint("bring it back first: POST .../restore")
            .into());
    }
    Ok(view)
}

/// The checkpoint that was named, by itself or by its step.
async fn named(state: &AppState, view: &RunView, parent: &Parent) -> Result<Option<CheckpointId>, ApiError> {
    let run = &parent.run;
    let kept = steer::kept(state, run).await?;
    match (parent.checkpoint, parent.step) {
        (Some(id), Some(step)) if id.step != step => {
            Err(PlanError::new("parent.step", format!("checkpoint {id} is not at step {step}"))
                .hint("give one of them")
                .into())
        }
        (Some(id), _) if kept.contains(&id) => Ok(Some(id)),
        (Some(id), _) => Err(at_field("parent.checkpoint", steer::no_checkpoint(run, &id.to_string(), &kept))),
        (None, Some(step)) => {
            let history = state.store.history(&view.summary.id).await.map_err(|source| store_error(run, source))?;
            let on_path = history.path_checkpoints(run, &kept).into_iter().map(|found| found.at.checkpoint);
            let on_path: Vec<CheckpointId> = on_path.collect();
            let found = on_path.iter().find(|id| id.step == step).copied();
            found.map(Some).ok_or_else(|| {
                let oldest_first: Vec<CheckpointId> = on_path.into_iter().rev().collect();
                at_field("parent.step", steer::no_checkpoint(run, &format!("at step {step}"), &oldest_first))
            })
        }
        (None, None) => Ok(None),
    }
}

async fn newest(state: &AppState, view: &RunView) -> Result<CheckpointId, ApiError> {
    let run = &view.summary.id;
    let kept = steer::kept(state, run).await?;
    let history = state.store.history(run).await.map_err(|source| store_error(run, source))?;
    let newest = history.path_checkpoints(run, &kept).into_iter().next();
    newest
        .map(|found| found.at.checkpoint)
        .ok_or_else(|| at_field("parent.run", steer::no_checkpoint(run, "on its path", &kept)))
}

/// The refusal as one of a spec.
fn at_field(field: &str, error: ApiError) -> ApiError {
    let ApiErrorBody { message, hint, .. } = *error.body;
    let plan = PlanError { field: field.to_owned(), message, hint };
    plan.into()
}

async fn origin(state: &AppState, run: &RunId, id: CheckpointId) -> Result<(Origin, HeldCheckpoint), ApiError> {
    let failed = |source| store_error(run, source);
    let held = state.store.hold_checkpoint(run, id).await.map_err(failed)?;
    match (held, state.store.origin(run, id).await.map_err(failed)?) {
        (Some(held), Some(origin)) => Ok((origin, held)),
        _ => {
            let gone = steer::no_checkpoint(run, &id.to_string(), &steer::kept(state, run).await?);
            Err(at_field("parent.checkpoint", gone))
        }
    }
}

async fn resolve(
    state: &AppState,
    spec: &RunSpec,
    parent: &RunView,
    origin: Origin,
) -> Result<(PlanView, Vec<(Command, Event)>), ApiError> {
    let devices = state.fleet.infos();
    let spec = crate::devices::for_kind(spec, &devices)?.spec;
    let texts = state.texts.list().await?;
    let view = fork::resolve_fork(&spec, &parent.plan, origin, &devices, &texts)?;
    // The state lies on the disk of the machine that wrote it.
    let hosts = (state.fleet.host_of(&parent.plan.device), state.fleet.host_of(&view.plan.device));
    if let (Some(there), Some(here)) = &hosts
        && there != here
    {
        let message = format!("the checkpoint lies on {there}, and {} is a device of {here}", view.plan.device);
        return Err(PlanError::new("device", message).hint(format!("a device of {there}")).into());
    }
    let changes = spec.parent.as_ref().map_or(Ok(vec![]), |parent| fork::changes(parent, &view.plan))?;
    Ok((view, changes))
}
