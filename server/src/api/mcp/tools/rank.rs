//! Ranking runs by a metric at an equal budget.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use research::compare::NoiseFloor;
use research::statistics::sample::mean;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use wire::RunView;
use wire::run::history::Span;
use wire::run::table::RunRow;
use wire::series::{Bucket, SeriesWindow, describe};
use wire::sweep::record::{SweepView, TrialState};
use wire::sweep::spec::Direction;

use crate::api::mcp::answer::Answer;
use crate::api::mcp::brief::{given, rounded};
use crate::api::mcp::caller::{Caller, encoded, query};
use crate::api::mcp::tool::Tool;
use crate::error::ApiError;

/// Maximum number of runs that are ranked.
const MOST_RUNS: usize = 100;
/// Configurations in an answer: the best ones.
const SHOWN: usize = 25;
/// Maximum number of values of a series that are read for a run.
const POINTS: u32 = 2_000;
/// Confidence level of intervals.
const LEVEL: f64 = 0.95;
/// The last value before the budget is used if it lies within this fraction of the budget.
const TOLERANCE: f64 = 0.05;
/// Why a run is not ranked whose configuration has a run with its seed: the two show no spread over seeds.
const REPEATED: &str = "another run with its configuration and its seed is ranked";
/// Metric without an argument: the validation loss.
const METRIC: &str = "loss.valid";

pub fn tools() -> Vec<Tool> {
    vec![
        Tool::reading(
            "rank",
            "Rank runs",
            "Ranks the finished runs of a project or a sweep, or given runs, by a metric at equal tokens or steps. Runs \
             that differ only in the seed are one configuration. If configurations have several seeds, it gives the \
             difference of each from the best one with a 95 % interval over seeds.",
            rank,
        )
        .returns(&[
            ("metric", "Name of the metric."),
            ("unit", "Its unit."),
            ("equal", "What is equal: tokens or step."),
            ("at", "The budget at which values are read."),
            ("ranking", "Configurations, best first: rank, runs, seeds, mean, and behind: the difference from the best."),
            ("configurations", "Number of configurations that were ranked."),
            ("noise", "Spread over seeds: sigma with its 95 % interval and degrees of freedom."),
            ("not_ranked", "Runs without a value at the budget, and why."),
        ]),
    ]
}

/// Axis on which the budget of all runs is the same.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum EqualAxis {
    #[default]
    Tokens,
    Step,
}

impl EqualAxis {
    const fn word(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Step => "step",
        }
    }
}

/// Direction in which a metric improves.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Better {
    Lower,
    Higher,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rank {
    /// Name of a project, whose finished runs are ranked. Give this, sweep or runs.
    project: Option<String>,
    /// Id of a sweep, whose finished trials are ranked.
    sweep: Option<i64>,
    /// Ids of runs; at most 100.
    runs: Option<Vec<String>>,
    /// Name of a series; that of the sweep by default, else loss.valid.
    metric: Option<String>,
    /// Whether lower or higher values are better; that of the sweep by default, else lower.
    better: Option<Better>,
    /// Tokens by default.
    #[serde(default)]
    equal: EqualAxis,
    /// The budget; by default the largest one that all runs have reached.
    at: Option<f64>,
}

/// What is ranked, and how.
struct Wanted {
    runs: Vec<String>,
    /// Whether there are more runs than were read.
    has_more: bool,
    metric: String,
    is_lower_better: bool,
}

/// A run with its values on the axis.
struct Measured {
    view: RunView,
    windows: Vec<SeriesWindow>,
}

/// Runs that differ in the seed only, with their values.
#[derive(Default)]
struct Configuration {
    runs: Vec<Value>,
    seeds: BTreeSet<u64>,
    values: Vec<f64>,
}

async fn rank(caller: Caller, args: Rank) -> Result<Answer, ApiError> {
    let (equal, at) = (args.equal, args.at);
    if at.is_some_and(|at| !(at.is_finite() && at > 0.0)) {
        return Err(ApiError::invalid("arguments_invalid", "at is not a positive number").field("at"));
    }
    let wanted = wanted(&caller, args).await?;
    let mut measured = vec![];
    for (count, run) in wanted.runs.iter().enumerate() {
        caller.progress().say(format!("{count} of {} runs are read", wanted.runs.len()));
        measured.push(measure(&caller, run, &wanted.metric, equal).await?);
    }
    Ok(ranking(&wanted, &measured, equal, at))
}

