//! The built-in strategy of research loops: a coordinate search with screening and sequential tests. It needs no model, and it has no state
//! of its own: each decision is a function of the goal, the hints (pins and suggested values) and the stored rounds.
//!
//! - **Noise floor.** The default recipe is trained with k seeds at the length of a screening trial; σ is the standard deviation of the losses.
//! - **Proposal.** One hyperparameter, and values around its current one at fractions f ± w and f ± w/2 of its range, on its logarithm where the
//!   goal says `log`: w is 1/4 at first, and a quarter of that after each round on it that kept nothing, down to 1/32. Next is the
//!   hyperparameter with the fewest rounds, then the one with the largest screened gain; the learning rate comes first. A value that a
//!   round has tried is never proposed again. Suggested values come first.
//! - **Prediction.** Before screening: half of the last screened gain of the hyperparameter, or 2 σ without one. Before the test: the
//!   screened gain times the mean ratio of tested and screened gains so far, 0.5 without a test. The probability is (kept + 1) / (tried + 2).
//! - **Screening.** One short trial of each value, with the seed of the first run. The best value is tested if its gain is at least
//!   1.5 sqrt(2) σ and the smallest effect.
//! - **Test.** Pairs of full-length runs with seeds that no earlier run had. The change is kept if the confidence sequence of the mean
//!   difference excludes 0 at level 1 - α / m, where m is the maximum number of tests (Bonferroni), and the mean is at least the smallest
//!   effect. So a loop without any effect keeps a change with a probability of at most α, however many rounds it has, and however often each
//!   test is looked at.
//! - **End.** The rest of the budget is too small for another round, m tests were made, or no value is left to propose. If a change was kept,
//!   pairs with new seeds compare the best recipe with the default.
//!
//! Sources: Hooke, Jeeves 1961, "Direct Search" solution of numerical and statistical problems (doi 10.1145/321062.321069); short trials of many,
//! full training of few: Jamieson, Talwalkar 2016 (arXiv 1502.07943); tests as in `experiment/decision.rs`.
//!
//! [`specs`] writes the sweeps and experiments of the rounds, [`replay`] computes all decisions again.

pub mod replay;
pub mod specs;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::Value;
use wire::control::author::Author;
use wire::experiment::Prediction;
use wire::experiment::record::{Outcome, Verdict};
use wire::number::{brief, counted, in_sentence};
use wire::research_loop::check::is_same_value;
use wire::research_loop::record::{
    LoopProposal, LoopRound, LoopState, LoopSummary, LoopView, PromotedValue, ProposalSource, RoundKind, RoundOutcome,
    kept_changes, used_secs,
};
use wire::research_loop::{Proposer, UNIT};
use wire::sweep::space::Dimension;

use crate::statistics::sample::{mean, variance};

pub use replay::{Replay, replay};

/// The author of the proposals of the strategy. Its predictions are scored under this name.
pub const STRATEGY: &str = "research loop";
/// Distance of the farthest proposed value from the current one in the first round, as a fraction of the range.
const FIRST_WIDTH: f64 = 0.25;
/// The smallest such fraction.
const LAST_WIDTH: f64 = 1.0 / 32.0;
/// Factor of the width after a round that kept nothing.
const NARROWER: f64 = 0.25;
/// Distances of the proposed values from the current one, in units of the width, in the order in which they are used.
const PLACES: [f64; 16] =
    [-1.0, 1.0, -0.5, 0.5, -0.75, 0.75, -0.25, 0.25, -0.875, 0.875, -0.375, 0.375, -0.625, 0.625, -0.125, 0.125];
/// Smallest screened gain of a promising value, in standard deviations of a difference of two runs.
const PROMISING: f64 = 1.5;
/// Assumed ratio of the gain at full length to the screened gain before the first test.
const FIRST_RATIO: f64 = 0.5;
/// Number of pairs that the rest of the budget must pay for before a test begins.
const AFFORDABLE_PAIRS: f64 = 4.0;
const SECS_PER_HOUR: f64 = 3600.0;
const LEARNING_RATE: &str = "optimizer.learning_rate";

/// The next action of a loop whose rounds are all decided.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Measure the noise floor.
    NoiseFloor,
    /// Begin a round with a proposal.
    Change(LoopProposal),
    /// Compare the best recipe with the default.
    Confirm(Prediction),
    /// Wait for the proposal of an agent.
    AwaitProposal,
    /// End, with the reason.
    Finish(String),
}

