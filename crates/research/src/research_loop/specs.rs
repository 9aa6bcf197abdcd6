//! The sweeps and experiments of the rounds of a research loop, as specifications: the loop trains nothing by itself.

use std::collections::BTreeMap;

use serde_json::Value;
use wire::RunSpec;
use wire::experiment::check::FEWEST_PAIRS;
use wire::experiment::{Baseline, Change, DecisionRule, ExperimentBudget, ExperimentSpec, Prediction};
use wire::research_loop::record::{LoopRound, LoopSummary, PromotedValue, RoundKind, kept_changes, used_secs};
use wire::sweep::sampler::SamplerKind;
use wire::sweep::space::{Parameter, Space};
use wire::sweep::spec::SweepSpec;

use super::{SECS_PER_HOUR, Search};

/// Distance between the first seeds of consecutive rounds, so that no seed of a test is used twice.
const SEEDS_OF_ROUND: u64 = 1_000;
/// Number of evaluations of a screening trial. The stopping rule reads their losses.
const EVALUATIONS: u64 = 4;
const WARMUP: &str = "schedule.warmup_steps";
const EVAL_EVERY: &str = "intervals.eval_every";

/// The current recipe: the default one with the changes that rounds have kept.
pub fn recipe(of: &LoopSummary, rounds: &[LoopRound]) -> RunSpec {
    let mut spec = of.start.base.clone();
    spec.overrides.extend(kept_changes(rounds));
    spec
}

/// The sweep of a noise floor, or of the screening trials of a change, after the rounds before it.
pub fn sweep(of: &LoopSummary, earlier: &[LoopRound], round: &LoopRound) -> SweepSpec {
    let (goal, screening) = (&of.goal, &of.goal.screening);
    let is_noise = round.kind == RoundKind::NoiseFloor;
    let (path, values) = match &round.proposal {
        Some(proposal) => (proposal.parameter.as_str(), proposal.values.clone()),
        None => ("steps", vec![Value::from(of.start.short_steps)]),
    };
    let parameter = Parameter { choices: Some(values), ..Parameter::default() };
    let what = if is_noise { "noise floor".to_owned() } else { format!("round {}", round.number) };
    SweepSpec {
        name: format!("{} {what}", goal.title.trim()),
        base: short(of, recipe(of, earlier)),
        space: Space { parameters: BTreeMap::from([(path.to_owned(), parameter)]), ..Space::default() },
        sampler: SamplerKind::Grid,
        seed: 1,
        trials: None,
        seeds_per_point: if is_noise { screening.seeds } else { 1 },
        at_once: screening.at_once,
        metric: Default::default(),
        stopping: (!is_noise).then_some(screening.stopping),
        stop_on_alerts: false,
        priority: None,
        imported_from: None,
    }
}

/// A specification with the steps of a screening trial, and with a warm-up that takes the same fraction of the steps as in a full-length run.
fn short(of: &LoopSummary, mut spec: RunSpec) -> RunSpec {
    let start = &of.start;
    let fraction = start.short_steps as f64 / start.steps.max(1) as f64;
    let warmup = (start.warmup_steps as f64 * fraction).round() as u64;
    spec.overrides.insert(WARMUP.to_owned(), warmup.into());
    spec.overrides.insert(EVAL_EVERY.to_owned(), (start.short_steps / EVALUATIONS).max(1).into());
    RunSpec { steps: Some(start.short_steps), seed: Some(start.seed), ..spec }
}

/// The experiment that tests the promoted value of a round, after the rounds before it.
pub fn test(of: &LoopSummary, earlier: &[LoopRound], round: &LoopRound, promoted: &PromotedValue) -> ExperimentSpec {
    let (rule, search) = (&of.goal.rule, Search { of, rounds: earlier });
    let screened: f64 = round.screened.iter().map(|trial| trial.device_secs).sum();
    let left = search.budget() - used_secs(earlier) - screened;
    let proposal = round.proposal.as_ref();
    let path = proposal.map(|proposal| proposal.parameter.clone()).unwrap_or_default();
    let decision = DecisionRule {
        effect: rule.effect,
        alpha: rule.alpha_of_test(),
        min_pairs: FEWEST_PAIRS,
        max_pairs: rule.max_pairs,
    };
    ExperimentSpec {
        hypothesis: proposal.map(|proposal| proposal.reason.clone()).unwrap_or_default(),
        prediction: promoted.prediction,
        rule: decision,
        budget: budget(of, left / SECS_PER_HOUR),
        ..experiment(of, round, recipe(of, earlier), BTreeMap::from([(path, promoted.value.clone())]))
    }
}

/// The experiment that compares the best recipe with the default.
pub fn confirmation(
    of: &LoopSummary,
    earlier: &[LoopRound],
    round: &LoopRound,
    prediction: Prediction,
) -> ExperimentSpec {
    let (rule, search) = (&of.goal.rule, Search { of, rounds: earlier });
    let pairs = rule.confirmation_pairs;
    let decision = DecisionRule { effect: rule.effect, alpha: rule.alpha, min_pairs: pairs, max_pairs: pairs };
    // The number of pairs bounds the cost; the hours only bound repetitions of failed runs.
    let hours = (8.0 * f64::from(pairs) * search.full_secs() / SECS_PER_HOUR).max(1.0);
    let reason = "The changes that the loop has kept lower the loss together, with seeds that no earlier run had.";
    ExperimentSpec {
        hypothesis: reason.to_owned(),
        prediction,
        rule: decision,
        budget: budget(of, hours),
        ..experiment(of, round, of.start.base.clone(), kept_changes(earlier))
    }
}

fn budget(of: &LoopSummary, device_hours: f64) -> ExperimentBudget {
    ExperimentBudget { steps: of.start.steps, device_hours, pairs: None }
}

/// The title, the baseline and the change of the experiment of a round.
fn experiment(
    of: &LoopSummary,
    round: &LoopRound,
    baseline: RunSpec,
    overrides: BTreeMap<String, Value>,
) -> ExperimentSpec {
    let title = match round.kind {
        RoundKind::Confirmation => format!("{} confirmation", of.goal.title.trim()),
        _ => format!("{} round {}", of.goal.title.trim(), round.number),
    };
    let baseline = RunSpec { project: None, seed: Some(first_seed(of, round)), ..baseline };
    ExperimentSpec {
        title,
        project: Some(of.project.clone()),
        baseline: Baseline { spec: Some(baseline), ..Baseline::default() },
        change: Change { overrides, ..Change::default() },
        ..ExperimentSpec::default()
    }
}

/// The seed of the first pair of the experiment of a round.
pub fn first_seed(of: &LoopSummary, round: &LoopRound) -> u64 {
    of.start.seed.wrapping_add(SEEDS_OF_ROUND * u64::from(round.number))
}
