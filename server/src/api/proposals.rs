//! Proposals of agents: listed, previewed and decided about.

use axum::extract::State;
use axum::{Extension, Json};
use serde::Deserialize;
use store::ProposalQuery;
use utoipa::IntoParams;
use wire::proposal::{PreviewRequest, Proposal, ProposalDecision, ProposalPreview};
use wire::{ApiErrorBody, RunId};

use super::extract::{Body, Path, Query, checked_limit};
use super::mcp::caller::InProcess;
use super::mcp::deciding;
use crate::auth::{Contributor, Member};
use crate::error::ApiError;
use crate::lab::Lab;

/// Maximum number of proposals of a page.
const MOST: u32 = 200;

/// A page of the list of proposals.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ProposalsQuery {
    /// `true` for those that wait for a decision, `false` for the others; all by default.
    pending: Option<bool>,
    /// Only those about a run.
    #[param(value_type = Option<String>)]
    run: Option<RunId>,
    /// Only proposals with smaller ids: that of the last one of the page before.
    before: Option<i64>,
    /// Maximum number of proposals, 1 to 200; 50 by default.
    #[serde(default = "fifty")]
    limit: u32,
}

fn fifty() -> u32 {
    50
}

/// Lists the proposals of agents in the projects that the sender may see, newest first. An agent whose token has the mode propose makes one
/// with each call of a tool that changes something, at /mcp.
#[utoipa::path(get, path = "/proposals", tag = "agents", params(ProposalsQuery), responses((status = 200, body = Vec<Proposal>)))]
pub async fn list_proposals(
    Member(identity): Member,
    State(lab): State<Lab>,
    Query(query): Query<ProposalsQuery>,
) -> Result<Json<Vec<Proposal>>, ApiError> {
    let ProposalsQuery { pending, run, before, limit } = query;
    let query = ProposalQuery { run, is_pending: pending, before, limit: checked_limit(limit, MOST)? };
    Ok(Json(lab.store().proposals(&identity.grants.visible(), &query).await?))
}

/// Returns a proposal: the call, its plan, the decision about it, and what came of it.
#[utoipa::path(get, path = "/proposals/{id}", tag = "agents", params(("id" = i64, Path)), responses((status = 200, body = Proposal)))]
pub async fn get_proposal(
    Member(identity): Member,
    State(lab): State<Lab>,
    Path(id): Path<i64>,
) -> Result<Json<Proposal>, ApiError> {
    Ok(Json(deciding::seen(&lab, &identity, id).await?.proposal))
}

/// Computes the plan of a proposal as of now, and keeps it with the proposal. With other arguments it returns the plan of these, and keeps
/// nothing.
#[utoipa::path(post, path = "/proposals/{id}/preview", tag = "agents", params(("id" = i64, Path)), request_body = PreviewRequest,
    responses((status = 200, body = ProposalPreview),
        (status = 409, description = "Somebody has decided about it, or the call is not possible now.", body = ApiErrorBody),
        (status = 422, description = "The argument that the tool does not accept.", body = ApiErrorBody)))]
pub async fn preview_proposal(
    Contributor(identity): Contributor,
    State(lab): State<Lab>,
    Extension(InProcess(api)): Extension<InProcess>,
    Path(id): Path<i64>,
    Body(request): Body<PreviewRequest>,
) -> Result<Json<ProposalPreview>, ApiError> {
    deciding::renew(&lab, &api, &identity, id, request.arguments).await.map(Json)
}

/// Approves a proposal, approves it with other arguments, or rejects it. An approved call is carried out once, with the rights that the agent
/// and the person both have, and the answer has its outcome.
#[utoipa::path(post, path = "/proposals/{id}/decision", tag = "agents", params(("id" = i64, Path)), request_body = ProposalDecision,
    responses((status = 200, body = Proposal),
        (status = 409, description = "Somebody has decided about it, or the call with the edited arguments is not possible now.", body = ApiErrorBody),
        (status = 422, description = "The argument that the tool does not accept.", body = ApiErrorBody)))]
pub async fn decide_proposal(
    Contributor(identity): Contributor,
    State(lab): State<Lab>,
    Extension(InProcess(api)): Extension<InProcess>,
    Path(id): Path<i64>,
    Body(decision): Body<ProposalDecision>,
) -> Result<Json<Proposal>, ApiError> {
    deciding::decide(&lab, &api, &identity, id, decision).await.map(Json)
}
