//! Routes of inspections and snapshots.

use serde::Serialize;
use wire::RunId;
use wire::inspect::request::Inspection;
use wire::inspect::update::InspectionUpdate;

use super::failure::ApiFailure;
use super::request::{escape, get, packed};

#[derive(Serialize)]
struct Request<'a> {
    inspection: &'a Inspection,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    segment: Option<u32>,
}

/// The steps with a snapshot, along the path of the run.
pub(crate) async fn snapshot_steps(run: &RunId) -> Result<Vec<u64>, ApiFailure> {
    get(&format!("/runs/{run}/snapshots/steps")).await
}

/// The snapshots of one inspection from a step on, in order of steps. An answer has a maximum size; the rest is
/// requested from the step after its last.
pub(crate) async fn snapshots(
    run: &RunId,
    inspection: &Inspection,
    from: u64,
) -> Result<Vec<InspectionUpdate>, ApiFailure> {
    let inspection = escape(&inspection.key());
    packed("GET", &format!("/runs/{run}/snapshots?inspection={inspection}&from={from}"), None).await
}

/// A step of a run, on its path or on that to a segment, which may be abandoned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At {
    pub(crate) step: u64,
    pub(crate) segment: Option<u32>,
}

/// One inspection: of the current weights by the worker that trains the run, or else of its newest checkpoint. With a
/// step, of the newest checkpoint at or before it, which takes seconds.
pub(crate) async fn inspect(
    run: &RunId,
    inspection: &Inspection,
    at: Option<At>,
) -> Result<InspectionUpdate, ApiFailure> {
    let (step, segment) = (at.map(|at| at.step), at.and_then(|at| at.segment));
    let request = serde_json::to_string(&Request { inspection, step, segment }).map_err(ApiFailure::unreadable)?;
    packed("POST", &format!("/runs/{run}/inspections"), Some(&request)).await
}
