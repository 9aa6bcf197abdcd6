//! Simulated research loops: without an effect almost none keeps a change, a planted effect is found, and each can be replayed.

use std::collections::BTreeSet;

use research::experiment::{conclude, decide};
use research::research_loop::{Next, decided, next, replay, screen, specs};
use serde_json::Value;
use wire::Author;
use wire::experiment::ExperimentSpec;
use wire::research_loop::record::{
    LoopDecision, LoopHints, LoopRound, LoopStart, LoopState, LoopSummary, RoundKind, RoundOutcome, ScreenedTrial,
    SuggestedValue, kept_changes, used_secs,
};
use wire::research_loop::{LoopGoal, Proposer};

const RATE: &str = "optimizer.learning_rate";
const DECAY: &str = "optimizer.weight_decay";
const FULL_SECS: f64 = 10.0;
const SHORT_SECS: f64 = 2.5;
/// Standard deviations of the noise that runs of one seed share, and of that of each run, bits/byte.
const OF_SEED: f64 = 0.008;
const OF_RUN: f64 = 0.006;

/// A loop whose runs are computed: a run has a loss of 2 bits/byte, the curvature times the squared distance of the learning rate from an
/// optimum at 3/4 of its range, and noise.
struct Simulated {
    of: LoopSummary,
    rounds: Vec<LoopRound>,
    curvature: f64,
    random: fastrand::Rng,
}

