//! Sweeps, trials and decisions as they are written to the database and read from it.

use wire::sweep::record::{DecisionKind, Trial, TrialState};
use wire::sweep::spec::SweepSpec;

/// The author of the decisions of the server.
pub(crate) const SERVER: &str = "server";

/// A sweep to create. It trains with the rights of its creator.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSweep {
    /// A specification that was checked.
    pub spec: SweepSpec,
    pub project: String,
    /// Trials that are planned.
    pub trials: u64,
    /// Name of its creator.
    pub creator: String,
    /// The person who creates it; `None` for a token of the lab.
    pub person: Option<i64>,
    /// The token of a program with which they create it; `None` for a browser.
    pub token: Option<i64>,
    /// Time of the request, ms since 1970.
    pub created_ms: i64,
}

/// A decision to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDecision {
    pub kind: DecisionKind,
    /// The rule, the person, or `server`.
    pub by: String,
    /// Number of the trial.
    pub trial: Option<u64>,
    /// Step of the trial whose value decided.
    pub step: Option<u64>,
    /// Rung of the rule that the value passed, steps.
    pub rung: Option<u64>,
    /// The decision and its reason.
    pub sentence: String,
    /// The value that was compared.
    pub value: Option<f64>,
    /// The value that it would have had to reach.
    pub threshold: Option<f64>,
}

impl NewDecision {
    /// A decision without a trial and numbers.
    pub(crate) fn about_sweep(kind: DecisionKind, by: &str, sentence: String) -> Self {
        Self { kind, by: by.to_owned(), trial: None, step: None, rung: None, sentence, value: None, threshold: None }
    }
}

/// A trial with what only the server reads of it.
#[derive(Debug, Clone, PartialEq)]
pub struct TrialRecord {
    pub trial: Trial,
    /// The state that it takes once its run has stopped, after a decision to stop it.
    pub stop_as: Option<TrialState>,
    /// The values of the metric that the stopping rule reads: step and value, where a lower value is better. Of an imported trial, its curve.
    pub kept: Vec<(u64, f64)>,
    /// The stopping rule of the sweep was changed: `kept` is empty until the values are read again for the new one.
    pub is_unread: bool,
}

/// Which trials of a sweep have ended. The value differs after each change of the results of ended trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecidedTrials {
    /// The change of the sweep with which the newest of them ended; 0 without one.
    pub newest: u64,
    pub decided: u64,
    /// All trials, those that have not ended included.
    pub created: u64,
}

/// The values of a trial after a report.
#[derive(Debug, Clone, PartialEq)]
pub struct TrialValues {
    pub last: f64,
    /// Steps done at the last value.
    pub last_step: u64,
    pub best: f64,
    /// As [`TrialRecord::kept`].
    pub kept: Vec<(u64, f64)>,
}
