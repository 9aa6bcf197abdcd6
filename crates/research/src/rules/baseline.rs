//! Below the trivial baseline: a model that uses no context reaches the entropy of single tokens, the unigram entropy.
//!
//! Formula: mean of the last 100 losses > unigram entropy, at step max(warm-up + 200, 20 % of the run) or later, in a run whose mean loss
//! was never 2 % below it: a loss that was below and has risen above is a divergence, whose remedies are the opposite ones. Source:
//! Karpathy, A Recipe for Training Neural Networks (2019), "verify that the loss beats the input-independent baseline".

use serde::{Deserialize, Serialize};
use wire::series::name;

use super::sample::Sample;
use super::table::{Level, Remedy, Rule, UNSTABLE, threshold};
use super::watch::{Detector, Seen, Watch};
use super::window::Window;
use crate::statistics::sample::mean;

const MARGIN: usize = 0;
const SHARE: usize = 1;
/// Steps after warm-up.
const AFTER_WARMUP: u64 = 200;
/// Fraction below the unigram entropy from which on the model uses context; less may be noise.
const BELOW: f64 = 0.02;
/// Losses whose mean shows it. A fork or a run after a rollback may have fewer than a window.
const ENOUGH: usize = 20;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Baseline {
    losses: Window<100>,
    /// Whether the mean loss was below the unigram entropy.
    was_below: bool,
}

impl Detector for Baseline {
    const RULE: Rule = Rule {
        id: "unigram_baseline",
        label: "No better than a unigram model",
        meaning: "The training loss was never below the unigram entropy, which a model reaches without any context.",
        reason: "The model makes no use of the context: it learns too slowly, or its attention or MLPs do not work.",
        seen: "The mean training loss from step {first} to {step} is {value} nats/token; token frequencies alone give {threshold}.",
        seen_if: &[],
        formula: "mean(last 100 losses) > unigram entropy, in a run whose loss was never 2 % below it",
        source: "Karpathy 2019, A Recipe for Training Neural Networks",
        signals: &[name::TRAIN],
        thresholds: &[
            threshold("margin", 0.0, (-10.0, 10.0), "nats/token that the loss must be below the unigram entropy"),
            threshold("share", 0.2, (0.0, 1.0), "fraction of the planned steps before which nothing is reported"),
        ],
        unit: "nats/token",
        min_steps: 200,
        calm_readings: 20,
        level: Level::Alert,
        levels: "",
        onset_steps: 0,
        explained_by: UNSTABLE,
        remedies: &[Remedy::ScaleLearningRate { factor: 3.0 }, Remedy::StartAgain, Remedy::CheckDataset],
    };

    fn feed(&mut self, sample: &Sample, watch: &mut Watch) {
        let Some(loss) = sample.loss.filter(|loss| loss.is_finite()) else { return };
        self.losses.push(sample.step, loss);
        let Some(unigram) = watch.facts.unigram_nats else { return };
        let losses: Vec<f64> = self.losses.values().collect();
        let value = mean(&losses);
        self.was_below |= losses.len() >= ENOUGH && value < (1.0 - BELOW) * unigram;
        if self.was_below {
            return watch.calm("");
        }
        let from =
            (watch.facts.warmup_steps + AFTER_WARMUP).max((watch.threshold(SHARE) * watch.facts.steps as f64) as u64);
        if sample.step < from || !self.losses.is_full() {
            return;
        }
        let threshold = unigram - watch.threshold(MARGIN);
        let first_step = self.losses.first_step().unwrap_or(sample.step);
        let seen = Seen { level: Level::Alert, first_step, value, threshold, subject: "" };
        watch.read((value > threshold).then_some(seen));
    }
}