impl Simulated {
    fn new(curvature: f64, seed: u64) -> Self {
        let goal: LoopGoal = serde_json::from_str(
            r#"{"title":"Tune","base":{"preset":"tiny","corpus":"tales"},
            "parameters":{"optimizer.learning_rate":{"log":[1e-4,1e-1]},"optimizer.weight_decay":{"float":[0,0.4]},
            "batch.size":{"choices":[4,8,16]}},"budget":{"device_hours":2.0}}"#,
        )
        .unwrap();
        goal.check().unwrap();
        let values = [(RATE, Value::from(1e-3)), (DECAY, 0.1.into()), ("batch.size", 8.into())];
        let start = LoopStart {
            base: goal.base.clone(),
            seed: 1,
            steps: 400,
            short_steps: 100,
            warmup_steps: 40,
            values: values.into_iter().map(|(path, value)| (path.to_owned(), value)).collect(),
        };
        let of = LoopSummary {
            id: 1,
            project: "default".into(),
            author: Author::Person("ada".into()),
            goal,
            start,
            hints: LoopHints::default(),
            queued: None,
            state: LoopState::Running,
            reason: None,
            created_ms: 0,
            ended_ms: None,
        };
        Self { of, rounds: vec![], curvature, random: fastrand::Rng::with_seed(seed) }
    }

    /// A normal variate of this random number generator (Irwin-Hall of 12).
    fn normal(random: &mut fastrand::Rng) -> f64 {
        (0..12).map(|_| random.f64()).sum::<f64>() - 6.0
    }

    fn loss(&mut self, rate: &Value, seed: u64) -> f64 {
        let space = self.of.goal.space().unwrap();
        let dimension = space.dimensions.iter().find(|one| one.name == RATE).unwrap();
        let distance = dimension.values.fraction(rate).unwrap() - 0.75;
        let shared = Self::normal(&mut fastrand::Rng::with_seed(seed)) * OF_SEED;
        2.0 + self.curvature * distance * distance + shared + Self::normal(&mut self.random) * OF_RUN
    }

    /// The learning rate of a recipe.
    fn rate(&self, overrides: &std::collections::BTreeMap<String, Value>) -> Value {
        overrides.get(RATE).unwrap_or(&self.of.start.values[RATE]).clone()
    }

    fn screened(&mut self, round: &LoopRound) -> Vec<ScreenedTrial> {
        let spec = specs::sweep(&self.of, &self.rounds, round);
        assert_eq!(
            spec.check().map(|space| spec.planned_trials(&space)),
            Ok(Ok(match &round.proposal {
                Some(proposal) => proposal.values.len() as u64,
                None => 4,
            }))
        );
        let mut trials = vec![];
        let seeds = if round.proposal.is_none() { vec![1, 2, 3, 4] } else { vec![1] };
        let values = round.proposal.as_ref().map_or(vec![None], |one| one.values.iter().cloned().map(Some).collect());
        for (value, seed) in values.into_iter().flat_map(|value| seeds.iter().map(move |seed| (value.clone(), *seed))) {
            let is_rate = round.proposal.as_ref().is_some_and(|proposal| proposal.parameter == RATE);
            let rate = value.clone().filter(|_| is_rate).unwrap_or_else(|| self.rate(&spec.base.overrides));
            let loss = Some(self.loss(&rate, seed));
            trials.push(ScreenedTrial { value, seed, run: None, loss, device_secs: SHORT_SECS });
        }
        trials
    }

    fn test(&mut self, round: &mut LoopRound, spec: &ExperimentSpec) {
        let baseline = spec.baseline.spec.clone().unwrap();
        let variant = spec.change.applied_to(&baseline);
        let mut pairs = vec![];
        let verdict = loop {
            let seed = baseline.seed.unwrap() + pairs.len() as u64;
            let without = self.loss(&self.rate(&baseline.overrides), seed);
            let with = self.loss(&self.rate(&variant.overrides), seed);
            pairs.push((without, with));
            round.device_secs += 2.0 * FULL_SECS;
            let used = pairs.len() as f64 * 2.0 * FULL_SECS;
            match decide(spec, &pairs) {
                Some(verdict) => break verdict,
                None if used >= spec.budget.device_hours * 3600.0 => break conclude(spec, &pairs, "no budget"),
                None => {}
            }
        };
        round.pairs = pairs.iter().map(|(without, with)| [*without, *with]).collect();
        let (outcome, sentence) = decided(round, &verdict);
        round.decision = Some(LoopDecision { outcome, verdict: Some(verdict), sentence, at_ms: 0 });
    }

    fn step(&mut self) -> bool {
        let (kind, proposal, prediction) = match next(&self.of, &self.rounds) {
            Next::NoiseFloor => (RoundKind::NoiseFloor, None, None),
            Next::Change(proposal) => (RoundKind::Change, Some(proposal), None),
            Next::Confirm(prediction) => (RoundKind::Confirmation, None, Some(prediction)),
            Next::AwaitProposal => panic!("the strategy proposes"),
            Next::Finish(reason) => {
                (self.of.state, self.of.reason) = (LoopState::Finished, Some(reason));
                return false;
            }
        };
        let mut round = LoopRound {
            number: self.rounds.len() as u32 + 1,
            kind,
            proposal,
            hints: self.of.hints.clone(),
            created_ms: 0,
            sweep: None,
            screened: vec![],
            promoted: None,
            experiment: None,
            pairs: vec![],
            veto: None,
            decision: None,
            device_secs: 0.0,
        };
        let ended = |outcome, sentence| Some(LoopDecision { outcome, verdict: None, sentence, at_ms: 0 });
        if let Some(prediction) = prediction {
            let spec = specs::confirmation(&self.of, &self.rounds, &round, prediction);
            self.test(&mut round, &spec);
        } else {
            round.screened = self.screened(&round);
            round.device_secs = SHORT_SECS * round.screened.len() as f64;
            match screen(&self.of, &self.rounds, &round) {
                _ if kind == RoundKind::NoiseFloor => round.decision = ended(RoundOutcome::Measured, String::new()),
                Err((outcome, sentence)) => round.decision = ended(outcome, sentence),
                Ok(promoted) => {
                    let spec = specs::test(&self.of, &self.rounds, &round, &promoted);
                    spec.check().unwrap();
                    round.promoted = Some(promoted);
                    self.test(&mut round, &spec);
                }
            }
        }
        self.rounds.push(round);
        true
    }

    fn run(mut self) -> Self {
        while self.step() {
            assert!(self.rounds.len() < 200, "the loop does not end");
        }
        self
    }

    fn outcomes(&self, outcome: RoundOutcome) -> usize {
        self.rounds.iter().filter(|round| round.decision.as_ref().unwrap().outcome == outcome).count()
    }
}

