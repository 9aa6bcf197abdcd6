//! Comparison of groups of runs at an equal budget: the values of all runs on one validation text, the verdict over seeds, and that over
//! validation text.
//!
//! The budget is the smallest of the last evaluations of the runs unless another one is given. The noise floor is pooled over the runs that
//! differ from a compared run in the seed only.

use serde::{Deserialize, Serialize};
use wire::series::Axis;

use super::conditions::{Conditions, Reason};
use super::evaluation::{Evaluation, MeasuredRun};
use super::holm::holm;
use super::noise::{BandPoint, NoiseFloor, band};
use super::runs::{RunLoss, RunOptions, compare_runs};
use super::scores::TaskComparison;
use super::validation::{Point, Text};
use super::verdict::{Comparison, Names, Unit, Verdict};
use super::windows::{compare_windows, mean_of_runs};

/// Level of all intervals.
const LEVEL: f64 = 0.95;

/// The runs of a comparison.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Groups {
    pub baseline: Vec<MeasuredRun>,
    /// Each is compared with the baseline.
    pub changes: Vec<Vec<MeasuredRun>>,
    /// Families of runs that differ in the seed only, for the noise floor; the first is that of the baseline, if it has one.
    pub families: Vec<Vec<MeasuredRun>>,
}

/// A run at the budget of the comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ComparedRun {
    pub run: String,
    /// Display name.
    pub name: String,
    pub seed: u64,
    /// Steps done.
    pub step: u64,
    /// Loss on the text of the comparison, in its unit; `None` if it is not finite or the run has no evaluation.
    pub loss: Option<f64>,
    pub conditions: Option<Conditions>,
}

/// A group of runs compared with the baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ComparedGroup {
    pub runs: Vec<ComparedRun>,
    /// Does the change help, whatever the seed? Its interval contains the variation over seeds.
    pub over_seeds: Comparison,
    /// Are these very models better, on other text of this kind? Its interval contains the variation over validation windows; `None` if the
    /// runs have no common windows.
    pub over_text: Option<Comparison>,
    /// p-value over seeds, adjusted by Holm for the number of changes; `None` for one change, or without a p-value.
    pub adjusted_p: Option<f64>,
    /// The conclusion in sentences.
    pub sentence: String,
}

/// Groups of runs compared with a baseline at an equal budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FairComparison {
    /// The quantity that is equal for all runs.
    pub equal: Axis,
    /// Its amount: tokens, FLOPs or seconds; `None` if no run has an evaluation.
    pub budget: Option<f64>,
    pub unit: Unit,
    /// The validation text.
    pub validation: Option<String>,
    pub baseline: Vec<ComparedRun>,
    pub changes: Vec<ComparedGroup>,
    /// Spread over seeds of runs that differ in nothing else, in `unit`.
    pub noise: Option<NoiseFloor>,
    /// The runs of the noise floor.
    pub noise_runs: Vec<String>,
    /// Range in which the validation loss of another seed of the baseline would be, nats per token, by step.
    pub band: Vec<BandPoint>,
    /// Scores on the evaluation tasks that all runs have, by task.
    #[serde(default)]
    pub tasks: Vec<TaskComparison>,
}

/// Compares each group of changes with the baseline. `at`: the budget; `None` for the largest that all runs have reached. Scores of tasks
/// are compared by [`super::compare_scores`].
pub fn compare_groups(groups: &Groups, equal: Axis, at: Option<f64>) -> FairComparison {
    let compared = || groups.baseline.iter().chain(groups.changes.iter().flatten());
    let last = compared().filter_map(|run| run.last_budget(equal)).reduce(f64::min);
    let budget = at.or(last);
    let evaluation = |run: &MeasuredRun| budget.and_then(|budget| run.at(equal, budget));
    let of_group = |group: &[MeasuredRun]| group.iter().map(evaluation).collect::<Vec<_>>();
    let (baseline, changes) = (of_group(&groups.baseline), groups.changes.iter().map(|group| of_group(group)));
    let changes: Vec<Vec<Option<Evaluation>>> = changes.collect();
    let evaluations = baseline.iter().chain(changes.iter().flatten());
    let points: Vec<Point<'_>> =
        compared().zip(evaluations).filter_map(|(run, found)| Some((run, found.as_ref()?))).collect();
    let context = Context { text: Text::of(&points), unit: unit(&points), equal };
    let (noise, noise_runs) = context.noise(&groups.families, &evaluation, points.first().copied());
    let baseline = context.group(&groups.baseline, &baseline);
    let changes: Vec<Group<'_>> =
        groups.changes.iter().zip(&changes).map(|(runs, found)| context.group(runs, found)).collect();
    let mut compared: Vec<ComparedGroup> =
        changes.iter().map(|change| context.compare(&baseline, change, noise.as_ref(), noise_runs.len())).collect();
    adjust(&mut compared);
    FairComparison {
        equal,
        budget,
        unit: context.unit,
        validation: points.first().map(|point| context.text.name(*point)),
        baseline: baseline.compared,
        changes: compared,
        noise,
        noise_runs,
        band: band_of(groups),
        tasks: vec![],
    }
}

