//! Which files a worker may use: those of runs that its device trains, or trained last, and the checkpoint from which the run in training was
//! forked. A run that was resumed on another machine belongs to the worker there.

use axum::http::StatusCode;
use store::Identity;
use wire::control::checkpoint::CheckpointRef;
use wire::{CheckpointId, DeviceId, RunId, RunSummary};

use crate::error::ApiError;
use crate::workers::Workers;

/// Checks that a worker trains a run, or trained it last. Returns its entry.
///
/// # Errors
/// 404 for an unknown run, 403 for a run of another worker.
pub async fn of_run(workers: &Workers, worker: &Identity, run: &RunId) -> Result<RunSummary, ApiError> {
    let summary = workers.feed.summary(run).await?;
    match device_of(workers, worker).await?.as_ref() == Some(&summary.device) {
        true => Ok(summary),
        false => Err(not_assigned(run)),
    }
}

/// Checks that a worker may read a checkpoint: one of a run of [`of_run`], or the origin of the fork that it trains.
///
/// # Errors
/// As [`of_run`].
pub async fn of_checkpoint(
    workers: &Workers,
    worker: &Identity,
    run: &RunId,
    id: CheckpointId,
) -> Result<(), ApiError> {
    let refused = match of_run(workers, worker, run).await {
        Ok(_) => return Ok(()),
        Err(error) if error.status == StatusCode::FORBIDDEN => error,
        Err(error) => return Err(error),
    };
    let wanted = CheckpointRef { run: run.clone(), checkpoint: id };
    let device = device_of(workers, worker).await?;
    for trained in device.iter().flat_map(|device| workers.fleet.runs_on(device)) {
        let view = workers.feed.store.run(&trained).await?;
        if view.and_then(|view| view.plan.origin).is_some_and(|origin| origin.from == wanted) {
            return Ok(());
        }
    }
    Err(refused)
}

/// The device of a worker's token.
async fn device_of(workers: &Workers, worker: &Identity) -> Result<Option<DeviceId>, ApiError> {
    Ok(workers.feed.store.worker_of_token(worker.token_id).await?.map(|record| record.device))
}

fn not_assigned(run: &RunId) -> ApiError {
    let message = format!("{run} is not assigned to this worker");
    ApiError::new(StatusCode::FORBIDDEN, "not_assigned", message)
        .hint("a worker uses only files of the runs that it trains")
}