#[test]
fn without_an_effect_almost_no_loop_keeps_a_change() {
    let loops: Vec<Simulated> = (0..200).map(|seed| Simulated::new(0.0, seed).run()).collect();
    let tested: usize =
        loops.iter().map(|one| one.rounds.iter().filter(|round| round.promoted.is_some()).count()).sum();
    assert!(tested > 10, "the screening lets noise pass, so that the tests are tested: {tested}");
    let kept = loops.iter().filter(|one| one.outcomes(RoundOutcome::Kept) > 0).count();
    assert!(kept <= 12, "{kept} of 200 loops keep a change that has no effect");
}

#[test]
fn a_planted_effect_is_found_and_confirmed() {
    let loops: Vec<Simulated> = (0..50).map(|seed| Simulated::new(0.3, seed).run()).collect();
    let found = |one: &&Simulated| {
        let is_better = |rate: &Value| (1.5e-3..0.1).contains(&rate.as_f64().unwrap());
        kept_changes(&one.rounds).get(RATE).is_some_and(is_better)
    };
    let found: Vec<&Simulated> = loops.iter().filter(found).collect();
    assert!(found.len() >= 40, "{} of 50 loops find the effect", found.len());
    let confirmed = found.iter().filter(|one| one.outcomes(RoundOutcome::Confirmed) == 1).count();
    assert!(confirmed >= 40, "{confirmed} of {} are confirmed", found.len());
}

#[test]
fn no_value_is_proposed_twice_and_hints_are_followed() {
    let mut one = Simulated::new(0.3, 7);
    one.of.hints.pinned.insert("batch.size".into());
    one.of.hints.suggested.push(SuggestedValue { parameter: "batch.size".into(), value: 4.into() });
    one.of.hints.suggested.push(SuggestedValue { parameter: DECAY.into(), value: 0.33.into() });
    let one = one.run();
    let mut proposed = BTreeSet::new();
    for proposal in one.rounds.iter().filter_map(|round| round.proposal.as_ref()) {
        for value in &proposal.values {
            assert!(proposed.insert((proposal.parameter.clone(), value.to_string())), "{proposal:?}");
        }
        assert_ne!(proposal.parameter, "batch.size");
        assert!(proposal.prediction.difference < 0.0 && (0.0..=1.0).contains(&proposal.prediction.probability));
    }
    let first = |at: usize| one.rounds[at].proposal.as_ref().map(|one| (one.parameter.as_str(), one.values.clone()));
    assert_eq!(first(1), Some((DECAY, vec![0.33.into()])), "a suggested value comes first");
    let (parameter, values) = first(2).unwrap();
    assert_eq!((parameter, values.len()), (RATE, 4), "then the learning rate");
    let rates: Vec<f64> = values.iter().map(|value| value.as_f64().unwrap()).collect();
    // A quarter of the logarithmic range of 1e-4 to 1e-1 is a factor of 10^0.75; the values have three digits.
    assert_eq!(rates, [1.78e-4, 4.22e-4, 2.37e-3, 5.62e-3]);
}

