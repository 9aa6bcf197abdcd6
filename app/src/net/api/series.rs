//! Routes of metrics.

use wire::RunId;
use wire::series::{Axis, Comparison, SeriesWindow};

use super::failure::ApiFailure;
use super::request::{escape, get, packed};

/// A request for series.
#[derive(Debug, Clone)]
pub(crate) struct SeriesRequest {
    /// Names of the series.
    pub(crate) names: Vec<String>,
    /// The x axis.
    pub(crate) axis: Axis,
    /// First place on the axis; its start by default.
    pub(crate) from: Option<f64>,
    /// Last place on the axis; its end by default.
    pub(crate) to: Option<f64>,
    /// Maximum number of buckets.
    pub(crate) points: u32,
}

/// The difference of two runs, in at most `points` points.
pub(crate) async fn compare(run: &RunId, with: &RunId, points: u32) -> Result<Comparison, ApiFailure> {
    get(&format!("/runs/{run}/compare?with={with}&points={points}")).await
}

/// Names of the series of a run.
pub(crate) async fn names(run: &RunId) -> Result<Vec<String>, ApiFailure> {
    get(&format!("/runs/{run}/series/names")).await
}

/// Series of a range, as postcard because there may be thousands of buckets.
pub(crate) async fn windows(run: &RunId, request: &SeriesRequest) -> Result<Vec<SeriesWindow>, ApiFailure> {
    let axis = match request.axis {
        Axis::Step => "step",
        Axis::Tokens => "tokens",
        Axis::Secs => "secs",
        Axis::Flops => "flops",
    };
    let bound = |key, place: Option<f64>| place.map(|place| format!("&{key}={place}")).unwrap_or_default();
    let names = escape(&request.names.join(","));
    let path = format!(
        "/runs/{run}/series?names={names}&x={axis}&points={}{}{}",
        request.points,
        bound("from", request.from),
        bound("to", request.to)
    );
    packed("GET", &path, None).await
}
