//! Comparisons of runs as a lab has them: evaluations at several budgets, windows, tokenizers, families of seeds.

use research::compare::*;
use testing::Random;
use wire::evaluation::{DatasetLosses, WindowLosses};
use wire::series::Axis;

use super::synthetic::normal;

/// Windows of the validation split.
const SPLIT: u64 = 500;
/// Windows of an evaluation; the last one reads all.
const FEW: usize = 200;

/// Difficulty of each window in the fixed order, the same for all runs.
fn windows(shift: f64, count: usize, seed: u64) -> Vec<f32> {
    let mut own = Random::new(seed);
    let usual = |window: usize| 2.0 + 0.5 * (window as f64 * 1.7).sin();
    (0..count).map(|window| (usual(window) + shift + 0.02 * normal(&mut own)) as f32).collect()
}

/// A run with an evaluation every 100 steps, whose loss falls by 1/step, above that of others by `shift`.
fn run(name: &str, seed: u64, steps: u64, shift: f64) -> MeasuredRun {
    let evaluation = |step: u64| {
        let is_last = step == steps;
        let nats = windows(shift + 100.0 / step as f64, if is_last { SPLIT as usize } else { FEW }, seed * 1000 + step);
        let loss = nats.iter().map(|nats| f64::from(*nats)).sum::<f64>() / nats.len() as f64;
        let whole = is_last.then_some(loss);
        Evaluation {
            step,
            tokens: step as f64 * 1000.0,
            flops: step as f64 * 1e9,
            secs: step as f64 * (1.0 + 0.1 * seed as f64),
            learning_rate_fraction: 1.0,
            loss,
            is_last,
            windows: Some(WindowLosses {
                seq: 64,
                is_last,
                datasets: vec![DatasetLosses { split: SPLIT, nats, whole }],
            }),
        }
    };
    MeasuredRun {
        run: name.into(),
        name: name.into(),
        seed,
        tokenizer: "char (tales)".into(),
        bytes_per_token: Some(1.0),
        datasets: vec![("tales".into(), "00".into())],
        evaluated: "tales: 200 windows of 64 tokens".into(),
        evaluations: (1..=steps / 100).map(|at| evaluation(100 * at)).collect(),
    }
}

fn compare(baseline: Vec<MeasuredRun>, change: Vec<MeasuredRun>, families: Vec<Vec<MeasuredRun>>) -> FairComparison {
    compare_groups(&Groups { baseline, changes: vec![change], families }, Axis::Tokens, None)
}

#[test]
fn runs_are_compared_at_the_largest_budget_and_on_the_windows_that_all_have() {
    let found = compare(vec![run("long", 1, 1000, 0.0)], vec![run("short", 2, 600, -0.05)], vec![]);
    assert_eq!((found.budget, found.baseline[0].step, found.changes[0].runs[0].step), (Some(600_000.0), 600, 600));
    assert_eq!(found.validation.as_deref(), Some("tales: 200 windows of 64 tokens"), "the last one reads more");
    let over_text = found.changes[0].over_text.as_ref().unwrap();
    let difference = over_text.difference.unwrap();
    assert_eq!((over_text.verdict.clone(), difference.variation), (Verdict::Different, Variation::ValidationWindows));
    let truth = -0.05;
    assert!((difference.estimate - truth).abs() < 0.01 && difference.high < 0.0, "{difference:?}");
    let sentence = &found.changes[0].sentence;
    assert!(sentence.starts_with("The loss of short is lower by 0.0"), "{sentence}");
    assert!(
        sentence.contains("than that of long") && sentence.contains("validation text, not over seeds"),
        "{sentence}"
    );
    assert!(sentence.contains("run at least 3 seeds of each"), "{sentence}");
}

#[test]
fn losses_between_two_evaluations_are_interpolated() {
    // At equal time the second run has done fewer steps.
    let groups = Groups {
        baseline: vec![run("fast", 1, 1000, 0.0)],
        changes: vec![vec![run("slow", 5, 1000, 0.0)]],
        families: vec![],
    };
    let found = compare_groups(&groups, Axis::Secs, None);
    assert_eq!((found.budget, found.changes[0].runs[0].step), (Some(1100.0), 733));
    let conditions = found.changes[0].runs[0].conditions.as_ref().unwrap();
    assert!((conditions.secs - 1100.0).abs() < 1e-6 && (conditions.tokens - 733_333.0).abs() < 1.0);
    let at = compare_groups(&groups, Axis::Tokens, Some(50_000.0));
    assert_eq!(at.baseline[0].step, 100, "nothing is extrapolated");
    let beyond =
        Groups { baseline: vec![run("a", 1, 300, 0.0)], changes: vec![vec![run("b", 2, 900, 0.0)]], families: vec![] };
    let refused = compare_groups(&beyond, Axis::Tokens, Some(900_000.0));
    assert!(refused.changes[0].sentence.contains("the budgets differ"), "{}", refused.changes[0].sentence);
    assert!(refused.changes[0].over_text.is_none());
}

