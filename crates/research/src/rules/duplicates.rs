//! Duplicate windows: batches contain windows of tokens again that the plan of the data had not returned to.
//!
//! Formula: windows repeated against the plan so far > 0. Source: Lee et al. 2022 (arXiv 2107.06499) on the effect of duplicates. The
//! metric is [`metric::DUPLICATE_WINDOWS`], which the engine does not report yet.

use serde::{Deserialize, Serialize};

use super::metric;
use super::sample::Sample;
use super::table::{Level, Remedy, Rule, threshold};
use super::watch::{Detector, Seen, Watch};

/// The metric is a count from the start of the run, so nothing is remembered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Duplicates;

impl Detector for Duplicates {
    const RULE: Rule = Rule {
        id: "duplicate_windows",
        label: "Duplicate windows",
        meaning: "Batches repeat windows of the training text that should not have come again yet.",
        reason: "The model sees less text than the plan says, and memorizes what is repeated.",
        seen: "Until step {step}, {value} windows of the training text came again too early (threshold {threshold}).",
        formula: "windows repeated against the plan > 0",
        source: "Lee et al. 2022, arXiv 2107.06499",
        signals: &[metric::DUPLICATE_WINDOWS],
        thresholds: &[threshold("windows", 0.0, (0.0, 1e12), "windows repeated against the plan")],
        unit: "windows",
        min_steps: 0,
        calm_readings: 1,
        level: Level::Alert,
        remedies: &[Remedy::CheckDataset, Remedy::InspectBatch, Remedy::Stop],
    };

    fn feed(&mut self, sample: &Sample, watch: &mut Watch) {
        let Some(value) = sample.duplicate_windows.filter(|value| value.is_finite()) else { return };
        let threshold = watch.threshold(0);
        let seen = Seen { level: Level::Alert, first_step: 0, value, threshold, subject: "" };
        watch.read((value > threshold).then_some(seen));
    }
}
