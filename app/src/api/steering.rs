//! Routes of steering: saved states, and how far two runs are apart.

use wire::checkpoint::CheckpointView;
use wire::series::Comparison;
use wire::{CheckpointId, RunId};

use super::{ApiFailure, get, send, send_plain};

/// The saved states of a run, newest first.
pub(crate) async fn checkpoints(run: &RunId) -> Result<Vec<CheckpointView>, ApiFailure> {
    get(&format!("/runs/{run}/checkpoints")).await
}

/// Keeps a saved state for good, or lets it be pruned again.
pub(crate) async fn pin(run: &RunId, checkpoint: CheckpointId, pinned: bool) -> Result<CheckpointView, ApiFailure> {
    let change = serde_json::json!({ "pinned": pinned });
    send("PATCH", &format!("/runs/{run}/checkpoints/{checkpoint}"), Some(&change)).await
}

/// Deletes a saved state.
pub(crate) async fn delete_checkpoint(run: &RunId, checkpoint: CheckpointId) -> Result<(), ApiFailure> {
    send_plain("DELETE", &format!("/runs/{run}/checkpoints/{checkpoint}")).await
}

/// How a run stands to another, in at most so many stretches.
pub(crate) async fn compare(run: &RunId, with: &RunId, points: u32) -> Result<Comparison, ApiFailure> {
    get(&format!("/runs/{run}/compare?with={with}&points={points}")).await
}
