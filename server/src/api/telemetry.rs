//! The fleet: machines and devices with their telemetry, and the history of a device.

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;
use wire::telemetry::{DeviceHistory, FleetState, HistoryRange};
use wire::{ApiErrorBody, DeviceId};

use super::extract::{Path, Query};
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::lab::Lab;
use crate::live::clock::now_ms;

/// A range of the history.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    /// The last `hour` in buckets of 10 s, which is the default, or the last `day` in buckets of 5 min.
    #[serde(default)]
    range: HistoryRange,
}

/// Returns all machines with their devices, telemetry, usage and findings, at most a second old.
#[utoipa::path(get, path = "/fleet", tag = "lab", responses((status = 200, body = FleetState)))]
pub async fn get_fleet(_: Viewer, State(lab): State<Lab>) -> Result<Response, ApiError> {
    let bytes = lab.workers.overview.encoded(&lab.workers).await?;
    Ok(([(CONTENT_TYPE, "application/json")], bytes).into_response())
}

/// Returns the history of a device: minimum, mean and maximum of each quantity, and usage.
#[utoipa::path(get, path = "/fleet/devices/{id}/history", tag = "lab", params(("id" = DeviceId, Path), HistoryQuery),
    responses((status = 200, body = DeviceHistory), (status = 404, body = ApiErrorBody)))]
pub async fn get_device_history(
    _: Viewer,
    State(lab): State<Lab>,
    Path(id): Path<DeviceId>,
    Query(HistoryQuery { range }): Query<HistoryQuery>,
) -> Result<Json<DeviceHistory>, ApiError> {
    let now_ms = now_ms();
    let buckets = lab.workers.telemetry.buckets(&id, range, now_ms).ok_or_else(|| {
        ApiError::not_found(format!("no device {id} has reported")).hint("GET /api/v1/fleet lists the devices")
    })?;
    Ok(Json(DeviceHistory { range, bucket_secs: range.bucket_secs(), now_ms, buckets }))
}
