//! Rules on synthetic runs: healthy ones have no finding, planted faults are found in time, and broken series break nothing.

use research::rules::*;
use testing::{Random, seeds};

use super::synthetic::{Row, change, expected_loss, facts, healthy, normal};

const STEPS: u64 = 2000;

fn feed(checker: &mut Checker, facts: &Facts, rows: &[Row]) -> Vec<Finding> {
    rows.iter().flat_map(|(step, values)| checker.feed(facts, *step, values)).collect()
}

/// What the rules find in a whole run.
fn findings(rows: &[Row]) -> Vec<Finding> {
    feed(&mut Checker::default(), &facts(STEPS), rows)
}

fn words(found: &[Finding]) -> Vec<String> {
    found.iter().map(sentence).collect()
}

#[test]
fn healthy_runs_have_no_finding() {
    for seed in seeds(0..20) {
        let found = findings(&healthy(seed, STEPS));
        assert!(found.is_empty(), "seed {seed}: {:#?}", words(&found));
    }
}

/// A planted fault: the rule that must find it, the step of the fault, and the delay that is allowed.
struct Fault {
    name: &'static str,
    rule: &'static str,
    level: Level,
    step: u64,
    delay: u64,
    plant: fn(&mut Vec<Row>),
}

const fn fault(
    name: &'static str,
    (rule, level): (&'static str, Level),
    (step, delay): (u64, u64),
    plant: fn(&mut Vec<Row>),
) -> Fault {
    Fault { name, rule, level, step, delay, plant }
}

const FAULTS: &[Fault] = &[
    fault("one NaN loss", ("non_finite", Level::Alert), (700, 0), |rows| {
        change(rows, "loss.train", 700, |step, loss| if step == 700 { f64::NAN } else { loss });
    }),
    fault("an infinite gradient", ("non_finite", Level::Alert), (700, 0), |rows| {
        change(rows, "grad_norm", 700, |step, norm| if step == 700 { f64::INFINITY } else { norm });
    }),
    fault("NaN weights", ("non_finite", Level::Alert), (701, 9), |rows| {
        change(rows, "weight_rms/block.0.mlp.up", 701, |_, _| f64::NAN);
    }),
    fault("initial weights 10 times too large", ("first_loss", Level::Alert), (0, 0), |rows| {
        change(rows, "loss.train", 0, |step, loss| loss + 6.0 * (-(step as f64) / 40.0).exp());
    }),
    fault("a spike of 0.5 nats", ("loss_spike", Level::Note), (900, 0), |rows| {
        change(
            rows,
            "loss.train",
            900,
            |step, _| if step == 900 { expected_loss(step) + 0.5 } else { expected_loss(step) },
        );
    }),
    fault("a spike of 1.5 nats", ("loss_spike", Level::Alert), (900, 0), |rows| {
        change(rows, "loss.train", 900, |step, loss| if step < 905 { loss + 1.5 } else { loss });
    }),
    fault("the loss doubles", ("divergence", Level::Alert), (800, 10), |rows| {
        change(rows, "loss.train", 800, |_, loss| 2.3 * loss);
    }),
    fault("the loss rises slowly", ("divergence", Level::Alert), (800, 200), |rows| {
        change(rows, "loss.train", 800, |step, loss| loss + 0.003 * (step - 800) as f64);
    }),
    fault("the gradient grows by 3 % a step", ("gradient_explosion", Level::Alert), (900, 180), |rows| {
        change(rows, "grad_norm", 900, |step, norm| norm * 1.03f64.powi((step - 900) as i32));
    }),
    fault("the gradient is 20 times larger", ("gradient_explosion", Level::Alert), (900, 5), |rows| {
        change(rows, "grad_norm", 900, |_, norm| 20.0 * norm);
    }),
    fault("one gradient is 100 times larger", ("gradient_explosion", Level::Note), (900, 0), |rows| {
        change(rows, "grad_norm", 900, |step, norm| if step == 900 { 100.0 * norm } else { norm });
    }),
    fault("every gradient is clipped", ("clipping_always", Level::Note), (0, 500), |rows| {
        change(rows, "grad_norm", 0, |_, norm| 10.0 * norm);
    }),
    fault("the learning rate is 10 times too high", ("learning_rate_high", Level::Alert), (0, 300), |rows| {
        change(rows, "update_ratio/", 0, |_, ratio| 12.0 * ratio);
        change(rows, "loss.train", 100, |step, loss| loss - expected_loss(step) + expected_loss(100));
        change(rows, "grad_norm", 0, |_, norm| 5.0 * norm);
    }),
    fault("the learning rate is 100 times too low", ("learning_rate_low", Level::Alert), (0, 400), |rows| {
        change(rows, "update_ratio/", 0, |_, ratio| ratio / 100.0);
        change(rows, "grad_norm", 0, |_, norm| 0.3 * norm);
        change(rows, "loss.train", 0, |step, loss| loss - expected_loss(step) + 4.17 - 0.001 * step as f64);
    }),
    fault("one matrix changes too fast", ("update_ratio", Level::Note), (600, 30), |rows| {
        change(rows, "update_ratio/block.0.mlp.up", 600, |_, ratio| 50.0 * ratio);
    }),
    fault("a batch of 64 tokens", ("noisy_loss", Level::Alert), (0, 210), |rows| {
        change(rows, "loss.train", 1, |step, loss| expected_loss(step) + 5.0 * (loss - expected_loss(step)));
    }),
    fault("a model without context", ("unigram_baseline", Level::Alert), (0, 450), |rows| {
        change(rows, "loss.train", 1, |step, loss| loss - expected_loss(step) + expected_loss(step).max(3.32));
    }),
    fault("no progress at a constant learning rate", ("plateau", Level::Note), (700, 1200), |rows| {
        change(rows, "learning_rate", 100, |_, _| 1e-3);
        change(rows, "loss.train", 700, |step, loss| expected_loss(700) + (loss - expected_loss(step)) / 3.0);
    }),
    fault("overfitting", ("overfitting", Level::Note), (600, 900), |rows| {
        change(rows, "loss.valid", 600, |step, loss| loss + 0.0008 * (step - 600) as f64);
    }),
    fault("one dataset is forgotten", ("dataset_forgotten", Level::Note), (600, 700), |rows| {
        change(rows, "loss.valid/tales", 600, |step, loss| loss + 0.0005 * (step - 600) as f64);
    }),
    fault("below the entropy", ("floor_passed", Level::Alert), (600, 300), |rows| {
        change(rows, "loss.valid", 600, |_, _| 0.9);
    }),
    fault("training text in the validation text", ("validation_leak", Level::Alert), (600, 300), |rows| {
        change(rows, "loss.valid", 600, |_, loss| 0.75 * loss);
    }),
    fault("an easier validation text", ("validation_leak", Level::Note), (600, 300), |rows| {
        change(rows, "loss.valid", 600, |_, loss| 0.9 * loss);
    }),
    fault("6 epochs", ("epochs", Level::Note), (1330, 20), |rows| {
        change(rows, "epochs/", 0, |_, epochs| 6.0 * epochs);
    }),
    fault("repeated windows", ("duplicate_windows", Level::Alert), (801, 9), |rows| {
        change(rows, "duplicate_windows", 801, |step, _| (step - 800) as f64);
    }),
    fault("a matrix without gradient", ("dead_parameter", Level::Alert), (601, 29), |rows| {
        change(rows, "gradient_rms/block.0.mlp.down", 601, |_, _| 0.0);
    }),
    fault("dead neurons", ("dead_neurons", Level::Alert), (601, 9), |rows| {
        change(rows, "dead_neurons/", 601, |_, _| 0.3);
    }),
    fault("dead neurons from the start", ("dead_neurons", Level::Alert), (0, 0), |rows| {
        change(rows, "dead_neurons/", 0, |_, _| 0.6);
    }),
    fault("all heads collapse", ("attention_collapse", Level::Alert), (601, 9), |rows| {
        change(rows, "attention_entropy/", 601, |_, entropy| 0.02 * entropy);
    }),
    fault("one head collapses", ("attention_collapse", Level::Note), (601, 9), |rows| {
        change(rows, "attention_entropy/0.2", 601, |_, entropy| 0.02 * entropy);
    }),
    fault("large attention scores", ("attention_logits", Level::Note), (601, 9), |rows| {
        change(rows, "attention_logit_max/", 601, |_, _| 150.0);
    }),
    fault("slow steps", ("slow_steps", Level::Note), (1000, 30), |rows| {
        change(rows, "tokens_per_sec", 1000, |_, speed| speed / 1.5);
    }),
];

#[test]
fn planted_faults_are_found_in_time() {
    for fault in FAULTS {
        for seed in seeds(0..3) {
            let mut rows = healthy(seed, STEPS);
            (fault.plant)(&mut rows);
            let all = findings(&rows);
            let of_rule = || all.iter().filter(|finding| finding.rule == fault.rule);
            let early = of_rule().find(|finding| finding.step < fault.step);
            assert!(early.is_none(), "{}, seed {seed}: before the fault: {early:?}", fault.name);
            let found = of_rule().find(|finding| finding.level >= fault.level);
            let found = found.unwrap_or_else(|| panic!("{}, seed {seed}: not found; {:#?}", fault.name, words(&all)));
            assert!(found.step <= fault.step + fault.delay, "{}, seed {seed}: late: {found:?}", fault.name);
            // A spike near the limit of an alert may be either.
            let is_either = fault.level == Level::Alert || fault.rule == "loss_spike";
            assert!(is_either || of_rule().all(|finding| finding.level == Level::Note), "{}", fault.name);
            assert!(!sentence(found).contains(['{', '}']), "{}", sentence(found));
            assert!(found.first_step <= found.step && found.threshold.is_finite() && !found.evidence.is_empty());
            assert!(of_rule().count() <= 3, "{}, seed {seed}: repeated: {:#?}", fault.name, words(&all));
        }
    }
}

#[test]
fn every_rule_is_tested_and_states_itself() {
    for rule in RULES {
        assert!(FAULTS.iter().any(|fault| fault.rule == rule.id), "{} has no planted fault", rule.id);
        let highest = FAULTS.iter().filter(|fault| fault.rule == rule.id).map(|fault| fault.level).max();
        assert_eq!(highest, Some(rule.level), "{}", rule.id);
        for text in [rule.label, rule.meaning, rule.reason, rule.seen, rule.formula, rule.source] {
            assert!(!text.is_empty(), "{}", rule.id);
        }
        let others = rule.seen_if.iter().map(|(_, text)| *text);
        for text in [rule.meaning, rule.reason, rule.seen].into_iter().chain(others) {
            assert!(text.ends_with('.'), "{}: {text}", rule.id);
        }
        assert!(rule.info().levels.ends_with('.'), "{}", rule.id);
        let place = |id: &str| RULES.iter().position(|rule| rule.id == id);
        for &id in rule.explained_by {
            assert!(place(id).is_some_and(|before| Some(before) < place(rule.id)), "{}: {id} comes before it", rule.id);
        }
        assert!(!rule.signals.is_empty() && rule.calm_readings > 0, "{}", rule.id);
        assert_eq!(RULES.iter().filter(|other| other.id == rule.id).count(), 1, "{}", rule.id);
        for threshold in rule.thresholds {
            assert!((threshold.min..=threshold.max).contains(&threshold.default), "{}.{}", rule.id, threshold.key);
        }
    }
}

#[test]
fn sentences_have_the_numbers_of_the_finding() {
    let mut rows = healthy(1, STEPS);
    change(&mut rows, "loss.train", 900, |step, loss| if step == 900 { loss + 1.5 } else { loss });
    let found = findings(&rows);
    let text = &words(&found)[0];
    assert!(text.starts_with("The training loss of step 900 is"), "{text}");
    assert!(!text.contains('{'), "{text}");
    assert_eq!(found[0].evidence[0].series, "loss.train");
    let text = serde_json::to_string(&found).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Finding>>(&text).unwrap().len(), found.len());
    let unknown = sentence(&Finding { rule: "of_tomorrow".into(), ..found[0].clone() });
    assert!(unknown.starts_with("of_tomorrow at step 900"), "{unknown}");
}

