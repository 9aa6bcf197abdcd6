//! Dead neurons: many neurons of an MLP have almost no output at every token.
//!
//! Formula: fraction of dead neurons of a layer at least 0.1 above that of its first report after step 100, or at least 0.5. Source: OPT (arXiv
//! 2205.01068) and Voita et al. 2023 (arXiv 2309.04827) on dead neurons of OPT. The metric is [`name::DEAD_NEURONS`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wire::series::name;

use super::sample::Sample;
use super::table::{Level, Remedy, Rule, UNSTABLE, threshold};
use super::watch::{Detector, Seen, Watch};

const RISE: usize = 0;
const LARGEST: usize = 1;
/// Step from which on a report is what later ones are compared with.
const SETTLED: u64 = 100;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct DeadNeurons {
    /// Step and fraction of the first report after [`SETTLED`], by layer.
    first: BTreeMap<String, (u64, f64)>,
}

impl Detector for DeadNeurons {
    const RULE: Rule = Rule {
        id: "dead_neurons",
        label: "Dead neurons",
        meaning: "Many neurons of an MLP are dead: their output is almost 0 at every token.",
        reason: "A dead neuron receives almost no gradient and seldom recovers, so the layer has less capacity than its width suggests.",
        seen: "At step {step} the fraction of dead neurons in block {subject} is {value} (threshold {threshold}).",
        seen_if: &[(
            "before",
            "At step {step} the fraction of dead neurons in block {subject} is {value}, up from {before} at step {first} (threshold: a rise of {rise}).",
        )],
        formula: "fraction of dead neurons >= that of the first report after step 100 + 0.1, or >= 0.5",
        source: "OPT, arXiv 2205.01068; Voita et al. 2023, arXiv 2309.04827",
        signals: &[name::DEAD_NEURONS],
        thresholds: &[
            threshold(
                "rise",
                0.1,
                (0.0, 1.0),
                "rise of the fraction of dead neurons since the first report after step 100",
            ),
            threshold("largest", 0.5, (0.0, 1.0), "fraction of dead neurons, regardless of earlier values"),
        ],
        unit: "",
        min_steps: 0,
        calm_readings: 3,
        level: Level::Alert,
        levels: "",
        onset_steps: 200,
        explained_by: UNSTABLE,
        // Neurons die in large updates, and a dead one gets no gradient with which it could recover: the fork has them alive.
        remedies: &[
            Remedy::ForkAtLearningRate { factor: 0.5 },
            Remedy::ScaleLearningRate { factor: 0.5 },
            Remedy::StartAgain,
        ],
    };

    fn feed(&mut self, sample: &Sample, watch: &mut Watch) {
        for (subject, value) in sample.below(name::DEAD_NEURONS).filter(|(_, value)| value.is_finite()) {
            if sample.step >= SETTLED && !self.first.contains_key(subject) {
                self.first.insert(subject.to_owned(), (sample.step, value));
            }
            let (rise, largest) = (watch.threshold(RISE), watch.threshold(LARGEST));
            let risen = self.first.get(subject).copied().filter(|(_, before)| before + rise < largest);
            let (first_step, threshold) = risen.map_or((sample.step, largest), |(step, before)| (step, before + rise));
            if value < threshold {
                watch.calm(subject);
                continue;
            }
            let seen = Seen { level: Level::Alert, first_step, value, threshold, subject };
            match risen {
                Some((_, before)) => watch.seen_with(seen, &[("before", before), ("rise", rise)]),
                None => watch.seen(seen),
            }
        }
    }
}
