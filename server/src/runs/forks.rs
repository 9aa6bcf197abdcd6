//! Forks: runs that start from a checkpoint of another run. No file is copied: the plan names the parent's checkpoint, which is kept until
//! the fork has one of its own.

use store::OpenCheckpoint;
use wire::control::author::Author;
use wire::control::checkpoint::CheckpointRef;
use wire::control::reason::FOR_FORK;
use wire::number::grouped;
use wire::run::fork;
use wire::run::plan::{Origin, PlanView};
use wire::run::spec::Parent;
use wire::{ApiErrorBody, CheckpointId, Command, Event, PlanError, RunId, RunSpec, RunView};

use super::{commands, devices, steering};
use crate::auth::datasets;
use crate::error::ApiError;
use crate::lab::Lab;

/// A fork that can be created; its parent's checkpoint is held until this is dropped.
pub struct Fork {
    /// The resolved plan.
    pub view: PlanView,
    /// Changes before its first step.
    pub changes: Vec<(Command, Event)>,
    _held: OpenCheckpoint,
}

/// Resolves a fork without creating or commanding anything. Where the parent is being trained and no checkpoint is named, its present
/// step stands for the checkpoint that will be saved.
///
/// # Errors
/// The field of the spec that cannot be resolved.
pub async fn plan(lab: &Lab, spec: &RunSpec, parent: &Parent) -> Result<PlanView, ApiError> {
    let view = parent_view(lab, parent).await?;
    let id = match (named(lab, &view, parent).await?, steering::is_trained(lab, &view.summary)) {
        (Some(id), _) => Some(id),
        (None, true) => None,
        (None, false) => Some(newest(lab, &view).await?),
    };
    let origin = match id {
        Some(id) => origin(lab, &parent.run, id).await?.0,
        None => {
            let segment = view.segments.last().map_or(0, |segment| segment.segment);
            let checkpoint = CheckpointId { segment, step: view.summary.step };
            let from = CheckpointRef { run: parent.run.clone(), checkpoint };
            Origin { from, hyperparameters: view.hyperparameters.clone(), best_valid: view.summary.best_valid }
        }
    };
    resolve(lab, spec, &view, origin).await.map(|(view, _)| view)
}

/// Resolves a fork that is about to be created. Where the parent is being trained and no checkpoint is named, one is saved now.
///
/// # Errors
/// As [`plan`]; the checkpoint could not be saved.
pub async fn prepare(lab: &Lab, spec: &RunSpec, parent: &Parent, author: Author) -> Result<Fork, ApiError> {
    let view = parent_view(lab, parent).await?;
    let id = match (named(lab, &view, parent).await?, steering::is_trained(lab, &view.summary)) {
        (Some(id), _) => id,
        (None, true) => save_checkpoint(lab, &parent.run, author, FOR_FORK).await?,
        (None, false) => newest(lab, &view).await?,
    };
    let (origin, held) = origin(lab, &parent.run, id).await?;
    let (view, changes) = resolve(lab, spec, &view, origin).await?;
    Ok(Fork { view, changes, _held: held })
}

pub(super) async fn save_checkpoint(
    lab: &Lab,
    run: &RunId,
    author: Author,
    reason: &str,
) -> Result<CheckpointId, ApiError> {
    let command = Command::Checkpoint { reason: Some(reason.to_owned()) };
    let record = commands::send(lab, run, author, command).await?;
    match record.event {
        Event::Checkpointed { checkpoint } => Ok(checkpoint.id),
        other => {
            let message = format!("no checkpoint of {run} could be saved: {}", other.phrase());
            Err(ApiError::conflict("checkpoint_failed", message).hint("name one that is kept in parent.checkpoint"))
        }
    }
}

async fn parent_view(lab: &Lab, parent: &Parent) -> Result<RunView, ApiError> {
    let found = lab.store().run(&parent.run).await?;
    let view = found.ok_or_else(|| PlanError::new("parent.run", format!("unknown run {}", parent.run)))?;
    if view.summary.deleted_ms.is_some() {
        return Err(PlanError::new("parent.run", format!("{} is deleted", parent.run))
            .hint("restore it first: POST /api/v1/runs/{id}/restore")
            .into());
    }
    Ok(view)
}