#[test]
fn a_divergence_names_the_losses_that_were_compared() {
    let factor = "The lowest of the 5 training losses up to step 904, 5 nats/token, is 2.5 times the mean of the 100 losses before \
                  them, 2 nats/token (threshold: 2 times).";
    let medians = "The median of the 50 training losses up to step 929, 2.2 nats/token, is 1.1 times the median of the 50 losses from \
                   step 780 on, 2 nats/token (threshold: 1.05 times).";
    for (loss, window, text) in [(5.0, (800, 904), factor), (2.2, (780, 929), medians)] {
        let mut rows = healthy(1, STEPS);
        change(&mut rows, "loss.train", 0, |step, _| if step < 900 { 2.0 } else { loss });
        let found = findings(&rows);
        let found = found.iter().find(|finding| finding.rule == "divergence").unwrap();
        assert_eq!((found.first_step, found.step), window);
        assert_eq!(sentence(found), text);
    }
}

#[test]
fn a_finding_about_many_heads_is_shown_by_all_their_series() {
    for (series, said) in
        [("attention_entropy/", "of 4 of 4 heads is"), ("attention_entropy/0.2", "of head 2 of block 0 is")]
    {
        let mut rows = healthy(1, STEPS);
        change(&mut rows, series, 601, |_, entropy| 0.02 * entropy);
        let found = findings(&rows);
        let finding = found.iter().find(|finding| finding.rule == "attention_collapse").unwrap();
        assert_eq!(finding.evidence[0].series, series);
        assert!(sentence(finding).contains(said), "{}", sentence(finding));
    }
}

