//! Below the trivial baseline: a model that uses no context reaches the entropy of single tokens, the unigram entropy.
//!
//! Formula: mean of the last 100 losses > unigram entropy, at step max(warm-up + 200, 20 % of the run) or later. Source: Karpathy, A
//! Recipe for Training Neural Networks (2019), "verify that the loss beats the input-independent baseline".

use serde::{Deserialize, Serialize};
use wire::series::name;

use super::sample::Sample;
use super::table::{Level, Remedy, Rule, threshold};
use super::watch::{Detector, Seen, Watch};
use super::window::Window;
use crate::statistics::sample::mean;

const MARGIN: usize = 0;
const SHARE: usize = 1;
/// Steps after warm-up.
const AFTER_WARMUP: u64 = 200;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Baseline {
    losses: Window<100>,
}

impl Detector for Baseline {
    const RULE: Rule = Rule {
        id: "unigram_baseline",
        label: "No better than single tokens",
        meaning: "The training loss is not below the entropy of single tokens, which needs no context.",
        reason: "The model ignores the tokens before the one that it predicts: it learns too slowly, or attention or MLPs do not work.",
        seen: "The mean training loss since step {first} is {value} nats/token; frequencies of single tokens alone give {threshold}.",
        formula: "mean(last 100 losses) > unigram entropy",
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
        remedies: &[Remedy::ScaleLearningRate { factor: 3.0 }, Remedy::StartAgain, Remedy::CheckDataset],
    };

    fn feed(&mut self, sample: &Sample, watch: &mut Watch) {
        let Some(loss) = sample.loss.filter(|loss| loss.is_finite()) else { return };
        self.losses.push(sample.step, loss);
        let Some(unigram) = watch.facts.unigram_nats else { return };
        let from =
            (watch.facts.warmup_steps + AFTER_WARMUP).max((watch.threshold(SHARE) * watch.facts.steps as f64) as u64);
        if sample.step < from || !self.losses.is_full() {
            return;
        }
        let (value, threshold) = (mean(&self.losses.values().collect::<Vec<_>>()), unigram - watch.threshold(MARGIN));
        let first_step = self.losses.first_step().unwrap_or(sample.step);
        let seen = Seen { level: Level::Alert, first_step, value, threshold, subject: "" };
        watch.read((value > threshold).then_some(seen));
    }
}
