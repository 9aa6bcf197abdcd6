//! Runs: created, listed, changed, deleted and restored, one or several at once.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use wire::access::Role;
use wire::run::RunChange;
use wire::run::table::{BulkOutcome, BulkRequest, CURSOR_HEADER, RunFacets, RunQuery, RunRow, TOTAL_HEADER};
use wire::{ApiErrorBody, RunId, RunSpec, RunSummary, RunView};

use super::extract::{Body, Path, Query};
use crate::auth::run::{RunSteerer, RunViewer};
use crate::auth::spec::{permit, permit_move, permit_order};
use crate::auth::{SignedIn, agent, author};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::runs::{bulk, create, edit};

/// Lists the runs that match a query, newest first unless it sorts by a column. The header `kindling-total` has their number, and
/// `kindling-cursor` the cursor of the next page, if there is one.
#[utoipa::path(get, path = "/runs", tag = "runs", params(RunQuery), responses((status = 200, body = Vec<RunRow>,
    headers(("kindling-total" = u64, description = "Number of runs that match the query."), ("kindling-cursor" = String, description = "Cursor of the next page.")))))]
pub async fn list_runs(
    SignedIn(identity): SignedIn,
    State(lab): State<Lab>,
    Query(query): Query<RunQuery>,
) -> Result<Response, ApiError> {
    let page = lab.store().run_page(&query, &identity.grants.visible()).await?;
    let mut response = Json(page.rows).into_response();
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static(TOTAL_HEADER), HeaderValue::from(page.total));
    // A cursor has hexadecimal digits only.
    if let Some(cursor) = page.next.and_then(|next| HeaderValue::from_str(&next).ok()) {
        headers.insert(HeaderName::from_static(CURSOR_HEADER), cursor);
    }
    Ok(response)
}

/// Lists the states, tags, datasets and presets of the runs that are not deleted, with the number of runs, and all metrics.
#[utoipa::path(get, path = "/runs/facets", tag = "runs", responses((status = 200, body = RunFacets)))]
pub async fn list_facets(SignedIn(identity): SignedIn, State(lab): State<Lab>) -> Result<Json<RunFacets>, ApiError> {
    Ok(Json(lab.store().run_facets(&identity.grants.visible()).await?))
}

/// Archives, tags, deletes, restores or stops up to 500 runs. Each run has its own outcome in the answer.
#[utoipa::path(post, path = "/runs/bulk", tag = "runs", request_body = BulkRequest, responses((status = 200, body = Vec<BulkOutcome>)))]
pub async fn change_runs(
    SignedIn(identity): SignedIn,
    State(lab): State<Lab>,
    Body(request): Body<BulkRequest>,
) -> Result<Json<Vec<BulkOutcome>>, ApiError> {
    bulk::carry_out(&lab, &identity, request).await.map(Json)
}

/// Creates a run and adds it to the queue of its device.
#[utoipa::path(post, path = "/runs", tag = "runs", request_body = RunSpec,
    responses((status = 201, body = RunView), (status = 409, description = "The queue is full, or the project has reached its limit of disk.", body = ApiErrorBody),
        (status = 422, description = "The field that cannot be resolved.", body = ApiErrorBody)))]
pub async fn create_run(
    SignedIn(identity): SignedIn,
    State(lab): State<Lab>,
    Body(mut spec): Body<RunSpec>,
) -> Result<(StatusCode, Json<RunView>), ApiError> {
    agent::permit_run(&lab, &identity, &spec).await?;
    permit(&lab, &identity, &mut spec, Role::Steer).await?;
    let id = create::create(&lab, spec, author(&identity)).await?;
    Ok((StatusCode::CREATED, Json(lab.feed.view(&id).await?)))
}

/// Returns a run: its plan, hyperparameters, history and lineage.
#[utoipa::path(get, path = "/runs/{id}", tag = "runs", params(("id" = RunId, Path)), responses((status = 200, body = RunView), (status = 404, body = ApiErrorBody)))]
pub async fn get_run(_: RunViewer, State(lab): State<Lab>, Path(run): Path<RunId>) -> Result<Json<RunView>, ApiError> {
    lab.feed.view(&run).await.map(Json)
}

/// Renames, archives or tags a run, moves it in the queue or to another project, or changes its priority.
#[utoipa::path(patch, path = "/runs/{id}", tag = "runs", params(("id" = RunId, Path)), request_body = RunChange,
    responses((status = 200, body = RunSummary), (status = 409, description = "It is not queued.", body = ApiErrorBody)))]
pub async fn change_run(
    RunSteerer(identity): RunSteerer,
    State(lab): State<Lab>,
    Path(run): Path<RunId>,
    Body(change): Body<RunChange>,
) -> Result<Json<RunSummary>, ApiError> {
    if change.priority.is_some() || change.queue_place.is_some() {
        permit_order(&lab, &identity, &lab.feed.summary(&run).await?.project).await?;
    }
    if let Some(project) = &change.project {
        permit_move(&lab, &identity, &run, project).await?;
    }
    edit::change(&lab, &run, change).await.map(Json)
}

/// Deletes a run. It can be restored for a week.
#[utoipa::path(delete, path = "/runs/{id}", tag = "runs", params(("id" = RunId, Path)),
    responses((status = 200, body = RunSummary), (status = 409, description = "It is being trained.", body = ApiErrorBody)))]
pub async fn delete_run(
    _: RunSteerer,
    State(lab): State<Lab>,
    Path(run): Path<RunId>,
) -> Result<Json<RunSummary>, ApiError> {
    edit::delete(&lab, &run).await.map(Json)
}

/// Restores a deleted run.
#[utoipa::path(post, path = "/runs/{id}/restore", tag = "runs", params(("id" = RunId, Path)), responses((status = 200, body = RunSummary), (status = 404, body = ApiErrorBody)))]
pub async fn restore_run(
    _: RunSteerer,
    State(lab): State<Lab>,
    Path(run): Path<RunId>,
) -> Result<Json<RunSummary>, ApiError> {
    edit::restore(&lab, &run).await.map(Json)
}
