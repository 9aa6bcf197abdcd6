//! Loss per dataset: the validation loss of one dataset of a mix rises above its lowest, so the model forgets it.
//!
//! Formula: mean of the last 3 evaluations of a dataset > 1.05 times the lowest such mean. Source: McCloskey, Cohen 1989 (interference);
//! the threshold is a heuristic.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wire::series::name;

use super::sample::Sample;
use super::table::{Level, Remedy, Rule, UNSTABLE, threshold};
use super::watch::{Detector, Seen, Watch};
use super::window::Window;
use crate::statistics::sample::mean;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Dataset {
    datasets: BTreeMap<String, Evaluations>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Evaluations {
    newest: Window<3>,
    /// The lowest mean of 3, and the step of the first of them.
    lowest: Option<(f64, u64)>,
}

impl Detector for Dataset {
    const RULE: Rule = Rule {
        id: "dataset_forgotten",
        label: "Dataset forgotten",
        meaning: "The validation loss of one dataset of the mix rises above its lowest.",
        reason: "The model forgets this dataset while it learns the others: its weight in the mix has become too small.",
        seen: "The mean of the 3 validation losses of {subject} up to step {step} is {value} times the lowest such mean, that of the 3 from step {first} on (threshold {threshold}).",
        seen_if: &[],
        formula: "mean(last 3 evaluations) / lowest mean of 3",
        source: "McCloskey, Cohen 1989; the threshold is a heuristic",
        signals: &[name::VALID_OF],
        thresholds: &[threshold("ratio", 1.05, (1.0, 100.0), "mean of 3 evaluations divided by the lowest such mean")],
        unit: "times",
        min_steps: 0,
        calm_readings: 3,
        level: Level::Note,
        levels: "",
        onset_steps: 0,
        explained_by: UNSTABLE,
        remedies: &[Remedy::ScaleDatasetWeight { factor: 2.0 }, Remedy::CheckDataset],
    };

    fn feed(&mut self, sample: &Sample, watch: &mut Watch) {
        let threshold = watch.threshold(0);
        for (subject, loss) in sample.below(name::VALID_OF).filter(|(_, loss)| loss.is_finite() && *loss > 0.0) {
            let of = self.datasets.entry(subject.to_owned()).or_default();
            match of.ratio(sample.step, loss) {
                Some((value, first_step)) if value > threshold => {
                    watch.seen(Seen { level: Level::Note, first_step, value, threshold, subject });
                }
                _ => watch.calm(subject),
            }
        }
    }
}

impl Evaluations {
    /// The newest mean of 3 by the lowest, and the step at which the lowest begins.
    fn ratio(&mut self, step: u64, loss: f64) -> Option<(f64, u64)> {
        self.newest.push(step, loss);
        let first = self.newest.first_step().filter(|_| self.newest.is_full())?;
        let newest = mean(&self.newest.values().collect::<Vec<_>>());
        let lowest = self.lowest.filter(|(lowest, _)| *lowest <= newest).unwrap_or((newest, first));
        self.lowest = Some(lowest);
        Some((newest / lowest.0, lowest.1))
    }
}
