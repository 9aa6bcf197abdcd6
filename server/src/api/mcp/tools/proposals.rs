//! What an agent whose token has the mode propose reads of its proposals, and how it withdraws one.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use store::{DecisionRecord, StoreError};
use tokio::time::{Instant, sleep};
use wire::proposal::{Proposal, ProposalState};

use crate::api::mcp::answer::{Answer, Field};
use crate::api::mcp::caller::Caller;
use crate::api::mcp::proposing::{brief, standing};
use crate::api::mcp::tool::Tool;
use crate::error::ApiError;

/// Proposals in a list.
const LISTED: u32 = 20;
/// Time between two reads of a proposal.
const EVERY: Duration = Duration::from_millis(400);

pub fn tools() -> Vec<Tool> {
    vec![
        Tool::reading(
            "get_proposal",
            "One proposal",
            "A call that you have proposed: whether a person has approved, edited or rejected it, with their reason, \
             and the result of an approved one. Without proposal: your proposals, newest first.",
            get_proposal,
        )
        .returns(&[&FIELDS[..], &[("proposals", "Without proposal: your proposals, newest first.")]].concat()),
        Tool::changing(
            "withdraw_proposal",
            "Withdraw a proposal",
            "Withdraws a call that you have proposed and that nobody has decided about; nothing is carried out.",
            withdraw_proposal,
        )
        .returns(&FIELDS),
    ]
}

/// The fields of the data of a proposal.
const FIELDS: [Field; 13] = [
    ("proposal", "Number of the proposal."),
    ("state", "pending, approved, edited, rejected, expired or withdrawn."),
    ("tool", "The tool that it calls."),
    ("run", "The run that it changes."),
    ("project", "Its project."),
    ("reason", "Your reason."),
    ("expected_effect", "The expected effect, in words."),
    ("created_ms", "When it was proposed."),
    ("expires_ms", "When it expires, while nobody has decided."),
    ("preview", "What the call would change, while nobody has decided."),
    ("edited_arguments", "The arguments of the person who has edited them."),
    ("decided", "Who has decided, when, and why."),
    ("outcome", "What came of an approved call: the data of the tool, or the error."),
];

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GetProposal {
    /// Number of the proposal; without it, your proposals are listed.
    proposal: Option<i64>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WithdrawProposal {
    /// Number of the proposal.
    proposal: i64,
}

async fn get_proposal(caller: Caller, args: GetProposal) -> Result<Answer, ApiError> {
    if let Some(id) = args.proposal {
        return Ok(standing(&own(&caller, id).await?));
    }
    let all = caller.store().proposals_of(caller.token(), LISTED).await?;
    let answer = Answer::new(json!({ "proposals": all.iter().map(brief).collect::<Vec<_>>() }));
    Ok(answer
        .units(&[("created_ms, expires_ms, at_ms", "ms since 1970, UTC")])
        .more("get_proposal with one of the numbers"))
}

async fn withdraw_proposal(caller: Caller, args: WithdrawProposal) -> Result<Answer, ApiError> {
    let id = args.proposal;
    own(&caller, id).await?;
    let decision = DecisionRecord {
        state: ProposalState::Withdrawn,
        edited: None,
        token: caller.token(),
        by: caller.name().to_owned(),
        reason: None,
    };
    let is_first = caller.store().decide_proposal(id, &decision).await?;
    caller.lab().feed.lab_changed();
    let proposal = own(&caller, id).await?;
    if is_first || proposal.state == ProposalState::Withdrawn {
        return Ok(standing(&proposal));
    }
    let message = format!("proposal {id} was {} before it could be withdrawn", proposal.state.word());
    Err(ApiError::conflict("proposal_decided", message)
        .hint(format!("get_proposal with proposal {id} shows the decision")))
}

/// Waits until a person has decided about a proposal and an approved one was carried out, or until a time.
///
/// # Errors
/// 404 for a proposal of another token; an error of the store.
pub async fn wait_for_decision(caller: &Caller, id: i64, until: Instant) -> Result<Answer, ApiError> {
    loop {
        let proposal = own(caller, id).await?;
        let is_over = Instant::now() >= until;
        if proposal.is_settled() || is_over {
            let mut answer = standing(&proposal);
            let until = if proposal.is_settled() { "decision" } else { "timeout" };
            answer.data["until"] = until.into();
            return Ok(answer);
        }
        sleep(EVERY).await;
    }
}

/// A proposal of the token.
async fn own(caller: &Caller, id: i64) -> Result<Proposal, ApiError> {
    let found = caller.store().proposal(id).await?.filter(|record| record.token == caller.token());
    Ok(found.ok_or(StoreError::UnknownProposal { id })?.proposal)
}
