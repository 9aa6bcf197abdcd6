//! Plateau: at a constant learning rate, the training loss no longer falls.
//!
//! Formula: over the newest 20 % of the steps, a line of loss against ln(tokens), fitted to means of buckets. The 95 % interval of its
//! slope contains 0, and even its lower end means a fall of less than 1 % of the loss over the window. The second condition is an
//! equivalence test (Schuirmann 1987): without it, noise alone would be a plateau. A decay of the learning rate usually lowers such a loss
//! at once (WSD: arXiv 2405.18392), so it is a proposal to decay, not to stop.

use serde::{Deserialize, Serialize};
use wire::series::name;

use super::history::{Bucket, History};
use super::sample::Sample;
use super::table::{Level, Remedy, Rule, UNSTABLE, threshold};
use super::watch::{Detector, Seen, Watch};
use crate::statistics::line::Line;
use crate::statistics::sample::mean;

const FALL: usize = 0;
const SHARE: usize = 1;
/// Buckets below which the slope is too uncertain.
const ENOUGH: usize = 10;
/// Steps after warm-up.
const MIN_STEPS: u64 = 300;
/// Relative change of the learning rate that still counts as constant.
const CONSTANT: f64 = 0.01;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Plateau {
    history: History,
    tokens: f64,
    rate: f64,
}

impl Detector for Plateau {
    const RULE: Rule = Rule {
        id: "plateau",
        label: "Plateau",
        meaning: "At a constant learning rate, the training loss no longer falls.",
        reason: "At this learning rate more tokens help little; decaying the learning rate usually lowers the loss at once.",
        seen: "On a line through the training losses from step {first} to {step}, the loss fell by a fraction of {value} at a constant learning rate (threshold {threshold}).",
        seen_if: &[],
        formula: "line of loss against ln(tokens) over the newest 20 % of the steps: its slope may be 0 (95 % interval), and a fall of 1 % or more over these steps is excluded by the same interval",
        source: "Schuirmann 1987 (equivalence); WSD, arXiv 2405.18392 (decay)",
        signals: &[name::TRAIN, name::LEARNING_RATE],
        thresholds: &[
            threshold("fall", 0.01, (0.0, 1.0), "largest fall of the loss over the window, as a fraction of the loss"),
            threshold("share", 0.2, (0.01, 1.0), "length of the window, as a fraction of the steps so far"),
        ],
        unit: "",
        min_steps: MIN_STEPS,
        calm_readings: 5,
        level: Level::Note,
        levels: "",
        onset_steps: 0,
        explained_by: UNSTABLE,
        remedies: &[Remedy::DecayLearningRate],
    };

    fn feed(&mut self, sample: &Sample, watch: &mut Watch) {
        let newest = |value: Option<f64>, old: f64| value.filter(|value| value.is_finite()).unwrap_or(old);
        (self.tokens, self.rate) = (newest(sample.tokens, self.tokens), newest(sample.learning_rate, self.rate));
        let Some(loss) = sample.loss.filter(|loss| loss.is_finite()) else { return };
        if sample.step < watch.facts.warmup_steps {
            return;
        }
        // Without token counts, each step has equally many tokens.
        let tokens = if self.tokens > 0.0 { self.tokens } else { sample.step as f64 + 1.0 };
        let is_complete = self.history.push(sample.step, tokens.ln(), loss, self.rate);
        if is_complete && sample.step >= watch.facts.warmup_steps + MIN_STEPS {
            let seen = flat(self.history.newest(watch.threshold(SHARE), ENOUGH), watch.threshold(FALL));
            watch.read(seen);
        }
    }
}

fn flat(buckets: &[Bucket], threshold: f64) -> Option<Seen<'static>> {
    let (first, last) = (buckets.first()?, buckets.last()?);
    let is_constant = buckets.iter().all(|bucket| (bucket.other - last.other).abs() <= CONSTANT * last.other.abs());
    if buckets.len() < ENOUGH || !is_constant {
        return None;
    }
    let line = Line::fit(buckets.iter().map(|bucket| (bucket.x, bucket.y)))?;
    let (low, high) = line.slope_interval(0.95);
    let loss = mean(&buckets.iter().map(|bucket| bucket.y).collect::<Vec<_>>());
    let fall = |slope: f64| -slope * (last.x - first.x) / loss;
    let is_flat = loss > 0.0 && high >= 0.0 && low <= 0.0 && fall(low) < threshold;
    let (first_step, value) = (first.first_step, fall(line.slope));
    is_flat.then_some(Seen { level: Level::Note, first_step, value, threshold, subject: "" })
}
