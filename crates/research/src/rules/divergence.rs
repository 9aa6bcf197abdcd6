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
/// Losses before them, whose mean they are compared with.
const BEFORE: usize = 100;
const HALF: usize = 50;
const WINDOW: usize = 150;
/// The detail of a finding whose medians were compared.
const DRIFT: &str = "ratio_of_medians";
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
        reason: "The model is worse than it was, and a run seldom recovers without a lower learning rate.",
        seen: "The lowest of the 5 training losses up to step {step}, {now} nats/token, is {value} times the mean of the 100 losses before them, {before} nats/token (threshold: {threshold} times).",
        seen_if: &[(
            DRIFT,
            "The median of the 50 training losses up to step {step}, {now} nats/token, is {value} times the median of the 50 losses from step {first} on, {before} nats/token (threshold: {threshold} times).",
        )],
        formula: "min(last 5) / mean(100 before), or median(last 50) / median(50, 100 steps earlier)",
        source: "llm-foundry, callbacks on runaway loss; standard error of a median",
        signals: &[name::TRAIN],
        thresholds: &[
            threshold(
                "factor",
                2.0,
                (1.05, 1000.0),
                "each of the last 5 losses, divided by the mean of the 100 losses before them",
            ),
            threshold(
                "rise",
                1.05,
                (1.0, 1000.0),
                "median of the last 50 losses, divided by that of the 50 losses 100 steps earlier",
            ),
            threshold(
                "standard_errors",
                6.0,
                (1.0, 1000.0),
                "rise of that median, divided by the standard error of the difference of two medians",
            ),
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
        let Some(rise) = runaway(&losses, watch.threshold(FACTOR)).or_else(medians) else { return watch.calm("") };
        let first_step = self.losses.first_step_of(rise.window).unwrap_or(sample.step);
        let (value, threshold) = (rise.now / rise.before, rise.threshold);
        let kind = (rise.window == WINDOW).then_some((DRIFT, value));
        let details: Vec<_> = [("now", rise.now), ("before", rise.before)].into_iter().chain(kind).collect();
        watch.seen_with(Seen { level: Level::Alert, first_step, value, threshold, subject: "" }, &details);
    }
}

/// Two levels of the loss, nats per token, whose ratio is at least the threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Rise {
    now: f64,
    before: f64,
    threshold: f64,
    /// Number of newest losses that were compared.
    window: usize,
}

/// The smallest of the last 5 losses and the mean of the 100 before, if their ratio is at least `factor`.
fn runaway(losses: &[f64], factor: f64) -> Option<Rise> {
    let (before, high) = losses.split_at_checked(losses.len().checked_sub(HIGH)?)?;
    let usual = mean(&before[before.len().checked_sub(BEFORE)?..]);
    let lowest = high.iter().copied().fold(f64::INFINITY, f64::min);
    let rise = Rise { now: lowest, before: usual, threshold: factor, window: HIGH + BEFORE };
    (usual > 0.0 && lowest / usual >= factor).then_some(rise)
}

/// The medians of the newest and the oldest third, if their ratio is a significant rise.
fn drift(losses: &[f64], rise: f64, standard_errors: f64) -> Option<Rise> {
    if losses.len() < WINDOW {
        return None;
    }
    let of = |part: &[f64]| median_and_mad(&mut part.to_vec());
    let ((before, mad_before), (now, mad_now)) = (of(&losses[..HALF]), of(&losses[WINDOW - HALF..]));
    let scale = mad_before.max(mad_now) / MAD_OF_NORMAL;
    let error = MEDIAN_ERROR * scale * (2.0 / HALF as f64).sqrt();
    let is_rise = before > 0.0 && now / before >= rise && now - before > standard_errors * error;
    is_rise.then_some(Rise { now, before, threshold: rise, window: WINDOW })
}
