//! The values of one step as the rules read them: known series by field, series of datasets, parameters and heads by prefix.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wire::series::name;

use super::facts::Facts;

/// Prefixes of series that a rule reads.
const PREFIXES: [&str; 8] = [
    name::VALID_OF,
    name::EPOCHS,
    name::UPDATE_RATIO,
    name::GRADIENT_RMS,
    name::WEIGHT_RMS,
    name::ATTENTION_ENTROPY,
    name::ATTENTION_LOGIT,
    name::DEAD_NEURONS,
];

/// The values of a step. Absent ones were not reported, or were reported before.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sample<'a> {
    /// The step, counted from 0.
    pub(super) step: u64,
    /// Training loss, nats/token.
    pub(super) loss: Option<f64>,
    /// Validation loss, nats/token.
    pub(super) valid: Option<f64>,
    pub(super) learning_rate: Option<f64>,
    /// Before clipping.
    pub(super) grad_norm: Option<f64>,
    /// Tokens trained on so far.
    pub(super) tokens: Option<f64>,
    pub(super) tokens_per_sec: Option<f64>,
    pub(super) duplicate_windows: Option<f64>,
    /// Index of a prefix, the rest of the name, and the value.
    others: Vec<(usize, &'a str, f64)>,
}

impl<'a> Sample<'a> {
    /// The series below a prefix: the rest of their names, and their values.
    pub(super) fn below(&self, prefix: &'static str) -> impl Iterator<Item = (&'a str, f64)> + Clone + '_ {
        let others = self.others.iter().filter(move |(index, ..)| PREFIXES[*index] == prefix);
        others.map(|(_, rest, value)| (*rest, *value))
    }

    /// Series of matrices below a prefix: gains and biases are left out, because their usual sizes differ.
    pub(super) fn matrices(&self, prefix: &'static str) -> impl Iterator<Item = (&'a str, f64)> + Clone + '_ {
        let is_vector = |name: &str| matches!(name.rsplit('.').next(), Some("norm" | "bias"));
        self.below(prefix).filter(move |(name, _)| !is_vector(name))
    }

    /// The finite validation loss of an evaluation that reads the same windows as those before: not the last one.
    pub(super) fn periodic_valid(&self, facts: &Facts) -> Option<f64> {
        self.valid.filter(|loss| loss.is_finite() && !facts.is_last_evaluation(self.step))
    }

    /// Whether no rule reads anything of it.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self { step: self.step, ..Self::default() }
    }

    fn field(&mut self, series: &str) -> Option<&mut Option<f64>> {
        Some(match series {
            name::TRAIN => &mut self.loss,
            name::VALID => &mut self.valid,
            name::LEARNING_RATE => &mut self.learning_rate,
            name::GRAD_NORM => &mut self.grad_norm,
            name::TOKENS => &mut self.tokens,
            name::TOKENS_PER_SEC => &mut self.tokens_per_sec,
            name::DUPLICATE_WINDOWS => &mut self.duplicate_windows,
            _ => return None,
        })
    }
}

/// Whether a rule reads the series of this name.
pub fn is_read(series: &str) -> bool {
    Sample::default().field(series).is_some() || PREFIXES.iter().any(|prefix| series.starts_with(prefix))
}

/// The newest step of each series that a rule reads. A point that is not newer is dropped, so that repeated reports count once and no
/// rule sees steps out of order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Newest(BTreeMap<String, u64>);

impl Newest {
    /// The new values of a row.
    pub(super) fn sample<'a>(&mut self, step: u64, values: &'a [(String, f64)]) -> Sample<'a> {
        let mut sample = Sample { step, ..Sample::default() };
        for (series, value) in values {
            if let Some(field) = sample.field(series) {
                if field.is_none() && accept(&mut self.0, series, step) {
                    *field = Some(*value);
                }
                continue;
            }
            let below = |prefix: &str| series.strip_prefix(prefix);
            let found = PREFIXES.iter().enumerate().find_map(|(index, prefix)| Some((index, below(prefix)?)));
            if let Some((index, rest)) = found.filter(|_| accept(&mut self.0, series, step)) {
                sample.others.push((index, rest, *value));
            }
        }
        sample
    }
}

fn accept(newest: &mut BTreeMap<String, u64>, series: &str, step: u64) -> bool {
    match newest.get_mut(series) {
        Some(last) if *last >= step => false,
        Some(last) => {
            *last = step;
            true
        }
        None => newest.insert(series.to_owned(), step).is_none(),
    }
}
