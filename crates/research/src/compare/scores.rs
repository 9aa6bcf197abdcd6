//! Scores of evaluation tasks that the compared runs share, with what is known of their uncertainty.
//!
//! Of a score the number of correct items is known, not which ones. So a score has the interval of Wilson, and the difference of two runs that
//! of Newcombe, which treats the items of both as independent. They are the same items: where both models answer the same ones correctly,
//! a paired interval would be narrower. Groups of at least 2 runs each have an interval over seeds instead, by paired or Welch's t. Scores
//! without correct items (a perplexity, an external command) of single runs have no interval, and that is said.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use wire::number::{brief, grouped, in_sentence};
use wire::task::lab::StoredResult;
use wire::task::result::describe;

use super::difference::{Difference, Method, Variation, paired, welch};
use crate::statistics::distribution::normal_quantile;
use crate::statistics::sample::mean;

/// Level of all intervals.
const LEVEL: f64 = 0.95;
/// Shared seeds from which on runs are paired.
const ENOUGH_PAIRS: usize = 3;

/// A run with its scores on its path.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredRun {
    /// Id.
    pub run: String,
    /// Display name.
    pub name: String,
    pub seed: u64,
    pub results: Vec<StoredResult>,
}

/// The score of a run in a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ComparedScore {
    pub run: String,
    /// Display name.
    pub name: String,
    pub seed: u64,
    /// Steps done at the checkpoint.
    pub step: u64,
    /// The main value of the task; `None` if it is not finite.
    pub value: Option<f64>,
    /// Items that were answered correctly, if the value is their fraction.
    pub correct: Option<u64>,
    pub items: u64,
    /// Ends of its 95 % interval over items (Wilson); `None` without correct items.
    pub interval: Option<(f64, f64)>,
}

/// The scores of a group of runs, and their difference to the baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScoredGroup {
    pub runs: Vec<ComparedScore>,
    /// Mean of the values; `None` if one is not finite.
    pub mean: Option<f64>,
    /// Mean minus that of the baseline, with its interval; `None` for the baseline and where there is no interval.
    pub difference: Option<Difference>,
    /// The conclusion, or why there is no interval; empty for the baseline.
    pub sentence: String,
}

/// The scores on one task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TaskComparison {
    pub task: String,
    /// The main value of the task, such as `accuracy`.
    pub metric: String,
    /// The newest step at which all runs have a score; `None` without one, and the newest score of each run is compared.
    pub step: Option<u64>,
    pub baseline: ScoredGroup,
    /// In the order of the groups.
    pub changes: Vec<ScoredGroup>,
}

/// Compares the scores on each task that all runs have. `baseline` and `changes` as in [`super::Groups`].
pub fn compare_scores(baseline: &[ScoredRun], changes: &[Vec<ScoredRun>]) -> Vec<TaskComparison> {
    let all: Vec<&ScoredRun> = baseline.iter().chain(changes.iter().flatten()).collect();
    let of_run = |run: &ScoredRun| -> BTreeSet<String> {
        run.results.iter().map(|stored| stored.result.task.to_string()).collect()
    };
    let shared = all.iter().map(|run| of_run(run)).reduce(|one, other| &one & &other).unwrap_or_default();
    shared.into_iter().filter_map(|task| compare_task(task, baseline, changes, &all)).collect()
}

fn compare_task(
    task: String,
    baseline: &[ScoredRun],
    changes: &[Vec<ScoredRun>],
    all: &[&ScoredRun],
) -> Option<TaskComparison> {
    let steps = all.iter().map(|run| of_task(run, &task).map(|stored| stored.checkpoint.step).collect::<BTreeSet<_>>());
    let step = steps.reduce(|one, other| &one & &other)?.last().copied();
    let metric = of_task(all.first()?, &task).last()?.result.metrics.first()?.name.clone();
    let group = |runs: &[ScoredRun]| -> Option<Vec<ComparedScore>> {
        runs.iter().map(|run| score(run, &task, &metric, step)).collect()
    };
    let of_baseline = group(baseline)?;
    let changes: Option<Vec<ScoredGroup>> =
        changes.iter().map(|runs| Some(compared(&of_baseline, group(runs)?, &metric, step))).collect();
    let baseline =
        ScoredGroup { mean: mean_of(&of_baseline), runs: of_baseline, difference: None, sentence: String::new() };
    Some(TaskComparison { task, metric, step, baseline, changes: changes? })
}

