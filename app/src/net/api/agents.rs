//! Routes of agents.

use wire::access::AgentLimits;
use wire::agent::{AgentStopped, AgentUndo, AgentView};

use super::failure::ApiFailure;
use super::request::{get, send};

/// The agents whose tokens this person manages, newest first.
pub(crate) async fn list() -> Result<Vec<AgentView>, ApiFailure> {
    get("/agents").await
}

pub(crate) async fn limit(id: i64, limits: &AgentLimits) -> Result<AgentView, ApiFailure> {
    send("PUT", &format!("/agents/{id}/limits"), Some(limits)).await
}

/// Revokes the tokens of an agent and pauses what it has started.
pub(crate) async fn stop(id: i64) -> Result<AgentStopped, ApiFailure> {
    send::<(), _>("POST", &format!("/agents/{id}/stop"), None).await
}

/// What undoing everything would do.
pub(crate) async fn preview_undo(id: i64) -> Result<Vec<AgentUndo>, ApiFailure> {
    get(&format!("/agents/{id}/undo")).await
}

/// Undoes everything that can be undone.
pub(crate) async fn undo(id: i64) -> Result<Vec<AgentUndo>, ApiFailure> {
    send::<(), _>("POST", &format!("/agents/{id}/undo"), None).await
}
