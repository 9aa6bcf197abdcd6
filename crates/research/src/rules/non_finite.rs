//! Non-finite values: the training loss, the validation loss, the gradient norm, or the RMS of a parameter is NaN or infinite.
//!
//! Formula: not finite(x). Source: IEEE 754; every later value of a step with a NaN gradient is NaN too.

use serde::{Deserialize, Serialize};
use wire::series::name;

use super::sample::Sample;
use super::table::{Level, Remedy, Rule};
use super::watch::{Detector, Seen, Watch};

/// It needs no memory: each value shows it alone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct NonFinite;

impl Detector for NonFinite {
    const RULE: Rule = Rule {
        id: "non_finite",
        label: "Non-finite value",
        meaning: "The loss, the gradient norm or a parameter is NaN or infinite.",
        reason: "An update with such a value makes the weights NaN, and no later step can repair them.",
        seen: "{quantity} is {value} at step {step}.",
        seen_if: &[],
        formula: "not finite(x)",
        source: "IEEE 754",
        signals: &[name::TRAIN, name::VALID, name::GRAD_NORM, name::WEIGHT_RMS],
        thresholds: &[],
        unit: "",
        min_steps: 0,
        calm_readings: 20,
        level: Level::Alert,
        levels: "Every finding is an alert. A non-finite value pauses the run even if the rule is muted.",
        onset_steps: 50,
        explained_by: &[],
        remedies: &[
            Remedy::RollBackAndSkip { skip: 200 },
            Remedy::ScaleLearningRate { factor: 0.5 },
            Remedy::ScaleGradClip { factor: 0.3 },
            Remedy::Stop,
        ],
    };

    fn feed(&mut self, sample: &Sample, watch: &mut Watch) {
        let fields = [(name::TRAIN, sample.loss), (name::VALID, sample.valid), (name::GRAD_NORM, sample.grad_norm)];
        let fields = fields.into_iter().filter_map(|(series, value)| Some((series, value?)));
        let weights = sample.below(name::WEIGHT_RMS);
        let mut values = fields.chain(weights).peekable();
        if values.peek().is_none() {
            return;
        }
        match values.find(|(_, value)| !value.is_finite()) {
            Some((subject, value)) => {
                watch.seen(Seen { level: Level::Alert, first_step: sample.step, value, threshold: 0.0, subject })
            }
            None => watch.calm_all(),
        }
    }
}
