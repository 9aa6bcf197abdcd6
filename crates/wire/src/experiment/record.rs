//! An experiment of the lab: its state, its runs, its journal and its verdict.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ExperimentSpec;
use crate::control::author::Author;
use crate::id::RunId;
use crate::run::RunState;
use crate::run::spec::RunSpec;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ExperimentState {
    /// Pairs are trained until the rule gives a verdict.
    Running,
    /// No further run starts. Runs that are queued or training go on.
    Paused,
    /// It has a verdict.
    Decided,
    /// It was ended without a verdict.
    Stopped,
}

impl ExperimentState {
    /// Its word on the page.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Decided => "decided",
            Self::Stopped => "stopped",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The difference has the predicted sign, and is at least as large as the smallest effect that counts.
    Confirmed,
    /// An effect in the predicted direction, if there is one, is smaller than the smallest that counts.
    Refuted,
    /// Neither, with the pairs and the budget that there are.
    Inconclusive,
}

impl Outcome {
    /// Its word in texts.
    pub fn word(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Refuted => "refuted",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// The conclusion of an experiment. It does not change any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Verdict {
    pub outcome: Outcome,
    /// Mean difference of the pairs, variant minus baseline, in the unit of the metric; `None` without a pair.
    pub difference: Option<f64>,
    /// Ends of the interval of the difference; `None` for fewer than 3 pairs, and if all differences are equal.
    pub interval: Option<[f64; 2]>,
    /// Level of the interval, such as 0.95.
    pub level: f64,
    /// Pairs that it was computed from.
    pub pairs: u32,
    /// The conclusion in words, with its numbers.
    pub sentence: String,
}

/// The two runs of a pair: without the change, and with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Baseline,
    Variant,
}

impl Side {
    pub const BOTH: [Self; 2] = [Self::Baseline, Self::Variant];

    /// Its word in texts.
    pub fn word(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Variant => "variant",
        }
    }
}

/// A run that was started for an experiment, and its result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExperimentRun {
    /// Number of its pair, from 1.
    pub pair: u32,
    pub side: Side,
    /// 1 for the first run of this side of the pair, 2 for its repetition after a failure.
    pub attempt: u32,
    pub seed: u64,
    pub run: RunId,
    /// The metric; `None` until it has ended, and for one that failed.
    pub value: Option<f64>,
    /// The reason for a missing value, as the end of a sentence about the run.
    pub failure: Option<String>,
    /// Training time, seconds; `None` until it has ended.
    pub device_secs: Option<f64>,
    /// State of the run while it has neither a value nor a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<RunState>,
    /// Fraction of its steps that are done, 0 to 1.
    #[serde(default)]
    pub progress: f64,
}

impl ExperimentRun {
    /// Whether it has neither a value nor a failure yet.
    pub fn is_open(&self) -> bool {
        self.value.is_none() && self.failure.is_none()
    }
}

/// A line of the journal of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExperimentEvent {
    /// From 1.
    pub number: u32,
    /// ms since 1970.
    pub at_ms: i64,
    pub author: Author,
    pub text: String,
}

/// An experiment in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExperimentSummary {
    pub id: u64,
    pub project: String,
    pub author: Author,
    pub spec: ExperimentSpec,
    pub state: ExperimentState,
    /// Why it is paused or was stopped, or what it waits for.
    pub reason: Option<String>,
    pub verdict: Option<Verdict>,
    /// Pairs that both have a value.
    pub pairs: u32,
    /// ms since 1970.
    pub created_ms: i64,
    /// Time of the verdict, or of the stop, ms since 1970.
    pub ended_ms: Option<i64>,
}

/// An experiment in full.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExperimentView {
    #[serde(flatten)]
    pub summary: ExperimentSummary,
    /// Specification of the runs of the baseline, without a seed.
    pub baseline: RunSpec,
    /// Specification of the runs with the change, without a seed.
    pub variant: RunSpec,
    /// All runs, by pair, side and attempt.
    pub runs: Vec<ExperimentRun>,
    /// Its journal, oldest first.
    pub events: Vec<ExperimentEvent>,
}

impl ExperimentView {
    /// Device seconds that its ended runs have used.
    pub fn device_secs(&self) -> f64 {
        self.runs.iter().filter_map(|run| run.device_secs).sum()
    }
}

/// Values (baseline, variant) of the pairs that have both, in the order of the pairs.
pub fn complete_pairs(runs: &[ExperimentRun]) -> Vec<(f64, f64)> {
    let mut values: BTreeMap<u32, [Option<f64>; 2]> = BTreeMap::new();
    for run in runs.iter().filter(|run| run.value.is_some()) {
        values.entry(run.pair).or_default()[run.side as usize] = run.value;
    }
    values.into_values().filter_map(|[baseline, variant]| baseline.zip(variant)).collect()
}

/// What is done with an experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", tag = "action", deny_unknown_fields)]
pub enum ExperimentAction {
    /// No further run starts.
    Pause,
    /// Goes on; a run that failed is repeated.
    Resume,
    /// Ends it without a verdict, and stops its runs.
    Stop {
        /// Why, at most 500 characters.
        reason: String,
    },
}

/// Longest reason of a stop, characters.
pub const REASON_CHARS: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_complete_with_both_values() {
        let run = |pair, side, attempt, value| ExperimentRun {
            pair,
            side,
            attempt,
            seed: 1,
            run: "amber-fox".parse().unwrap(),
            value,
            failure: None,
            device_secs: None,
            state: None,
            progress: 0.0,
        };
        let runs = [
            run(1, Side::Baseline, 1, None),
            run(1, Side::Baseline, 2, Some(1.5)),
            run(1, Side::Variant, 1, Some(1.25)),
            run(2, Side::Baseline, 1, Some(1.0)),
            run(2, Side::Variant, 1, None),
        ];
        assert_eq!(complete_pairs(&runs), [(1.5, 1.25)]);
    }

    #[test]
    fn actions_are_words() {
        let text = r#"{"action":"stop","reason":"no time"}"#;
        let stop = ExperimentAction::Stop { reason: "no time".into() };
        assert_eq!(serde_json::from_str::<ExperimentAction>(text).unwrap(), stop);
        assert_eq!(serde_json::to_string(&stop).unwrap(), text);
    }
}
