//! Proposals: calls of agents that a person decides about before the server carries them out. An agent whose token has the mode propose
//! makes one with each call of a tool that changes something.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /proposals` | the [`Proposal`]s that the sender may see |
//! | `GET /proposals/{id}` | one [`Proposal`] |
//! | `POST /proposals/{id}/preview` | a [`ProposalPreview`], computed now, of the [`PreviewRequest`] |
//! | `POST /proposals/{id}/decision` | takes a [`ProposalDecision`], carries out what it approves, and returns the [`Proposal`] |

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::access::agent::AgentOrigin;
use crate::id::RunId;

/// Longest reason of a decision, characters.
pub const DECISION_CHARS: usize = 2_000;

/// Where a proposal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ProposalState {
    /// Nobody has decided about it.
    Pending,
    /// Approved as it was proposed.
    Approved,
    /// Approved with other arguments.
    Edited,
    /// Rejected; it is not carried out.
    Rejected,
    /// Nobody decided in time; it is not carried out.
    Expired,
    /// Withdrawn by its agent; it is not carried out.
    Withdrawn,
}

impl ProposalState {
    /// Whether it is or will be carried out.
    pub fn is_approved(self) -> bool {
        matches!(self, Self::Approved | Self::Edited)
    }

    /// Its word in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Edited => "edited",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// What a call would change and cost: the answer of the tool to a dry run. Its texts may be of agents, datasets and people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProposalPreview {
    /// The plan: `difference` has the values that change, `estimate` the cost of a run, `obstacle` why the call would be refused now.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub data: Value,
    /// Units of the numbers, by field.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub units: Map<String, Value>,
    /// Time at which it was computed, ms since 1970.
    pub at_ms: i64,
    /// Number of the run's last event when it was computed; 0 for a call that is about no run.
    pub event: u64,
}

/// Who has decided about a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Decided {
    /// Name of the person; of the agent for a proposal that was withdrawn.
    pub by: String,
    /// Time, ms since 1970.
    pub at_ms: i64,
    /// Why it was rejected or withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What came of an approved proposal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProposalOutcome {
    /// Whether it was carried out.
    pub is_done: bool,
    /// The data of the tool's answer; or the error, `{code, message, field?, hint?}`.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub answer: Value,
    /// Time, ms since 1970.
    pub at_ms: i64,
}

/// A call of an agent that a person decides about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Proposal {
    pub id: i64,
    pub state: ProposalState,
    /// Name of the agent.
    pub agent: String,
    /// The program, the model and the conversation behind it.
    #[serde(default)]
    pub origin: AgentOrigin,
    /// Name of the tool.
    pub tool: String,
    /// Arguments of the call, as they were proposed.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub arguments: Map<String, Value>,
    /// The arguments with which it was approved, if they are others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub edited: Option<Map<String, Value>>,
    /// The project that it is about.
    pub project: String,
    /// The run that it is about; `None` for a call that starts something of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub run: Option<RunId>,
    pub reason: String,
    /// The expected effect: `loss.valid -0.02 nats/token by step 500`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    pub preview: ProposalPreview,
    /// Number of commands that change the run, and of notes, that others have given since the preview: people, rules and other agents. Events of
    /// the lab, samples, checkpoints, evaluations and findings do not count. 0 for a proposal that no longer waits.
    #[serde(default)]
    pub newer_events: u64,
    /// When it was made, ms since 1970.
    pub created_ms: i64,
    /// Until when a person can decide, ms since 1970.
    pub expires_ms: i64,
    /// The decision; `None` for one that waits or has expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<Decided>,
    /// What came of it; `None` until it has been carried out or refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<ProposalOutcome>,
}

impl Proposal {
    /// Whether nothing about it will change any more.
    pub fn is_settled(&self) -> bool {
        self.state != ProposalState::Pending && (!self.state.is_approved() || self.outcome.is_some())
    }
}

/// The arguments of which a preview is requested.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PreviewRequest {
    /// Other arguments than the proposed ones; without them, the preview of the proposal is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub arguments: Option<Map<String, Value>>,
}

/// A decision about a proposal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ProposalDecision {
    /// Carries the call out as it was proposed.
    Approve,
    /// Carries the call out with other arguments. `run`, `reason` and `idempotency_key` stay those of the agent.
    Edit {
        /// All arguments of the call.
        #[cfg_attr(feature = "openapi", schema(value_type = Object))]
        arguments: Map<String, Value>,
    },
    /// Does not carry it out. The agent receives the reason.
    Reject {
        /// 1 to 2,000 characters.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_decision_is_read_from_its_json() {
        let read = |value: Value| serde_json::from_value::<ProposalDecision>(value).map_err(|error| error.to_string());
        assert_eq!(read(json!({ "kind": "approve" })), Ok(ProposalDecision::Approve));
        let reject = ProposalDecision::Reject { reason: "too early".into() };
        assert_eq!(read(json!({ "kind": "reject", "reason": "too early" })), Ok(reject));
        let arguments = Map::from_iter([("value".to_owned(), json!(0.5))]);
        assert_eq!(
            read(json!({ "kind": "edit", "arguments": { "value": 0.5 } })),
            Ok(ProposalDecision::Edit { arguments })
        );
        for wrong in [json!({ "kind": "reject" }), json!({ "kind": "edit" }), json!({ "kind": "approv" })] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
