//! Exploding gradient: the gradient norm is far above its running mean, once or often.
//!
//! Formula: z = (ln norm - m) / s, with m and s² exponential moving averages (factor 0.97) of ln norm and of its squared deviation, which
//! take in at most m + 2.5 s. An alert if z > 2.5 in more than 15 % of the last 300 steps, or if the norm is above 10 times the exponential of
//! a slower average of ln norm (factor 0.995) for 5 consecutive steps; a note for one step with z > 8. Source: ZClip (arXiv 2504.02507),
//! there on the norm itself; the logarithm makes its distribution nearly normal, so that z > 2.5 in 0.6 % of healthy steps instead of
//! several percent. The slower average is for steady growth, which m and s follow.

use serde::{Deserialize, Serialize};
use wire::series::name;

use super::sample::Sample;
use super::table::{Level, Remedy, Rule, UNSTABLE, threshold};
use super::watch::{Detector, Seen, Watch};
use super::window::Share;

const OUTLIER_Z: usize = 0;
const SHARE: usize = 1;
const NOTE_Z: usize = 2;
const FACTOR: usize = 3;
/// Weight of the past in the averages.
const KEEP: f64 = 0.97;
/// Weight of the past in the slower average.
const KEEP_SLOW: f64 = 0.995;
/// Steps whose plain mean and variance begin the averages (ZClip uses 25).
const FIRST: u64 = 25;
/// Smallest standard deviation of ln norm.
const SMALLEST: f64 = 0.05;
/// The quantities that findings are about.
const RATIO: &str = "several steps";
const OUTLIERS: &str = "many steps";
const DEVIATION: &str = "one step";
/// Consecutive steps above the factor.
const HIGH: u32 = 5;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Gradient {
    count: u64,
    mean: f64,
    variance: f64,
    slow_mean: f64,
    outliers: Share<300>,
    high: u32,
}

impl Detector for Gradient {
    const RULE: Rule = Rule {
        id: "gradient_explosion",
        label: "Exploding gradient",
        meaning: "The gradient norm is far above its running mean, once or repeatedly.",
        reason: "With clipping, the update stays small, but a few examples determine its direction; without clipping, the loss often explodes too.",
        seen: "The gradient norm of step {step} is {value} standard deviations above its running mean (threshold {threshold}).",
        seen_if: &[
            (
                RATIO,
                "From step {first} to {step} the gradient norm was at least {threshold} times its average over about 200 steps, and {value} times it at the end.",
            ),
            (
                OUTLIERS,
                "A fraction of {value} of the gradient norms from step {first} to {step} is unusually large (threshold {threshold}).",
            ),
        ],
        formula: "z = (ln norm - EMA) / sqrt(EMA of squared deviation); share of z > 2.5 in 300 steps > 0.15, or norm > 10 times its slow EMA in 5 consecutive steps; note for z > 8",
        source: "ZClip, arXiv 2504.02507",
        signals: &[name::GRAD_NORM],
        thresholds: &[
            threshold("outlier_z", 2.5, (1.0, 100.0), "standard deviations above which a step counts as unusual"),
            threshold("share", 0.15, (0.001, 1.0), "fraction of such steps in the last 300, for an alert"),
            threshold("note_z", 8.0, (2.0, 1000.0), "standard deviations of a single step, for a note"),
            threshold(
                "factor",
                10.0,
                (1.5, 1e6),
                "times the average of about 200 steps, for 5 consecutive steps, for an alert",
            ),
        ],
        unit: "",
        min_steps: 25,
        calm_readings: 50,
        level: Level::Alert,
        levels: "A note for one step above note_z; an alert if the fraction of unusual steps is above share, or for 5 consecutive steps above factor.",
        onset_steps: 100,
        explained_by: UNSTABLE,
        remedies: &[
            Remedy::ScaleGradClip { factor: 0.3 },
            Remedy::ScaleLearningRate { factor: 0.5 },
            Remedy::RollBackAndSkip { skip: 200 },
        ],
    };

    fn feed(&mut self, sample: &Sample, watch: &mut Watch) {
        let Some(norm) = sample.grad_norm.filter(|norm| norm.is_finite() && *norm > 0.0) else { return };
        let is_warm = sample.step >= watch.facts.warmup_steps;
        let outlier = watch.threshold(OUTLIER_Z);
        let Some(z) = self.z(norm.ln(), outlier) else { return };
        if !is_warm {
            return;
        }
        self.outliers.push(sample.step, z > outlier);
        match self.seen(sample.step, z, norm, watch) {
            Some(seen) => watch.seen(seen),
            None => watch.calm_all(),
        }
    }
}

impl Gradient {
    /// The z of a value, which then becomes part of the averages; `None` while they begin.
    fn z(&mut self, value: f64, largest: f64) -> Option<f64> {
        self.count += 1;
        let deviation = value - self.mean;
        if self.count <= FIRST {
            // Welford's plain mean and variance.
            let weight = 1.0 / self.count as f64;
            self.mean += deviation * weight;
            self.variance += (deviation * (value - self.mean) - self.variance) * weight;
            self.slow_mean = self.mean;
            return None;
        }
        self.slow_mean += (1.0 - KEEP_SLOW) * (value - self.slow_mean);
        let sd = self.variance.sqrt().max(SMALLEST);
        let taken = deviation.min(largest * sd);
        self.mean += (1.0 - KEEP) * taken;
        self.variance = KEEP * self.variance + (1.0 - KEEP) * taken * taken;
        Some(deviation / sd)
    }

    fn seen(&mut self, step: u64, z: f64, norm: f64, watch: &Watch) -> Option<Seen<'static>> {
        let ratio = norm / self.slow_mean.exp();
        self.high = if ratio > watch.threshold(FACTOR) { self.high + 1 } else { 0 };
        let seen = |level, first_step, value, threshold, subject| Seen { level, first_step, value, threshold, subject };
        let share = self.outliers.of_full().filter(|share| *share > watch.threshold(SHARE));
        if self.high >= HIGH {
            let first = step.saturating_sub(u64::from(self.high) - 1);
            Some(seen(Level::Alert, first, ratio, watch.threshold(FACTOR), RATIO))
        } else if let Some(share) = share {
            let first = self.outliers.first_step().unwrap_or(step);
            Some(seen(Level::Alert, first, share, watch.threshold(SHARE), OUTLIERS))
        } else if z > watch.threshold(NOTE_Z) {
            Some(seen(Level::Note, step, z, watch.threshold(NOTE_Z), DEVIATION))
        } else {
            None
        }
    }
}
