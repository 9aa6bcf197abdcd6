//! Leak between training and validation text: the validation loss is below the training loss, without dropout.
//!
//! Formula: (line(s) - valid(s)) / line(s), with line the training loss fitted over the last 50 steps at the step s of the evaluation, above
//! 5 % (note) or 15 % (alert) and above 4 standard errors of the line, in 3 consecutive evaluations. The line, not a mean, because early in
//! training the loss falls within 50 steps. Source: Kaufman et al. 2012, Leakage in Data Mining; the thresholds are heuristics. A validation
//! text that is only easier than the training text gives the same picture.

use serde::{Deserialize, Serialize};
use wire::series::name;

use super::sample::Sample;
use super::table::{Level, Remedy, Rule, threshold};
use super::watch::{Detector, Seen, Watch};
use super::window::Window;
use crate::statistics::line::Line;

const NOTE: usize = 0;
const ALERT: usize = 1;
const STANDARD_ERRORS: f64 = 4.0;
const IN_SEQUENCE: usize = 3;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Leak {
    losses: Window<50>,
    /// Fractions by which the validation loss was below, of consecutive evaluations.
    below: Window<IN_SEQUENCE>,
}

impl Detector for Leak {
    const RULE: Rule = Rule {
        id: "validation_leak",
        label: "Validation below training",
        meaning: "The validation loss is below the training loss, although dropout is off.",
        reason: "Unseen text is not easier than training text: the validation text may also be in the training text, or the two splits differ in kind.",
        seen: "From step {first} to {step} the validation loss was below the training loss by a fraction of at least {value} (threshold {threshold}).",
        seen_if: &[],
        formula: "(line of training loss - validation loss) / line, 3 consecutive evaluations, above 4 standard errors",
        source: "Kaufman et al. 2012, Leakage in Data Mining; the thresholds are heuristics",
        signals: &[name::VALID, name::TRAIN],
        thresholds: &[
            threshold("note", 0.05, (0.0, 1.0), "fraction below the training loss, for a note"),
            threshold("alert", 0.15, (0.0, 1.0), "fraction below the training loss, for an alert"),
        ],
        unit: "",
        min_steps: 50,
        calm_readings: 3,
        level: Level::Alert,
        levels: "A note above the threshold note, an alert above alert.",
        onset_steps: 0,
        explained_by: &[],
        remedies: &[Remedy::CheckDataset],
    };

    fn feed(&mut self, sample: &Sample, watch: &mut Watch) {
        if let Some(loss) = sample.loss.filter(|loss| loss.is_finite()) {
            self.losses.push(sample.step, loss);
        }
        let Some(valid) = sample.periodic_valid(watch.facts) else { return };
        let is_ready = self.losses.is_full() && sample.step >= watch.facts.warmup_steps && !watch.facts.has_dropout;
        let line = Line::fit(self.losses.points().map(|(step, loss)| (step - sample.step as f64, loss)));
        let Some(line) = line.filter(|line| is_ready && line.at(0.0) > 0.0) else { return };
        let (train, error) = (line.at(0.0), line.error_at(0.0));
        let (note, alert) = (watch.threshold(NOTE), watch.threshold(ALERT));
        let fraction = (train - valid) / train;
        if fraction > note.min(alert) && train - valid > STANDARD_ERRORS * error {
            self.below.push(sample.step, fraction);
        } else {
            self.below.clear();
        }
        let least = self.below.values().fold(f64::INFINITY, f64::min);
        let (level, threshold) = if least > alert { (Level::Alert, alert) } else { (Level::Note, note) };
        let first_step = self.below.first_step().unwrap_or(sample.step);
        let seen = Seen { level, first_step, value: least, threshold, subject: "" };
        watch.read((self.below.is_full() && least > note.min(alert)).then_some(seen));
    }
}
