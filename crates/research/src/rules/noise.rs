//! Noisy loss: the training loss varies so much from step to step that the batch is probably too small.
//!
//! Formula: median over 100 steps of |r| / 0.6745, with r the residual of the loss from a line fitted over the 100 steps before, above
//! 0.2 nats, after warm-up. The loss of a batch is a mean over its tokens, so its standard deviation falls with the square root of their
//! number: about 0.07 nats for 768 tokens, 0.25 nats for 64. Sources: standard error of a mean; McCandlish et al. 2018 (arXiv 1812.06162)
//! for the noise of gradients. The threshold is a heuristic.

use serde::{Deserialize, Serialize};
use wire::series::name;

use super::sample::Sample;
use super::table::{Level, Remedy, Rule, threshold};
use super::watch::{Detector, Seen, Watch};
use super::window::{Trend, Window};
use crate::statistics::sample::{MAD_OF_NORMAL, median};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Noise {
    losses: Trend<100>,
    residuals: Window<100>,
}

impl Detector for Noise {
    const RULE: Rule = Rule {
        id: "noisy_loss",
        label: "Batch too small",
        meaning: "The training loss varies so much from step to step that the batch is probably too small.",
        reason: "The gradient of a small batch is mostly noise; a larger batch, or gradient accumulation, averages it out.",
        seen: "From step {first} to {step} the training loss varies by {value} nats/token around its trend (threshold {threshold}).",
        formula: "median |residual of the loss from its trend| / 0.6745 over 100 steps",
        source: "standard error of a mean; McCandlish et al. 2018, arXiv 1812.06162; the threshold is a heuristic",
        signals: &[name::TRAIN],
        thresholds: &[threshold(
            "nats",
            0.2,
            (0.0, 10.0),
            "robust standard deviation of the training loss, nats/token",
        )],
        unit: "nats/token",
        min_steps: 300,
        calm_readings: 10,
        level: Level::Alert,
        remedies: &[Remedy::ScaleAccumulation { factor: 4 }, Remedy::ScaleLearningRate { factor: 0.5 }],
    };

    fn feed(&mut self, sample: &Sample, watch: &mut Watch) {
        let Some(loss) = sample.loss.filter(|loss| loss.is_finite()) else { return };
        let Some(residual) = self.losses.feed(sample.step, loss, f64::MIN_POSITIVE) else { return };
        self.residuals.push(sample.step, residual.rise.abs());
        let is_due = sample.step.is_multiple_of(10) && self.residuals.is_full();
        let Some(first_step) = self.residuals.first_step().filter(|_| is_due) else { return };
        if first_step < watch.facts.warmup_steps {
            return;
        }
        let value = median(&mut self.residuals.values().collect::<Vec<_>>()) / MAD_OF_NORMAL;
        let threshold = watch.threshold(0);
        let seen = Seen { level: Level::Alert, first_step, value, threshold, subject: "" };
        watch.read((value > threshold).then_some(seen));
    }
}