async fn wanted(caller: &Caller, args: Rank) -> Result<Wanted, ApiError> {
    let metric = args.metric.clone();
    let is_lower_better = args.better.map(|better| matches!(better, Better::Lower));
    let (runs, of_sweep) = match (args.project, args.sweep, args.runs) {
        (Some(project), None, None) => (finished_in(caller, &project).await?, None),
        (None, Some(sweep), None) => {
            let SweepView { sweep, trials } = caller.get(&format!("/sweeps/{sweep}")).await?;
            let is_over = trials.into_iter().filter(|trial| trial.state == TrialState::Finished);
            let runs = is_over.filter_map(|trial| trial.run).map(|run| run.to_string()).collect();
            (runs, Some(sweep.spec.metric))
        }
        (None, None, Some(runs)) => (runs, None),
        _ => {
            return Err(ApiError::invalid("arguments_invalid", "exactly one of project, sweep and runs is required")
                .field("runs")
                .hint("give the name of a project, the id of a sweep, or ids of runs"));
        }
    };
    let runs = each_once(runs);
    let has_more = runs.len() > MOST_RUNS;
    let default = of_sweep.as_ref().is_none_or(|metric| metric.direction == Direction::Lower);
    Ok(Wanted {
        runs: runs.into_iter().take(MOST_RUNS).collect(),
        has_more,
        metric: metric.or_else(|| of_sweep.map(|metric| metric.name)).unwrap_or_else(|| METRIC.to_owned()),
        is_lower_better: is_lower_better.unwrap_or(default),
    })
}

/// Each run once: a second copy would count as another seed without a difference.
fn each_once(mut runs: Vec<String>) -> Vec<String> {
    let mut known = HashSet::new();
    runs.retain(|run| known.insert(run.clone()));
    runs
}

/// The newest finished runs of a project.
async fn finished_in(caller: &Caller, project: &str) -> Result<Vec<String>, ApiError> {
    let fields = [
        ("project", Some(project.to_owned())),
        ("state", Some("finished".to_owned())),
        ("limit", Some((MOST_RUNS + 1).to_string())),
    ];
    let rows: Vec<RunRow> = caller.get(&format!("/runs?{}", query(fields))).await?;
    Ok(rows.into_iter().map(|row| row.summary.id.to_string()).collect())
}

async fn measure(caller: &Caller, run: &str, metric: &str, equal: EqualAxis) -> Result<Measured, ApiError> {
    let path = format!("/runs/{}", encoded(run));
    let view: RunView = caller.get(&path).await?;
    let fields = [
        ("names", Some(metric.to_owned())),
        ("x", Some(equal.word().to_owned())),
        ("points", Some(POINTS.to_string())),
    ];
    let windows = caller.get_packed(&format!("{path}/series?{}", query(fields))).await?;
    Ok(Measured { view, windows })
}

impl Measured {
    /// The finite values on its path, in increasing steps; those of a parent are not among them.
    fn path(&self) -> impl DoubleEndedIterator<Item = &Bucket> {
        let own = self.view.lineage.iter().filter(|span| span.run == self.view.summary.id);
        on_path(own, &self.windows).into_iter()
    }

    /// The end of its path on the axis.
    fn end(&self) -> Option<f64> {
        self.path().next_back().map(|bucket| bucket.last_x)
    }

    /// Equal for runs that differ in the seed only and were not changed while they trained.
    fn configuration(&self) -> String {
        let RunView { plan, hyperparameters, summary, .. } = &self.view;
        if hyperparameters.changes != plan.live().changes {
            return summary.id.to_string();
        }
        let mut plan = serde_json::to_value(plan).unwrap_or_default();
        plan["seed"].take();
        plan["device"].take();
        plan.to_string()
    }
}