/// What a learning rate that is 300 times too large does to a run that had learned.
fn diverged(seed: u64, step: u64) -> Vec<Row> {
    let mut rows = healthy(seed, STEPS);
    change(&mut rows, "loss.train", step, |at, loss| loss + 3.0 + f64::from(at % 2 == 0));
    change(&mut rows, "grad_norm", step, |_, norm| 50.0 * norm);
    change(&mut rows, "update_ratio/", step, |_, ratio| 300.0 * ratio);
    change(&mut rows, "gradient_rms/block.0.mlp.down", step, |_, _| 0.0);
    change(&mut rows, "dead_neurons/", step, |_, _| 0.9);
    change(&mut rows, "attention_entropy/", step, |_, entropy| 1e-6 * entropy);
    change(&mut rows, "attention_logit_max/", step, |_, _| 46_046.0);
    change(&mut rows, "tokens_per_sec", step, |_, speed| speed / 1.5);
    rows
}

#[test]
fn consequences_of_unstable_training_are_not_found_beside_it() {
    for seed in seeds(0..3) {
        let found = findings(&diverged(seed, 901));
        let divergence = found.iter().find(|finding| finding.rule == "divergence");
        let divergence = divergence.unwrap_or_else(|| panic!("seed {seed}: {:#?}", words(&found))).step;
        assert!(found.iter().any(|finding| finding.rule == "learning_rate_high"), "seed {seed}: {:#?}", words(&found));
        let after = found.iter().filter(|finding| (divergence..1300).contains(&finding.step));
        for finding in after {
            let rule = rule(&finding.rule).unwrap();
            assert!(rule.explained_by.is_empty(), "seed {seed}: {}", sentence(finding));
        }
        assert!(found.iter().all(|finding| finding.rule != "unigram_baseline"), "seed {seed}: it had learned");
    }
}

