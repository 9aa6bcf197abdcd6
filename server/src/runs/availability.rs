//! Whether a checkpoint can be used here. The files of a run on another machine arrive some time after the event that reports them.

use wire::{CheckpointId, RunId};

use crate::error::ApiError;
use crate::lab::Lab;

/// Checks that the files of a checkpoint are on this machine. A checkpoint that is not kept is none of this function's concern.
///
/// # Errors
/// 409 for one that is still on the machine that saved it, with how much of it has been uploaded; an error of the store.
pub async fn check(lab: &Lab, run: &RunId, id: CheckpointId) -> Result<(), ApiError> {
    let store = lab.store();
    if store.has_checkpoint_files(run, id) {
        return Ok(());
    }
    let (Some(info), Some(summary)) = (store.checkpoint_info(run, id).await?, store.summary(run).await?) else {
        return Ok(());
    };
    let fleet = &lab.workers.fleet;
    if lab.workers.is_local(&summary.device) {
        // Its folder is missing on this machine; what reads it says so.
        return Ok(());
    }
    let host = fleet.host_of(&summary.device).unwrap_or_else(|| summary.device.to_string());
    let percent = 100 * store.uploaded_bytes(run, id).min(info.bytes) / info.bytes.max(1);
    let error =
        ApiError::conflict("checkpoint_uploading", still_on(id, &host, fleet.is_connected(&summary.device), percent));
    Err(match fleet.is_connected(&summary.device) {
        true => error.hint("try again when it has been uploaded, or use an earlier checkpoint"),
        false => error.hint("start its worker again, which then uploads it, or use an earlier checkpoint"),
    })
}

/// Checks that the files of some checkpoint of a run are on this machine, if it has any checkpoint.
///
/// # Errors
/// As [`check`], for the newest checkpoint.
pub async fn check_any(lab: &Lab, run: &RunId) -> Result<(), ApiError> {
    let kept = lab.store().checkpoint_ids(run).await?;
    match kept.last() {
        Some(newest) if !kept.iter().any(|id| lab.store().has_checkpoint_files(run, *id)) => {
            check(lab, run, *newest).await
        }
        _ => Ok(()),
    }
}

fn still_on(id: CheckpointId, host: &str, is_connected: bool, percent: u64) -> String {
    match is_connected {
        true => format!("checkpoint {id} is still on {host}: uploading, {percent} %"),
        false => format!("checkpoint {id} is on {host}, whose worker is not connected"),
    }
}
