//! Routes that look inside a run: what is kept of its past, and single looks.

use serde::Serialize;
use wire::RunId;
use wire::frame::Frame;
use wire::look::Look;

use super::{ApiFailure, escape, get, packed};

/// One question.
#[derive(Serialize)]
struct Ask<'a> {
    look: &'a Look,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<u64>,
}

/// The steps whose looks are kept, along the run's path.
pub(crate) async fn kept_steps(run: &RunId) -> Result<Vec<u64>, ApiFailure> {
    get(&format!("/runs/{run}/frames/steps")).await
}

/// What was kept of one look from a step on, in order of steps; an answer holds so many bytes, the rest is asked for after its last.
pub(crate) async fn kept(run: &RunId, look: &Look, from: u64) -> Result<Vec<Frame>, ApiFailure> {
    packed("GET", &format!("/runs/{run}/frames/kept?look={}&from={from}", escape(&look.key())), None).await
}

/// One look: now, by the worker that holds the run or else on its newest checkpoint; or on the newest checkpoint that is not after a step,
/// which takes seconds.
pub(crate) async fn look(run: &RunId, look: &Look, step: Option<u64>) -> Result<Frame, ApiFailure> {
    let ask = serde_json::to_string(&Ask { look, step }).map_err(ApiFailure::unreadable)?;
    packed("POST", &format!("/runs/{run}/look"), Some(&ask)).await
}
