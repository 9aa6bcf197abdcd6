//! Duplicate windows: batches contain text again that came before at another place of the datasets.
//!
//! Formula: such windows so far > 0. Windows that are drawn again at the same place are epochs, which another rule reads. Source: Lee et al.
//! 2022 (arXiv 2107.06499) on the effect of duplicates. The metric is [`name::DUPLICATE_WINDOWS`].

use serde::{Deserialize, Serialize};
use wire::series::name;

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
        meaning: "Batches contain training text that has already occurred elsewhere in the datasets.",
        reason: "The datasets contain the same text several times: the model sees less text than the plan says, and memorizes the repeated text.",
        seen: "Up to step {step}, the text of {value} training windows had already occurred elsewhere in the datasets (threshold {threshold}).",
        seen_if: &[],
        formula: "windows whose text has already occurred elsewhere > 0",
        source: "Lee et al. 2022, arXiv 2107.06499",
        signals: &[name::DUPLICATE_WINDOWS],
        thresholds: &[threshold("windows", 0.0, (0.0, 1e12), "windows whose text has already occurred elsewhere")],
        unit: "windows",
        min_steps: 0,
        calm_readings: 1,
        level: Level::Alert,
        levels: "",
        onset_steps: 0,
        explained_by: &[],
        remedies: &[Remedy::CheckDataset, Remedy::InspectBatch, Remedy::Stop],
    };

    fn feed(&mut self, sample: &Sample, watch: &mut Watch) {
        let Some(value) = sample.duplicate_windows.filter(|value| value.is_finite()) else { return };
        let threshold = watch.threshold(0);
        let seen = Seen { level: Level::Alert, first_step: 0, value, threshold, subject: "" };
        watch.read((value > threshold).then_some(seen));
    }
}
