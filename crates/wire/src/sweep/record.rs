//! Sweeps, their trials and the decisions about them, as they are stored and shown.

use serde::{Deserialize, Serialize};

use super::space::Point;
use super::spec::SweepSpec;
use crate::id::RunId;

/// A sweep as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Sweep {
    pub id: i64,
    /// Specification. `base.project` is its project.
    pub spec: SweepSpec,
    pub project: String,
    /// Name of the person or program with whose rights it trains: that started it, or resumed or extended it last.
    pub creator: String,
    /// Time of the start, ms since 1970.
    pub created_ms: i64,
    /// Time at which its last trial ended, ms since 1970.
    pub ended_ms: Option<i64>,
    pub state: SweepState,
    /// Counts the commands to it and the changes of its state. A command names the revision for which it is meant.
    pub revision: u64,
    /// Why the server has paused it, or why its next trial waits, in a sentence.
    pub message: Option<String>,
    /// Trials that are planned.
    pub trials: u64,
    pub counts: TrialCounts,
    /// The finished trial with the best value.
    pub best: Option<BestTrial>,
    /// Counts the changes of the sweep and its trials; `GET /sweeps/{id}?since=N` has the trials that changed after N.
    pub changes: u64,
}

/// Whether a sweep starts further trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SweepState {
    /// Trials are started until all are.
    Running,
    /// No further trial is started.
    Paused,
    /// All trials have ended. It can be extended.
    Finished,
    /// It was stopped by a command.
    Stopped,
}

impl SweepState {
    /// The word on the page.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
        }
    }
}

/// Numbers of trials by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TrialCounts {
    pub queued: u64,
    pub running: u64,
    pub finished: u64,
    pub stopped: u64,
    pub failed: u64,
}

impl TrialCounts {
    /// Trials that were created.
    pub const fn created(&self) -> u64 {
        self.unfinished() + self.finished + self.stopped + self.failed
    }

    /// Trials that wait or train.
    pub const fn unfinished(&self) -> u64 {
        self.queued + self.running
    }
}

/// The best trial of a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BestTrial {
    /// Number of the trial.
    pub trial: u64,
    /// Its last value of the metric.
    pub value: f64,
}

/// A trial: a point, and the run that trains it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Trial {
    /// From 0, in the order in which the trials were created.
    pub number: u64,
    pub point: Point,
    /// Its run; `None` if the point made no valid run, and after the run was deleted for good.
    pub run: Option<RunId>,
    /// How often it was begun, from 1; each attempt has a run of its own.
    pub attempt: u32,
    pub state: TrialState,
    /// Last value of the metric.
    pub last: Option<f64>,
    /// Steps done at the last value.
    pub last_step: Option<u64>,
    /// Best value of the metric.
    pub best: Option<f64>,
    /// Why it was stopped or has failed, in a sentence.
    pub reason: Option<String>,
    /// It was resumed after a stop, so rules do not stop it again.
    pub is_exempt: bool,
    /// Creation time, ms since 1970.
    pub created_ms: i64,
    /// End, ms since 1970.
    pub ended_ms: Option<i64>,
}

/// What a trial does, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TrialState {
    /// Its run waits in the queue.
    Queued,
    /// Its run trains, is paused or suspended.
    Running,
    /// It trained all its steps.
    Finished,
    /// A rule or a person stopped it.
    Stopped,
    /// It diverged, its run failed, or its point makes no valid run. It counts as the worst result.
    Failed,
}

impl TrialState {
    /// Whether it has ended.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Stopped | Self::Failed)
    }

    /// The word on the page.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

/// A sweep with trials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SweepView {
    pub sweep: Sweep,
    /// All trials in the order of their numbers, or those that changed.
    pub trials: Vec<Trial>,
}

/// A decision about a sweep or a trial, with the numbers that led to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SweepDecision {
    /// From 1 in each sweep, in the order in which they were stored.
    pub number: u64,
    /// Time, ms since 1970.
    pub at_ms: i64,
    pub kind: DecisionKind,
    /// Who decided: the rule, the person, or `server`.
    pub by: String,
    /// Number of the trial; `None` for a decision about the sweep.
    pub trial: Option<u64>,
    /// Step of the trial whose value decided.
    pub step: Option<u64>,
    /// The decision and its reason.
    pub sentence: String,
    /// The value that was compared.
    pub value: Option<f64>,
    /// The value that it would have had to reach.
    pub threshold: Option<f64>,
}

/// The reason of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DecisionKind {
    /// The stopping rule stopped a trial.
    Stopped,
    /// The stopping rule let a trial go on at a rung.
    Continued,
    /// A trial was stopped because of an alert of a rule.
    Finding,
    /// A trial was stopped because it diverged.
    Diverged,
    /// A point made no valid run.
    Invalid,
    /// The server paused the sweep.
    Paused,
    /// A person commanded it.
    Command,
}
