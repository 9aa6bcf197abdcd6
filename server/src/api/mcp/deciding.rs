//! Decisions about proposals. A decision is stored first. Then the server calls the tool with the rights that the agent and the person both
//! have; the call has the idempotency key of the agent, so it acts once ([`super::acts`]). A server that starts carries out what was approved
//! and has no outcome ([`finish`]).

use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use rmcp::model::JsonObject;
use serde_json::{Value, json};
use store::{DecisionRecord, Identity, ProposalRecord, StoreError};
use tokio::time::sleep;
use wire::access::Role;
use wire::access::agent::AgentOrigin;
use wire::proposal::{DECISION_CHARS, Proposal, ProposalDecision, ProposalOutcome, ProposalPreview, ProposalState};

use super::caller::Caller;
use super::proposing::{KEPT_BYTES, check_size, preview};
use super::shrink::shrink;
use super::tool::Tool;
use super::{answer::Answer, tools};
use crate::auth::{Approved, project};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::live::clock::now_ms;

/// Arguments that stay those of the agent: they say what its reason is about, and that it acts once.
const FIXED: [&str; 4] = ["run", "loop", "reason", "idempotency_key"];
/// How long a server that starts tries again while workers connect.
const TRIED_FOR: Duration = Duration::from_secs(120);
const TRY_EVERY: Duration = Duration::from_secs(2);

/// A proposal that the sender may see.
///
/// # Errors
/// 404; an error of the store.
pub async fn seen(lab: &Lab, identity: &Identity, id: i64) -> Result<ProposalRecord, ApiError> {
    let found = lab.store().proposal(id).await?;
    let is_seen = |record: &ProposalRecord| identity.grants.in_project(&record.proposal.project).is_some();
    Ok(found.filter(is_seen).ok_or(StoreError::UnknownProposal { id })?)
}

/// As [`seen`], for whoever may decide: people with the role in the project, by themselves and not by a share link. No agent decides.
async fn decidable(lab: &Lab, identity: &Identity, id: i64) -> Result<ProposalRecord, ApiError> {
    let record = seen(lab, identity, id).await?;
    if identity.is_agent || identity.limits.is_some() {
        let message = "an agent cannot decide about proposals";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "forbidden", message).hint("a person decides about them"));
    }
    let grants = lab.store().own_grants(identity.token_id).await?;
    project::check(&Identity { grants, ..identity.clone() }, &record.proposal.project, Role::Steer)?;
    match record.proposal.state {
        ProposalState::Pending => Ok(record),
        _ => Err(decided(&record.proposal)),
    }
}

/// 409: the proposal waits for no decision.
fn decided(proposal: &Proposal) -> ApiError {
    let by = proposal.decided.as_ref().map(|decided| format!(" by {}", decided.by)).unwrap_or_default();
    let message = format!("proposal {} was {}{by}", proposal.id, proposal.state.word());
    ApiError::conflict("proposal_decided", message).hint("GET /api/v1/proposals?pending=true lists those that wait")
}

/// Computes the plan of a proposal now, with the rights of the person. With `arguments` it is the plan of these, and nothing is stored.
///
/// # Errors
/// 403 and 404 for one that is not the sender's to decide about, 409 for a decided one; those of a dry run.
pub async fn renew(
    lab: &Lab,
    api: &Router,
    identity: &Identity,
    id: i64,
    arguments: Option<JsonObject>,
) -> Result<ProposalPreview, ApiError> {
    let record = decidable(lab, identity, id).await?;
    let Some(edited) = arguments else {
        let fresh = plan(lab, api, identity, &record, &record.proposal.arguments).await?;
        lab.store().set_proposal_preview(id, &fresh).await?;
        lab.feed.lab_changed();
        return Ok(fresh);
    };
    check_edited(&record.proposal, &edited)?;
    plan(lab, api, identity, &record, &edited).await
}

/// Decides about a proposal, and carries out what was approved.
///
/// # Errors
/// Those of [`renew`]; 422 for arguments that the tool does not accept, and for an invalid reason. A refusal of the approved call is its
/// outcome and no error.
pub async fn decide(
    lab: &Lab,
    api: &Router,
    identity: &Identity,
    id: i64,
    decision: ProposalDecision,
) -> Result<Proposal, ApiError> {
    let record = decidable(lab, identity, id).await?;
    let (state, edited, reason) = match decision {
        ProposalDecision::Reject { reason } => (ProposalState::Rejected, None, Some(checked(&reason)?)),
        ProposalDecision::Edit { arguments } if arguments != record.proposal.arguments => {
            check_edited(&record.proposal, &arguments)?;
            // The same schema and checks as for the call of an agent.
            plan(lab, api, identity, &record, &arguments).await?;
            (ProposalState::Edited, Some(arguments), None)
        }
        ProposalDecision::Approve | ProposalDecision::Edit { .. } => (ProposalState::Approved, None, None),
    };
    let person = identity.token_id;
    if state.is_approved() {
        Approved { agent: record.token, person }.identity(lab).await?;
    }
    let decision = DecisionRecord { state, edited, token: person, by: identity.name.clone(), reason };
    let is_first = lab.store().decide_proposal(id, &decision).await?;
    lab.feed.lab_changed();
    let stored = lab.store().proposal(id).await?.ok_or(StoreError::UnknownProposal { id })?;
    if !is_first {
        return Err(decided(&stored.proposal));
    }
    if state.is_approved() {
        // A browser that disconnects does not interrupt it.
        let (lab, api) = (lab.clone(), api.clone());
        let task = tokio::spawn(async move { end(&lab, stored.proposal.id, attempt(&lab, &api, &stored).await).await });
        task.await.map_err(|source| ApiError::internal("carrying out a proposal", source))??;
    }
    Ok(lab.store().proposal(id).await?.ok_or(StoreError::UnknownProposal { id })?.proposal)
}

