//! Routes of steering: saved states, and how far two runs are apart.

use serde::Deserialize;
use wire::checkpoint::CheckpointView;
use wire::{CheckpointId, RunId};

use super::{ApiFailure, get, send, send_plain};

/// A stretch of the difference of two curves: its mean, and the band in which the mean lies.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(crate) struct Difference {
    /// First step.
    pub(crate) step: u64,
    /// Last step.
    pub(crate) last_step: u64,
    /// Mean of the one minus the other.
    pub(crate) mean: f64,
    /// Two standard errors of the mean below it.
    pub(crate) low: f64,
    /// Two above.
    pub(crate) high: f64,
}

/// How two runs stand to each other.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(crate) struct Comparison {
    /// Steps from their common beginning on whose losses are the same, bit for bit.
    #[serde(default)]
    pub(crate) identical_steps: u64,
    /// The first step at which they are not.
    #[serde(default)]
    pub(crate) first_difference: Option<u64>,
    /// Training loss of the one minus that of the other.
    #[serde(default)]
    pub(crate) difference: Vec<Difference>,
}

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

/// Where a saved state can be taken away from: for Hugging Face's `transformers`, or as the lab keeps it.
pub(crate) fn export_path(run: &RunId, checkpoint: CheckpointId, is_raw: bool) -> String {
    let format = if is_raw { "kindling" } else { "hf" };
    format!("/api/v1/runs/{run}/export/{checkpoint}?format={format}")
}

/// How a run stands to another, in at most so many stretches.
pub(crate) async fn compare(run: &RunId, with: &RunId, points: u32) -> Result<Comparison, ApiFailure> {
    get(&format!("/runs/{run}/compare?with={with}&points={points}")).await
}
