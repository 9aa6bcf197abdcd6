//! Trainings by the operators of the CPU and by variants of them, in turn, with equal seeds: by burn's operators and autodiff, or with parts
//! replaced by plain implementations. The differences of time and losses have paired 95 % intervals over the seeds.

use std::fmt::Write;

use clap::builder::PossibleValuesParser;
use engine::model::variant::{Part, Variant};
use engine::train::bench::{self, Figures};
use research::compare::paired;
use research::statistics::sample::{mean, variance};
use serde::Serialize;

use super::document::{Machine, Settings};
use super::{BenchArgs, BenchError, table, train};
use crate::output::{self, OutputError};

/// Gradients by burn's autodiff.
const REFERENCE: &str = "reference";
/// Plain implementations of all parts.
const ALL: &str = "all";
/// Level of the intervals.
const LEVEL: f64 = 0.95;

/// The names of the variants.
pub(super) fn names() -> PossibleValuesParser {
    PossibleValuesParser::new([REFERENCE, ALL].into_iter().chain(Part::ALL.map(Part::name)))
}

/// A variant by its name, and what computes its gradients.
fn variant(name: &str) -> (Variant, &'static str) {
    let part = Part::ALL.into_iter().find(|part| part.name() == name);
    match part {
        Some(part) => (Variant::without(&[part]), part.plain()),
        None if name == REFERENCE => (Variant::reference(), "burn's operators and autodiff"),
        None => (Variant::without(&Part::ALL), "all of the plain implementations"),
    }
}

/// What `--json` prints.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Variants {
    version: String,
    machine: Machine,
    settings: Settings,
    pub(super) variants: Vec<Compared>,
    pairs: Vec<Pair>,
}

/// Two trainings with one seed.
#[derive(Debug, Clone, Serialize)]
struct Pair {
    variant: String,
    seed: u64,
    operators: Results,
    other: Results,
}

/// The results of a training.
#[derive(Debug, Clone, Copy, Serialize)]
struct Results {
    /// Mean time of a step, ms.
    step_ms: f64,
    tokens_per_sec: f64,
    /// Last training loss, nats per token.
    train_nats: Option<f64>,
    /// Last validation loss, nats per token.
    valid_nats: Option<f64>,
}

impl From<Figures> for Results {
    fn from(figures: Figures) -> Self {
        let Figures { step_ms, tokens_per_sec, train_nats, valid_nats, .. } = figures;
        Self { step_ms, tokens_per_sec, train_nats, valid_nats }
    }
}

/// A variant beside the operators.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Compared {
    pub(super) variant: String,
    /// Description, for people.
    implementation: String,
    /// Time of a step, ms.
    pub(super) step_ms: Figure,
    /// Time that the operators save, as a fraction of what they save together; `None` without the variant `all`. Parts interact, so the
    /// shares need not add up to 1.
    pub(super) share: Option<f64>,
    pub(super) train_nats: Option<Figure>,
    pub(super) valid_nats: Option<Figure>,
}

/// A figure of the operators and of a variant.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Figure {
    operators: Sample,
    other: Sample,
    /// Mean over the pairs, variant minus operators.
    pub(super) difference: f64,
    /// Of the difference, at 95 %; `None` for a single pair, and if all pairs differ by the same number.
    interval: Option<[f64; 2]>,
    /// Whether the interval has 0; `None` for a single pair that differs.
    pub(super) is_within_noise: Option<bool>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Sample {
    mean: f64,
    /// Standard deviation; `None` for a single value.
    deviation: Option<f64>,
}

impl Sample {
    fn new(values: &[f64]) -> Self {
        Self { mean: mean(values), deviation: (values.len() > 1).then(|| variance(values).sqrt()) }
    }
}