/// Carries out the proposals that were approved before the server stopped, in the order of their decisions. Workers may still be connecting.
pub async fn finish(lab: Lab, api: Router) {
    let unfinished = match lab.store().unfinished_proposals().await {
        Ok(unfinished) => unfinished,
        Err(error) => return tracing::error!("the approved proposals could not be read: {error}"),
    };
    let began = Instant::now();
    for record in unfinished {
        let mut result = attempt(&lab, &api, &record).await;
        while result.as_ref().is_err_and(is_temporary) && began.elapsed() < TRIED_FOR {
            sleep(TRY_EVERY).await;
            result = attempt(&lab, &api, &record).await;
        }
        if let Err(error) = end(&lab, record.proposal.id, result).await {
            tracing::error!("the outcome of proposal {} could not be stored: {error}", record.proposal.id);
        }
    }
}

/// Whether a refusal may end by itself after the start of a server: a worker or a device has not reported yet.
fn is_temporary(error: &ApiError) -> bool {
    error.body.code == "worker_away" || matches!(error.body.field.as_deref(), Some("device" | "pool"))
}

/// Calls the tool of an approved proposal.
async fn attempt(lab: &Lab, api: &Router, record: &ProposalRecord) -> Result<Answer, ApiError> {
    let proposal = &record.proposal;
    let approved_by = proposal.decided.as_ref().map(|decided| decided.by.clone());
    let approved = Approved { agent: record.token, person: record.decided_token.unwrap_or_default() };
    let origin = AgentOrigin { approved_by, ..proposal.origin.clone() };
    let caller = Caller::approved(lab, api, approved, origin).await?;
    let arguments = proposal.edited.as_ref().unwrap_or(&proposal.arguments);
    tool_of(proposal)?.call(caller, arguments.clone()).await
}

/// Stores what came of an approved proposal.
async fn end(lab: &Lab, id: i64, result: Result<Answer, ApiError>) -> Result<(), ApiError> {
    let (is_done, answer) = match result {
        Ok(answer) => (true, answer.data),
        Err(error) => (false, json!(error.body)),
    };
    let (answer, _) = shrink(answer, KEPT_BYTES);
    lab.store().end_proposal(id, &ProposalOutcome { is_done, answer, at_ms: now_ms() }).await?;
    lab.feed.lab_changed();
    Ok(())
}

/// The plan of a call of the agent, with the rights that it and the person both have.
async fn plan(
    lab: &Lab,
    api: &Router,
    identity: &Identity,
    record: &ProposalRecord,
    arguments: &JsonObject,
) -> Result<ProposalPreview, ApiError> {
    let approved = Approved { agent: record.token, person: identity.token_id };
    let caller = Caller::approved(lab, api, approved, record.proposal.origin.clone()).await?;
    preview(tool_of(&record.proposal)?, &caller, arguments, record.proposal.run.as_ref()).await
}

/// The tool of a proposal. A later version of the program may not have it any more.
fn tool_of(proposal: &Proposal) -> Result<&'static Tool, ApiError> {
    tools::find(&proposal.tool).ok_or_else(|| {
        let message = format!("this version of Kindling has no tool {}", proposal.tool);
        ApiError::new(StatusCode::CONFLICT, "tool_gone", message).hint("reject the proposal")
    })
}

fn check_edited(proposal: &Proposal, edited: &JsonObject) -> Result<(), ApiError> {
    check_size(edited)?;
    if let Some(field) = FIXED.into_iter().find(|field| edited.get(*field) != proposal.arguments.get(*field)) {
        return Err(ApiError::invalid("value_invalid", format!("{field} is that of the agent and cannot be edited"))
            .field(format!("arguments.{field}"))
            .hint("reject the proposal and say in the reason what to propose instead"));
    }
    match edited.get("dry_run") {
        None | Some(Value::Bool(false)) => Ok(()),
        Some(_) => Err(ApiError::invalid("value_invalid", "an approved call is no dry run").field("arguments.dry_run")),
    }
}

fn checked(reason: &str) -> Result<String, ApiError> {
    let reason = reason.trim();
    match reason.chars().count() {
        1..=DECISION_CHARS => Ok(reason.to_owned()),
        count => Err(ApiError::invalid("value_invalid", format!("a reason of {count} characters is not valid"))
            .field("reason")
            .hint("enter 1 to 2,000 characters: the agent reads them")),
    }
}