/// The buckets with finite values on a path, whose spans are in increasing steps. A rollback leaves the values after its checkpoint on an
/// abandoned branch; a bucket that contains some of them is left out.
fn on_path<'a>(spans: impl Iterator<Item = &'a Span>, windows: &'a [SeriesWindow]) -> Vec<&'a Bucket> {
    let of_span = move |span: &'a Span| {
        let own = windows.iter().filter(move |window| window.segment == span.segment);
        own.flat_map(|window| &window.buckets).filter(move |bucket| {
            let is_before_end = span.to_step.is_none_or(|to| bucket.last_step < to);
            bucket.count > 0 && bucket.step >= span.from_step && is_before_end
        })
    };
    spans.flat_map(of_span).collect()
}

/// The last value up to a budget.
fn last_before<'a>(mut path: impl DoubleEndedIterator<Item = &'a Bucket>, budget: f64) -> Option<&'a Bucket> {
    let found = path.rfind(|bucket| bucket.last_x <= budget);
    found.filter(|bucket| budget - bucket.last_x <= TOLERANCE * budget)
}

/// The ranking of measured runs.
fn ranking(wanted: &Wanted, measured: &[Measured], equal: EqualAxis, at: Option<f64>) -> Answer {
    let at = at.or_else(|| measured.iter().filter_map(Measured::end).reduce(f64::min));
    let mut configurations: BTreeMap<String, Configuration> = BTreeMap::new();
    let mut not_ranked = vec![];
    for run in measured {
        let summary = &run.view.summary;
        let seed = run.view.plan.seed;
        match at.and_then(|at| last_before(run.path(), at)) {
            Some(bucket) => {
                let configuration = configurations.entry(run.configuration()).or_default();
                if !configuration.seeds.insert(seed) {
                    not_ranked.push(json!({ "run": summary.id, "why": REPEATED }));
                    continue;
                }
                configuration.values.push(bucket.mean);
                configuration.runs.push(json!({
                    "run": summary.id, "name": summary.name, "seed": seed, "value": rounded(bucket.mean),
                    "step": bucket.last_step,
                }));
            }
            None => not_ranked.push(json!({ "run": summary.id, "why": why_not(run) })),
        }
    }
    let mut ranked: Vec<Configuration> = configurations.into_values().collect();
    let order = |configuration: &Configuration| match wanted.is_lower_better {
        true => mean(&configuration.values),
        false => -mean(&configuration.values),
    };
    ranked.sort_by(|one, other| order(one).total_cmp(&order(other)));
    let groups: Vec<&[f64]> = ranked.iter().map(|configuration| &configuration.values[..]).collect();
    let noise = NoiseFloor::pooled(&groups);
    let shown = ranked.iter().take(SHOWN).enumerate();
    let shown: Vec<Value> =
        shown.map(|(place, own)| configuration(place + 1, own, &ranked[0], noise.as_ref())).collect();
    let unit = describe(&wanted.metric).unit;
    let data = json!({
        "metric": wanted.metric, "unit": unit, "equal": equal.word(), "at": at, "ranking": shown,
        "configurations": ranked.len(), "noise": noise, "not_ranked": not_ranked,
    });
    let answer = Answer::new(given(data)).units(&[
        ("value, mean, behind, noise.sigma", if unit.is_empty() { "none" } else { unit }),
        ("at", if matches!(equal, EqualAxis::Tokens) { "training tokens" } else { "optimizer steps" }),
    ]);
    let answer = notes(answer, wanted, measured, noise.is_some());
    answer.more("rank fewer runs").next("compare, with the runs of each of the first configurations as a group")
}

fn why_not(run: &Measured) -> &'static str {
    match run.end() {
        None => "it has no finite value of the metric",
        Some(_) => "it has no value at the budget or within 5 % before it",
    }
}

/// A configuration with its difference from the best one.
fn configuration(rank: usize, own: &Configuration, best: &Configuration, noise: Option<&NoiseFloor>) -> Value {
    let difference = noise.filter(|_| rank > 1).and_then(|noise| noise.difference(&best.values, &own.values, LEVEL));
    let behind = difference.map(|difference| {
        json!({
            "difference": rounded(difference.estimate), "low": rounded(difference.low), "high": rounded(difference.high),
            "is_more_than_noise": difference.is_significant(),
        })
    });
    given(json!({
        "rank": rank, "mean": rounded(mean(&own.values)), "seeds": own.values.len(), "runs": own.runs, "behind": behind,
    }))
}