/// Nats per token, the unit of the charts, for runs of one tokenizer; of several, bits per byte if they are known of all runs.
fn unit(points: &[Point<'_>]) -> Unit {
    let has_bytes = |(run, _): &Point<'_>| run.bytes_per_token.is_some_and(|bytes| bytes > 0.0);
    let is_one_tokenizer = points.windows(2).all(|pair| pair[0].0.tokenizer == pair[1].0.tokenizer);
    if !is_one_tokenizer && points.iter().all(has_bytes) { Unit::BitsPerByte } else { Unit::NatsPerToken }
}

/// The band of the family of the baseline, or of the baseline itself if it is a group.
fn band_of(groups: &Groups) -> Vec<BandPoint> {
    let series = |run: &MeasuredRun| -> Vec<(u64, f64)> {
        let periodic = run.evaluations.iter().filter(|evaluation| !evaluation.is_last);
        periodic.map(|evaluation| (evaluation.step, evaluation.loss)).collect()
    };
    let family = groups.families.first().filter(|_| groups.baseline.len() < 2).unwrap_or(&groups.baseline);
    if family.len() < 2 { vec![] } else { band(&family.iter().map(series).collect::<Vec<_>>()) }
}

fn adjust(groups: &mut [ComparedGroup]) {
    let p = |group: &ComparedGroup| group.over_seeds.difference.and_then(|difference| difference.p_value);
    let known: Vec<f64> = groups.iter().filter_map(p).collect();
    if known.len() < 2 {
        return;
    }
    let mut adjusted = holm(&known).into_iter();
    groups.iter_mut().filter(|group| p(group).is_some()).for_each(|group| group.adjusted_p = adjusted.next());
}

/// What all groups of a comparison share.
struct Context {
    text: Text,
    unit: Unit,
    equal: Axis,
}

/// A group at the budget.
struct Group<'a> {
    losses: Vec<RunLoss>,
    compared: Vec<ComparedRun>,
    points: Vec<Point<'a>>,
    missing: Option<Reason>,
}

impl Context {
    fn group<'a>(&self, runs: &'a [MeasuredRun], evaluations: &'a [Option<Evaluation>]) -> Group<'a> {
        let mut group = Group { losses: vec![], compared: vec![], points: vec![], missing: None };
        for (run, found) in runs.iter().zip(evaluations) {
            let point = found.as_ref().map(|evaluation| (run, evaluation));
            let loss = point.map(|point| self.run_loss(point));
            let value = loss.as_ref().map(|loss| loss.value(self.unit)).filter(|value| value.is_finite());
            group.compared.push(ComparedRun {
                run: run.run.clone(),
                name: run.name.clone(),
                seed: run.seed,
                step: found.as_ref().map_or(0, |evaluation| evaluation.step),
                loss: value,
                conditions: loss.as_ref().map(|loss| loss.conditions.clone()),
            });
            if loss.is_none() {
                group.missing = Some(Reason::NoEvaluation { run: run.name.clone() });
            }
            group.losses.extend(loss);
            group.points.extend(point);
        }
        group
    }

    fn run_loss(&self, point: Point<'_>) -> RunLoss {
        let (run, evaluation) = point;
        let conditions = Conditions {
            tokenizer: run.tokenizer.clone(),
            bytes_per_token: run.bytes_per_token.filter(|_| self.unit == Unit::BitsPerByte),
            validation: self.text.name(point),
            tokens: evaluation.tokens,
            flops: evaluation.flops,
            secs: evaluation.secs,
            learning_rate_fraction: evaluation.learning_rate_fraction,
        };
        let nats_per_token = self.text.loss(point).unwrap_or(f64::NAN);
        RunLoss { run: run.name.clone(), seed: run.seed, nats_per_token, conditions }
    }

