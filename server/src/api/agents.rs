//! Agents: listed, limited and stopped, and what they did undone, by the people who manage their tokens.

use axum::Json;
use axum::extract::State;
use wire::ApiErrorBody;
use wire::access::AgentLimits;
use wire::agent::{AgentStopped, AgentUndo, AgentView};

use super::extract::{Body, Path};
use crate::auth::{SignedIn, agents};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::runs::agents::{stop, undo};

/// Lists the agents whose tokens you manage, newest first: mode, scopes, what the budgets have left, and the last actions. Agents that were
/// stopped stay in the list.
#[utoipa::path(get, path = "/agents", tag = "access", responses((status = 200, body = Vec<AgentView>)))]
pub async fn list_agents(SignedIn(own): SignedIn, State(lab): State<Lab>) -> Result<Json<Vec<AgentView>>, ApiError> {
    agents::list(&lab, &own).await.map(Json)
}

/// Sets mode, scopes and budgets of an agent, from its next request on.
#[utoipa::path(put, path = "/agents/{id}/limits", tag = "access", params(("id" = i64, Path)), request_body = AgentLimits,
    responses((status = 200, body = AgentView), (status = 404, description = "You do not manage this agent, or its token has ended.", body = ApiErrorBody)))]
pub async fn limit_agent(
    SignedIn(own): SignedIn,
    State(lab): State<Lab>,
    Path(id): Path<i64>,
    Body(limits): Body<AgentLimits>,
) -> Result<Json<AgentView>, ApiError> {
    agents::set_limits(&lab, &own, id, limits).await.map(Json)
}

/// Stops an agent: revokes its tokens, those with the same name and owner, and pauses what it has started: runs, sweeps, experiments and
/// research loops.
#[utoipa::path(post, path = "/agents/{id}/stop", tag = "access", params(("id" = i64, Path)),
    responses((status = 200, body = AgentStopped), (status = 404, body = ApiErrorBody)))]
pub async fn stop_agent(
    SignedIn(own): SignedIn,
    State(lab): State<Lab>,
    Path(id): Path<i64>,
) -> Result<Json<AgentStopped>, ApiError> {
    let agent = agents::managed(&lab, &own, id).await?;
    stop::stop(&lab, &own, &agent).await.map(Json)
}

/// Lists what an agent did, newest first: what can be reverted and how, and what cannot and why.
#[utoipa::path(get, path = "/agents/{id}/undo", tag = "access", params(("id" = i64, Path)),
    responses((status = 200, body = Vec<AgentUndo>), (status = 404, body = ApiErrorBody)))]
pub async fn preview_undo(
    SignedIn(own): SignedIn,
    State(lab): State<Lab>,
    Path(id): Path<i64>,
) -> Result<Json<Vec<AgentUndo>>, ApiError> {
    let agent = agents::managed(&lab, &own, id).await?;
    undo::preview(&lab, &own, &agent).await.map(Json)
}

/// Reverts what an agent did and nobody has changed since, newest first, by commands in your name. A second call reverts nothing again.
#[utoipa::path(post, path = "/agents/{id}/undo", tag = "access", params(("id" = i64, Path)),
    responses((status = 200, body = Vec<AgentUndo>), (status = 409, description = "Another call does it at the moment.", body = ApiErrorBody)))]
pub async fn undo_agent(
    SignedIn(own): SignedIn,
    State(lab): State<Lab>,
    Path(id): Path<i64>,
) -> Result<Json<Vec<AgentUndo>>, ApiError> {
    let agent = agents::managed(&lab, &own, id).await?;
    undo::apply(&lab, &own, &agent).await.map(Json)
}
