//! Verdicts of experiments on simulated pairs, and scores of predictions.

use research::experiment::{conclude, decide, looks, scores};
use testing::Random;
use wire::Author;
use wire::experiment::ExperimentSpec;
use wire::experiment::record::{ExperimentState, ExperimentSummary, Outcome, Verdict};

use super::synthetic::normal;

/// An experiment that predicts a lower loss.
fn spec(effect: f64, max_pairs: u32) -> ExperimentSpec {
    serde_json::from_value(serde_json::json!({
        "title": "A", "hypothesis": "B", "baseline": {"spec": {"corpus": "tales"}},
        "change": {"overrides": {"model.layers": 3}}, "prediction": {"difference": -effect, "probability": 0.5},
        "rule": {"effect": effect, "max_pairs": max_pairs}, "budget": {"steps": 10, "device_hours": 1.0}
    }))
    .unwrap()
}

/// Pairs with a shared part, and the first verdict, looked at after every pair.
fn simulate(random: &mut Random, spec: &ExperimentSpec, difference: f64, sigma: f64) -> Verdict {
    let mut pairs = vec![];
    loop {
        let shared = 1.5 + 0.3 * normal(random);
        pairs.push((shared, shared + difference + sigma * normal(random)));
        if let Some(verdict) = decide(spec, &pairs) {
            return verdict;
        }
    }
}

/// 2,000 experiments without an effect, looked at after every pair from 3 to 40, with a smallest effect that excludes nothing: at most 5 % are
/// confirmed (120 leaves room for chance). With an effect that just counts, at most as many are refuted.
#[test]
fn a_rule_that_is_checked_after_every_pair_is_seldom_wrong() {
    let mut random = Random::new(testing::seed(22));
    let mut count = |spec: &ExperimentSpec, difference: f64, wrong: Outcome| {
        let mut outcome = || {
            let sigma = 0.001 + 0.1 * random.uniform();
            simulate(&mut random, spec, difference, sigma).outcome
        };
        (0..2_000).filter(|_| outcome() == wrong).count()
    };
    let confirmed = count(&spec(1e-9, 40), 0.0, Outcome::Confirmed);
    let refuted = count(&spec(0.05, 40), -0.05, Outcome::Refuted);
    println!("of 2000 experiments without an effect {confirmed} confirmed, with one {refuted} refuted");
    assert!(confirmed <= 120 && refuted <= 120, "{confirmed} {refuted}");
}

/// An effect of 2.5 standard deviations is confirmed within 12 pairs, and its absence is refuted.
#[test]
fn clear_effects_are_decided_soon() {
    let mut random = Random::new(testing::seed(23));
    let rule = spec(0.05, 12);
    let mut count = |difference: f64, outcome: Outcome| {
        (0..500).filter(|_| simulate(&mut random, &rule, difference, 0.02).outcome == outcome).count()
    };
    let (confirmed, refuted) = (count(-0.1, Outcome::Confirmed), count(0.0, Outcome::Refuted));
    println!("of 500 experiments {confirmed} confirmed, {refuted} refuted");
    assert!(confirmed > 450 && refuted > 350, "{confirmed} {refuted}");
}

