//! A change of the settings of one rule of a run, as the journal states it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A change of the settings of a rule, in words: the settings themselves are those of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RuleChange {
    /// Id of the rule: `loss_spike`.
    pub rule: String,
    /// Its label at the time of the change: `Loss spike`.
    pub label: String,
    /// Settings before: `only reports`.
    pub old: String,
    /// Settings from this step on: `muted`, `pauses the run, alert_z 9`.
    pub new: String,
}

impl fmt::Display for RuleChange {
    /// `Loss spike: only reports → pauses the run`
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}: {} → {}", self.label, self.old, self.new)
    }
}
