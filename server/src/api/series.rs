//! What a run has recorded: its journal and its time series.

use axum::Json;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use store::{EventSelection, SeriesQuery};
use utoipa::IntoParams;
use wire::access::Role;
use wire::control::event::EventRecord;
use wire::series::{Axis, Comparison, SeriesWindow};
use wire::{RunId, encode};

use super::extract::{Path, Query};
use crate::auth::run::{self, RunViewer};
use crate::error::ApiError;
use crate::lab::Lab;

/// Maximum number of events in a response.
const EVENTS: u32 = 5_000;
/// Header of a response with events; its value is the number of the newest event of the run.
pub(super) const LAST_HEADER: &str = "kindling-last";
/// Maximum number of buckets of one series in a response, and the default.
const MAX_POINTS: u32 = 10_000;
const DEFAULT_POINTS: u32 = 1_000;
/// Maximum number of series in a response.
const SERIES: usize = 500;
pub(super) const POSTCARD: &str = "application/x-postcard";
/// Accepted instead of [`POSTCARD`].
const BYTES: &str = "application/octet-stream";

/// The events to return.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    /// Events after this number; 0 by default.
    #[serde(default)]
    since: u64,
    /// Maximum number of events; 5,000 by default.
    limit: Option<u32>,
    /// Kinds of events, separated by commas, such as `evaluated,sampled`; all by default.
    #[serde(default)]
    kinds: String,
    /// `true`: the newest events instead of the first ones. They are in order as well.
    #[serde(default)]
    newest: bool,
}

impl EventsQuery {
    fn selection(self) -> EventSelection {
        let kinds = self.kinds.split(',').map(str::trim).filter(|kind| !kind.is_empty()).map(str::to_owned).collect();
        let limit = self.limit.unwrap_or(EVENTS).min(EVENTS);
        EventSelection { since: self.since, kinds, limit, is_newest: self.newest }
    }
}

/// Returns the journal of a run, in order. The header `kindling-last` has the number of the newest event of the run.
#[utoipa::path(get, path = "/runs/{id}/events", tag = "runs", params(("id" = RunId, Path), EventsQuery), responses((status = 200, body = Vec<EventRecord>)))]
pub async fn list_events(
    _: RunViewer,
    State(lab): State<Lab>,
    Path(run): Path<RunId>,
    Query(query): Query<EventsQuery>,
) -> Result<Response, ApiError> {
    lab.feed.summary(&run).await?;
    let (events, last) = lab.store().select_events(&run, &query.selection()).await?;
    Ok(([(LAST_HEADER, HeaderValue::from(last))], Json(events)).into_response())
}

/// Lists the names of a run's time series.
#[utoipa::path(get, path = "/runs/{id}/series/names", tag = "runs", params(("id" = RunId, Path)), responses((status = 200, body = Vec<String>)))]
pub async fn list_series(
    _: RunViewer,
    State(lab): State<Lab>,
    Path(run): Path<RunId>,
) -> Result<Json<Vec<String>>, ApiError> {
    lab.feed.summary(&run).await?;
    Ok(Json(lab.store().series_names(&run).await?))
}

/// The series and the range to return.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WindowQuery {
    /// Names, separated by commas.
    names: String,
    /// Axis of `from` and `to`; steps by default.
    #[serde(default)]
    x: Axis,
    /// Start; the beginning by default.
    from: Option<f64>,
    /// End; the end by default.
    to: Option<f64>,
    /// About the maximum number of buckets of each series; 1,000 by default.
    points: Option<u32>,
}

/// Returns a part of some time series: every point, or buckets with minimum, maximum, mean and count. Accepts `application/x-postcard`.
#[utoipa::path(get, path = "/runs/{id}/series", tag = "runs", params(("id" = RunId, Path), WindowQuery), responses((status = 200, body = Vec<SeriesWindow>)))]
pub async fn get_series(
    _: RunViewer,
    headers: HeaderMap,
    State(lab): State<Lab>,
    Path(run): Path<RunId>,
    Query(query): Query<WindowQuery>,
) -> Result<Response, ApiError> {
    let query = query.resolve()?;
    lab.feed.summary(&run).await?;
    encode_response(&headers, &lab.store().series(&run, query).await?)
}

impl WindowQuery {
    fn resolve(self) -> Result<SeriesQuery, ApiError> {
        let names: Vec<String> =
            self.names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        if names.is_empty() || names.len() > SERIES {
            return Err(ApiError::invalid("query_invalid", format!("{} names of series were given", names.len()))
                .field("names")
                .hint(format!(
                    "give 1 to {SERIES}, separated by commas; GET /api/v1/runs/{{id}}/series/names lists them"
                )));
        }
        for (field, value) in [("from", self.from), ("to", self.to)] {
            if value.is_some_and(|value| !value.is_finite()) {
                return Err(ApiError::invalid("query_invalid", format!("{field} is not a finite number")).field(field));
            }
        }
        let points = self.points.unwrap_or(DEFAULT_POINTS).clamp(1, MAX_POINTS) as usize;
        Ok(SeriesQuery { names, axis: self.x, from: self.from, to: self.to, points })
    }
}

/// The other run.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CompareQuery {
    /// The run to compare with.
    #[param(value_type = String)]
    with: RunId,
    /// About the maximum number of buckets; 1,000 by default.
    points: Option<u32>,
}

/// Returns the training loss of a run minus that of another at equal steps.
#[utoipa::path(get, path = "/runs/{id}/compare", tag = "runs", params(("id" = RunId, Path), CompareQuery), responses((status = 200, body = Comparison)))]
pub async fn compare_runs(
    RunViewer(identity): RunViewer,
    State(lab): State<Lab>,
    Path(id): Path<RunId>,
    Query(CompareQuery { with, points }): Query<CompareQuery>,
) -> Result<Json<Comparison>, ApiError> {
    lab.feed.summary(&id).await?;
    run::check(&lab, &identity, &with, Role::View).await?;
    lab.feed.summary(&with).await?;
    let points = points.unwrap_or(DEFAULT_POINTS).clamp(1, MAX_POINTS);
    Ok(Json(lab.store().compare(&id, &with, u64::from(points)).await?))
}

/// Encodes a response as JSON, or as postcard if the request accepts that.
pub(super) fn encode_response<T: Serialize>(headers: &HeaderMap, value: &T) -> Result<Response, ApiError> {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !accept.contains(POSTCARD) && !accept.contains(BYTES) {
        return Ok(Json(value).into_response());
    }
    let bytes = encode::to_bytes(value).map_err(|source| ApiError::internal("encoding a response", source))?;
    Ok(([(CONTENT_TYPE, POSTCARD)], bytes).into_response())
}
