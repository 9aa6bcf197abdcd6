//! Inspections of a run, and the snapshots that it keeps.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;
use wire::error::in_words;
use wire::inspect::request::Inspection;
use wire::inspect::update::InspectionUpdate;
use wire::{ApiErrorBody, RunId};

use super::extract::{Body, Path, Query};
use super::series::encode_response;
use crate::auth::run::RunViewer;
use crate::error::ApiError;
use crate::lab::Lab;
use crate::runs::inspection::{self, InspectionArgs};

/// Maximum size of a response with snapshots, bytes; the rest is requested from the next step on.
const RESPONSE_BYTES: u64 = 32_000_000;

/// Lists the newest updates that the run's worker stored: the statistics of its parameters.
#[utoipa::path(get, path = "/runs/{id}/inspections", tag = "inspect", params(("id" = RunId, Path)),
    responses((status = 200, body = Vec<InspectionUpdate>), (status = 404, body = ApiErrorBody)))]
pub async fn list_inspections(
    _: RunViewer,
    headers: HeaderMap,
    State(lab): State<Lab>,
    Path(run): Path<RunId>,
) -> Result<Response, ApiError> {
    lab.feed.summary(&run).await?;
    encode_response(&headers, &lab.store().updates(&run, None).await?)
}

/// Computes one inspection of the current weights of a run or of a checkpoint. The run does not change. `Accept: application/x-postcard`
/// keeps non-finite values.
#[utoipa::path(post, path = "/runs/{id}/inspections", tag = "inspect", params(("id" = RunId, Path)), request_body = InspectionArgs,
    responses((status = 200, body = InspectionUpdate), (status = 404, description = "Unknown run or checkpoint.", body = ApiErrorBody),
        (status = 409, description = "No worker trains the run.", body = ApiErrorBody),
        (status = 422, description = "The model cannot answer this inspection.", body = ApiErrorBody),
        (status = 429, description = "Too many inspections are being computed.", body = ApiErrorBody),
        (status = 504, description = "The worker did not answer in time.", body = ApiErrorBody)))]
pub async fn create_inspection(
    _: RunViewer,
    headers: HeaderMap,
    State(lab): State<Lab>,
    Path(run): Path<RunId>,
    Body(args): Body<InspectionArgs>,
) -> Result<Response, ApiError> {
    encode_response(&headers, &inspection::inspect(&lab, &run, args).await?)
}

/// Lists the steps on a run's path that have snapshots, those of its parents included.
#[utoipa::path(get, path = "/runs/{id}/snapshots/steps", tag = "inspect", params(("id" = RunId, Path)), responses((status = 200, body = Vec<u64>), (status = 404, body = ApiErrorBody)))]
pub async fn list_snapshot_steps(
    _: RunViewer,
    State(lab): State<Lab>,
    Path(run): Path<RunId>,
) -> Result<Json<Vec<u64>>, ApiError> {
    lab.feed.summary(&run).await?;
    Ok(Json(lab.store().snapshot_steps(&run).await?))
}

/// The snapshots to return.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SnapshotsQuery {
    /// Inspection as JSON: `{"overview":{}}`.
    inspection: String,
    /// First step; 0 by default.
    #[serde(default)]
    from: u64,
    /// Last step; the newest by default.
    to: Option<u64>,
}

/// Returns the snapshots of one inspection along a run's path, in the order of steps. A response holds at most 32 MB; request the rest
/// from the step after its last. Accepts `application/x-postcard`.
#[utoipa::path(get, path = "/runs/{id}/snapshots", tag = "inspect", params(("id" = RunId, Path), SnapshotsQuery),
    responses((status = 200, body = Vec<InspectionUpdate>), (status = 404, body = ApiErrorBody), (status = 422, body = ApiErrorBody)))]
pub async fn list_snapshots(
    _: RunViewer,
    headers: HeaderMap,
    State(lab): State<Lab>,
    Path(run): Path<RunId>,
    Query(query): Query<SnapshotsQuery>,
) -> Result<Response, ApiError> {
    let inspection: Inspection = serde_json::from_str(&query.inspection).map_err(|source| {
        ApiError::invalid("query_invalid", format!("{:?} is not an inspection: {}", query.inspection, in_words(source)))
            .field("inspection")
            .hint("give JSON such as {\"overview\":{}} or {\"attention\":{\"layer\":0}}; GET /api/v1/openapi.json describes all")
    })?;
    lab.feed.summary(&run).await?;
    let range = (query.from, query.to.unwrap_or(u64::MAX));
    encode_response(&headers, &lab.store().snapshots(&run, &inspection, range, RESPONSE_BYTES).await?)
}