#[test]
fn values_are_rounded_into_the_ranges_of_the_goal() {
    let goal: LoopGoal = serde_json::from_str(
        r#"{"title":"Tune","base":{"preset":"tiny","corpus":"tales"},"budget":{"device_hours":2.0},
        "parameters":{"optimizer.learning_rate":{"log":[1e-4,1e-1]},"optimizer.weight_decay":{"float":[0,0.4],"step":0.05},
        "batch.size":{"log_int":[4,16]},"model.layers":{"int":[2,8],"step":2},"model.d_model":{"choices":[32,64]}}}"#,
    )
    .unwrap();
    goal.check().unwrap();
    for (parameter, given, expected) in [
        (RATE, 0.000632455532034, Some(Value::from(6.32e-4))),
        (RATE, 0.10000000001, Some(Value::from(0.1))),
        (RATE, 0.000100000000001, Some(Value::from(1e-4))),
        (RATE, 0.101, None),
        (DECAY, 0.1500000001, Some(Value::from(0.15))),
        (DECAY, 0.17, None),
        ("batch.size", 4.0000000001, Some(4.into())),
        ("batch.size", 16.4, Some(16.into())),
        ("batch.size", 17.0, None),
        ("model.layers", 3.9, Some(4.into())),
        ("model.layers", 5.0, None),
        ("model.d_model", 64.0000001, Some(64.into())),
        ("model.d_model", 48.0, None),
    ] {
        let rounded = goal.rounded(parameter, &given.into());
        let accepted = goal.check_value(parameter, &rounded, "value").is_ok().then_some(rounded);
        assert_eq!(accepted, expected, "{parameter} = {given}");
    }
}

#[test]
fn an_earlier_attempt_of_a_retried_trial_uses_the_budget() {
    let mut one = Simulated::new(0.0, 1);
    assert!(one.step());
    let Next::Change(proposal) = next(&one.of, &one.rounds) else { panic!("the strategy proposes") };
    let value = proposal.values.first().cloned();
    let trial = |value, loss, device_secs| ScreenedTrial { value, seed: 1, run: None, loss, device_secs };
    let mut round = LoopRound {
        number: 2,
        kind: RoundKind::Change,
        proposal: Some(proposal),
        screened: vec![trial(value, Some(1.0), SHORT_SECS)],
        decision: None,
        ..one.rounds[0].clone()
    };
    // Four pairs of full-length runs, the screening trial, and 5 s.
    let needed = used_secs(&one.rounds) + SHORT_SECS + 8.0 * FULL_SECS + 5.0;
    one.of.goal.budget.device_hours = needed / 3600.0;
    assert!(screen(&one.of, &one.rounds, &round).is_ok());
    round.screened.push(trial(None, None, 10.0));
    let (outcome, sentence) = screen(&one.of, &one.rounds, &round).unwrap_err();
    assert_eq!(outcome, RoundOutcome::Inconclusive, "{sentence}");
}

#[test]
fn an_agent_takes_over_the_proposing_and_hands_it_back() {
    let mut one = Simulated::new(0.3, 7);
    assert!(one.step() && one.step());
    one.of.hints.proposer = Some(Proposer::Agent);
    assert_eq!(next(&one.of, &one.rounds), Next::AwaitProposal);
    assert_eq!(replay(&one.of, &one.rounds).differences, Vec::<String>::new(), "earlier rounds have their own hints");
    one.of.hints.proposer = Some(Proposer::Builtin);
    assert!(matches!(next(&one.of, &one.rounds), Next::Change(_)));
}

#[test]
fn a_replay_finds_what_was_changed() {
    for seed in 0..5 {
        let mut one = Simulated::new(0.3, seed).run();
        let text = serde_json::to_string(&one.rounds).unwrap();
        one.rounds = serde_json::from_str(&text).unwrap();
        let found = replay(&one.of, &one.rounds);
        assert_eq!(found.differences, Vec::<String>::new(), "loop {seed}");
        assert!(found.decisions as usize > one.rounds.len(), "{found:?}");
        // A loss that would have been promoted.
        let changed = one.rounds.iter_mut().find(|round| round.proposal.is_some()).unwrap();
        changed.screened[0].loss = Some(0.5);
        changed.promoted = None;
        assert!(!replay(&one.of, &one.rounds).differences.is_empty(), "loop {seed}");
    }
}
