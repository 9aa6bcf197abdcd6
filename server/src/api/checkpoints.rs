//! Checkpoints of a run: listed, pinned, deleted. Saving one and rolling back to one are commands.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use wire::control::checkpoint::CheckpointView;
use wire::{ApiErrorBody, CheckpointId, RunId};

use super::extract::{Body, Path};
use crate::auth::run::{RunSteerer, RunViewer};
use crate::error::ApiError;
use crate::lab::Lab;

/// Lists the checkpoints of a run that are kept, oldest first.
#[utoipa::path(get, path = "/runs/{id}/checkpoints", tag = "runs", params(("id" = RunId, Path)), responses((status = 200, body = Vec<CheckpointView>)))]
pub async fn list_checkpoints(
    _: RunViewer,
    State(lab): State<Lab>,
    Path(run): Path<RunId>,
) -> Result<Json<Vec<CheckpointView>>, ApiError> {
    lab.feed.summary(&run).await?;
    Ok(Json(lab.store().checkpoints(&run).await?))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckpointChange {
    /// Whether it is kept whatever the plan's retention says.
    pinned: bool,
}

/// Pins or unpins a checkpoint. An unpinned one is pruned by the plan's retention, at the latest with the next checkpoint.
#[utoipa::path(patch, path = "/runs/{id}/checkpoints/{cid}", tag = "runs", params(("id" = RunId, Path), ("cid" = String, Path)),
    request_body = CheckpointChange, responses((status = 200, body = CheckpointView), (status = 404, body = ApiErrorBody)))]
pub async fn change_checkpoint(
    _: RunSteerer,
    State(lab): State<Lab>,
    Path((run, checkpoint)): Path<(RunId, CheckpointId)>,
    Body(change): Body<CheckpointChange>,
) -> Result<Json<CheckpointView>, ApiError> {
    lab.feed.summary(&run).await?;
    Ok(Json(lab.store().pin_checkpoint(&run, checkpoint, change.pinned).await?))
}

/// Deletes a checkpoint.
#[utoipa::path(delete, path = "/runs/{id}/checkpoints/{cid}", tag = "runs", params(("id" = RunId, Path), ("cid" = String, Path)),
    responses((status = 204), (status = 409, description = "A fork starts from it, or the run could not be resumed without it.", body = ApiErrorBody)))]
pub async fn delete_checkpoint(
    _: RunSteerer,
    State(lab): State<Lab>,
    Path((run, checkpoint)): Path<(RunId, CheckpointId)>,
) -> Result<StatusCode, ApiError> {
    lab.feed.summary(&run).await?;
    lab.store().delete_checkpoint(&run, checkpoint).await?;
    Ok(StatusCode::NO_CONTENT)
}
