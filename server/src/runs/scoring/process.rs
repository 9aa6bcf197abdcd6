//! The process that scores a checkpoint: `kindling score`. It is killed when the score is cancelled.

use std::path::Path;

use serde::{Deserialize, Serialize};
use wire::task::Task;
use wire::task::result::TaskResult;
use wire::{CheckpointId, RunId};

use crate::error::ApiError;
use crate::runs::subprocess;

/// The request that `kindling score` reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreRequest {
    pub run: RunId,
    pub checkpoint: CheckpointId,
    pub task: Task,
}

/// Runs the process. It is killed when the future is dropped.
///
/// # Errors
/// The checkpoint is damaged, the task does not fit the model, or the process ended unexpectedly.
pub async fn score(data: &Path, request: &ScoreRequest) -> Result<TaskResult, ApiError> {
    let output = subprocess::output(&["score"], data, request, "scoring a checkpoint").await?;
    serde_json::from_slice(&output).map_err(|source| ApiError::internal("decoding the score of a task", source))
}
