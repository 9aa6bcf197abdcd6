//! The rows of the table as the API answers them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use wire::diagnosis::{Act, Calibration, RuleInfo, ThresholdInfo};
use wire::number::{brief, grouped};

use super::table::{Level, Remedy, Rule, Threshold};

/// The rule whose findings pause every run: the training loop does so itself, because a further step would destroy the weights.
pub const PAUSES_ALWAYS: &str = "non_finite";

/// False alarms of each rule on healthy runs, which `tests/measure/detection` trains and counts.
static CALIBRATION: LazyLock<BTreeMap<String, Calibration>> = LazyLock::new(|| {
    // The file is part of the program, and a test reads it.
    serde_json::from_str(include_str!("calibration.json")).unwrap_or_default()
});

impl Rule {
    /// The row as the API answers it.
    pub fn info(&self) -> RuleInfo {
        RuleInfo {
            id: self.id.to_owned(),
            label: self.label.to_owned(),
            meaning: self.meaning.to_owned(),
            reason: self.reason.to_owned(),
            formula: self.formula.to_owned(),
            source: self.source.to_owned(),
            signals: self.signals.iter().map(|&signal| signal.to_owned()).collect(),
            thresholds: self.thresholds.iter().map(Threshold::info).collect(),
            unit: self.unit.to_owned(),
            min_steps: self.min_steps,
            level: self.level,
            levels: self.levels().to_owned(),
            remedies: self.remedies.iter().map(Remedy::label).collect(),
            can_roll_back: self.remedies.iter().any(|remedy| matches!(remedy, Remedy::RollBackAndSkip { .. })),
            always: (self.id == PAUSES_ALWAYS).then_some(Act::Pause),
            calibration: CALIBRATION.get(self.id).copied(),
        }
    }
}

impl Rule {
    /// What makes a note and what an alert.
    fn levels(&self) -> &'static str {
        match self.level {
            _ if !self.levels.is_empty() => self.levels,
            Level::Note => "Every finding is a note.",
            Level::Alert => "Every finding is an alert.",
        }
    }
}

impl Threshold {
    fn info(&self) -> ThresholdInfo {
        let Self { key, meaning, default, min, max } = *self;
        ThresholdInfo { key: key.to_owned(), meaning: meaning.to_owned(), default, min, max }
    }
}

impl Remedy {
    /// What it does, as on a button.
    pub fn label(&self) -> String {
        match *self {
            Self::RollBackAndSkip { skip } => {
                format!("Roll back to before the fault began and skip {} batches", grouped(skip))
            }
            Self::ScaleLearningRate { factor } => format!("Multiply the learning rate by {}", brief(factor)),
            Self::FitLearningRate { factor } => {
                format!(
                    "Divide the learning rate by {0} if the value is too large, multiply it by {0} if it is too small",
                    brief(factor)
                )
            }
            Self::ScaleGradClip { factor } => {
                format!("Multiply the gradient clipping norm by {}", brief(factor))
            }
            Self::ScaleAccumulation { factor } => format!("Multiply gradient accumulation by {}", grouped(factor)),
            Self::ScaleDatasetWeight { factor } => {
                format!("Multiply the weight of the dataset in the mix by {}", brief(factor))
            }
            Self::DecayLearningRate => "Decay the learning rate to its final value".into(),
            Self::ForkWithQkNorm => "Start a run with QK-norm".into(),
            Self::StartAgain => "Start a run with another seed".into(),
            Self::ForkAtLearningRate { factor } => {
                format!("Fork from before the fault began and multiply the learning rate by {}", brief(factor))
            }
            Self::ForkFromBest => "Fork from the best checkpoint with a larger weight decay".into(),
            Self::InspectBatch => "Inspect the batch".into(),
            Self::CheckDataset => "Check the dataset".into(),
            Self::CheckDevice => "Check the device".into(),
            Self::Stop => "Stop the run".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule;

    #[test]
    fn the_calibration_is_of_rules_that_exist() {
        let text = include_str!("calibration.json");
        let all: BTreeMap<String, Calibration> =
            serde_json::from_str(text).expect("it has the format of the measurement");
        for (id, calibration) in &all {
            assert!(rule(id).is_some(), "{id}");
            assert!(calibration.false_alarms <= calibration.healthy_runs, "{id}: {calibration:?}");
        }
        assert_eq!(*CALIBRATION, all);
    }
}
