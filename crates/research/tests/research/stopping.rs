//! Stopping rules against Optuna (`stopping.py`), their safety, and replays over simulated runs.

use research::stopping::hyperband::bracket;
use research::stopping::{Curve, Replay, decide, replay};
use serde_json::Value;
use testing::Random;
use wire::sweep::stopping::StoppingRule;

fn golden() -> Value {
    serde_json::from_str(include_str!("stopping.json")).unwrap()
}

fn golden_curves(golden: &Value) -> Vec<Curve> {
    let steps = golden["steps"].as_u64().unwrap();
    let point = |point: &Value| (point[0].as_u64().unwrap(), point[1].as_f64().unwrap());
    let curve = |(number, points): (usize, &Value)| Curve {
        number: number as u64,
        steps,
        points: points.as_array().unwrap().iter().map(point).collect(),
        is_finished: true,
    };
    golden["curves"].as_array().unwrap().iter().enumerate().map(curve).collect()
}

#[test]
fn asha_stops_the_same_runs_as_optuna() {
    let golden = golden();
    let curves = golden_curves(&golden);
    for case in golden["asha"].as_array().unwrap() {
        let (eta, first) = (case["eta"].as_u64().unwrap() as u32, case["first"].as_f64().unwrap());
        let rule = StoppingRule::Asha { eta, min_fraction: first / golden["steps"].as_f64().unwrap() };
        let replayed = replay(&rule, &curves, 1);
        for (number, expected) in case["stopped"].as_array().unwrap().iter().enumerate() {
            let found = replayed.stopped.iter().find(|stopped| stopped.number == number as u64);
            assert_eq!(found.map(|stopped| stopped.stop.step), expected.as_u64(), "eta {eta}, run {number}");
        }
    }
}

/// Runs with a last value, a speed and noise of their own, evaluated every 20 steps.
fn runs(seed: u64, count: u64) -> Vec<Curve> {
    let mut random = Random::new(seed);
    let mut run = |number: u64| {
        let (end, start, rate) = (1.5 + random.uniform(), 2.0 + 2.0 * random.uniform(), 0.5 + 0.5 * random.uniform());
        let point = |at: u64| (20 * at, end + start * (20.0 * at as f64).powf(-rate) + 0.01 * random.uniform());
        Curve { number, steps: 1000, points: (1..=50).map(point).collect(), is_finished: true }
    };
    (0..count).map(&mut run).collect()
}

fn rules() -> [StoppingRule; 3] {
    [StoppingRule::median(), StoppingRule::asha(), StoppingRule::hyperband()]
}

/// 60 runs, 20 times: each rule saves compute and keeps a run near the best.
#[test]
fn replays_save_compute_at_a_small_regret() {
    for (rule, saves, regret) in
        [(0, 0.2, 0.02), (1, 0.5, 0.15), (2, 0.3, 0.15)].map(|(rule, saves, regret)| (rules()[rule], saves, regret))
    {
        let replays: Vec<Replay> = testing::seeds(0..20).map(|seed| replay(&rule, &runs(seed, 60), 4)).collect();
        let mean = |part: fn(&Replay) -> f64| replays.iter().map(part).sum::<f64>() / replays.len() as f64;
        let (saved, lost) = (mean(Replay::saved), mean(|replay| replay.regret().unwrap()));
        println!("{}: saves {saved:.2} with a regret of {lost:.4}", rule.label());
        assert!(saved > saves && lost < regret, "{}: {saved} {lost}", rule.label());
        assert!(replays.iter().all(|replay| replay.regret().unwrap() >= 0.0 && replay.saved() < 1.0));
    }
}