fn notes(answer: Answer, wanted: &Wanted, measured: &[Measured], has_noise: bool) -> Answer {
    let mut answer = match has_noise {
        true => answer.note(
            "behind is the mean minus that of the first, with a 95 % interval over seeds from the pooled spread of all \
             configurations; if the interval contains 0, the order of the two is not known",
        ),
        false => answer.note(
            "no configuration has two seeds with different values, so differences may be noise; noise_floor and \
             propose_experiment measure it",
        ),
    };
    if wanted.has_more {
        answer = answer.note(format!("there are more runs; the first {MOST_RUNS} were read"));
    }
    let text = |run: &Measured| (run.view.plan.tokenizer.to_string(), datasets(run));
    if measured.windows(2).any(|pair| text(&pair[0]) != text(&pair[1])) {
        answer = answer.note(
            "the runs differ in tokenizer or datasets, so losses in nats/token are not comparable; compare uses bits/byte",
        );
    }
    answer
}

fn datasets(run: &Measured) -> Vec<String> {
    run.view.plan.mix.iter().map(|part| part.content_hash.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(step: u64, mean: f64) -> Bucket {
        let x = step as f64;
        Bucket { step, last_step: step, x, last_x: x, min: mean, max: mean, mean, count: u64::from(mean.is_finite()) }
    }

    #[test]
    fn configurations_are_compared_with_the_best_by_the_pooled_noise() {
        let of = |values: &[f64]| Configuration { values: values.to_vec(), ..Configuration::default() };
        let (best, near, far) = (of(&[3.0, 3.02]), of(&[3.01, 3.03]), of(&[4.0]));
        let noise = NoiseFloor::pooled(&[&best.values, &near.values, &far.values]).unwrap();
        let shown = |rank: usize, own: &Configuration| configuration(rank, own, &best, Some(&noise));
        assert!(shown(1, &best)["behind"].is_null());
        assert_eq!(shown(2, &near)["behind"]["is_more_than_noise"], false);
        assert_eq!(shown(3, &far)["behind"]["is_more_than_noise"], true);
        assert_eq!(shown(3, &far)["behind"]["difference"], 0.99);
        assert!(configuration(3, &far, &best, None)["behind"].is_null());
    }

    #[test]
    fn a_value_is_the_last_one_on_the_path_up_to_the_budget() {
        let window = |segment: u32, buckets: Vec<Bucket>| {
            let total = buckets.len() as u64;
            SeriesWindow { name: METRIC.into(), segment, buckets, total, is_exact: true }
        };
        // A rollback to step 20 opened segment 1, and another one to the same step segment 2: what they trained after it is abandoned.
        let windows = vec![
            window(0, vec![bucket(9, 4.0), bucket(19, 3.0), bucket(29, 9.0), bucket(99, 9.0)]),
            window(1, vec![bucket(24, 8.0), bucket(29, 7.0)]),
            window(2, vec![bucket(29, 2.0), bucket(39, f64::NAN), bucket(49, 1.0)]),
        ];
        let span = |segment: u32, from_step: u64, to_step: Option<u64>| Span {
            run: "amber-fox".parse().unwrap(),
            segment,
            from_step,
            to_step,
        };
        let spans = [span(0, 0, Some(20)), span(2, 20, None)];
        let path = on_path(spans.iter(), &windows);
        assert_eq!(path.last().map(|bucket| bucket.last_x), Some(49.0), "the end is that of the path");
        let at = |budget: f64| last_before(path.iter().copied(), budget).map(|bucket| bucket.mean);
        assert_eq!((at(20.0), at(29.0), at(30.0), at(50.0)), (Some(3.0), Some(2.0), Some(2.0), Some(1.0)));
        assert_eq!((at(8.0), at(25.0), at(60.0)), (None, None, None), "no value within 5 % before");
    }
}