#[test]
fn verdicts_of_a_few_pairs() {
    let rule = spec(0.02, 4);
    let pairs = [(1.50, 1.40), (1.60, 1.501), (1.55, 1.449), (1.52, 1.42)];
    assert_eq!(decide(&rule, &pairs[..2]), None, "fewer than the rule allows");
    let confirmed = decide(&rule, &pairs).unwrap();
    assert_eq!((confirmed.outcome, confirmed.pairs, confirmed.level), (Outcome::Confirmed, 4, 0.95));
    assert!(confirmed.sentence.starts_with(
        "Confirmed after 4 pairs: the interval excludes 0, and the difference is at least the smallest effect, 0.02\u{202f}bits/byte. \
         The validation loss of the variant minus that of the baseline is −0.1\u{202f}bits/byte, 95\u{202f}% interval −0.1"
    ), "{}", confirmed.sentence);
    let worse: Vec<(f64, f64)> = pairs.iter().map(|(baseline, variant)| (*variant, *baseline)).collect();
    let refuted = decide(&rule, &worse).unwrap();
    assert!(
        refuted.outcome == Outcome::Refuted && refuted.sentence.contains("excludes an effect of 0.02\u{202f}bits/byte")
    );
    let noisy = [(1.5, 1.4), (1.4, 1.5), (1.5, 1.45), (1.5, 1.52)];
    let open = decide(&rule, &noisy).unwrap();
    assert_eq!(open.outcome, Outcome::Inconclusive);
    assert!(open.sentence.starts_with(
        "Inconclusive after 4 pairs: 4 pairs are the most that the rule allows, and the interval contains 0 and the smallest effect"
    ), "{}", open.sentence);
    let equal = decide(&rule, &[(1.5, 1.5); 4]).unwrap();
    assert_eq!((equal.outcome, equal.interval), (Outcome::Inconclusive, None));
    let nothing = conclude(&rule, &[], "the budget is used");
    assert_eq!(nothing.difference, None);
    assert_eq!(
        nothing.sentence,
        "Inconclusive after 0 pairs: the budget is used, and the rule needs at least 3 pairs."
    );
}

/// A proven effect that is too small to count is refuted, and so is one in the other direction.
#[test]
fn a_small_effect_does_not_count() {
    let pairs = [(1.50, 1.4995), (1.60, 1.5996), (1.55, 1.5494), (1.52, 1.5195), (1.53, 1.5295), (1.5, 1.4995)];
    let verdict = decide(&spec(0.5, 6), &pairs).unwrap();
    assert_eq!(verdict.outcome, Outcome::Refuted);
    assert!(verdict.interval.is_some_and(|[_, high]| high < 0.0), "{verdict:?}");
    let known = looks(&pairs, 0.95);
    assert_eq!(known.iter().map(|look| look.pairs).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    assert!(known[1].interval.is_none() && known[2].interval.is_some());
    assert!((known[0].difference + 0.0005).abs() < 1e-12);
}

#[test]
fn predictions_are_scored_by_author() {
    let one = |author: &str, probability: f64, outcome: Option<Outcome>| {
        let mut spec = spec(0.02, 4);
        spec.prediction.probability = probability;
        let interval = outcome.filter(|outcome| *outcome != Outcome::Inconclusive).map(|outcome| match outcome {
            Outcome::Confirmed => [-0.03, -0.01],
            _ => [0.0, 0.01],
        });
        let (difference, level, pairs, sentence) = (interval.map(|_| -0.02), 0.95, 4, String::new());
        ExperimentSummary {
            id: 1,
            project: "default".into(),
            author: Author::Person(author.into()),
            spec,
            state: ExperimentState::Decided,
            reason: None,
            verdict: outcome.map(|outcome| Verdict { outcome, difference, interval, level, pairs, sentence }),
            pairs,
            created_ms: 0,
            ended_ms: None,
        }
    };
    let found = scores(&[
        one("bo", 0.5, Some(Outcome::Refuted)),
        one("ada", 0.9, Some(Outcome::Confirmed)),
        one("ada", 1.0, Some(Outcome::Inconclusive)),
        one("ada", 0.25, Some(Outcome::Refuted)),
        one("ada", 0.25, None),
    ]);
    let names: Vec<&Author> = found.iter().map(|score| &score.author).collect();
    assert_eq!(names, [&Author::Person("ada".into()), &Author::Person("bo".into())]);
    let ada = &found[0];
    assert_eq!((ada.experiments, ada.confirmed, ada.refuted, ada.inconclusive), (3, 1, 1, 1));
    assert!((ada.brier - (0.01 + 1.0 + 0.0625) / 3.0).abs() < 1e-12, "{}", ada.brier);
    assert_eq!((ada.within, ada.intervals), (1, 2));
    let bins: Vec<(f64, u32, u32)> = ada.bins.iter().map(|bin| (bin.from, bin.count, bin.confirmed)).collect();
    assert_eq!(bins, [(0.2, 1, 0), (0.9, 2, 1)]);
    assert_eq!(found[1].brier, 0.25);
}