#[test]
fn a_run_whose_speed_changes_all_the_time_has_one_finding_until_it_has_recovered() {
    let slow = |rows: &[Row]| -> Vec<u64> {
        findings(rows).into_iter().filter(|found| found.rule == "slow_steps").map(|found| found.step).collect()
    };
    let mut rows = healthy(1, STEPS);
    change(&mut rows, "tokens_per_sec", 600, |step, speed| match step {
        // Slow for 60 steps, as usual for 60 steps.
        600..1400 if (step - 600) % 120 < 60 => speed / 1.5,
        1700.. => speed / 1.5,
        _ => speed,
    });
    let found = slow(&rows);
    assert!(matches!(found[..], [600..=630, 1700..=1730]), "{found:?}");
    // A speed between the usual one and the threshold is no recovery.
    let mut rows = healthy(1, STEPS);
    change(&mut rows, "tokens_per_sec", 600, |step, speed| match step {
        700..1000 => speed / 1.2,
        600..1100 => speed / 1.5,
        _ => speed,
    });
    assert_eq!(slow(&rows).len(), 1, "{:?}", slow(&rows));
}

#[test]
fn a_condition_that_outlasts_its_explanation_is_found() {
    let mut rows = healthy(1, STEPS);
    change(&mut rows, "loss.train", 800, |step, loss| if step < 850 { 2.5 * loss } else { loss });
    change(&mut rows, "tokens_per_sec", 800, |_, speed| speed / 1.5);
    let found = findings(&rows);
    let first = |rule: &str| found.iter().find(|finding| finding.rule == rule).map(|finding| finding.step);
    let (divergence, slow) = (first("divergence").unwrap(), first("slow_steps").unwrap());
    assert!(divergence < 820 && (divergence + 300..1500).contains(&slow), "{divergence}, {slow}");
    // Without the rule that explains them they are found at once.
    let mut settings = Settings::default();
    settings.muted.insert("divergence".into());
    let found = feed(&mut Checker::new(settings), &facts(STEPS), &rows);
    assert!(found.iter().any(|finding| finding.rule == "slow_steps" && finding.step < 850), "{:#?}", words(&found));
}