/// What a rule decides does not depend on values that come later, on the order of the others, or on how often it is asked.
#[test]
fn decisions_depend_on_what_was_known_alone() {
    for seed in testing::seeds(1..4) {
        let all = runs(seed, 12);
        for rule in rules() {
            for at in 1..50 {
                let known =
                    |run: &Curve| Curve { points: run.points[..at].to_vec(), is_finished: false, ..run.clone() };
                let (own, others) = (known(&all[0]), all[1..].iter().map(known).collect::<Vec<_>>());
                let forwards = decide(&rule, &own, &others.iter().collect::<Vec<_>>());
                let backwards = decide(&rule, &own, &others.iter().rev().collect::<Vec<_>>());
                assert_eq!(forwards, backwards);
                if let Some(stop) = forwards {
                    assert!(stop.value > stop.threshold && stop.reason.ends_with('.'), "{stop:?}");
                }
            }
        }
    }
}

#[test]
fn the_median_rule_is_safe() {
    let curve = |number: u64, values: &[f64]| Curve {
        number,
        steps: 100,
        points: values.iter().enumerate().map(|(at, value)| (10 * (at as u64 + 1), *value)).collect(),
        is_finished: values.len() == 10,
    };
    let flat = |number: u64, value: f64, count: usize| curve(number, &vec![value; count]);
    let others: Vec<Curve> = (0..6).map(|number| flat(number, 2.0 + 0.1 * number as f64, 5)).collect();
    let stops = |own: &Curve, others: &[Curve]| {
        decide(&StoppingRule::median(), own, &others.iter().collect::<Vec<_>>()).is_some()
    };
    assert!(stops(&flat(9, 2.9, 5), &others));
    assert!(!stops(&flat(9, 2.9, 1), &others), "before 20 % of the steps");
    assert!(!stops(&flat(9, 2.9, 5), &others[..2]), "two others are too few");
    assert!(!stops(&flat(9, 2.24, 5), &others), "below the median");
    let six: Vec<Curve> = (0..6).map(|number| flat(number, 2.0 + 0.1 * number as f64, 10)).collect();
    assert!(!stops(&flat(9, 2.9, 10), &six), "after 90 % of the steps");
    // The best finished run was slow: at step 50 it was above the median.
    let mut slow = others.clone();
    slow.push(curve(7, &[9.0, 9.0, 9.0, 9.0, 9.0, 1.0, 1.0, 1.0, 1.0, 1.0]));
    assert!(!stops(&flat(9, 2.9, 5), &slow), "the order at this step says nothing about the end");
    // One of the best three goes on although most others are better than it in the first percentile.
    let strict = StoppingRule::Median { percentile: 1.0, min_trials: 3, from: 0.2, until: 0.9, protect: 3 };
    let references: Vec<&Curve> = others.iter().collect();
    assert!(decide(&strict, &flat(9, 2.15, 5), &references).is_none(), "third best");
    assert!(decide(&strict, &flat(9, 2.25, 5), &references).is_some(), "fourth best");
}

#[test]
fn values_that_are_not_finite_stop_a_trial() {
    let curve = Curve { number: 0, steps: 100, points: vec![(10, 2.0), (20, f64::NAN)], is_finished: false };
    for rule in rules() {
        assert_eq!(decide(&rule, &curve, &[]).map(|stop| stop.step), Some(20));
        assert_eq!(decide(&rule, &Curve { points: vec![], ..curve.clone() }, &[]), None);
    }
}

#[test]
fn brackets_receive_their_share() {
    let count = |wanted: u32| (0..5_000).filter(|number| bracket(3, 4, *number) == wanted).count();
    // 27, 12, 6 and 4 of 49.
    for (wanted, share) in [(0, 27.0), (1, 12.0), (2, 6.0), (3, 4.0)] {
        let found = count(wanted) as f64 / 5_000.0;
        assert!((found - share / 49.0).abs() < 0.02, "bracket {wanted}: {found}");
    }
}

#[test]
fn replays_of_nothing() {
    for rule in rules() {
        let none = replay(&rule, &[], 3);
        assert_eq!((none.saved(), none.regret()), (0.0, None));
        let without_values = Curve { number: 0, steps: 100, points: vec![], is_finished: false };
        assert_eq!(replay(&rule, &[without_values], 0).stopped, []);
    }
}
