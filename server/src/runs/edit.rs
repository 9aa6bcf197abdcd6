//! Changes of a run's entry in the lab: name, archive, queue, deletion. Changes of the training are [`super::commands`].

use wire::run::RunChange;
use wire::run::table::tags::checked_tags;
use wire::{RunId, RunState, RunSummary};

use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::name::checked_name;
use crate::live::clock::now_ms;

/// Maximum absolute priority.
const PRIORITY: i32 = 1000;

/// Checks a priority.
///
/// # Errors
/// 422 for one outside its range.
pub fn check_priority(priority: Option<i32>) -> Result<(), ApiError> {
    match priority.filter(|priority| !(-PRIORITY..=PRIORITY).contains(priority)) {
        Some(priority) => Err(ApiError::invalid("value_invalid", format!("{priority} is not a valid priority"))
            .field("priority")
            .hint(format!(
                "enter -{PRIORITY} to {PRIORITY}; the default is 0, and runs with a higher priority start first"
            ))),
        None => Ok(()),
    }
}

/// Renames, archives or tags a run, moves it in the queue or to another project, or changes its priority: all of it, or nothing.
///
/// # Errors
/// 404 for an unknown run or project, 422 for an invalid value, 409 for a queue position of a run that is not queued; an error of the store.
pub async fn change(lab: &Lab, run: &RunId, change: RunChange) -> Result<RunSummary, ApiError> {
    let before = lab.feed.summary(run).await?;
    check_priority(change.priority)?;
    if change.queue_place.is_some() && before.state != RunState::Queued {
        return Err(ApiError::conflict("not_queued", format!("{run} is not queued")).field("queue_place"));
    }
    let checked = RunChange {
        name: change.name.as_deref().map(checked_name).transpose()?,
        tags: change.tags.as_deref().map(checked_tags).transpose().map_err(ApiError::invalid_value)?,
        ..change
    };
    lab.store().change_run(run, &checked).await?;
    if checked.project.is_some() {
        // Pages that watch it may not see it any more.
        lab.access_changed();
    }
    lab.feed.wake_queue();
    lab.feed.publish_summary(run).await
}

/// Deletes a run; it can be restored for a week.
///
/// # Errors
/// 404 for an unknown run, 409 for one that a worker trains; an error of the store.
pub async fn delete(lab: &Lab, run: &RunId) -> Result<RunSummary, ApiError> {
    let before = lab.feed.summary(run).await?;
    if before.state.is_live() {
        return Err(ApiError::conflict("run_live", format!("{run} is being trained"))
            .hint("stop it first: POST /api/v1/runs/{id}/commands with {\"kind\": \"stop\"}"));
    }
    lab.store().delete_run(run, now_ms()).await?;
    lab.feed.wake_queue();
    lab.feed.publish_summary(run).await
}

/// Restores a deleted run.
///
/// # Errors
/// 404 for an unknown run; an error of the store.
pub async fn restore(lab: &Lab, run: &RunId) -> Result<RunSummary, ApiError> {
    lab.feed.summary(run).await?;
    lab.store().restore_run(run).await?;
    lab.feed.wake_queue();
    lab.feed.publish_summary(run).await
}