impl Figure {
    /// `None` if no pair has the figure.
    fn new(pairs: &[(f64, f64)]) -> Option<Self> {
        let (operators, others): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        let difference = mean(&others) - mean(&operators);
        let interval = paired(pairs, LEVEL).map(|found| [found.low, found.high]);
        let are_equal = pairs.iter().all(|(operators, other)| operators == other);
        let is_within_noise = match interval {
            Some([low, high]) => Some(low <= 0.0 && high >= 0.0),
            None if are_equal => Some(true),
            None => (pairs.len() > 1).then_some(false),
        };
        let (operators, other) = (Sample::new(&operators), Sample::new(&others));
        (!pairs.is_empty()).then_some(Self { operators, other, difference, interval, is_within_noise })
    }
}

impl Compared {
    /// `None` without a pair of this variant.
    fn new(name: &str, pairs: &[Pair]) -> Option<Self> {
        let of = |value: &dyn Fn(&Results) -> Option<f64>| {
            let ours = pairs.iter().filter(|pair| pair.variant == name);
            let both = ours.filter_map(|pair| Some((value(&pair.operators)?, value(&pair.other)?)));
            Figure::new(&both.collect::<Vec<_>>())
        };
        Some(Self {
            variant: name.to_owned(),
            implementation: variant(name).1.to_owned(),
            step_ms: of(&|results| Some(results.step_ms))?,
            share: None,
            train_nats: of(&|results| results.train_nats),
            valid_nats: of(&|results| results.valid_nats),
        })
    }
}

/// The comparison of each variant, with its share of what all save.
fn compare(names: &[&str], pairs: &[Pair]) -> Vec<Compared> {
    let mut all: Vec<Compared> = names.iter().filter_map(|name| Compared::new(name, pairs)).collect();
    let whole = all.iter().find(|one| one.variant == ALL).map(|one| one.step_ms.difference);
    if let Some(whole) = whole.filter(|whole| *whole > 0.0) {
        all.iter_mut().filter(|one| one.variant != REFERENCE).for_each(|one| {
            one.share = Some(one.step_ms.difference / whole);
        });
    }
    all
}

impl BenchArgs {
    /// The variants that `--against` and `--ablation` name.
    pub(super) fn variants(&self) -> Vec<&str> {
        if self.ablation {
            return Part::ALL.map(Part::name).into_iter().chain([ALL]).collect();
        }
        self.against.iter().map(String::as_str).collect()
    }

    /// Measures the variants, and prints a line for each pair and the tables, or a JSON document.
    ///
    /// # Errors
    /// The dataset or a training fails.
    pub(super) fn print_variants(&self, settings: Settings) -> Result<(), BenchError> {
        let found = self.measure_variants(settings, &mut |line| {
            if self.json { Ok(()) } else { output::line(line) }
        })?;
        if self.json {
            return super::print_json(&found);
        }
        Ok(output::bytes(tables(&found.variants).as_bytes())?)
    }

    /// Trains with the operators and with each variant, for each seed. The variant is first for even seeds, so that a slow drift of the
    /// machine favours neither.
    pub(super) fn measure_variants(
        &self,
        settings: Settings,
        print: &mut dyn FnMut(&str) -> Result<(), OutputError>,
    ) -> Result<Variants, BenchError> {
        let folder = tempfile::tempdir().map_err(|source| BenchError::Folder { source })?;
        let corpus = self.dataset(folder.path())?;
        let view = bench::resolve(&self.spec(&settings, corpus, 1)?, folder.path(), settings.threads)?;
        print(&table::title(&settings))?;
        print(&format!("{:<10} {:>5} {:>12} {:>12}", "variant", "round", "ms/step", "operators"))?;
        let (names, mut pairs) = (self.variants(), vec![]);
        for seed in 1..=self.rounds {
            for name in &names {
                let results = |variant: Variant| -> Result<Results, BenchError> {
                    Ok(train(&view, seed, folder.path(), settings.threads, variant)?.into())
                };
                let before = if seed % 2 == 0 { Some(results(variant(name).0)?) } else { None };
                let operators = results(Variant::default())?;
                let other = before.map_or_else(|| results(variant(name).0), Ok)?;
                print(&format!("{name:<10} {seed:>5} {:>12.3} {:>12.3}", other.step_ms, operators.step_ms))?;
                pairs.push(Pair { variant: (*name).to_owned(), seed, operators, other });
            }
        }
        Ok(Variants {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            machine: Machine::this(),
            settings,
            variants: compare(&names, &pairs),
            pairs,
        })
    }
}

