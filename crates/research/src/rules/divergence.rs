//! Divergence: the training loss has left its course and does not return.
//!
//! Formula, either of:
//! - each of the last 5 losses is at least twice the mean of the 100 before them (llm-foundry, `LossPlateau`/`RunawayLoss` callback);
//! - the median of the last 50 losses is at least 5 % above the median of the 50 losses 100 steps earlier, and by 6 standard errors of the
//!   difference of two medians, 1.2533 s sqrt(2 / 50), with s = MAD / 0.6745 (asymptotic error of the median of normal values). Only after
//!   warm-up. Medians, so that one spike is no divergence.

use serde::{Deserialize, Serialize};
use wire::series::name;

use super::sample::Sample;
use super::table::{Level, Remedy, Rule, threshold};
use super::watch::{Detector, Seen, Watch};
use super::window::Window;
use crate::statistics::sample::{MAD_OF_NORMAL, mean, median_and_mad};

const FACTOR: usize = 0;
const RISE: usize = 1;
const STANDARD_ERRORS: usize = 2;
/// Losses that must all be high.
const HIGH: usize = 5;
const HALF: usize = 50;
const WINDOW: usize = 150;
/// Standard error of a median of normal values, in standard errors of the mean: sqrt(π / 2).
const MEDIAN_ERROR: f64 = 1.253_314_137_315_500_3;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Divergence {
    losses: Window<WINDOW>,
    /// Losses so far.
    count: u64,
}

impl Detector for Divergence {
    const RULE: Rule = Rule {
        id: "divergence",
        label: "Divergence",
        meaning: "The training loss rises and does not come back down.",
        reason: "Further steps make the model worse; a run seldom recovers without a lower learning rate.",
        seen: "The training loss at step {step} is {value} times what it was around step {first} (threshold {threshold}).",
        seen_if: &[],
        formula: "min(last 5) / mean(100 before), or median(last 50) / median(50, 100 steps earlier)",
        source: "llm-foundry, callbacks on runaway loss; standard error of a median",
        signals: &[name::TRAIN],
        thresholds: &[
            threshold(
                "factor",
                2.0,
                (1.05, 1000.0),
                "ratio of 5 consecutive losses to the mean of the 100 before them",
            ),
            threshold("rise", 1.05, (1.0, 1000.0), "ratio of the medians of 50 losses, 100 steps apart"),
            threshold("standard_errors", 6.0, (1.0, 1000.0), "difference of the medians, in standard errors"),
        ],
        unit: "times",
        min_steps: 105,
        calm_readings: 20,
        level: Level::Alert,
        levels: "",
        onset_steps: 200,
        explained_by: &[],
        remedies: &[
            Remedy::RollBackAndSkip { skip: 200 },
            Remedy::ScaleLearningRate { factor: 0.5 },
            Remedy::ScaleGradClip { factor: 0.3 },
            Remedy::Stop,
        ],
    };

    fn feed(&mut self, sample: &Sample, watch: &mut Watch) {
        let Some(loss) = sample.loss.filter(|loss| loss.is_finite()) else { return };
        self.losses.push(sample.step, loss);
        self.count += 1;
        // Five high losses are still there at the next fifth loss, and the medians change little until then.
        if !self.count.is_multiple_of(HIGH as u64) {
            return;
        }
        let losses: Vec<f64> = self.losses.values().collect();
        let is_warm = self.losses.first_step().is_some_and(|first| first >= watch.facts.warmup_steps);
        let medians = || is_warm.then(|| drift(&losses, watch.threshold(RISE), watch.threshold(STANDARD_ERRORS)))?;
        let seen = runaway(&losses, watch.threshold(FACTOR)).or_else(medians);
        let first_step = self.losses.first_step().unwrap_or(sample.step);
        let of = |(value, threshold)| Seen { level: Level::Alert, first_step, value, threshold, subject: "" };
        watch.read(seen.map(of));
    }
}

/// The smallest of the last 5 losses by the mean of the 100 before, if it is at least `factor`; with the threshold.
fn runaway(losses: &[f64], factor: f64) -> Option<(f64, f64)> {
    let (before, high) = losses.split_at_checked(losses.len().checked_sub(HIGH)?)?;
    let usual = mean(&before[before.len().checked_sub(100)?..]);
    let ratio = high.iter().copied().fold(f64::INFINITY, f64::min) / usual;
    (usual > 0.0 && ratio >= factor).then_some((ratio, factor))
}

/// The ratio of the medians of the newest and the oldest third, if it is a significant rise; with the threshold.
fn drift(losses: &[f64], rise: f64, standard_errors: f64) -> Option<(f64, f64)> {
    if losses.len() < WINDOW {
        return None;
    }
    let of = |part: &[f64]| median_and_mad(&mut part.to_vec());
    let ((before, mad_before), (now, mad_now)) = (of(&losses[..HALF]), of(&losses[WINDOW - HALF..]));
    let scale = mad_before.max(mad_now) / MAD_OF_NORMAL;
    let error = MEDIAN_ERROR * scale * (2.0 / HALF as f64).sqrt();
    let ratio = now / before;
    (before > 0.0 && ratio >= rise && now - before > standard_errors * error).then_some((ratio, rise))
}
