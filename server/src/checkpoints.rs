//! Checkpoints of a run: listed, pinned, deleted. Taking one and going back to one are commands.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use wire::checkpoint::CheckpointView;
use wire::{ApiErrorBody, CheckpointId, RunId};

use crate::api_error::{ApiError, Body, Path};
use crate::app_state::AppState;
use crate::auth::{Steerer, Viewer};
use crate::runs::{store_error, summary};

/// Checkpoints that are kept, in the order in which they were taken.
#[utoipa::path(get, path = "/runs/{id}/checkpoints", tag = "runs", params(("id" = RunId, Path)), responses((status = 200, body = Vec<CheckpointView>)))]
pub async fn list_checkpoints(
    _: Viewer,
    State(state): State<AppState>,
    Path(run): Path<RunId>,
) -> Result<Json<Vec<CheckpointView>>, ApiError> {
    summary(&state, &run).await?;
    state.store.checkpoints(&run).await.map(Json).map_err(|source| store_error(&run, source))
}

/// What may be changed about a checkpoint.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckpointChange {
    /// Never pruned, or pruned as the plan says.
    pinned: bool,
}

/// Pins a checkpoint, or lets go of it; then it is pruned as the plan says, at the latest with the next one.
#[utoipa::path(patch, path = "/runs/{id}/checkpoints/{cid}", tag = "runs", params(("id" = RunId, Path), ("cid" = String, Path)),
    request_body = CheckpointChange, responses((status = 200, body = CheckpointView), (status = 404, body = ApiErrorBody)))]
pub async fn change_checkpoint(
    _: Steerer,
    State(state): State<AppState>,
    Path((run, checkpoint)): Path<(RunId, CheckpointId)>,
    Body(change): Body<CheckpointChange>,
) -> Result<Json<CheckpointView>, ApiError> {
    summary(&state, &run).await?;
    let pinned = state.store.pin_checkpoint(&run, checkpoint, change.pinned).await;
    pinned.map(Json).map_err(|source| store_error(&run, source))
}

/// Deletes a checkpoint.
#[utoipa::path(delete, path = "/runs/{id}/checkpoints/{cid}", tag = "runs", params(("id" = RunId, Path), ("cid" = String, Path)),
    responses((status = 204), (status = 409, description = "A fork begins with it, or the run could not go on.", body = ApiErrorBody)))]
pub async fn delete_checkpoint(
    _: Steerer,
    State(state): State<AppState>,
    Path((run, checkpoint)): Path<(RunId, CheckpointId)>,
) -> Result<StatusCode, ApiError> {
    summary(&state, &run).await?;
    let deleted = state.store.delete_checkpoint(&run, checkpoint).await;
    deleted.map(|()| StatusCode::NO_CONTENT).map_err(|source| store_error(&run, source))
}