#[test]
fn a_loss_that_was_below_single_tokens_is_no_model_without_context() {
    let mut rows = healthy(1, STEPS);
    change(&mut rows, "loss.train", 900, |_, loss| loss + 4.0);
    let mut settings = Settings::default();
    settings.muted.extend(["divergence", "learning_rate_high"].map(str::to_owned));
    let found = feed(&mut Checker::new(settings), &facts(STEPS), &rows);
    assert!(found.iter().all(|finding| finding.rule != "unigram_baseline"), "{:#?}", words(&found));
}

/// Every series that is NaN throughout, or infinite, and runs of a few steps.
#[test]
fn broken_series_give_no_panic_and_no_finding_of_other_rules() {
    let names: Vec<String> = healthy(0, 100).into_iter().flat_map(|(_, values)| values).map(|(name, _)| name).collect();
    for name in names.iter().collect::<std::collections::BTreeSet<_>>() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut rows = healthy(3, 600);
            change(&mut rows, name, 0, |_, _| value);
            let found = findings(&rows);
            let is_checked = ["loss.train", "loss.valid", "grad_norm"].contains(&name.as_str());
            let is_expected = |found: &Finding| found.rule == "non_finite" && found.value.is_none();
            assert!(found.iter().all(is_expected), "{name} {value}: {:#?}", words(&found));
            assert_eq!(found.is_empty(), !(is_checked || name.starts_with("weight_rms/")), "{name} {value}");
        }
    }
    for steps in 0..4 {
        assert!(findings(&healthy(4, 600)[..steps]).is_empty());
    }
    for value in [0.0, -1.0, f64::MAX, f64::MIN_POSITIVE] {
        let mut rows = healthy(5, 600);
        rows.iter_mut().flat_map(|(_, values)| values).for_each(|(_, of)| *of = value);
        let found = findings(&rows);
        assert!(found.iter().all(|finding| finding.threshold.is_finite()), "{found:?}");
    }
}

#[test]
fn gaps_and_missing_series_give_no_finding() {
    for seed in seeds(0..10) {
        let mut random = Random::new(seed);
        let mut rows = healthy(seed, STEPS);
        let gap = 300 + random.below(1200);
        rows.retain(|(step, _)| !(gap..gap + 150).contains(step) && random.below(10) > 0);
        rows.iter_mut().for_each(|(_, values)| values.retain(|_| random.below(10) > 0));
        let found = findings(&rows);
        assert!(found.is_empty(), "seed {seed}: {:#?}", words(&found));
    }
}

