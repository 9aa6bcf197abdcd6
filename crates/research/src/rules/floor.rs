//! Entropy floor passed: the validation loss is below the known entropy of a generated dataset, which no model can reach on unseen text.
//!
//! Formula: mean of the last 3 validation losses < entropy - 0.05 nats/token. Source: Cover, Thomas, Elements of Information Theory, ch. 2:
//! the cross-entropy is at least the entropy. The margin is for the sampling error of a finite validation text.

use serde::{Deserialize, Serialize};
use wire::series::name;

use super::sample::Sample;
use super::table::{Level, Remedy, Rule, threshold};
use super::watch::{Detector, Seen, Watch};
use super::window::Window;
use crate::statistics::sample::mean;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Floor {
    evaluations: Window<3>,
}

impl Detector for Floor {
    const RULE: Rule = Rule {
        id: "floor_passed",
        label: "Below the entropy floor",
        meaning: "The validation loss is below the known entropy of the dataset.",
        reason: "No model can predict unseen text that well: the validation text is also in the training text, or later tokens are visible.",
        seen: "The mean of the 3 validation losses from step {first} to {step} is {value} nats/token; the entropy of the dataset minus the margin is {threshold}.",
        seen_if: &[],
        formula: "mean(last 3 validation losses) < entropy - margin",
        source: "Cover, Thomas, Elements of Information Theory, ch. 2",
        signals: &[name::VALID],
        thresholds: &[threshold("margin", 0.05, (0.0, 10.0), "nats/token below the entropy")],
        unit: "nats/token",
        min_steps: 0,
        calm_readings: 3,
        level: Level::Alert,
        levels: "",
        onset_steps: 0,
        explained_by: &[],
        remedies: &[Remedy::CheckDataset, Remedy::Stop],
    };

    fn feed(&mut self, sample: &Sample, watch: &mut Watch) {
        let Some(valid) = sample.periodic_valid(watch.facts) else { return };
        self.evaluations.push(sample.step, valid);
        let (Some(floor), Some(first_step)) = (watch.facts.floor_nats, self.evaluations.first_step()) else { return };
        if !self.evaluations.is_full() {
            return;
        }
        let value = mean(&self.evaluations.values().collect::<Vec<_>>());
        let threshold = floor - watch.threshold(0);
        let seen = Seen { level: Level::Alert, first_step, value, threshold, subject: "" };
        watch.read((value < threshold).then_some(seen));
    }
}