fn of_task<'a>(run: &'a ScoredRun, task: &'a str) -> impl Iterator<Item = &'a StoredResult> {
    run.results.iter().filter(move |stored| stored.result.task.as_str() == task)
}

/// The score of a run at a step, or its newest.
fn score(run: &ScoredRun, task: &str, metric: &str, step: Option<u64>) -> Option<ComparedScore> {
    let wanted = of_task(run, task).filter(|stored| step.is_none_or(|step| stored.checkpoint.step == step));
    let stored = wanted.max_by_key(|stored| (stored.checkpoint.step, stored.checkpoint.segment))?;
    let result = &stored.result;
    let value = result.value(metric);
    let is_fraction =
        |correct: &u64| value.is_some_and(|value| (value - *correct as f64 / result.items as f64).abs() < 1e-9);
    let correct = result.correct.filter(is_fraction);
    Some(ComparedScore {
        run: run.run.clone(),
        name: run.name.clone(),
        seed: run.seed,
        step: stored.checkpoint.step,
        value,
        correct,
        items: result.items,
        interval: correct.map(|correct| wilson(correct, result.items, LEVEL)),
    })
}

fn compared(baseline: &[ComparedScore], change: Vec<ComparedScore>, metric: &str, step: Option<u64>) -> ScoredGroup {
    let found = difference(baseline, &change);
    let mut sentence = sentence(baseline, &change, metric, &found);
    if step.is_none() {
        sentence += " The runs have no score at a common step; the newest score of each is compared.";
    }
    ScoredGroup { mean: mean_of(&change), runs: change, difference: found.ok(), sentence }
}

/// The difference with its interval, or why there is none.
fn difference(baseline: &[ComparedScore], change: &[ComparedScore]) -> Result<Difference, String> {
    let mut items = baseline.iter().chain(change).map(|score| score.items);
    let first = items.next().unwrap_or_default();
    if let Some(other) = items.find(|other| *other != first) {
        return Err(format!("the task had {} items for some runs and {} for others", grouped(first), grouped(other)));
    }
    let values = |group: &[ComparedScore]| group.iter().map(|score| score.value).collect::<Option<Vec<f64>>>();
    let (Some(a), Some(b)) = (values(baseline), values(change)) else {
        return Err("a score is not finite".to_owned());
    };
    match (baseline, change) {
        ([one], [other]) => match (one.correct, other.correct) {
            (Some(x), Some(y)) => Ok(newcombe((x, one.items), (y, other.items), LEVEL)),
            _ => Err(
                "this task counts no correct items, and each side is one run; compare at least 2 seeds on each side"
                    .to_owned(),
            ),
        },
        ([_], _) | (_, [_]) => Err("one side is a single run; compare at least 2 seeds on each side".to_owned()),
        _ => {
            let pairs = pairs(baseline, change);
            let found = pairs.map_or_else(|| welch(&a, &b, LEVEL), |pairs| paired(&pairs, LEVEL));
            found.ok_or_else(|| "the scores do not vary over seeds".to_owned())
        }
    }
}

/// The values of equal seeds, if both groups have the same seeds and enough of them.
fn pairs(baseline: &[ComparedScore], change: &[ComparedScore]) -> Option<Vec<(f64, f64)>> {
    let of_seed: BTreeMap<u64, f64> = change.iter().filter_map(|score| Some((score.seed, score.value?))).collect();
    let pairs: Option<Vec<(f64, f64)>> =
        baseline.iter().map(|score| Some((score.value?, *of_seed.get(&score.seed)?))).collect();
    pairs.filter(|pairs| pairs.len() == change.len() && of_seed.len() == change.len() && pairs.len() >= ENOUGH_PAIRS)
}

