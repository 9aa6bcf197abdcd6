//! Overfitting: the validation loss rises while the training loss falls.
//!
//! Formula, over the newest 20 % of the evaluations, at least 4: the 95 % interval of the slope of the validation loss is above 0; the
//! slope of the training loss, as means between evaluations, is negative; the mean validation loss is at least 1 % above the lowest one; and
//! the gap between validation and training loss is more than 1.3 times the gap in as many evaluations before. Sources: Prechelt 1998, Early
//! Stopping, But When? (generalization loss); Goodfellow et al., Deep Learning, ch. 5.2.

use serde::{Deserialize, Serialize};
use wire::series::name;

use super::history::{Bucket, History};
use super::sample::Sample;
use super::table::{Level, Remedy, Rule, threshold};
use super::watch::{Detector, Seen, Watch};
use crate::statistics::line::Line;
use crate::statistics::sample::mean;

const RISE: usize = 0;
const GAP: usize = 1;
const SHARE: usize = 2;
/// Evaluations of the window, at least.
const ENOUGH: usize = 4;
/// Smallest gap that counts, as a fraction of the loss: before overfitting it is about 0.
const SMALL_GAP: f64 = 0.01;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Overfitting {
    evaluations: History,
    /// The lowest validation loss.
    lowest: Option<f64>,
    /// Sum and number of training losses since the last evaluation.
    train_sum: f64,
    train_count: u64,
}

impl Detector for Overfitting {
    const RULE: Rule = Rule {
        id: "overfitting",
        label: "Overfitting",
        meaning: "The validation loss rises while the training loss falls.",
        reason: "The model memorizes the training text; more steps make it worse on any other text.",
        seen: "From step {first} to {step} the validation loss rose, and its mean was above its lowest value by a fraction of {value} (threshold {threshold}), while the training loss fell.",
        seen_if: &[],
        formula: "over 20 % of the evaluations: slope of validation above 0, slope of training below 0, gap now / before > 1.3",
        source: "Prechelt 1998; Goodfellow et al., Deep Learning, ch. 5.2",
        signals: &[name::VALID, name::TRAIN],
        thresholds: &[
            threshold("rise", 0.01, (0.0, 10.0), "rise of the validation loss above its lowest, as a fraction of that"),
            threshold("gap", 1.3, (1.0, 100.0), "gap between validation and training loss, divided by the gap before"),
            threshold("share", 0.2, (0.01, 1.0), "length of the window, as a fraction of the evaluations so far"),
        ],
        unit: "",
        min_steps: 0,
        calm_readings: 3,
        level: Level::Note,
        levels: "",
        onset_steps: 0,
        explained_by: &[],
        remedies: &[Remedy::ForkFromBest, Remedy::Stop],
    };

    fn feed(&mut self, sample: &Sample, watch: &mut Watch) {
        if let Some(loss) = sample.loss.filter(|loss| loss.is_finite()) {
            (self.train_sum, self.train_count) = (self.train_sum + loss, self.train_count + 1);
        }
        let Some(valid) = sample.periodic_valid(watch.facts) else { return };
        if self.train_count == 0 {
            return;
        }
        let train = self.train_sum / self.train_count as f64;
        (self.train_sum, self.train_count) = (0.0, 0);
        self.lowest = Some(self.lowest.map_or(valid, |lowest| lowest.min(valid)));
        if self.evaluations.push(sample.step, sample.step as f64, valid, train) {
            watch.read(self.seen(watch));
        }
    }
}

impl Overfitting {
    fn seen(&self, watch: &Watch) -> Option<Seen<'static>> {
        let window = self.evaluations.newest(watch.threshold(SHARE), ENOUGH);
        let earlier = self.evaluations.buckets().len().checked_sub(2 * window.len())?;
        let before = &self.evaluations.buckets()[earlier..earlier + window.len()];
        let (first, lowest) = (window.first()?, self.lowest?);
        let valid = Line::fit(window.iter().map(|bucket| (bucket.x, bucket.y)))?;
        let train = Line::fit(window.iter().map(|bucket| (bucket.x, bucket.other)))?;
        let gap = |buckets: &[Bucket]| mean(&buckets.iter().map(|bucket| bucket.y - bucket.other).collect::<Vec<_>>());
        let widened = gap(window) / gap(before).max(SMALL_GAP * lowest);
        let (value, threshold) = (valid.mean_y / lowest - 1.0, watch.threshold(RISE));
        let is_rising = valid.slope_interval(0.95).0 > 0.0 && train.slope < 0.0;
        let is_seen = window.len() >= ENOUGH && is_rising && value > threshold && widened > watch.threshold(GAP);
        is_seen.then_some(Seen { level: Level::Note, first_step: first.first_step, value, threshold, subject: "" })
    }
}
