//! Routes of research loops: listing, creating, reading, steering and replaying them, and the proposals of agents.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use research::research_loop::{Replay, replay};
use serde::Deserialize;
use store::LoopEventPart;
use utoipa::IntoParams;
use wire::ApiErrorBody;
use wire::research_loop::LoopGoal;
use wire::research_loop::record::{LoopAction, LoopEvent, LoopSummary, LoopView, NewLoopProposal};

use super::extract::{Body, Path, Query, checked_limit};
use crate::auth::research_loop::{LoopSteerer, LoopViewer};
use crate::auth::{Contributor, Member, author};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::runs::research_loops::{self, create, steer};

/// Loops in a list.
const LISTED: u32 = 1_000;
/// Events of a response: the default and the maximum.
const EVENTS: u32 = 100;
const MAX_EVENTS: u32 = 500;

/// The events to return.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LoopEventsQuery {
    /// Only events after this number, the first ones of them; by default the newest events.
    since: Option<u32>,
    /// Only events before this number; all by default.
    before: Option<u32>,
    /// Maximum number of events, 1 to 500; 100 by default.
    limit: Option<u32>,
}

/// Lists the research loops, newest first, at most 1,000.
#[utoipa::path(get, path = "/research-loops", tag = "experiments", responses((status = 200, body = Vec<LoopSummary>)))]
pub async fn list_research_loops(
    Member(identity): Member,
    State(lab): State<Lab>,
) -> Result<Json<Vec<LoopSummary>>, ApiError> {
    Ok(Json(lab.store().research_loops(&identity.grants.visible(), LISTED).await?))
}

/// Starts a research loop. It measures the noise floor, and then proposes, screens and tests changes until the budget is used up or no value is
/// left to propose. Before each round, the rights of the creator are checked again.
#[utoipa::path(post, path = "/research-loops", tag = "experiments", request_body = LoopGoal,
    responses((status = 201, body = LoopView),
        (status = 409, description = "The lab has the maximum number of research loops.", body = ApiErrorBody),
        (status = 422, description = "The field that is invalid.", body = ApiErrorBody)))]
pub async fn create_research_loop(
    Contributor(identity): Contributor,
    State(lab): State<Lab>,
    Body(goal): Body<LoopGoal>,
) -> Result<(StatusCode, Json<LoopView>), ApiError> {
    Ok((StatusCode::CREATED, Json(create::create(&lab, &identity, goal).await?)))
}

/// Returns a research loop with its rounds and the newest 100 events of its journal.
#[utoipa::path(get, path = "/research-loops/{id}", tag = "experiments", params(("id" = u64, Path)),
    responses((status = 200, body = LoopView)))]
pub async fn get_research_loop(
    _: LoopViewer,
    State(lab): State<Lab>,
    Path(id): Path<u64>,
) -> Result<Json<LoopView>, ApiError> {
    research_loops::view(&lab, id).await.map(Json)
}

/// Returns events of the journal of a research loop, in order. Numbers begin at 1 and have no gaps.
#[utoipa::path(get, path = "/research-loops/{id}/events", tag = "experiments", params(("id" = u64, Path), LoopEventsQuery),
    responses((status = 200, body = Vec<LoopEvent>)))]
pub async fn list_research_loop_events(
    _: LoopViewer,
    State(lab): State<Lab>,
    Path(id): Path<u64>,
    Query(LoopEventsQuery { since, before, limit }): Query<LoopEventsQuery>,
) -> Result<Json<Vec<LoopEvent>>, ApiError> {
    let limit = checked_limit(limit.unwrap_or(EVENTS), MAX_EVENTS)?;
    Ok(Json(lab.store().loop_events(id, LoopEventPart { since, before, limit }).await?))
}

/// Pauses, resumes, concludes or stops a research loop, vetoes the proposal of its current round, pins or unpins a hyperparameter, suggests a
/// value for the next round, or sets who makes the proposals from the next round on.
#[utoipa::path(patch, path = "/research-loops/{id}", tag = "experiments", params(("id" = u64, Path)), request_body = LoopAction,
    responses((status = 200, body = LoopView),
        (status = 409, description = "Its state does not allow it.", body = ApiErrorBody)))]
pub async fn change_research_loop(
    LoopSteerer(identity): LoopSteerer,
    State(lab): State<Lab>,
    Path(id): Path<u64>,
    Body(action): Body<LoopAction>,
) -> Result<Json<LoopView>, ApiError> {
    steer::change(&lab, id, author(&identity), action).await.map(Json)
}

/// Proposes the change of the next round of a research loop whose proposer is `agent`. A proposal outside the hyperparameters and ranges of the
/// goal is refused, and so are values that were tried.
#[utoipa::path(post, path = "/research-loops/{id}/proposals", tag = "experiments", params(("id" = u64, Path)),
    request_body = NewLoopProposal,
    responses((status = 201, body = LoopView),
        (status = 409, description = "The built-in strategy makes the proposals, another proposal waits, or the loop has ended.", body = ApiErrorBody)))]
pub async fn propose_research_change(
    LoopSteerer(identity): LoopSteerer,
    State(lab): State<Lab>,
    Path(id): Path<u64>,
    Body(new): Body<NewLoopProposal>,
) -> Result<(StatusCode, Json<LoopView>), ApiError> {
    Ok((StatusCode::CREATED, Json(steer::propose(&lab, id, author(&identity), new).await?)))
}

/// Computes the decisions of a research loop again from its stored rounds, and returns the differences from the stored decisions.
#[utoipa::path(get, path = "/research-loops/{id}/replay", tag = "experiments", params(("id" = u64, Path)),
    responses((status = 200, body = Replay)))]
pub async fn replay_research_loop(
    _: LoopViewer,
    State(lab): State<Lab>,
    Path(id): Path<u64>,
) -> Result<Json<Replay>, ApiError> {
    let view = research_loops::view(&lab, id).await?;
    Ok(Json(replay(&view.summary, &view.rounds)))
}