/// Rows that come again, late or in several parts give the findings of rows in order.
#[test]
fn repeated_and_divided_rows_change_nothing() {
    for seed in seeds(0..5) {
        let mut random = Random::new(seed);
        let mut rows = healthy(seed, 1200);
        change(&mut rows, "loss.train", 900, |_, loss| 2.5 * loss);
        let (mut plain, mut repeated) = (Checker::default(), Checker::default());
        let expected = feed(&mut plain, &facts(STEPS), &rows);
        let mut found = vec![];
        for (index, (step, values)) in rows.iter().enumerate() {
            found.extend(repeated.feed(&facts(STEPS), *step, values));
            let (old, again) = &rows[index - random.below(index as u64 + 1) as usize];
            found.extend(repeated.feed(&facts(STEPS), *old, again));
            found.extend(repeated.feed(&facts(STEPS), *step, &[("loss.train".into(), 1e9), ("unknown".into(), 1.0)]));
        }
        assert_eq!(found, expected);
        assert!(repeated == plain, "seed {seed}");
    }
}

/// A run with random faults, for the properties of the state.
fn faulty(seed: u64, steps: u64) -> Vec<Row> {
    let mut random = Random::new(seed);
    let mut rows = healthy(seed, steps);
    for _ in 0..4 {
        let fault = &FAULTS[random.below(FAULTS.len() as u64) as usize];
        (fault.plant)(&mut rows);
    }
    rows
}

#[test]
fn a_rewound_checker_equals_one_that_never_read_the_abandoned_steps() {
    for seed in seeds(0..12) {
        let mut random = Random::new(seed ^ 99);
        let mut path = faulty(seed, STEPS);
        let mut checker = Checker::default();
        let mut found = feed(&mut checker, &facts(STEPS), &path[..1500]);
        for round in 0..3 {
            let step = random.below(1500);
            let again = checker.rewind(step);
            assert!(again.end == step && again.start <= step, "{again:?}");
            assert!(step - again.start <= (1500 - step).max(320) + 320, "{again:?}");
            let again = again.start as usize..again.end as usize;
            feed(&mut checker, &facts(STEPS), &path[again]);
            found.retain(|finding| finding.step < step);
            let branch = faulty(seed + 1000 * (round + 1), STEPS);
            path.splice(step as usize.., branch[step as usize..].iter().cloned());
            found.extend(feed(&mut checker, &facts(STEPS), &path[step as usize..1500]));
        }
        let mut plain = Checker::default();
        let expected = feed(&mut plain, &facts(STEPS), &path[..1500]);
        assert!(checker == plain, "seed {seed}");
        assert_eq!(found, expected, "seed {seed}");
        assert_eq!(checker.active(), plain.active());
        assert_eq!(checker.rewind(5000), 5000..5000, "nothing to forget");
        assert!(checker == plain);
    }
}

#[test]
fn a_stored_state_continues_with_the_same_findings() {
    for seed in seeds(0..6) {
        let rows = faulty(seed, STEPS);
        let mut plain = Checker::default();
        let expected = feed(&mut plain, &facts(STEPS), &rows);
        let mut checker = Checker::default();
        let mut found = vec![];
        for part in rows.chunks(170) {
            found.extend(feed(&mut checker, &facts(STEPS), part));
            checker = Checker::decode(&checker.encode().unwrap()).unwrap();
        }
        assert_eq!(found, expected);
        assert!(checker == plain);
    }
}

#[test]
fn a_state_of_another_version_or_a_damaged_one_is_refused() {
    let mut checker = Checker::default();
    feed(&mut checker, &facts(STEPS), &healthy(0, 700));
    let bytes = checker.encode().unwrap();
    let mut other = bytes.clone();
    other[0] += 1;
    assert!(Checker::decode(&other).unwrap_err().to_string().contains("run the rules on the stored series again"));
    for end in [0, 3, 4, bytes.len() / 2, bytes.len() - 1] {
        assert!(matches!(Checker::decode(&bytes[..end]), Err(StateError::Damaged(_))), "{end}");
    }
}