/// The tables of times and of losses.
pub(super) fn tables(all: &[Compared]) -> String {
    let mut text = format!(
        "\n{:<10} {:>10} {:>10} {:>10} {:>22} {:>8}  implementation\n",
        "variant", "ms/step", "operators", "saved, ms", "95 % interval", "share"
    );
    for one in all {
        let Figure { operators, other, difference, .. } = one.step_ms;
        let share = one.share.map_or("-".to_owned(), |share| format!("{:.0} %", share * 100.0));
        let _ = writeln!(
            text,
            "{:<10} {:>10.3} {:>10.3} {difference:>10.3} {:>22} {share:>8}  {}",
            one.variant,
            other.mean,
            operators.mean,
            interval(&one.step_ms, 3),
            one.implementation
        );
    }
    let _ = writeln!(
        text,
        "\n{:<10} {:<10} {:>18} {:>18} {:>11} {:>24}",
        "variant", "last loss", "nats", "operators", "difference", "95 % interval"
    );
    for one in all {
        for (loss, figure) in [("training", &one.train_nats), ("validation", &one.valid_nats)] {
            if let Some(figure) = figure {
                let _ = writeln!(text, "{:<10} {loss:<10} {}", one.variant, losses(figure));
            }
        }
    }
    text
}

fn losses(figure: &Figure) -> String {
    let sample = |sample: Sample| {
        let deviation = sample.deviation.map_or("-".to_owned(), |deviation| format!("{deviation:.5}"));
        format!("{:.5} +- {deviation}", sample.mean)
    };
    let verdict = match figure.is_within_noise {
        Some(true) => "within noise",
        Some(false) => "more than noise",
        None => "not known from one round",
    };
    format!(
        "{:>18} {:>18} {:>11.6} {:>24}  {verdict}",
        sample(figure.other),
        sample(figure.operators),
        figure.difference,
        interval(figure, 6)
    )
}

fn interval(figure: &Figure, digits: usize) -> String {
    figure.interval.map_or("-".to_owned(), |[low, high]| format!("{low:.digits$} to {high:.digits$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(variant: &str, seed: u64, step_ms: [f64; 2], valid_nats: [f64; 2]) -> Pair {
        let results = |at: usize| Results {
            step_ms: step_ms[at],
            tokens_per_sec: 1000.0 / step_ms[at],
            train_nats: None,
            valid_nats: Some(valid_nats[at]),
        };
        Pair { variant: variant.to_owned(), seed, operators: results(0), other: results(1) }
    }

    #[test]
    fn variants_have_paired_differences_and_shares_of_all() {
        let pairs = [
            pair("norm", 1, [10.0, 11.0], [2.0, 2.001]),
            pair("norm", 2, [10.2, 11.3], [2.1, 2.099]),
            pair("all", 1, [10.0, 14.0], [2.0, 2.0]),
            pair("all", 2, [10.2, 14.3], [2.1, 2.1]),
        ];
        let found = compare(&["norm", "all", "head"], &pairs);
        assert_eq!(found.len(), 2, "head was not measured: {found:?}");
        let (norm, all) = (&found[0], &found[1]);
        assert!((norm.step_ms.difference - 1.05).abs() < 1e-9, "{norm:?}");
        assert!(norm.share.is_some_and(|share| (share - 1.05 / 4.05).abs() < 1e-9), "{norm:?}");
        let verdict = |one: &Compared| one.valid_nats.as_ref().and_then(|figure| figure.is_within_noise);
        assert_eq!((verdict(norm), verdict(all)), (Some(true), Some(true)), "{found:?}");
        assert_eq!(all.valid_nats.as_ref().map(|figure| figure.difference), Some(0.0));
        let alone = compare(&["norm"], &pairs[..1]);
        assert_eq!((verdict(&alone[0]), alone[0].share), (None, None), "one pair says nothing about noise");
        let shown = tables(&found);
        assert!(shown.contains("within noise") && shown.contains("26 %"), "{shown}");
    }
}
