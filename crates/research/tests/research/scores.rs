//! Scores of tasks: intervals against published values, which scores are compared, and what is said where there is no interval.

use research::compare::*;
use wire::CheckpointId;
use wire::task::TaskKind;
use wire::task::lab::StoredResult;
use wire::task::result::{TaskMetric, TaskResult};

/// A score on the task `sums` of 200 items.
fn score(step: u64, correct: u64) -> StoredResult {
    result("sums", step, TaskKind::Completion, "exact_match", correct as f64 / 200.0, Some(correct))
}

fn result(task: &str, step: u64, kind: TaskKind, metric: &str, value: f64, correct: Option<u64>) -> StoredResult {
    let metrics = vec![TaskMetric::new(metric, value), TaskMetric::new("answer_nats_per_token", 0.5)];
    let result = TaskResult { task: task.parse().unwrap(), kind, items: 200, correct, metrics };
    StoredResult { checkpoint: CheckpointId { segment: 0, step }, at_ms: 1, result }
}

fn run(name: &str, seed: u64, results: Vec<StoredResult>) -> ScoredRun {
    ScoredRun { run: name.into(), name: name.into(), seed, results }
}

fn near(found: f64, expected: f64) -> bool {
    (found - expected).abs() < 5e-5
}

#[test]
fn intervals_of_fractions_are_the_published_ones() {
    // Newcombe, Statistics in Medicine 17 (1998): one proportion, p. 861, method 3; two proportions, p. 877, method 10.
    for (correct, items, low, high) in [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)] {
        let found = wilson(correct, items, 0.95);
        assert!(near(found.0, low) && near(found.1, high), "{correct} of {items}: {found:?}");
    }
    for (change, baseline, low, high) in [((56, 70), (48, 80), 0.0524, 0.3339), ((9, 10), (3, 10), 0.1705, 0.8090)] {
        let found = newcombe(baseline, change, 0.95);
        assert!(near(found.low, low) && near(found.high, high), "{change:?}: {found:?}");
    }
}

#[test]
fn single_runs_are_compared_at_their_newest_common_step_over_items() {
    let baseline = [run("a", 1, vec![score(100, 80), score(200, 100), score(400, 120)])];
    let changes = [vec![run("b", 2, vec![score(100, 90), score(200, 150), score(300, 160)])]];
    let found = compare_scores(&baseline, &changes);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].step, found[0].metric.as_str()), (Some(200), "exact_match"));
    let change = &found[0].changes[0];
    assert_eq!((change.runs[0].correct, change.runs[0].step), (Some(150), 200));
    let difference = change.difference.unwrap();
    assert_eq!((difference.variation, difference.estimate), (Variation::Items, 0.25));
    assert!(difference.is_significant());
    let words = &change.sentence;
    assert!(words.starts_with("The exact match of b is higher by 0.25 than that of a."), "{words}");
    assert!(
        words.contains("over items, not over seeds (Newcombe's interval, 200 items, which are not paired)"),
        "{words}"
    );
    assert!(!words.contains("common step"), "{words}");
}

#[test]
fn without_a_common_step_the_newest_scores_are_compared_and_that_is_said() {
    let (a, b) = (run("a", 1, vec![score(100, 100)]), run("b", 2, vec![score(200, 102)]));
    let found = compare_scores(&[a], &[vec![b]]);
    let change = &found[0].changes[0];
    assert_eq!(found[0].step, None);
    let words = &change.sentence;
    assert!(words.starts_with("No detectable difference in exact match between b and a."), "{words}");
    assert!(
        words.ends_with("The runs have no score at a common step; the newest score of each is compared."),
        "{words}"
    );
}

#[test]
fn groups_have_an_interval_over_seeds() {
    let group = |name: &str, base: u64| -> Vec<ScoredRun> {
        (0..4).map(|at| run(&format!("{name}{at}"), at, vec![score(100, base)])).collect()
    };
    let found = compare_scores(&group("a", 100), &[group("b", 150)]);
    let difference = found[0].changes[0].difference;
    assert_eq!(difference, None, "pairs with equal differences have no variation");
    assert!(found[0].changes[0].sentence.contains("There is no interval: the scores do not vary over seeds."));
    let others: Vec<ScoredRun> =
        (0..3).map(|at| run(&format!("c{at}"), 10 + at, vec![score(100, 140 + 2 * at)])).collect();
    let found = compare_scores(&group("a", 100), &[others]);
    let change = &found[0].changes[0];
    assert_eq!(change.difference.map(|found| (found.variation, found.method)), Some((Variation::Seeds, Method::Welch)));
    let expected = "The exact match of 3 runs (c0 to c2) is higher by 0.";
    assert!(change.sentence.starts_with(expected), "{}", change.sentence);
    assert!(change.sentence.ends_with("over seeds (Welch's t, 4 and 3 runs)."), "{}", change.sentence);
}

#[test]
fn scores_without_correct_items_have_no_interval_and_only_shared_tasks_are_compared() {
    let text = |step: u64, value: f64| result("prose", step, TaskKind::Perplexity, "nats_per_token", value, None);
    let baseline = run("a", 1, vec![text(100, 2.0), score(100, 100)]);
    let change = run("b", 2, vec![text(100, 1.5)]);
    let found = compare_scores(&[baseline], &[vec![change]]);
    let tasks: Vec<&str> = found.iter().map(|task| task.task.as_str()).collect();
    assert_eq!(tasks, ["prose"]);
    let words = &found[0].changes[0].sentence;
    let expected = "The nats per token of b minus that of a is −0.5 nats/token. There is no interval: this task counts no correct items";
    assert!(words.starts_with(expected), "{words}");
    assert!(compare_scores(&[run("a", 1, vec![])], &[vec![run("b", 2, vec![score(1, 1)])]]).is_empty());
}

#[test]
fn a_task_that_was_replaced_by_another_one_is_not_compared() {
    let mut other = score(100, 50);
    other.result.items = 100;
    other.result.metrics[0] = TaskMetric::new("exact_match", 0.5);
    let found = compare_scores(&[run("a", 1, vec![score(100, 100)])], &[vec![run("b", 2, vec![other])]]);
    let words = &found[0].changes[0].sentence;
    assert!(
        words.contains("There is no interval: the task had 200 items for some runs and 100 for others."),
        "{words}"
    );
}