/// The interval of a fraction by Wilson (1927): the values of p with |x/n − p| ≤ z √(p (1 − p) / n).
pub fn wilson(correct: u64, items: u64, level: f64) -> (f64, f64) {
    let (x, n, z) = (correct as f64, items as f64, normal_quantile(0.5 + level / 2.0));
    let middle = (x + z * z / 2.0) / (n + z * z);
    let half = z / (n + z * z) * (x * (n - x) / n + z * z / 4.0).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

/// The difference of two fractions, change minus baseline, with the interval of Newcombe (1998, method 10): d − √((p₂ − l₂)² + (u₁ − p₁)²) to
/// d + √((u₂ − p₂)² + (p₁ − l₁)²), of the Wilson intervals l to u. Each side is (correct, items).
pub fn newcombe(baseline: (u64, u64), change: (u64, u64), level: f64) -> Difference {
    let fraction = |(correct, items): (u64, u64)| correct as f64 / items as f64;
    let (p1, p2) = (fraction(baseline), fraction(change));
    let ((l1, u1), (l2, u2)) = (wilson(baseline.0, baseline.1, level), wilson(change.0, change.1, level));
    let variance = |p: f64, items: u64| p * (1.0 - p) / items as f64;
    let estimate = p2 - p1;
    Difference {
        estimate,
        standard_error: (variance(p1, baseline.1) + variance(p2, change.1)).sqrt(),
        low: estimate - (p2 - l2).hypot(u1 - p1),
        high: estimate + (u2 - p2).hypot(p1 - l1),
        level,
        variation: Variation::Items,
        method: Method::Newcombe,
        p_value: None,
        freedom: None,
    }
}

fn mean_of(group: &[ComparedScore]) -> Option<f64> {
    let values: Option<Vec<f64>> = group.iter().map(|score| score.value).collect();
    values.filter(|values| !values.is_empty()).map(|values| mean(&values))
}

fn sentence(
    baseline: &[ComparedScore],
    change: &[ComparedScore],
    metric: &str,
    found: &Result<Difference, String>,
) -> String {
    let (a, b, word) = (names(baseline), names(change), metric.replace('_', " "));
    let unit = describe(metric).map(|(unit, _)| unit).filter(|unit| !unit.is_empty() && *unit != "fraction");
    let unit = unit.map(|unit| format!(" {unit}")).unwrap_or_default();
    let difference = match found {
        Ok(difference) => difference,
        Err(why) => {
            let estimate = mean_of(change).zip(mean_of(baseline)).map(|(b, a)| in_sentence(b - a));
            let estimate = estimate.map(|value| format!("The {word} of {b} minus that of {a} is {value}{unit}. "));
            return format!("{}There is no interval: {why}.", estimate.unwrap_or_default());
        }
    };
    let conclusion = match difference.is_significant() {
        true => {
            let direction = if difference.estimate < 0.0 { "lower" } else { "higher" };
            let size = brief(difference.estimate.abs());
            format!("The {word} of {b} is {direction} by {size}{unit} than that of {a}.")
        }
        false => format!("No detectable difference in {word} between {b} and {a}."),
    };
    let over = match difference.method {
        Method::Newcombe => {
            let items = baseline.first().map_or(0, |score| score.items);
            format!("items, not over seeds (Newcombe's interval, {} items, which are not paired)", grouped(items))
        }
        Method::PairedSeeds => format!("seeds (paired t, {} seeds on each side)", baseline.len()),
        _ => format!("seeds (Welch's t, {} and {} runs)", baseline.len(), change.len()),
    };
    let (estimate, low, high) =
        (in_sentence(difference.estimate), in_sentence(difference.low), in_sentence(difference.high));
    format!(
        "{conclusion} The difference, {b} minus {a}, is {estimate}{unit}, 95 % interval {low} to {high} over {over}."
    )
}

/// The name of a single run, or those of a group.
fn names(runs: &[ComparedScore]) -> String {
    match runs {
        [only] => only.name.clone(),
        [first, .., last] => format!("{} runs ({} to {})", runs.len(), first.name, last.name),
        [] => "no run".to_owned(),
    }
}
