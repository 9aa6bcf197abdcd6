//! What is written of a proposal of an agent.

use serde_json::{Map, Value};
use wire::RunId;
use wire::access::agent::AgentOrigin;
use wire::proposal::{Proposal, ProposalPreview, ProposalState};

/// A proposal to store.
#[derive(Debug, Clone, PartialEq)]
pub struct NewProposal {
    /// Id of the agent's token.
    pub token: i64,
    /// Idempotency key of the call.
    pub key: String,
    /// BLAKE3 of the tool and its arguments, hexadecimal.
    pub hash: String,
    /// Name of the agent.
    pub agent: String,
    /// Program, model and conversation.
    pub origin: AgentOrigin,
    pub tool: String,
    pub arguments: Map<String, Value>,
    pub project: String,
    pub run: Option<RunId>,
    pub reason: String,
    /// The expected effect, as a phrase.
    pub expected: Option<String>,
    pub preview: ProposalPreview,
    /// Time, ms since 1970.
    pub created_ms: i64,
    /// Until when a person can decide, ms since 1970.
    pub expires_ms: i64,
}

/// A proposal with what only the server needs.
#[derive(Debug, Clone, PartialEq)]
pub struct ProposalRecord {
    /// Id of the agent's token.
    pub token: i64,
    /// Idempotency key of the call.
    pub key: String,
    /// BLAKE3 of the tool and its arguments, hexadecimal.
    pub hash: String,
    /// Id of the token of the person who decided.
    pub decided_token: Option<i64>,
    pub proposal: Proposal,
}

/// A decision to store.
#[derive(Debug, Clone, PartialEq)]
pub struct DecisionRecord {
    /// Any state but pending and expired.
    pub state: ProposalState,
    /// The arguments with which it is approved, if they are others.
    pub edited: Option<Map<String, Value>>,
    /// Id of the token of whoever decides.
    pub token: i64,
    /// Their name.
    pub by: String,
    pub reason: Option<String>,
}
