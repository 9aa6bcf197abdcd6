//! Routes of checkpoints.

use wire::control::checkpoint::CheckpointView;
use wire::{CheckpointId, RunId};

use super::failure::ApiFailure;
use super::request::{get, send, send_plain};

/// The checkpoints of a run, newest first.
pub(crate) async fn list(run: &RunId) -> Result<Vec<CheckpointView>, ApiFailure> {
    get(&format!("/runs/{run}/checkpoints")).await
}

/// Pins a checkpoint, so that it is never pruned, or unpins it.
pub(crate) async fn pin(run: &RunId, checkpoint: CheckpointId, pinned: bool) -> Result<CheckpointView, ApiFailure> {
    let change = serde_json::json!({ "pinned": pinned });
    send("PATCH", &format!("/runs/{run}/checkpoints/{checkpoint}"), Some(&change)).await
}

/// Deletes a checkpoint.
pub(crate) async fn delete(run: &RunId, checkpoint: CheckpointId) -> Result<(), ApiFailure> {
    send_plain("DELETE", &format!("/runs/{run}/checkpoints/{checkpoint}")).await
}
