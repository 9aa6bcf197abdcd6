//! What a run has recorded: journal, curves and looks inside.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use store::SeriesQuery;
use utoipa::IntoParams;
use wire::event::EventRecord;
use wire::frame::Frame;
use wire::series::{Axis, Comparison, SeriesWindow};
use wire::{RunId, encode};

use crate::api_error::{ApiError, Path, Query};
use crate::app_state::AppState;
use crate::auth::Viewer;
use crate::runs::{store_error, summary};

/// Most journal lines in one answer.
const EVENTS: u32 = 5_000;
/// Most buckets of one curve in one answer, and how many unless told.
const POINTS: u32 = 10_000;
const POINTS_USUAL: u32 = 1_000;
/// Most curves in one answer.
const CURVES: usize = 500;
const POSTCARD: &str = "application/x-postcard";
/// The same for those who only say that they take bytes.
const BYTES: &str = "application/octet-stream";

/// Which journal lines.
#[derive(Deserialize, IntoParams)]
pub struct WhichEvents {
    /// After this number; from the start unless told.
    #[serde(default)]
    since: u64,
    /// At most so many.
    limit: Option<u32>,
}

/// The journal of a run, in order.
#[utoipa::path(get, path = "/runs/{id}/events", tag = "runs", params(("id" = RunId, Path), WhichEvents), responses((status = 200, body = Vec<EventRecord>)))]
pub async fn list_events(
    _: Viewer,
    State(state): State<AppState>,
    Path(run): Path<RunId>,
    Query(which): Query<WhichEvents>,
) -> Result<Json<Vec<EventRecord>>, ApiError> {
    summary(&state, &run).await?;
    let limit = which.limit.unwrap_or(EVENTS).min(EVENTS);
    state.store.events(&run, which.since, limit).await.map(Json).map_err(|source| store_error(&run, source))
}

/// Names of the curves a run has.
#[utoipa::path(get, path = "/runs/{id}/series/names", tag = "runs", params(("id" = RunId, Path)), responses((status = 200, body = Vec<String>)))]
pub async fn list_series(
    _: Viewer,
    State(state): State<AppState>,
    Path(run): Path<RunId>,
) -> Result<Json<Vec<String>>, ApiError> {
    summary(&state, &run).await?;
    state.store.series_names(&run).await.map(Json).map_err(|source| store_error(&run, source))
}

/// Which stretch of which curves.
#[derive(Deserialize, IntoParams)]
pub struct WhichSeries {
    /// Names, with commas between.
    names: String,
    /// Axis that `from` and `to` are places on; steps unless told.
    #[serde(default)]
    x: Axis,
    /// First place; the start unless told.
    from: Option<f64>,
    /// Last place; the end unless told.
    to: Option<f64>,
    /// At most about so many buckets for each curve; 1,000 unless told.
    points: Option<u32>,
}

/// A stretch of curves, exact or folded into buckets that lose no spike. Accepts `application/x-postcard`.
#[utoipa::path(get, path = "/runs/{id}/series", tag = "runs", params(("id" = RunId, Path), WhichSeries), responses((status = 200, body = Vec<SeriesWindow>)))]
pub async fn get_series(
    _: Viewer,
    headers: HeaderMap,
    State(state): State<AppState>,
    Path(run): Path<RunId>,
    Query(which): Query<WhichSeries>,
) -> Result<Response, ApiError> {
    let query = which.query()?;
    summary(&state, &run).await?;
    let windows = state.store.series(&run, query).await.map_err(|source| store_error(&run, source))?;
    answer(&headers, &windows)
}

impl WhichSeries {
    fn query(self) -> Result<SeriesQuery, ApiError> {
        let names: Vec<String> =
            self.names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        if names.is_empty() || names.len() > CURVES {
            return Err(ApiError::invalid(
                "query_invalid",
                format!("1 to {CURVES} names are needed, with commas between"),
            )
            .field("names")
            .hint("GET .../series/names lists them"));
        }
        for (field, place) in [("from", self.from), ("to", self.to)] {
            if place.is_some_and(|place| !place.is_finite()) {
                return Err(ApiError::invalid("query_invalid", format!("{field} must be a number")).field(field));
            }
        }
        let points = self.points.unwrap_or(POINTS_USUAL).clamp(1, POINTS) as usize;
        Ok(SeriesQuery { names, axis: self.x, from: self.from, to: self.to, points })
    }
}

/// Which other run, and how finely.
#[derive(Deserialize, IntoParams)]
pub struct WithWhom {
    /// The run to compare with.
    #[param(value_type = String)]
    with: RunId,
    /// At most about so many buckets; 1,000 unless told.
    points: Option<u32>,
}

/// The training loss of a run less that of another, at equal steps on both their paths.
#[utoipa::path(get, path = "/runs/{id}/compare", tag = "runs", params(("id" = RunId, Path), WithWhom), responses((status = 200, body = Comparison)))]
pub async fn compare_runs(
    _: Viewer,
    State(state): State<AppState>,
    Path(run): Path<RunId>,
    Query(WithWhom { with, points }): Query<WithWhom>,
) -> Result<Json<Comparison>, ApiError> {
    summary(&state, &run).await?;
    summary(&state, &with).await?;
    let points = points.unwrap_or(POINTS_USUAL).clamp(1, POINTS);
    let compared = state.store.compare(&run, &with, u64::from(points)).await;
    compared.map(Json).map_err(|source| store_error(&run, source))
}

/// The latest look inside of each kind.
#[utoipa::path(get, path = "/runs/{id}/frames", tag = "runs", params(("id" = RunId, Path)), responses((status = 200, body = Vec<Frame>)))]
pub async fn list_frames(
    _: Viewer,
    headers: HeaderMap,
    State(state): State<AppState>,
    Path(run): Path<RunId>,
) -> Result<Response, ApiError> {
    summary(&state, &run).await?;
    let frames = state.store.frames(&run, None).await.map_err(|source| store_error(&run, source))?;
    answer(&headers, &frames)
}

/// JSON, or postcard for those who ask for it.
pub(crate) fn answer<T: Serialize>(headers: &HeaderMap, value: &T) -> Result<Response, ApiError> {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !accept.contains(POSTCARD) && !accept.contains(BYTES) {
        return Ok(Json(value).into_response());
    }
    let bytes = encode::to_bytes(value).map_err(|source| ApiError::internal("encoding an answer", source))?;
    Ok(([(CONTENT_TYPE, POSTCARD)], bytes).into_response())
}
