//! Experiments: does a change help? A hypothesis with a numeric prediction, and a decision rule that is fixed before the first run. The lab trains
//! pairs of runs with equal seeds, one with the baseline and one with the change, until the rule gives a verdict or the budget is used.
//!
//! - here: [`ExperimentSpec`], as a person writes it in TOML or JSON; [`check`]: its valid values;
//! - [`record`]: an experiment with its runs, its journal and its verdict.
//!
//! ```toml
//! title = "Half the learning rate"
//! hypothesis = "The preset's learning rate is too high for 300 steps."
//!
//! [baseline]
//! spec = { preset = "tiny", corpus = "tales", steps = 300 }
//!
//! [change]
//! overrides = { "optimizer.learning_rate" = 1e-3 }
//!
//! [prediction]
//! difference = -0.05
//! probability = 0.7
//!
//! [rule]
//! effect = 0.02
//! max_pairs = 8
//!
//! [budget]
//! steps = 300
//! device_hours = 1.0
//! ```

pub mod check;
pub mod record;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::data::tokenizer::Tokenizer;
use crate::id::{CorpusId, RunId};
use crate::number::{brief, in_sentence};
use crate::run::spec::RunSpec;
use crate::series::describe;

/// The unit of the default metric.
const BITS_PER_BYTE: &str = "bits/byte";

/// An experiment as a person states it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ExperimentSpec {
    /// One line, at most 80 characters.
    pub title: String,
    /// What is believed and why, at most 4,000 characters.
    pub hypothesis: String,
    /// The project of the experiment and of its runs; that of the run of the baseline by default, else `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    pub baseline: Baseline,
    pub change: Change,
    #[serde(default)]
    pub metric: Metric,
    pub prediction: Prediction,
    pub rule: DecisionRule,
    pub budget: ExperimentBudget,
}

impl ExperimentSpec {
    /// A value in the unit of the metric, for sentences: `−0.05 bits/byte`.
    pub fn in_metric(&self, value: f64) -> String {
        let (value, unit) = (in_sentence(value), self.metric.unit());
        if unit.is_empty() { value } else { format!("{value} {unit}") }
    }

    /// What was predicted, in a phrase: `validation loss −0.05 bits/byte, confirmed with a probability of 0.7`.
    pub fn prediction_phrase(&self) -> String {
        let Prediction { difference, probability } = self.prediction;
        let (metric, difference) = (self.metric.label(), self.in_metric(difference));
        format!("{metric} {difference}, confirmed with a probability of {}", brief(probability))
    }
}

/// What the change is compared with: exactly one of `run` and `spec`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// A run whose plan is copied. Its seed is not used again: the pairs begin with the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Steps of the runs, in place of those of `run`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// A specification. The pairs begin with its seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<RunSpec>,
}

/// How the variant differs from the baseline.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Hyperparameters by path: `{"model.layers": 6}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub overrides: BTreeMap<String, Value>,
    /// Another dataset. Give this or `mix`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corpus: Option<CorpusId>,
    /// Several datasets with their weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mix: Option<BTreeMap<CorpusId, f64>>,
    /// Another tokenizer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<Tokenizer>,
}

impl Change {
    /// The specification of the variant.
    pub fn applied_to(&self, baseline: &RunSpec) -> RunSpec {
        let mut variant = baseline.clone();
        variant.overrides.extend(self.overrides.clone());
        if self.has_other_data() {
            (variant.corpus, variant.mix) = (self.corpus.clone(), self.mix.clone());
        }
        variant.tokenizer = self.tokenizer.or(variant.tokenizer);
        variant
    }

    /// Whether the variant trains on other datasets.
    pub fn has_other_data(&self) -> bool {
        self.corpus.is_some() || self.mix.is_some()
    }

    /// The change as one line: `optimizer.learning_rate = 0.001, dataset sums`.
    pub fn phrase(&self) -> String {
        let overrides = self.overrides.iter().map(|(path, value)| format!("{path} = {value}"));
        let corpus = self.corpus.iter().map(|corpus| format!("dataset {corpus}"));
        let weights = |mix: &BTreeMap<CorpusId, f64>| {
            let parts: Vec<String> = mix.iter().map(|(corpus, weight)| format!("{weight} {corpus}")).collect();
            format!("mix of {}", parts.join(" + "))
        };
        let tokenizer = self.tokenizer.iter().map(|tokenizer| format!("tokenizer {tokenizer}"));
        let parts = overrides.chain(corpus).chain(self.mix.iter().map(weights)).chain(tokenizer);
        parts.collect::<Vec<_>>().join(", ")
    }
}