#[test]
fn groups_are_compared_over_seeds_and_a_single_run_by_its_family() {
    let group = |name: &str, first: u64, shift: f64| {
        let noise = [0.0, 0.01, -0.01, 0.005];
        (0..4u64)
            .map(|at| run(&format!("{name}-{at}"), first + at, 600, shift + noise[at as usize]))
            .collect::<Vec<_>>()
    };
    let found = compare(group("a", 1, 0.0), group("b", 11, -0.06), vec![]);
    let over_seeds = &found.changes[0].over_seeds;
    assert_eq!((over_seeds.verdict.clone(), over_seeds.counts), (Verdict::Different, (4, 4)));
    assert!(
        found.changes[0].sentence.contains("over seeds (Welch's t, 4 runs on each side)"),
        "{}",
        found.changes[0].sentence
    );
    assert_eq!(found.band.len(), 5, "the last evaluation reads other windows");

    let null = compare(group("a", 1, 0.0), group("b", 11, 0.001), vec![]);
    assert!(
        null.changes[0].sentence.starts_with("No detectable difference between 4 runs"),
        "{}",
        null.changes[0].sentence
    );

    let family = group("a", 1, 0.0);
    let single = compare(family[..1].to_vec(), vec![run("c", 21, 600, -0.3)], vec![family.clone()]);
    assert_eq!(single.noise_runs.len(), 4);
    assert!((single.noise.unwrap().sigma - 0.0086).abs() < 0.003, "{:?}", single.noise);
    assert_eq!(single.changes[0].over_seeds.difference.unwrap().method, Method::NoiseFloor);
    assert_eq!((single.changes[0].over_seeds.verdict.clone(), single.band.len()), (Verdict::Different, 5));
    assert_eq!(single.unit, Unit::NatsPerToken, "one tokenizer: the unit of the charts");
    let sentence = &single.changes[0].sentence;
    assert!(sentence.ends_with("(from the spread of 4 seeds, one run on each side)."), "{sentence}");
}

#[test]
fn other_tokenizers_are_compared_on_the_whole_split_only() {
    let other = |steps: u64| {
        let mut other = run("bpe", 2, steps, 1.0);
        (other.tokenizer, other.bytes_per_token) = ("bpe-512 (tales)".into(), Some(2.0));
        other.evaluated = "tales: 200 windows of 64 tokens of bpe-512 (tales)".into();
        other
    };
    let found = compare(vec![run("char", 1, 600, 0.0)], vec![other(600)], vec![]);
    assert_eq!(found.validation.as_deref(), Some("tales: whole validation split"));
    assert_eq!(found.unit, Unit::BitsPerByte);
    let Verdict::NotComparable { reasons } = &found.changes[0].over_seeds.verdict else { panic!("{found:?}") };
    assert!(matches!(reasons[..], [Reason::TooFewRuns { .. }]), "{reasons:?}");
    let apart = found.changes[0].runs[0].loss.unwrap() - found.baseline[0].loss.unwrap();
    assert!(apart < -0.5, "3 nats over 2 bytes against 2 nats over 1: {apart}");
    let partly = compare(vec![run("char", 1, 900, 0.0)], vec![other(600)], vec![]);
    assert!(partly.changes[0].sentence.contains("the validation texts differ"), "{}", partly.changes[0].sentence);
}

#[test]
fn what_is_missing_is_said() {
    let mut without = run("new", 2, 600, 0.0);
    without.evaluations.clear();
    let found = compare(vec![run("old", 1, 600, 0.0)], vec![without], vec![]);
    assert!(found.changes[0].sentence.contains("run new has no evaluation"), "{}", found.changes[0].sentence);
    let mut older = run("older", 2, 600, 0.0);
    older.evaluations.iter_mut().for_each(|evaluation| evaluation.windows = None);
    let found = compare(vec![older.clone()], vec![run("newer", 1, 600, 0.0)], vec![]);
    assert!(found.changes[0].sentence.contains("validation texts differ"), "whole split against 200 windows");
    let found = compare(vec![older.clone()], vec![run("newer", 1, 900, 0.0)], vec![]);
    assert!(found.changes[0].sentence.contains("validation texts differ"), "{}", found.changes[0].sentence);
    let stopped = MeasuredRun { evaluations: older.evaluations[..5].to_vec(), ..older.clone() };
    let found = compare(vec![stopped], vec![run("newer", 1, 900, 0.0)], vec![]);
    assert!(found.changes[0].sentence.contains("run at least 3 seeds"), "{}", found.changes[0].sentence);
    let groups = Groups { baseline: vec![older.clone()], changes: vec![vec![older.clone()], vec![]], families: vec![] };
    assert_eq!(compare_groups(&groups, Axis::Flops, None).changes.len(), 2);
    let text = serde_json::to_string(&compare(vec![older.clone()], vec![older], vec![])).unwrap();
    serde_json::from_str::<FairComparison>(&text).unwrap();
}

#[test]
fn p_values_of_several_changes_are_adjusted() {
    let group = |name: &str, first: u64, shift: f64| {
        (0..3u64).map(|at| run(&format!("{name}-{at}"), first + at, 300, shift + 0.01 * at as f64)).collect::<Vec<_>>()
    };
    let groups = Groups {
        baseline: group("a", 1, 0.0),
        changes: vec![group("b", 11, -0.05), group("c", 21, -0.02)],
        families: vec![],
    };
    let found = compare_groups(&groups, Axis::Tokens, None);
    for change in &found.changes {
        let p = change.over_seeds.difference.unwrap().p_value.unwrap();
        assert!(change.adjusted_p.unwrap() >= p);
    }
}