/// The state of a long run is as small as that of a short one, and a rollback reads a bounded part again.
#[test]
fn the_state_does_not_grow_with_the_run() {
    let mut checker = Checker::default();
    let mut random = Random::new(testing::seed(1));
    let mut sizes = vec![];
    for step in 0..60_000u64 {
        let values = [("loss.train".to_owned(), 2.0 + 0.05 * normal(&mut random)), ("grad_norm".into(), 1.0)];
        checker.feed(&facts(60_000), step, &values);
        if step == 5_000 || step == 59_999 {
            sizes.push(checker.encode().unwrap().len());
        }
    }
    assert!(sizes[1] < 3 * sizes[0], "{sizes:?}");
    let again = checker.rewind(59_000);
    assert!(again.end - again.start <= 1400, "{again:?}");
}

#[test]
fn the_last_evaluation_reads_other_windows_and_is_compared_with_none_before() {
    let seen = |loss: f64, facts: &Facts| -> Vec<String> {
        let mut rows = healthy(8, STEPS);
        // Low, and not yet below the floor.
        change(&mut rows, "loss.valid", STEPS - 150, |_, valid| 0.9 * valid);
        change(&mut rows, "loss.valid", STEPS - 1, |_, _| loss);
        feed(&mut Checker::default(), facts, &rows).into_iter().map(|finding| finding.rule).collect()
    };
    let by_budget = Facts { budget_steps: Some(STEPS), ..facts(9 * STEPS) };
    for facts in [facts(STEPS), by_budget] {
        for loss in [0.1, 1.0, 30.0] {
            assert_eq!(seen(loss, &facts), Vec::<String>::new(), "{loss}");
        }
        assert_eq!(seen(f64::NAN, &facts), ["non_finite"], "a value that is not finite is read");
    }
    assert_eq!(seen(0.1, &facts(9 * STEPS)), ["floor_passed"], "any other evaluation is read");
}

#[test]
fn rules_can_be_muted_and_tuned() {
    let mut rows = healthy(2, STEPS);
    change(&mut rows, "duplicate_windows", 801, |_, _| 1.0);
    let muted = Settings { muted: ["duplicate_windows".to_owned()].into(), ..Settings::default() };
    let mut checker = Checker::new(muted);
    assert!(feed(&mut checker, &facts(STEPS), &rows[..1000]).is_empty() && checker.active().is_empty());
    checker.set_settings(Settings::default());
    let found = feed(&mut checker, &facts(STEPS), &rows[1000..]);
    assert_eq!(found.iter().map(|finding| finding.step).collect::<Vec<_>>(), [1000], "reported when no longer muted");
    assert_eq!(checker.active()[0].since_step, 1000);

    let mut settings = Settings::default();
    settings.set("duplicate_windows", "windows", 5.0).unwrap();
    assert!(feed(&mut Checker::new(settings.clone()), &facts(STEPS), &rows).is_empty());
    let refused =
        |rule: &str, key: &str, value: f64| Settings::default().set(rule, key, value).unwrap_err().to_string();
    assert!(refused("spikes", "z", 1.0).contains("choose one of non_finite, "));
    assert!(refused("loss_spike", "z", 1.0).contains("choose one of note_z, alert_z, rise"));
    assert!(refused("loss_spike", "note_z", f64::NAN).contains("from 2 to 1000"));
    settings.thresholds.insert("duplicate_windows.windows".into(), f64::NAN);
    assert_eq!(
        feed(&mut Checker::new(settings), &facts(STEPS), &rows).len(),
        1,
        "an invalid value of a file is ignored"
    );
}

#[test]
fn a_finding_that_ended_can_come_again() {
    let mut rows = healthy(6, STEPS);
    change(&mut rows, "attention_logit_max/", 301, |step, logit| if step < 600 || step > 1200 { 200.0 } else { logit });
    let found = findings(&rows);
    assert_eq!(found.iter().map(|finding| finding.step).collect::<Vec<_>>(), [310, 1210]);
}
