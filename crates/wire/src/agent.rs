//! Agents as pages list them: what their budgets have left, what they did, and what undoing it would do.

use serde::{Deserialize, Serialize};

use crate::access::AgentLimits;
use crate::access::agent::BudgetUse;
use crate::control::event::EventRecord;
use crate::id::RunId;

/// Whether the token of an agent can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AgentState {
    Active,
    /// A person has stopped it: its token was revoked and its runs were paused.
    Stopped,
    /// Its token was revoked or has expired.
    Ended,
}

/// An agent in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AgentView {
    /// Id of its token.
    pub id: i64,
    /// Name of its token.
    pub name: String,
    /// Name of the person to whom the token belongs; `None` for one of the lab.
    pub owner: Option<String>,
    pub state: AgentState,
    pub limits: AgentLimits,
    /// What its budgets have left, in the order of `AgentBudget::ALL`.
    pub uses: Vec<BudgetUse>,
    /// Program of its last MCP session, as it names itself.
    pub client: Option<String>,
    /// Creation time of the token, ms since 1970.
    pub created_ms: i64,
    /// Time of its last request, ms since 1970; `None` before the first one and after its token has ended.
    pub used_ms: Option<i64>,
    /// Expiry of the token, ms since 1970.
    pub expires_ms: Option<i64>,
    /// When it was stopped, ms since 1970.
    pub stopped_ms: Option<i64>,
    /// Name of the person.
    pub stopped_by: Option<String>,
    /// Its runs that are queued or on a device.
    pub unfinished: u32,
    /// Its last actions, newest first.
    pub actions: Vec<AgentAction>,
}

/// An event of an agent in the journal of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AgentAction {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub run: RunId,
    pub run_name: String,
    pub record: EventRecord,
}

/// What stopping an agent has done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AgentStopped {
    /// Tokens that were revoked.
    pub revoked: u32,
    /// Runs that were paused; queued ones were stopped.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub paused: Vec<RunId>,
    /// Sweeps, experiments and research loops that were paused.
    pub paused_groups: Vec<String>,
    /// What could not be paused, with the reason.
    pub failed: Vec<String>,
}

/// Something that an agent did, in a preview of undoing it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AgentUndo {
    /// The run; `None` for a sweep, an experiment or a research loop.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub run: Option<RunId>,
    /// Name of the run, the sweep, the experiment or the research loop.
    pub name: String,
    /// Number of the event in the journal of the run.
    pub event: Option<u64>,
    /// Time, ms since 1970.
    pub at_ms: i64,
    /// The action in words.
    pub did: String,
    /// What would revert it; `None` if nothing can.
    pub revert: Option<String>,
    /// Why it is not reverted, or what remains after that.
    pub note: Option<String>,
    /// Whether it was reverted; `None` in a preview.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_done: Option<bool>,
}
