//! Repeated data: a dataset has been read more often than it still helps.
//!
//! Formula: epochs of a dataset > 4. Source: Muennighoff et al. 2023 (arXiv 2305.16264): up to 4 epochs are nearly as good as new data.

use serde::{Deserialize, Serialize};
use wire::series::name;

use super::sample::Sample;
use super::table::{Level, Remedy, Rule, threshold};
use super::watch::{Detector, Seen, Watch};

/// The engine counts epochs, so nothing is remembered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Epochs;

impl Detector for Epochs {
    const RULE: Rule = Rule {
        id: "epochs",
        label: "Repeated data",
        meaning: "The run has trained more than 4 epochs on a dataset.",
        reason: "Up to 4 epochs are nearly as good as new data; after that each epoch adds less, and the model begins to memorize.",
        seen: "At step {step} the run has trained {value} epochs on {subject} (threshold {threshold}).",
        seen_if: &[],
        formula: "epochs > 4",
        source: "Muennighoff et al. 2023, arXiv 2305.16264",
        signals: &[name::EPOCHS],
        thresholds: &[threshold("epochs", 4.0, (0.0, 1e9), "epochs trained on a dataset")],
        unit: "epochs",
        min_steps: 0,
        calm_readings: 1,
        level: Level::Note,
        levels: "",
        onset_steps: 0,
        explained_by: &[],
        remedies: &[Remedy::CheckDataset, Remedy::ForkFromBest],
    };

    fn feed(&mut self, sample: &Sample, watch: &mut Watch) {
        let threshold = watch.threshold(0);
        for (subject, value) in sample.below(name::EPOCHS).filter(|(_, value)| value.is_finite()) {
            if value > threshold {
                watch.seen(Seen { level: Level::Note, first_step: 0, value, threshold, subject });
            } else {
                watch.calm(subject);
            }
        }
    }
}
