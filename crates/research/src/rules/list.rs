//! The table of rules. A new rule is a file with a [`Detector`] and a row here.

use serde::{Deserialize, Serialize};
use wire::diagnosis::{Active, Finding};

use super::facts::Facts;
use super::sample::Sample;
use super::table::Rule;
use super::watch::{Detector, Episodes, Open, RuleSettings, Watch};

/// Makes [`RULES`] and the states of all rules from one list.
macro_rules! rules {
    ($($file:ident: $detector:ident,)*) => {
        /// Every rule, in the order in which pages list them. A rule stands after those that explain it, so that it knows what they found at
        /// the same step.
        pub static RULES: &[Rule] = &[$(<super::$file::$detector as Detector>::RULE),*];

        /// The states of all rules.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        pub(super) struct Detectors {
            open: Open,
            $($file: Watched<super::$file::$detector>,)*
        }

        impl Detectors {
            /// Every rule reads a sample; `settings` are in the order of [`RULES`].
            pub(super) fn feed(&mut self, sample: &Sample, facts: &Facts, settings: &[RuleSettings], found: &mut Vec<Finding>) {
                let mut rows = RULES.iter().zip(settings);
                $(if let Some((rule, settings)) = rows.next() {
                    let Watched { detector, episodes } = &mut self.$file;
                    let step = sample.step;
                    let is_explained = self.open.explains(rule, step);
                    detector.feed(sample, &mut Watch { rule, facts, settings, step, is_explained, episodes, found });
                    self.open.note(rule, episodes, step);
                })*
            }

            /// Findings that have not ended.
            pub(super) fn active(&self) -> Vec<Active> {
                let episodes = [$(&self.$file.episodes),*];
                RULES.iter().zip(episodes).flat_map(|(rule, episodes)| episodes.active(rule)).collect()
            }
        }
    };
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Watched<T> {
    detector: T,
    episodes: Episodes,
}

rules! {
    non_finite: NonFinite,
    start: Start,
    divergence: Divergence,
    learning_rate_high: LearningRateHigh,
    spike: Spike,
    gradient: Gradient,
    clipping: Clipping,
    learning_rate_low: LearningRateLow,
    update_ratio: UpdateRatio,
    noise: Noise,
    baseline: Baseline,
    plateau: Plateau,
    overfitting: Overfitting,
    dataset: Dataset,
    floor: Floor,
    leak: Leak,
    epochs: Epochs,
    duplicates: Duplicates,
    dead_parameter: DeadParameter,
    dead_neurons: DeadNeurons,
    attention_collapse: AttentionCollapse,
    attention_logits: AttentionLogits,
    slow: Slow,
}

/// The rule with this id.
pub fn rule(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id)
}
