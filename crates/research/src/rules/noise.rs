//! Noisy loss: the training loss varies so much from step to step that the batch is probably too small.
//!
//! Formula: median over 100 steps of |difference of two consecutive losses| / (0.6745 sqrt(2)), above 0.17 nats, after warm-up. Differences
//! remove the trend. The loss of a batch is a mean over its tokens, so its standard deviation falls with the square root of their number:
//! about 0.07 nats for 768 tokens, 0.25 nats for 64. Sources: von Neumann 1941 (successive differences); McCandlish et al. 2018 (arXiv
//! 1812.06162) for the noise of gradients. The threshold is fitted to runs of this lab, see `docs/LAB_LOG.md`.

use serde::{Deserialize, Serialize};
use wire::series::name;

use super::sample::Sample;
use super::table::{Level, Remedy, Rule, UNSTABLE, threshold};
use super::watch::{Detector, Seen, Watch};
use super::window::Window;
use crate::statistics::sample::{MAD_OF_NORMAL, median};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Noise {
    /// The last training loss.
    loss: Option<f64>,
    /// Absolute differences of consecutive losses.
    differences: Window<100>,
    /// Losses so far.
    count: u64,
}

impl Detector for Noise {
    const RULE: Rule = Rule {
        id: "noisy_loss",
        label: "Batch too small",
        meaning: "The training loss varies so much from step to step that the batch is probably too small.",
        reason: "The gradient of a small batch is mostly noise; a larger batch, or gradient accumulation, averages it out.",
        seen: "From step {first} to {step} the training loss varies around its trend with a robust standard deviation of {value} nats/token (threshold {threshold}).",
        seen_if: &[],
        formula: "median |difference of consecutive losses| / (0.6745 sqrt(2)) over 100 steps",
        source: "von Neumann 1941; McCandlish et al. 2018, arXiv 1812.06162; the threshold is fitted to runs of this lab",
        signals: &[name::TRAIN],
        thresholds: &[threshold(
            "nats",
            0.17,
            (0.0, 10.0),
            "robust standard deviation of the training loss, nats/token",
        )],
        unit: "nats/token",
        min_steps: 100,
        calm_readings: 10,
        level: Level::Alert,
        levels: "",
        onset_steps: 200,
        explained_by: UNSTABLE,
        remedies: &[Remedy::ScaleAccumulation { factor: 4 }, Remedy::ScaleLearningRate { factor: 0.5 }],
    };

    fn feed(&mut self, sample: &Sample, watch: &mut Watch) {
        let Some(loss) = sample.loss.filter(|loss| loss.is_finite()) else { return };
        if let Some(before) = self.loss.replace(loss) {
            self.differences.push(sample.step, (loss - before).abs());
        }
        self.count += 1;
        let is_due = self.count.is_multiple_of(10) && self.differences.is_full();
        let Some(first_step) = self.differences.first_step().filter(|_| is_due) else { return };
        if first_step < watch.facts.warmup_steps {
            return;
        }
        let value =
            median(&mut self.differences.values().collect::<Vec<_>>()) / (MAD_OF_NORMAL * std::f64::consts::SQRT_2);
        let threshold = watch.threshold(0);
        let seen = Seen { level: Level::Alert, first_step, value, threshold, subject: "" };
        watch.read((value > threshold).then_some(seen));
    }
}
