//! Routes of research loops.

use wire::research_loop::LoopGoal;
use wire::research_loop::record::{LoopAction, LoopEvent, LoopSummary, LoopView};

use super::failure::ApiFailure;
use super::request::{get, send};

/// The loops that this person may see, newest first.
pub(crate) async fn list() -> Result<Vec<LoopSummary>, ApiFailure> {
    get("/research-loops").await
}

/// A loop with its rounds and the newest events of its journal.
pub(crate) async fn view(id: u64) -> Result<LoopView, ApiFailure> {
    get(&format!("/research-loops/{id}")).await
}

/// Events of the journal of a loop before a number, in order.
pub(crate) async fn events(id: u64, before: u32) -> Result<Vec<LoopEvent>, ApiFailure> {
    get(&format!("/research-loops/{id}/events?before={before}")).await
}

/// Starts a loop.
pub(crate) async fn create(goal: &LoopGoal) -> Result<LoopView, ApiFailure> {
    send("POST", "/research-loops", Some(goal)).await
}

/// Pauses, resumes, concludes or stops a loop, vetoes a proposal, pins a hyperparameter, suggests a value, or sets the proposer.
pub(crate) async fn change(id: u64, action: &LoopAction) -> Result<LoopView, ApiFailure> {
    send("PATCH", &format!("/research-loops/{id}"), Some(action)).await
}
