//! Runs: created, listed, changed, deleted and restored.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;
use wire::run::RunChange;
use wire::{ApiErrorBody, RunId, RunSpec, RunSummary, RunView};

use super::extract::{Body, Path, Query};
use crate::auth::{Steerer, Viewer, author};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::runs::{create, edit};

/// The runs to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RunsQuery {
    /// Includes deleted runs that can still be restored.
    #[serde(default)]
    deleted: bool,
}

/// Lists the runs, newest first.
#[utoipa::path(get, path = "/runs", tag = "runs", params(RunsQuery), responses((status = 200, body = Vec<RunSummary>)))]
pub async fn list_runs(
    _: Viewer,
    State(lab): State<Lab>,
    Query(query): Query<RunsQuery>,
) -> Result<Json<Vec<RunSummary>>, ApiError> {
    Ok(Json(lab.store().runs(query.deleted).await?))
}

/// Creates a run and adds it to the queue of its device.
#[utoipa::path(post, path = "/runs", tag = "runs", request_body = RunSpec,
    responses((status = 201, body = RunView), (status = 409, description = "The queue is full.", body = ApiErrorBody),
        (status = 422, description = "The field that cannot be resolved.", body = ApiErrorBody)))]
pub async fn create_run(
    Steerer(identity): Steerer,
    State(lab): State<Lab>,
    Body(spec): Body<RunSpec>,
) -> Result<(StatusCode, Json<RunView>), ApiError> {
    let id = create::create(&lab, spec, author(&identity)).await?;
    Ok((StatusCode::CREATED, Json(lab.feed.view(&id).await?)))
}

/// Returns a run: its plan, hyperparameters, history and lineage.
#[utoipa::path(get, path = "/runs/{id}", tag = "runs", params(("id" = RunId, Path)), responses((status = 200, body = RunView), (status = 404, body = ApiErrorBody)))]
pub async fn get_run(_: Viewer, State(lab): State<Lab>, Path(run): Path<RunId>) -> Result<Json<RunView>, ApiError> {
    lab.feed.view(&run).await.map(Json)
}

/// Renames or archives a run, moves it in the queue, or changes its priority.
#[utoipa::path(patch, path = "/runs/{id}", tag = "runs", params(("id" = RunId, Path)), request_body = RunChange,
    responses((status = 200, body = RunSummary), (status = 409, description = "It is not queued.", body = ApiErrorBody)))]
pub async fn change_run(
    _: Steerer,
    State(lab): State<Lab>,
    Path(run): Path<RunId>,
    Body(change): Body<RunChange>,
) -> Result<Json<RunSummary>, ApiError> {
    edit::change(&lab, &run, change).await.map(Json)
}

/// Deletes a run. It can be restored for a week.
#[utoipa::path(delete, path = "/runs/{id}", tag = "runs", params(("id" = RunId, Path)),
    responses((status = 200, body = RunSummary), (status = 409, description = "It is being trained.", body = ApiErrorBody)))]
pub async fn delete_run(
    _: Steerer,
    State(lab): State<Lab>,
    Path(run): Path<RunId>,
) -> Result<Json<RunSummary>, ApiError> {
    edit::delete(&lab, &run).await.map(Json)
}

/// Restores a deleted run.
#[utoipa::path(post, path = "/runs/{id}/restore", tag = "runs", params(("id" = RunId, Path)), responses((status = 200, body = RunSummary), (status = 404, body = ApiErrorBody)))]
pub async fn restore_run(
    _: Steerer,
    State(lab): State<Lab>,
    Path(run): Path<RunId>,
) -> Result<Json<RunSummary>, ApiError> {
    edit::restore(&lab, &run).await.map(Json)
}