/// The checkpoint that the spec names by its id or its step.
async fn named(lab: &Lab, view: &RunView, parent: &Parent) -> Result<Option<CheckpointId>, ApiError> {
    let run = &parent.run;
    let kept = lab.store().checkpoint_ids(run).await?;
    match (parent.checkpoint, parent.step) {
        (Some(id), Some(step)) if id.step != step => {
            Err(PlanError::new("parent.step", format!("checkpoint {id} is not at step {step}"))
                .hint("give the checkpoint or the step, not both")
                .into())
        }
        (Some(id), _) if kept.contains(&id) => Ok(Some(id)),
        (Some(id), _) => {
            Err(at_field("parent.checkpoint", steering::no_checkpoint(&steering::checkpoint_named(id), &kept)))
        }
        (None, Some(step)) => {
            let history = lab.store().history(&view.summary.id).await?;
            let on_path = history.path_checkpoints(run, &kept).into_iter().map(|found| found.at.checkpoint);
            let on_path: Vec<CheckpointId> = on_path.collect();
            let found = on_path.iter().find(|id| id.step == step).copied();
            found.map(Some).ok_or_else(|| {
                let oldest_first: Vec<CheckpointId> = on_path.into_iter().rev().collect();
                at_field(
                    "parent.step",
                    steering::no_checkpoint(&format!("a checkpoint of step {}", grouped(step)), &oldest_first),
                )
            })
        }
        (None, None) => Ok(None),
    }
}

async fn newest(lab: &Lab, view: &RunView) -> Result<CheckpointId, ApiError> {
    let run = &view.summary.id;
    let kept = lab.store().checkpoint_ids(run).await?;
    let newest = lab.store().history(run).await?.path_checkpoints(run, &kept).into_iter().next();
    newest
        .map(|found| found.at.checkpoint)
        .ok_or_else(|| at_field("parent.run", steering::no_checkpoint("a checkpoint on the path", &kept)))
}

/// An error about a field of a spec.
fn at_field(field: &str, error: ApiError) -> ApiError {
    let ApiErrorBody { message, hint, .. } = *error.body;
    PlanError { field: field.to_owned(), message, hint }.into()
}

async fn origin(lab: &Lab, run: &RunId, id: CheckpointId) -> Result<(Origin, OpenCheckpoint), ApiError> {
    let held = lab.store().open_checkpoint(run, id).await?;
    match (held, lab.store().origin(run, id).await?) {
        (Some(held), Some(origin)) => Ok((origin, held)),
        _ => {
            let missing =
                steering::no_checkpoint(&steering::checkpoint_named(id), &lab.store().checkpoint_ids(run).await?);
            Err(at_field("parent.checkpoint", missing))
        }
    }
}

async fn resolve(
    lab: &Lab,
    spec: &RunSpec,
    parent: &RunView,
    origin: Origin,
) -> Result<(PlanView, Vec<(Command, Event)>), ApiError> {
    let fleet = &lab.workers.fleet;
    let mut known = fleet.infos();
    // The fork waits for its device, which reports later.
    known.extend(devices::missing(spec, &parent.plan.device, &known));
    let choice = devices::choose(spec, &known);
    let corpora = datasets::usable(lab, spec).await?;
    let (mut view, changes) = fork::resolve_fork(&choice.spec, &parent.plan, origin, &choice.devices, &corpora)?;
    view.notes.extend(choice.note);
    // A checkpoint that has not been uploaded is on the disk of the machine that wrote it.
    let origin = view.plan.origin.as_ref().map(|origin| &origin.from);
    let is_here = origin.is_some_and(|from| lab.store().has_checkpoint_files(&from.run, from.checkpoint));
    let hosts = (fleet.host_of(&parent.plan.device), fleet.host_of(&view.plan.device));
    if let (Some(there), Some(here)) = &hosts
        && there != here
        && !is_here
    {
        let message = format!("the checkpoint is still on {there}, and {} is a device of {here}", view.plan.device);
        let hint = format!("choose a device of {there}, or wait until the checkpoint has been uploaded");
        return Err(PlanError::new("device", message).hint(hint).into());
    }
    Ok((view, changes))
}