/// The next action of a loop. Hints are read from `of`; all rounds are decided.
pub fn next(of: &LoopSummary, rounds: &[LoopRound]) -> Next {
    let search = Search { of, rounds };
    if rounds.is_empty() {
        return Next::NoiseFloor;
    }
    if search.noise().is_none() {
        return Next::Finish("fewer than 2 runs of the default recipe have a validation loss".to_owned());
    }
    if let Some(reason) = search.ending() {
        return search.conclude(reason);
    }
    match (search.suggested(), of.proposer()) {
        (Some(proposal), _) => Next::Change(proposal),
        (None, Proposer::Agent) => Next::AwaitProposal,
        (None, Proposer::Builtin) => match search.proposal() {
            Some(proposal) => Next::Change(proposal),
            None => search.conclude("no value is left to propose".to_owned()),
        },
    }
}

/// The value of a round to test once its screening trials have ended, given the rounds before it; otherwise the outcome of the round, and why.
///
/// # Errors
/// No value is promising, none has a loss, or the rest of the budget is too small for a test.
pub fn screen(
    of: &LoopSummary,
    earlier: &[LoopRound],
    round: &LoopRound,
) -> Result<PromotedValue, (RoundOutcome, String)> {
    let search = Search { of, rounds: earlier };
    let results = round.screened.iter().filter_map(|trial| trial.value.as_ref().zip(trial.loss));
    let Some((value, loss)) = results.min_by(|one, other| one.1.total_cmp(&other.1)) else {
        return Err((RoundOutcome::Failed, "No screening trial trained all its steps.".to_owned()));
    };
    let (Some(present), Some(sigma)) = (search.present_loss(), search.noise()) else {
        return Err((RoundOutcome::Failed, "The noise floor is not known.".to_owned()));
    };
    let (difference, effect) = (loss - present, of.goal.rule.effect);
    let threshold = (PROMISING * std::f64::consts::SQRT_2 * sigma).max(effect);
    let found = format!(
        "The best screened value, {value}, has a loss of {} {UNIT}; the current recipe has {} {UNIT}",
        brief(loss),
        brief(present)
    );
    if difference > -threshold {
        let needed = in_sentence(threshold);
        let sentence =
            format!("{found}. A test needs a gain of at least {needed} {UNIT} (noise floor and smallest effect).");
        return Err((RoundOutcome::NotPromising, sentence));
    }
    let used = used_secs(earlier) + round.screened.iter().map(|trial| trial.device_secs).sum::<f64>();
    if search.budget() - used < search.test_secs() {
        let sentence = format!("{found}. The rest of the budget is too small for a test.");
        return Err((RoundOutcome::Inconclusive, sentence));
    }
    let (kept, tests) = search.tests();
    let prediction = Prediction {
        difference: (search.ratio() * difference).min(-effect),
        probability: (kept as f64 + 1.0) / (tests as f64 + 2.0),
    };
    Ok(PromotedValue { value: value.clone(), screened_difference: difference, prediction })
}

/// The outcome of a round whose experiment has a verdict, and the sentence of the decision.
pub fn decided(round: &LoopRound, verdict: &Verdict) -> (RoundOutcome, String) {
    if round.kind == RoundKind::Confirmation {
        let (outcome, word) = match verdict.outcome {
            Outcome::Confirmed => (RoundOutcome::Confirmed, "confirmed"),
            Outcome::Refuted | Outcome::Inconclusive => (RoundOutcome::NotConfirmed, "not confirmed"),
        };
        return (outcome, format!("The improvement over the default recipe is {word}. {}", verdict.sentence));
    }
    let outcome = match verdict.outcome {
        Outcome::Confirmed => RoundOutcome::Kept,
        Outcome::Refuted => RoundOutcome::Refuted,
        Outcome::Inconclusive => RoundOutcome::Inconclusive,
    };
    let change = round.proposal.as_ref().zip(round.promoted.as_ref()).map_or_else(
        || "The change".to_owned(),
        |(proposal, promoted)| format!("{} = {}", proposal.parameter, promoted.value),
    );
    let what = if outcome == RoundOutcome::Kept { "kept" } else { "discarded" };
    (outcome, format!("{change} is {what}. {}", verdict.sentence))
}

/// Whether a value of a hyperparameter was trained or proposed before.
pub fn is_tried(of: &LoopSummary, rounds: &[LoopRound], path: &str, value: &Value) -> bool {
    Search { of, rounds }.is_tried(path, value)
}