/// What is compared: the last value of a time series of each run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Metric {
    /// Name of a series; by default the loss of the last evaluation in bits per byte, which does not depend on the tokenizer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series: Option<String>,
    /// Whether a larger value is the better one.
    pub higher_is_better: bool,
}

impl Metric {
    /// Its name in texts.
    pub fn label(&self) -> String {
        self.series.as_deref().map_or_else(|| "validation loss".to_owned(), |series| describe(series).label)
    }

    /// Its unit; empty for a number without one.
    pub fn unit(&self) -> String {
        self.series.as_deref().map_or_else(|| BITS_PER_BYTE.to_owned(), |series| describe(series).unit.to_owned())
    }
}

/// What is predicted before the first run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Prediction {
    /// Expected difference, variant minus baseline, in the unit of the metric. Its sign is the direction that the verdict confirms.
    pub difference: f64,
    /// Probability that the verdict will be `confirmed`, 0 to 1.
    pub probability: f64,
}

/// The rule that gives the verdict. It is applied after every pair; its interval stays valid although it is computed after each.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DecisionRule {
    /// Smallest effect that counts: absolute difference in the unit of the metric.
    pub effect: f64,
    /// Probability of a wrong verdict that is accepted, 0.001 to 0.5; 0.05 by default.
    #[serde(default = "alpha")]
    pub alpha: f64,
    /// Fewest pairs, 3 or more; 3 by default.
    #[serde(default = "min_pairs")]
    pub min_pairs: u32,
    /// Most pairs, at most 50; 10 by default. After these the verdict is `inconclusive` if nothing else was decided.
    #[serde(default = "max_pairs")]
    pub max_pairs: u32,
}

fn alpha() -> f64 {
    0.05
}

fn min_pairs() -> u32 {
    3
}

fn max_pairs() -> u32 {
    10
}

impl Default for DecisionRule {
    fn default() -> Self {
        Self { effect: 0.0, alpha: alpha(), min_pairs: min_pairs(), max_pairs: max_pairs() }
    }
}

impl DecisionRule {
    /// Level of the interval, such as 0.95.
    pub fn level(&self) -> f64 {
        1.0 - self.alpha
    }
}

/// What the runs may cost. A pair that would exceed it does not start; the verdict is then `inconclusive`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ExperimentBudget {
    /// Most steps of a run.
    pub steps: u64,
    /// Most device hours of all runs, failed ones included.
    pub device_hours: f64,
    /// Most pairs of seeds that are started; as many as the decision rule allows by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairs: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A valid experiment.
    pub(super) fn spec() -> ExperimentSpec {
        serde_json::from_str(
            r#"{"title":"Lower rate","hypothesis":"The rate is too high.","baseline":{"spec":{"preset":"tiny","corpus":"tales","seed":4}},
            "change":{"overrides":{"optimizer.learning_rate":1e-3}},"prediction":{"difference":-0.05,"probability":0.7},
            "rule":{"effect":0.02,"max_pairs":8},"budget":{"steps":300,"device_hours":1.5}}"#,
        )
        .unwrap()
    }

    #[test]
    fn a_change_applies_to_the_baseline() {
        let baseline: RunSpec =
            serde_json::from_str(r#"{"corpus":"tales","overrides":{"model.layers":2,"optimizer.learning_rate":0.01}}"#)
                .unwrap();
        let change: Change = serde_json::from_str(
            r#"{"overrides":{"optimizer.learning_rate":0.001},"mix":{"tales":1.0,"sums":0.5},"tokenizer":"byte"}"#,
        )
        .unwrap();
        let variant = change.applied_to(&baseline);
        assert_eq!((variant.corpus, variant.tokenizer), (None, Some(Tokenizer::Byte)));
        assert_eq!(variant.mix.map(|mix| mix.len()), Some(2));
        assert_eq!(variant.overrides["model.layers"], Value::from(2));
        assert_eq!(variant.overrides["optimizer.learning_rate"], Value::from(0.001));
        assert_eq!(change.phrase(), "optimizer.learning_rate = 0.001, mix of 0.5 sums + 1 tales, tokenizer byte");
    }

    #[test]
    fn what_is_left_out_has_defaults() {
        let spec = spec();
        assert_eq!((spec.rule.alpha, spec.rule.min_pairs, spec.rule.max_pairs), (0.05, 3, 8));
        assert_eq!((spec.metric.label().as_str(), spec.metric.unit().as_str()), ("validation loss", "bits/byte"));
        assert_eq!(spec.prediction_phrase(), "validation loss −0.05 bits/byte, confirmed with a probability of 0.7");
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<ExperimentSpec>(&text).unwrap(), spec);
    }
}
