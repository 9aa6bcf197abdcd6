//! Learning rate too high: updates are large for their weights, and the loss does not fall or most gradients are clipped.
//!
//! Formula: median over matrices of the update-to-weight ratio > 0.025 in the median of the last 5 reports, and (clipped share of 100 steps
//! > 0.5, or the 95 % interval of the slope of ln(loss) over 100 steps is not below 0). Sources: Karpathy, CS231n: about 1e-3; this lab's
//! healthy small models reach 0.02; the threshold is fitted to its runs. The combination is a heuristic: one signal alone is often harmless.

use serde::{Deserialize, Serialize};
use wire::series::name;

use super::sample::Sample;
use super::step_size::StepSize;
use super::table::{Level, Remedy, Rule, threshold};
use super::watch::{Detector, Seen, Watch};

const RATIO: usize = 0;
const CLIPPED: usize = 1;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct LearningRateHigh {
    step_size: StepSize,
}

impl Detector for LearningRateHigh {
    const RULE: Rule = Rule {
        id: "learning_rate_high",
        label: "Learning rate too high",
        meaning: "Updates are large relative to the weights, and the loss does not fall or most gradients are clipped.",
        reason: "The updates overshoot; the loss stays high, oscillates or diverges.",
        seen: "The update-to-weight ratio of the weight matrices was {value}, the median of 5 measurements up to step {step} (threshold {threshold}), and the loss did not fall from step {first} on.",
        seen_if: &[(
            "share",
            "The update-to-weight ratio of the weight matrices was {value}, the median of 5 measurements up to step {step} (threshold {threshold}), and the fraction of clipped steps from step {first} on is {share}.",
        )],
        formula: "median update/weight > 0.025 and (clipped share > 0.5 or slope of ln(loss) not below 0)",
        source: "CS231n; Karpathy; the combination is a heuristic",
        signals: &[name::UPDATE_RATIO, name::TRAIN, name::GRAD_NORM, name::LEARNING_RATE],
        thresholds: &[
            threshold("ratio", 0.025, (1e-6, 10.0), "update-to-weight ratio, median over the matrices"),
            threshold("clipped", 0.5, (0.0, 1.0), "fraction of clipped steps in the last 100"),
        ],
        unit: "",
        min_steps: 100,
        calm_readings: 20,
        level: Level::Alert,
        levels: "",
        onset_steps: 200,
        explained_by: &[],
        remedies: &[Remedy::ScaleLearningRate { factor: 0.3 }, Remedy::ScaleGradClip { factor: 0.3 }, Remedy::Stop],
    };

    fn feed(&mut self, sample: &Sample, watch: &mut Watch) {
        let Some(reading) = self.step_size.feed(sample, watch.facts) else { return };
        let threshold = watch.threshold(RATIO);
        let is_clipped = reading.clipped.is_some_and(|clipped| clipped > watch.threshold(CLIPPED));
        let is_flat = reading.slope.is_some_and(|(_, high)| high >= 0.0);
        let (value, first_step) = (reading.ratio, reading.first_step);
        let seen = Seen { level: Level::Alert, first_step, value, threshold, subject: "" };
        match value > threshold && (is_clipped || is_flat) {
            true if is_flat => watch.seen(seen),
            true => watch.seen_with(seen, reading.clipped.map(|share| ("share", share)).as_slice()),
            false => watch.calm(""),
        }
    }
}