/// Estimated training time of a screening trial and of a full-length run, seconds; 0 before the noise floor is measured.
pub fn run_secs(of: &LoopSummary, rounds: &[LoopRound]) -> [f64; 2] {
    let search = Search { of, rounds };
    [search.short_secs(), search.full_secs()]
}

/// Whether a loop waits for the proposal of an agent.
pub fn awaits_proposal(view: &LoopView) -> bool {
    let LoopView { summary, rounds, .. } = view;
    let is_idle = summary.state == LoopState::Running && summary.queued.is_none() && view.current().is_none();
    is_idle && next(summary, rounds) == Next::AwaitProposal
}

/// The standard deviation of the noise floor of a loop, bits/byte; `None` before it is measured.
pub fn noise_floor(rounds: &[LoopRound]) -> Option<f64> {
    let losses: Vec<f64> = noise_round(rounds)?.screened.iter().filter_map(|trial| trial.loss).collect();
    (losses.len() >= 2).then(|| variance(&losses).sqrt()).filter(|sigma| sigma.is_finite())
}

fn noise_round(rounds: &[LoopRound]) -> Option<&LoopRound> {
    rounds.iter().find(|round| round.kind == RoundKind::NoiseFloor)
}

/// The rounds of a loop, all decided.
#[derive(Clone, Copy)]
struct Search<'a> {
    of: &'a LoopSummary,
    rounds: &'a [LoopRound],
}

impl<'a> Search<'a> {
    fn noise(self) -> Option<f64> {
        noise_floor(self.rounds)
    }

    /// Why the search ends now; `None` if another round follows.
    fn ending(self) -> Option<String> {
        let (_, tests) = self.tests();
        if self.of.hints.is_concluding {
            return Some("the search was concluded on request".to_owned());
        }
        if tests >= self.of.goal.rule.tests as usize {
            let (count, were) = (counted(tests as u64, "change"), if tests == 1 { "was" } else { "were" });
            return Some(format!("{count} {were} tested, the maximum of the goal"));
        }
        let (used, budget) = (used_secs(self.rounds), self.budget());
        let values = f64::from(self.of.goal.screening.values);
        let needed = values * self.short_secs() + self.test_secs();
        (used + needed > budget).then(|| {
            let [used, budget, needed] = [used, budget, needed].map(|secs| in_sentence(secs / 60.0));
            format!("{used} of {budget} min of device time are used, and a round with a test takes about {needed} min")
        })
    }

    /// The confirmation if a change was kept and is not confirmed yet, otherwise the end.
    fn conclude(self, reason: String) -> Next {
        let kept = kept_changes(self.rounds);
        let is_confirmed = self.rounds.iter().any(|round| round.kind == RoundKind::Confirmation);
        if kept.is_empty() || is_confirmed {
            return Next::Finish(reason);
        }
        let verdicts = self.rounds.iter().filter(|round| round.is_kept());
        let differences = verdicts.filter_map(|round| round.decision.as_ref()?.verdict.as_ref()?.difference);
        let difference = differences.sum::<f64>().min(-self.of.goal.rule.effect);
        Next::Confirm(Prediction { difference, probability: 0.8 })
    }

    /// Device time that the loop may use, seconds.
    fn budget(self) -> f64 {
        self.of.goal.budget.device_hours * SECS_PER_HOUR
    }

    /// Mean training time of a screening trial, seconds; 0 before there is one.
    fn short_secs(self) -> f64 {
        let trials = noise_round(self.rounds).into_iter().flat_map(|round| &round.screened);
        let secs: Vec<f64> = trials.filter(|trial| trial.loss.is_some()).map(|trial| trial.device_secs).collect();
        if secs.is_empty() { 0.0 } else { mean(&secs) }
    }

    /// Estimated training time of a full-length run, seconds.
    fn full_secs(self) -> f64 {
        self.short_secs() * self.of.start.steps as f64 / self.of.start.short_steps.max(1) as f64
    }

    /// Estimated training time of a test with [`AFFORDABLE_PAIRS`] pairs, seconds.
    fn test_secs(self) -> f64 {
        2.0 * AFFORDABLE_PAIRS * self.full_secs()
    }

    /// Numbers of changes that were tested and kept, and of all that were tested.
    fn tests(self) -> (usize, usize) {
        let tested = self.changes().filter(|(_, round)| round.promoted.is_some());
        tested.fold((0, 0), |(kept, all), (_, round)| (kept + usize::from(round.is_kept()), all + 1))
    }

    fn changes(self) -> impl Iterator<Item = (&'a LoopProposal, &'a LoopRound)> {
        self.rounds.iter().filter_map(|round| Some((round.proposal.as_ref()?, round)))
    }

