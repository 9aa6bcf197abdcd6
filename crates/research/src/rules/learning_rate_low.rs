//! Learning rate too low: updates are small for their weights, the loss still falls, and no gradient is clipped.
//!
//! Formula: median over matrices of the update-to-weight ratio < 1e-4 in the median of the last 5 reports, at a learning rate of at least
//! half its largest so far, and the 95 % interval of the slope of ln(loss) over 100 steps is below 0, and clipped share of 100 steps
//! < 0.01. Sources: Karpathy, CS231n: about 1e-3. The combination is a heuristic.

use serde::{Deserialize, Serialize};
use wire::series::name;

use super::sample::Sample;
use super::step_size::StepSize;
use super::table::{Level, Remedy, Rule, UNSTABLE, threshold};
use super::watch::{Detector, Seen, Watch};

const RATIO: usize = 0;
const CLIPPED: usize = 1;
/// Fraction of the largest learning rate below which small updates are expected.
const FULL_RATE: f64 = 0.5;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct LearningRateLow {
    step_size: StepSize,
}

impl Detector for LearningRateLow {
    const RULE: Rule = Rule {
        id: "learning_rate_low",
        label: "Learning rate too low",
        meaning: "Updates are small relative to the weights, although the loss still falls and no gradient is clipped.",
        reason: "The run learns less from its tokens than it could.",
        seen: "The update-to-weight ratio of the weight matrices was {value}, the median of 5 measurements up to step {step} (threshold {threshold}), while the loss fell steadily from step {first} on.",
        seen_if: &[],
        formula: "median update/weight < 1e-4, slope of ln(loss) below 0, clipped share < 0.01",
        source: "CS231n; Karpathy; the combination is a heuristic",
        signals: &[name::UPDATE_RATIO, name::TRAIN, name::GRAD_NORM, name::LEARNING_RATE],
        thresholds: &[
            threshold("ratio", 1e-4, (0.0, 1.0), "update-to-weight ratio, median over the matrices"),
            threshold("clipped", 0.01, (0.0, 1.0), "fraction of clipped steps in the last 100"),
        ],
        unit: "",
        min_steps: 100,
        calm_readings: 20,
        level: Level::Alert,
        levels: "",
        onset_steps: 200,
        explained_by: UNSTABLE,
        remedies: &[Remedy::ScaleLearningRate { factor: 3.0 }],
    };

    fn feed(&mut self, sample: &Sample, watch: &mut Watch) {
        let Some(reading) = self.step_size.feed(sample, watch.facts) else { return };
        if reading.rate_fraction < FULL_RATE {
            return;
        }
        let threshold = watch.threshold(RATIO);
        let is_free = reading.clipped.is_none_or(|clipped| clipped <= watch.threshold(CLIPPED));
        let is_falling = reading.slope.is_some_and(|(_, high)| high < 0.0);
        let (value, first_step) = (reading.ratio, reading.first_step);
        let seen = Seen { level: Level::Alert, first_step, value, threshold, subject: "" };
        watch.read((value < threshold && is_free && is_falling).then_some(seen));
    }
}
