//! Routes of the proposals of agents.

use wire::RunId;
use wire::proposal::{PreviewRequest, Proposal, ProposalDecision, ProposalPreview};

use super::failure::ApiFailure;
use super::request::{get, send};

/// Proposals of one request: those that wait, and others.
const PENDING: u32 = 50;
const DECIDED: u32 = 20;

/// The newest proposals that wait for a decision, or those that do not; with `run`, only those about it.
pub(crate) async fn list(is_pending: bool, run: Option<&RunId>) -> Result<Vec<Proposal>, ApiFailure> {
    let run = run.map(|run| format!("&run={run}")).unwrap_or_default();
    let limit = if is_pending { PENDING } else { DECIDED };
    get(&format!("/proposals?pending={is_pending}&limit={limit}{run}")).await
}

/// Computes the plan of a proposal now, or that of other arguments.
pub(crate) async fn preview(id: i64, request: &PreviewRequest) -> Result<ProposalPreview, ApiFailure> {
    send("POST", &format!("/proposals/{id}/preview"), Some(request)).await
}

/// Decides about a proposal. The answer has the outcome of an approved one.
pub(crate) async fn decide(id: i64, decision: &ProposalDecision) -> Result<Proposal, ApiFailure> {
    send("POST", &format!("/proposals/{id}/decision"), Some(decision)).await
}