    /// Loss of a screening trial of the current recipe with the seed of all screening trials.
    fn present_loss(self) -> Option<f64> {
        let of_kept = |round: &LoopRound| {
            let value = round.kept()?.1;
            let trial = round.screened.iter().find(|trial| trial.value.as_ref() == Some(value))?;
            trial.loss
        };
        let of_default = || {
            let trials = &noise_round(self.rounds)?.screened;
            let same = trials.iter().find(|trial| trial.seed == self.of.start.seed).and_then(|trial| trial.loss);
            let all: Vec<f64> = trials.iter().filter_map(|trial| trial.loss).collect();
            same.or_else(|| (!all.is_empty()).then(|| mean(&all)))
        };
        self.rounds.iter().rev().find_map(of_kept).or_else(of_default)
    }

    /// Mean ratio of the gain in a test to the screened gain.
    fn ratio(self) -> f64 {
        let of_round = |round: &LoopRound| {
            let tested = round.decision.as_ref()?.verdict.as_ref()?.difference?;
            Some(tested / round.promoted.as_ref()?.screened_difference)
        };
        let ratios: Vec<f64> = self.rounds.iter().filter_map(of_round).filter(|ratio| ratio.is_finite()).collect();
        if ratios.is_empty() { FIRST_RATIO } else { mean(&ratios).clamp(0.1, 1.5) }
    }

    /// The current value of a hyperparameter.
    fn present(self, path: &str) -> Option<Value> {
        kept_changes(self.rounds).remove(path).or_else(|| self.of.start.values.get(path).cloned())
    }

    /// Whether a value was trained or proposed before.
    fn is_tried(self, path: &str, value: &Value) -> bool {
        let is_default = self.of.start.values.get(path).is_some_and(|default| is_same_value(default, value));
        let mut proposed = self.changes().filter(|(proposal, _)| proposal.parameter == path);
        is_default || proposed.any(|(proposal, _)| proposal.values.iter().any(|tried| is_same_value(tried, value)))
    }

    /// The best screened difference of the last round on a hyperparameter; 0 without one.
    fn last_gain(self, path: &str) -> f64 {
        let last = self.rounds.iter().enumerate().rev().find(|(_, round)| is_on(round, path));
        let gain = last.and_then(|(at, round)| {
            let present = Self { rounds: &self.rounds[..at], ..self }.present_loss()?;
            let losses = round.screened.iter().filter_map(|trial| trial.loss);
            losses.min_by(f64::total_cmp).map(|loss| loss - present)
        });
        gain.unwrap_or(0.0)
    }

    /// A proposal of these values, with the prediction.
    fn of_values(self, path: &str, values: Vec<Value>, reason: String, source: ProposalSource) -> LoopProposal {
        let (effect, sigma) = (self.of.goal.rule.effect, self.noise().unwrap_or(0.0));
        let visits = self.changes().filter(|(proposal, _)| proposal.parameter == path).count();
        let expected = if visits == 0 { -2.0 * sigma } else { 0.5 * self.last_gain(path) };
        let (kept, all) = self
            .changes()
            .fold((0.0, 0.0), |(kept, all), (_, round)| (kept + f64::from(u8::from(round.is_kept())), all + 1.0));
        let prediction = Prediction { difference: expected.min(-effect), probability: (kept + 1.0) / (all + 2.0) };
        let author = Author::Rule(STRATEGY.to_owned());
        LoopProposal { parameter: path.to_owned(), values, prediction, reason, source, author }
    }

    /// The first suggested value that was not tried. Those of a pinned hyperparameter wait until it is unpinned.
    fn suggested(self) -> Option<LoopProposal> {
        let hints = &self.of.hints;
        let mut free = hints.suggested.iter().filter(|one| !hints.pinned.contains(&one.parameter));
        let open = free.find(|one| !self.is_tried(&one.parameter, &one.value))?;
        let reason = format!("{} = {} was suggested.", open.parameter, open.value);
        Some(self.of_values(&open.parameter, vec![open.value.clone()], reason, ProposalSource::Hint))
    }

    /// The next proposal of the coordinate search; `None` if no value is left.
    fn proposal(self) -> Option<LoopProposal> {
        let space = self.of.goal.space().ok()?;
        let open = space.dimensions.iter().filter(|dimension| !self.of.hints.pinned.contains(&dimension.name));
        let found = open.filter_map(|dimension| Some((dimension, self.candidates(dimension)?)));
        let (dimension, (values, reason)) = found.min_by(|(one, _), (other, _)| self.order(&one.name, &other.name))?;
        Some(self.of_values(&dimension.name, values, reason, ProposalSource::Strategy))
    }

