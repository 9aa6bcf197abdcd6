//! A bench beside a stored one with the same settings: the ratio of each figure, and whether the rounds of both tell them apart.

use std::path::Path;

use serde::Serialize;

use super::BenchError;
use super::document::{Document, OperatorFigures, Round, Settings, median};

/// A figure of both benches.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Comparison {
    /// Name and unit.
    pub(super) figure: String,
    /// Medians over the rounds.
    pub(super) baseline: f64,
    pub(super) now: f64,
    /// `now / baseline`; `None` for a baseline of 0.
    pub(super) ratio: Option<f64>,
    /// Whether every round of one bench is above every round of the other; `None` for a figure that is not measured in each of several rounds.
    pub(super) is_outside_spread: Option<bool>,
}

impl Comparison {
    fn new(figure: String, baseline: Vec<f64>, now: Vec<f64>) -> Self {
        let is_outside_spread = (baseline.len() > 1 && now.len() > 1).then(|| {
            let ([low, high], [from, to]) = (range(&baseline), range(&now));
            to < low || from > high
        });
        let (baseline, now) = (median(baseline), median(now));
        Self { figure, baseline, now, ratio: (baseline > 0.0).then_some(now / baseline), is_outside_spread }
    }
}

fn range(values: &[f64]) -> [f64; 2] {
    [values.iter().copied().fold(f64::INFINITY, f64::min), values.iter().copied().fold(f64::NEG_INFINITY, f64::max)]
}

/// Checks that a baseline has the settings of this bench.
///
/// # Errors
/// The first setting that differs.
pub(super) fn check(path: &Path, baseline: &Document, settings: &Settings) -> Result<(), BenchError> {
    let of = |settings: &Settings| {
        let overrides = serde_json::to_string(&settings.overrides).unwrap_or_default();
        [
            ("preset", settings.preset.clone()),
            ("hyperparameters", overrides),
            ("tokenizer", settings.tokenizer.clone()),
            ("dataset", settings.dataset.clone()),
            ("steps", settings.steps.to_string()),
            ("precision", settings.precision.clone()),
            ("threads", settings.threads.to_string()),
        ]
    };
    let differing = of(&baseline.settings).into_iter().zip(of(settings)).find(|(stored, now)| stored.1 != now.1);
    match differing {
        None => Ok(()),
        Some(((setting, stored), (_, now))) => {
            Err(BenchError::BaselineSettings { path: path.to_owned(), setting, stored, now })
        }
    }
}

/// Each figure of a bench beside that of a baseline. An operator that only one has is left out.
pub(super) fn compare(baseline: &Document, now: &Document) -> Vec<Comparison> {
    let of_rounds = |figure: &str, value: &dyn Fn(&Round) -> Option<f64>| {
        let values = |document: &Document| document.rounds.iter().filter_map(value).collect::<Vec<_>>();
        Comparison::new(figure.to_owned(), values(baseline), values(now))
    };
    let single = |figure: &str, value: &dyn Fn(&Document) -> f64| {
        Comparison::new(figure.to_owned(), vec![value(baseline)], vec![value(now)])
    };
    let mut all = vec![
        of_rounds("tokens/s", &|round| Some(round.tokens_per_sec)),
        of_rounds("step, ms", &|round| Some(round.step_ms)),
        of_rounds("validation loss, nats", &|round| round.valid_nats),
        single("memory, bytes", &|document| document.memory_bytes.measured.unwrap_or_default()),
        single("ceiling, FLOP/s", &|document| document.ceiling.flops_per_sec),
        single("ceiling, bytes/s", &|document| document.ceiling.bytes_per_sec),
    ];
    let is_in_both = |figures: &&OperatorFigures| {
        let same = |other: &OperatorFigures| {
            (other.time.phase, other.time.operator) == (figures.time.phase, figures.time.operator)
        };
        baseline.operators.iter().any(same)
    };
    all.extend(now.operators.iter().filter(is_in_both).map(|figures| {
        let time = &figures.time;
        let name = format!("{}, {}, ms", time.operator.label(), time.phase.label());
        of_rounds(&name, &|round| Some(round.ms_of(time)))
    }));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_apart_if_every_round_is() {
        let check = |baseline: &[f64], now: &[f64], ratio: Option<f64>, is_outside: Option<bool>| {
            let found = Comparison::new("tokens/s".into(), baseline.to_vec(), now.to_vec());
            assert_eq!((found.ratio, found.is_outside_spread), (ratio, is_outside), "{baseline:?} and {now:?}");
        };
        check(&[100.0, 104.0, 102.0], &[204.0, 103.0, 230.0], Some(2.0), Some(false));
        check(&[100.0, 104.0, 102.0], &[204.0, 105.0, 230.0], Some(2.0), Some(true));
        check(&[8.0, 10.0, 9.0], &[4.0, 4.5, 7.0], Some(0.5), Some(true));
        check(&[8.0], &[4.0, 4.5, 7.0], Some(0.5625), None);
        check(&[0.0, 0.0], &[4.0, 4.0], None, Some(true));
        check(&[], &[], None, None);
    }
}
