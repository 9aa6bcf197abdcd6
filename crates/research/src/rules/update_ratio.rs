//! Update-to-weight ratio out of range: one matrix changes much faster or slower than usual.
//!
//! Formula: norm(applied update) / norm(weights) per matrix, outside 1e-5 to 0.15 in 3 consecutive reports, after warm-up and at a learning
//! rate of at least a tenth of its largest so far. Gains and biases are left out. Sources: Karpathy, CS231n: about 1e-3. The
//! upper end is fitted to runs of this lab: single matrices of most healthy small models pass 0.03 (see `docs/LAB_LOG.md`).

use serde::{Deserialize, Serialize};
use wire::series::name;

use super::sample::Sample;
use super::table::{Level, Remedy, Rule, UNSTABLE, threshold};
use super::watch::{Detector, Seen, Watch};

const LOW: usize = 0;
const HIGH: usize = 1;
const IN_SEQUENCE: u32 = 3;
/// Fraction of the largest learning rate below which small updates are expected.
const SMALL_RATE: f64 = 0.1;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct UpdateRatio {
    /// Consecutive reports with a ratio out of range, and the step of the first.
    outside: u32,
    first_step: u64,
    largest_rate: f64,
    newest_rate: f64,
}

impl Detector for UpdateRatio {
    const RULE: Rule = Rule {
        id: "update_ratio",
        label: "Update-to-weight ratio out of range",
        meaning: "The weights of a matrix change much faster or slower than usual.",
        reason: "The learning rate or the initialization does not suit this matrix.",
        seen: "From step {first} to {step}, update-to-weight ratios were out of range. The most extreme one at step {step} is that of {subject}, {value}, above {threshold}: its updates are large relative to its weights.",
        seen_if: &[(
            "low",
            "From step {first} to {step}, update-to-weight ratios were out of range. The most extreme one at step {step} is that of {subject}, {value}, below {threshold}: its updates are small relative to its weights.",
        )],
        formula: "norm(update) / norm(weights) outside 1e-5 to 0.15",
        source: "CS231n; Karpathy; range of this lab's small models",
        signals: &[name::UPDATE_RATIO],
        thresholds: &[
            threshold("low", 1e-5, (0.0, 1.0), "smallest usual ratio"),
            threshold("high", 0.15, (1e-6, 10.0), "largest usual ratio"),
        ],
        unit: "",
        min_steps: 0,
        calm_readings: 3,
        level: Level::Note,
        levels: "",
        onset_steps: 100,
        explained_by: UNSTABLE,
        remedies: &[Remedy::FitLearningRate { factor: 2.0 }],
    };

    fn feed(&mut self, sample: &Sample, watch: &mut Watch) {
        if let Some(rate) = sample.learning_rate.filter(|rate| rate.is_finite()) {
            (self.newest_rate, self.largest_rate) = (rate, self.largest_rate.max(rate));
        }
        let (low, high) = (watch.threshold(LOW), watch.threshold(HIGH));
        let is_decayed = self.newest_rate < SMALL_RATE * self.largest_rate;
        let finite = sample.matrices(name::UPDATE_RATIO).filter(|(_, ratio)| ratio.is_finite());
        if sample.step < watch.facts.warmup_steps || is_decayed || finite.clone().next().is_none() {
            return;
        }
        let excess = |ratio: f64| (ratio / high).max(low / ratio.max(f64::MIN_POSITIVE));
        let worst = finite.max_by(|(_, a), (_, b)| excess(*a).total_cmp(&excess(*b)));
        let worst = worst.filter(|(_, ratio)| *ratio > high || *ratio < low);
        match worst {
            Some(_) if self.outside == 0 => (self.outside, self.first_step) = (1, sample.step),
            Some(_) => self.outside = self.outside.saturating_add(1),
            None => self.outside = 0,
        }
        match worst {
            None => watch.calm_all(),
            // One finding for the run: if the learning rate is wrong, all matrices are out of range.
            Some((subject, value)) if self.outside >= IN_SEQUENCE && !watch.is_active() => {
                let (threshold, details) = if value > high { (high, None) } else { (low, Some(("low", low))) };
                let seen = Seen { level: Level::Note, first_step: self.first_step, value, threshold, subject };
                watch.seen_with(seen, details.as_slice());
            }
            Some(_) => watch.stays(),
        }
    }
}
