//! Workers: listed, changed, removed, and the end of their logs.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use wire::ApiErrorBody;
use wire::fleet::{WorkerChange, WorkerLog, WorkerView};

use super::extract::{Body, Path};
use crate::auth::{Admin, Steerer, Viewer};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::runs::pools::members;

/// Lists the workers that have joined, connected or not.
#[utoipa::path(get, path = "/workers", tag = "fleet", responses((status = 200, body = Vec<WorkerView>)))]
pub async fn list_workers(_: Viewer, State(lab): State<Lab>) -> Result<Json<Vec<WorkerView>>, ApiError> {
    members::list(&lab).await.map(Json)
}

/// Renames, labels or drains a worker. A draining worker takes no new run; the run that it trains continues.
#[utoipa::path(patch, path = "/workers/{id}", tag = "fleet", params(("id" = i64, Path)), request_body = WorkerChange,
    responses((status = 200, body = WorkerView)))]
pub async fn change_worker(
    Steerer(own): Steerer,
    State(lab): State<Lab>,
    Path(id): Path<i64>,
    Body(change): Body<WorkerChange>,
) -> Result<Json<WorkerView>, ApiError> {
    members::change(&lab, &own.name, id, change).await.map(Json)
}

/// Removes a worker: its token is revoked and its link closed. Its run is queued again, or marked as lost.
#[utoipa::path(delete, path = "/workers/{id}", tag = "fleet", params(("id" = i64, Path)),
    responses((status = 204), (status = 409, description = "It is a worker of the server's own machine.", body = ApiErrorBody)))]
pub async fn remove_worker(
    Admin(own): Admin,
    State(lab): State<Lab>,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiError> {
    members::remove(&lab, &own.name, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Returns the last lines of a worker's log.
#[utoipa::path(get, path = "/workers/{id}/log", tag = "fleet", params(("id" = i64, Path)), responses((status = 200, body = WorkerLog)))]
pub async fn get_worker_log(
    _: Viewer,
    State(lab): State<Lab>,
    Path(id): Path<i64>,
) -> Result<Json<WorkerLog>, ApiError> {
    members::log(&lab, id).await.map(Json)
}