    /// The order of two hyperparameters: the smaller one is proposed first.
    fn order(self, one: &str, other: &str) -> Ordering {
        let visits = |path: &str| self.rounds.iter().filter(|round| is_on(round, path)).count();
        let by_visits = visits(one).cmp(&visits(other));
        let by_gain = || self.last_gain(one).total_cmp(&self.last_gain(other));
        let by_name = || (one != LEARNING_RATE, one).cmp(&(other != LEARNING_RATE, other));
        by_visits.then_with(by_gain).then_with(by_name)
    }

    /// Values of a hyperparameter that were not tried, and why these; `None` if there are none.
    fn candidates(self, dimension: &Dimension) -> Option<(Vec<Value>, String)> {
        let (path, most) = (dimension.name.as_str(), self.of.goal.screening.values as usize);
        if dimension.values.is_unordered() {
            let choices = dimension.grid.iter().filter(|value| !self.is_tried(path, value)).take(most);
            let values: Vec<Value> = choices.cloned().collect();
            let reason = format!("Choices of {path} that were not tried.");
            return (!values.is_empty()).then_some((values, reason));
        }
        let present = self.present(path)?;
        let center = dimension.values.fraction(&present)?;
        let mut width = FIRST_WIDTH * NARROWER.powi(self.failures(path));
        while width >= LAST_WIDTH {
            let values = self.around(dimension, center, width, most);
            if !values.is_empty() {
                let percent = in_sentence(100.0 * width);
                let reason =
                    format!("Values of {path} within {percent} % of its range around the current one, {present}.");
                return Some((values, reason));
            }
            width *= NARROWER;
        }
        None
    }

    /// At most `most` values around a fraction of the range that were not tried, in increasing order.
    fn around(self, dimension: &Dimension, center: f64, width: f64, most: usize) -> Vec<Value> {
        let mut found: Vec<(f64, Value)> = vec![];
        let places = PLACES.iter().map(|place| center + place * width);
        for place in places.filter(|place| (0.0..=1.0).contains(place)) {
            let exact = dimension.values.at(place);
            let value = dimension.values.rounded(&exact).unwrap_or(exact);
            let is_new =
                !self.is_tried(&dimension.name, &value) && !found.iter().any(|(_, other)| is_same_value(other, &value));
            if is_new && found.len() < most {
                found.push((place, value));
            }
        }
        found.sort_by(|one, other| one.0.total_cmp(&other.0));
        found.into_iter().map(|(_, value)| value).collect()
    }

    /// Number of rounds of the strategy on a hyperparameter since the last one that kept a change.
    fn failures(self, path: &str) -> i32 {
        let on = self.rounds.iter().rev().filter(|round| is_on(round, path));
        let since = on.take_while(|round| !round.is_kept());
        let own =
            since.filter(|round| round.proposal.as_ref().is_some_and(|one| one.source == ProposalSource::Strategy));
        own.count() as i32
    }
}

fn is_on(round: &LoopRound, path: &str) -> bool {
    round.proposal.as_ref().is_some_and(|proposal| proposal.parameter == path)
}

/// The findings of a loop so far, in a sentence: which changes it kept, and what the confirmation found.
pub fn findings(rounds: &[LoopRound]) -> String {
    let kept: BTreeMap<String, Value> = kept_changes(rounds);
    let confirmed = rounds.iter().rev().find(|round| round.kind == RoundKind::Confirmation);
    let confirmed = confirmed.and_then(|round| round.decision.as_ref());
    let tried = rounds.iter().filter(|round| round.kind == RoundKind::Change && round.decision.is_some()).count();
    let proposals = counted(tried as u64, "proposal");
    let changes: Vec<String> = kept.iter().map(|(path, value)| format!("{path} = {value}")).collect();
    match (changes.is_empty(), confirmed) {
        (true, _) if tried == 0 => {
            "No proposal has been decided, so the default recipe is the best one known.".to_owned()
        }
        (true, _) => format!("Of {proposals}, none was kept: the default recipe is the best one found."),
        (false, None) => format!("Of {proposals}, these changes are kept: {}.", changes.join(", ")),
        (false, Some(decision)) => {
            format!("Of {proposals}, these changes are kept: {}. {}", changes.join(", "), decision.sentence)
        }
    }
}
