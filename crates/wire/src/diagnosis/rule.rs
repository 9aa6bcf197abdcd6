//! What a rule states about itself, as `GET /rules` answers it.

use serde::{Deserialize, Serialize};

use super::finding::Level;
use super::settings::Act;

/// A rule of the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RuleInfo {
    /// Stable name in findings, settings and commands: `loss_spike`.
    pub id: String,
    pub label: String,
    /// What it detects, in one sentence.
    pub meaning: String,
    /// Why it matters, in one sentence.
    pub reason: String,
    pub formula: String,
    /// Publication or program from which formula and thresholds come.
    pub source: String,
    /// Names of the metrics that it reads; one that ends in `/` is a prefix (by dataset, parameter, layer or head).
    pub signals: Vec<String>,
    pub thresholds: Vec<ThresholdInfo>,
    /// Unit of the value found and of the threshold that it passed; empty for a ratio.
    pub unit: String,
    /// Steps before which it never finds anything, because its windows are not full.
    pub min_steps: u64,
    /// The highest level of its findings.
    pub level: Level,
    /// What makes a note and what an alert, in a sentence.
    #[serde(default)]
    pub levels: String,
    /// What may resolve its findings, one phrase each, in the order in which they are offered.
    pub remedies: Vec<String>,
    /// Whether a rollback is among its remedies: only then is it offered as what the rule may do.
    #[serde(default)]
    pub can_roll_back: bool,
    /// What it does in every run, whatever the settings: `non_finite` pauses, because training on would destroy the weights.
    pub always: Option<Act>,
    /// How often it was wrong on healthy runs; `None` if that has not been measured.
    pub calibration: Option<Calibration>,
}

/// A threshold of a rule, which a run can change. Its name in settings is `RULE.KEY`: `loss_spike.alert_z`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ThresholdInfo {
    /// Name within the rule.
    pub key: String,
    /// What is compared with it, in one phrase with the unit.
    pub meaning: String,
    pub default: f64,
    /// Smallest value that can be set.
    pub min: f64,
    /// Largest value that can be set.
    pub max: f64,
}

/// How a rule did on runs without a fault, with its default thresholds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Calibration {
    /// Runs without a fault, none of which was used to fit the thresholds.
    pub healthy_runs: u32,
    /// Those of them with an alert of the rule; with a note, if the rule has no alerts.
    pub false_alarms: u32,
}

/// The findings of a rule in some runs, and how people judged them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FindingCounts {
    /// Id of the rule.
    pub rule: String,
    pub label: String,
    pub findings: u64,
    /// Findings that a person has marked as correct.
    pub correct: u64,
    /// Findings that a person has marked as wrong.
    pub wrong: u64,
}
