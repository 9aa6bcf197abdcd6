//! Slow steps: the time per token has risen above what is usual for the run.
//!
//! Formula: median of the last 30 values of 1 / (tokens per second) > 1.25 times the median of the run. The finding ends when the quotient
//! has stayed in the lower half of the way from 1 to the threshold for a hundred steps: on a shared machine the speed changes all the time,
//! and each slow minute would be a finding of its own. Time per token, not per step, so that more gradient accumulation is not slow. The
//! median of the run is that of every 2^k-th step, at most 256 of them. Source: practice of MegaScale (arXiv 2402.15627, section 5.1),
//! which compares step times with their usual values; the threshold is a heuristic.

use serde::{Deserialize, Serialize};
use wire::series::name;

use super::sample::Sample;
use super::table::{Level, Remedy, Rule, UNSTABLE, threshold};
use super::watch::{Detector, Seen, Watch};
use super::window::Window;
use crate::statistics::sample::median;

/// First steps, which include compilation and tuning.
const FIRST: u64 = 20;
/// Kept steps of the run, at most.
const CAPACITY: usize = 256;
/// Steps between two comparisons.
const EVERY: u64 = 10;
const MIN_STEPS: u64 = 100;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Slow {
    count: u64,
    newest: Window<30>,
    /// Every 2^doublings-th value of the run.
    usual: Vec<f64>,
    doublings: u32,
}

impl Detector for Slow {
    const RULE: Rule = Rule {
        id: "slow_steps",
        label: "Slow steps",
        meaning: "A token takes longer than usual in this run.",
        reason: "Another program uses the device, the device is throttled, or data arrives too slowly; while this lasts, the run trains more slowly than planned.",
        seen: "From step {first} to {step} a token took {value} times as long as usual in this run (threshold {threshold}).",
        seen_if: &[],
        formula: "median(30 newest times per token) / median(run) > 1.25",
        source: "MegaScale, arXiv 2402.15627; the threshold is a heuristic",
        signals: &[name::TOKENS_PER_SEC, name::STEP_MS],
        thresholds: &[threshold("ratio", 1.25, (1.0, 1000.0), "time per token divided by its median over the run")],
        unit: "times",
        min_steps: MIN_STEPS,
        calm_readings: 10,
        level: Level::Note,
        levels: "",
        onset_steps: 0,
        explained_by: UNSTABLE,
        remedies: &[Remedy::CheckDevice],
    };

    fn feed(&mut self, sample: &Sample, watch: &mut Watch) {
        let Some(speed) = sample.tokens_per_sec.filter(|speed| speed.is_finite() && *speed > 0.0) else { return };
        self.count += 1;
        if self.count <= FIRST {
            return;
        }
        self.newest.push(sample.step, 1.0 / speed);
        self.remember(1.0 / speed);
        let is_due = self.count.is_multiple_of(EVERY) && self.count >= MIN_STEPS;
        let Some(first_step) = self.newest.first_step().filter(|_| is_due) else { return };
        let value = median(&mut self.newest.values().collect::<Vec<_>>()) / median(&mut self.usual.clone());
        let threshold = watch.threshold(0);
        let recovered = 1.0 + (threshold - 1.0) / 2.0;
        if value > threshold {
            watch.seen(Seen { level: Level::Note, first_step, value, threshold, subject: "" });
        } else if value > recovered {
            watch.stays();
        } else {
            watch.calm("");
        }
    }
}

impl Slow {
    fn remember(&mut self, time: f64) {
        if !self.count.is_multiple_of(1 << self.doublings) {
            return;
        }
        self.usual.push(time);
        if self.usual.len() == CAPACITY {
            // Every other one stays.
            self.usual = self.usual.iter().skip(1).step_by(2).copied().collect();
            self.doublings += 1;
        }
    }
}