    /// The noise floor of the families, of the runs that have this text at the budget, under the conditions of the compared ones.
    fn noise(
        &self,
        families: &[Vec<MeasuredRun>],
        evaluation: &dyn Fn(&MeasuredRun) -> Option<Evaluation>,
        compared: Option<Point<'_>>,
    ) -> (Option<NoiseFloor>, Vec<String>) {
        let Some(compared) = compared.map(|point| self.run_loss(point).conditions) else { return (None, vec![]) };
        let (mut groups, mut used) = (vec![], vec![]);
        for family in families {
            let mut values = vec![];
            for run in family {
                let Some(found) = evaluation(run) else { continue };
                let loss = self.run_loss((run, &found));
                let is_fair = super::unfair(&[&compared], &[&loss.conditions], self.equal).is_empty();
                if is_fair && loss.nats_per_token.is_finite() {
                    values.push(loss.value(self.unit));
                    used.push(run.run.clone());
                }
            }
            groups.push(values);
        }
        let noise = NoiseFloor::pooled(&groups.iter().map(Vec::as_slice).collect::<Vec<_>>());
        if noise.is_none() { (None, vec![]) } else { (noise, used) }
    }

    /// `noise_runs`: the number of runs of the noise floor.
    fn compare(
        &self,
        baseline: &Group<'_>,
        change: &Group<'_>,
        noise: Option<&NoiseFloor>,
        noise_runs: usize,
    ) -> ComparedGroup {
        let options = RunOptions { equal: self.equal, level: LEVEL, noise, has_permutation: true };
        let mut over_seeds = compare_runs(&baseline.losses, &change.losses, &options);
        if let Some(missing) = change.missing.as_ref().or(baseline.missing.as_ref()) {
            over_seeds.verdict = Verdict::NotComparable { reasons: vec![missing.clone()] };
            over_seeds.difference = None;
            over_seeds.sequential = None;
        }
        let over_text = over_text(&over_seeds).then(|| self.windows(baseline, change)).flatten();
        let names = (names(&baseline.compared), names(&change.compared));
        let names = Names { baseline: &names.0, change: &names.1, noise_runs };
        let sentence = sentence(&over_seeds, over_text.as_ref(), &names);
        ComparedGroup { runs: change.compared.clone(), over_seeds, over_text, adjusted_p: None, sentence }
    }

    fn windows(&self, baseline: &Group<'_>, change: &Group<'_>) -> Option<Comparison> {
        let of = |group: &Group<'_>| {
            let bytes = |run: &MeasuredRun| match self.unit {
                Unit::BitsPerByte => run.bytes_per_token.unwrap_or(1.0),
                Unit::NatsPerToken => 1.0,
            };
            let all: Option<Vec<_>> =
                group.points.iter().map(|point| self.text.windows(*point, bytes(point.0))).collect();
            all.map(|all| mean_of_runs(&all))
        };
        let (a, b) = (of(baseline)?, of(change)?);
        Some(compare_windows(&a, &b, self.unit, LEVEL, 0))
    }
}

/// Whether the conditions allow a comparison by windows: all reasons against one over seeds are about seeds.
fn over_text(over_seeds: &Comparison) -> bool {
    match &over_seeds.verdict {
        Verdict::NotComparable { reasons } => reasons.iter().all(|reason| {
            matches!(reason, Reason::TooFewRuns { .. } | Reason::RepeatedSeed { .. } | Reason::NoVariation)
        }),
        _ => true,
    }
}

/// The name of a single run, or those of a group.
fn names(runs: &[ComparedRun]) -> String {
    match runs {
        [only] => only.name.clone(),
        [first, .., last] => format!("{} runs ({} to {})", runs.len(), first.name, last.name),
        [] => "no run".to_owned(),
    }
}

/// The verdict over seeds, or, where it is unknown, that over validation text with what is missing.
fn sentence(over_seeds: &Comparison, over_text: Option<&Comparison>, names: &Names<'_>) -> String {
    match (&over_seeds.verdict, over_text) {
        (Verdict::NotComparable { reasons }, Some(over_text)) => {
            let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
            format!("{} Over seeds: {}.", over_text.sentence_of(names), reasons.join("; "))
        }
        _ => over_seeds.sentence_of(names),
    }
}
