//! What a rule states about itself: signals, formula, thresholds, and remedies. The rows are in the files of the rules.

use serde::{Deserialize, Serialize};
pub(super) use wire::diagnosis::{Level, UNSTABLE};

/// A row of the table of rules.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rule {
    /// Stable name in findings, settings and the API: `loss_spike`.
    pub id: &'static str,
    /// Label on the page.
    pub label: &'static str,
    /// What the rule detects, in one sentence.
    pub meaning: &'static str,
    /// Why it matters, in one sentence.
    pub reason: &'static str,
    /// What was seen, with `{value}`, `{threshold}`, `{step}`, `{first}`, `{last}`, `{subject}` and the details of the finding; `{head}` is a
    /// subject that is a head, `{quantity}` one that is a series.
    pub seen: &'static str,
    /// In place of `seen` for a finding with this subject, or with a detail of this name.
    pub seen_if: &'static [(&'static str, &'static str)],
    pub formula: &'static str,
    /// Publication or program from which formula and thresholds come.
    pub source: &'static str,
    /// Names of the metrics that it reads; one that ends in `/` is a prefix (by dataset, parameter, layer or head).
    pub signals: &'static [&'static str],
    pub thresholds: &'static [Threshold],
    /// Unit of the value found and of its threshold; empty for a ratio.
    pub unit: &'static str,
    /// Steps before which it never finds anything, because its windows are not full.
    pub min_steps: u64,
    /// Readings without the condition after which a finding has ended; a later one is a new finding.
    pub calm_readings: u32,
    /// The highest level of its findings.
    pub level: Level,
    /// What makes a note and what an alert, if not all findings have the same level; empty otherwise.
    pub levels: &'static str,
    /// Most steps from the beginning of a fault to its finding: a change of the run within them may have caused it, and a rollback returns to
    /// before it. 0 if no change of the run is a cause.
    pub onset_steps: u64,
    /// Ids of rules whose findings explain its own: it begins no finding while one of theirs is open, and for 300 steps after that.
    pub explained_by: &'static [&'static str],
    pub remedies: &'static [Remedy],
}

/// Steps after the end of a finding for which it explains others: the longest window of a rule that it explains.
pub(super) const EXPLAINED_STEPS: u64 = 300;

/// A threshold of a rule, which a run can change.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Threshold {
    /// Name within the rule: `alert_z`.
    pub key: &'static str,
    /// What is compared with it, in one phrase with the unit.
    pub meaning: &'static str,
    pub default: f64,
    /// Smallest value that can be set.
    pub min: f64,
    /// Largest value that can be set.
    pub max: f64,
}

/// A change that may resolve a finding. The server turns it into commands and shows their effect first.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Remedy {
    /// Return to the newest checkpoint before the fault began and leave out `skip` batches from there (PaLM, section 5.1).
    RollBackAndSkip { skip: u64 },
    /// Multiply the learning rate by `factor` from here on.
    ScaleLearningRate { factor: f64 },
    /// Divide the learning rate by `factor` if the value found is above its threshold; multiply it if it is below.
    FitLearningRate { factor: f64 },
    /// Multiply the norm to which gradients are clipped by `factor` (OPT went from 1.0 to 0.3).
    ScaleGradClip { factor: f64 },
    /// Multiply gradient accumulation by `factor`, which makes the batch larger.
    ScaleAccumulation { factor: u64 },
    /// Multiply the weight of the dataset of the finding in the mix by `factor`.
    ScaleDatasetWeight { factor: f64 },
    /// Decay the learning rate to its final value, beginning here.
    DecayLearningRate,
    /// Fork the run with normalized queries and keys.
    ForkWithQkNorm,
    /// Fork the run from the start with another initialization or seed.
    StartAgain,
    /// Fork from the newest checkpoint before the fault began with `factor` times the learning rate; without such a checkpoint, start again with it.
    ForkAtLearningRate { factor: f64 },
    /// Fork from the checkpoint with the lowest validation loss, with a larger weight decay.
    ForkFromBest,
    /// Look at the batch of the step.
    InspectBatch,
    /// Check the dataset: the split, repeated documents, the tokenizer.
    CheckDataset,
    /// Check the machine: temperature, other programs, the disk.
    CheckDevice,
    /// End the run.
    Stop,
}

/// A threshold with its limits; for the tables of the rules.
pub(super) const fn threshold(
    key: &'static str,
    default: f64,
    (min, max): (f64, f64),
    meaning: &'static str,
) -> Threshold {
    Threshold { key, meaning, default, min, max }
}
