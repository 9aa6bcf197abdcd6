//! The replay of a research loop: computes each decision again from the stored rounds, and compares it with the stored one.

use serde::{Deserialize, Serialize};
use wire::experiment::Prediction;
use wire::experiment::record::Outcome;
use wire::research_loop::check::is_same_value;
use wire::research_loop::record::{
    LoopProposal, LoopRound, LoopState, LoopSummary, PromotedValue, ProposalSource, RoundKind, RoundOutcome,
};

use super::{Next, decided, next, screen, specs};
use crate::experiment::decide;

/// Largest relative difference of two numbers that are considered equal: a value that is written as JSON may lose its last bit.
const TOLERANCE: f64 = 1e-9;

/// The result of a replay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Replay {
    /// Decisions that were computed again: proposals, promotions, verdicts and the end.
    pub decisions: u32,
    /// How the results differ from what is stored; empty if they are equal.
    pub differences: Vec<String>,
}

impl Replay {
    fn compare(&mut self, is_equal: bool, difference: impl FnOnce() -> String) {
        self.decisions += 1;
        if !is_equal {
            self.differences.push(difference());
        }
    }
}

/// Computes all decisions of a loop again.
pub fn replay(of: &LoopSummary, rounds: &[LoopRound]) -> Replay {
    let mut found = Replay::default();
    for (at, round) in rounds.iter().enumerate() {
        // Each round has the hints with which it began.
        let then = LoopSummary { hints: round.hints.clone(), ..of.clone() };
        begun(&mut found, &then, &rounds[..at], round);
        screened(&mut found, &then, &rounds[..at], round);
        tested(&mut found, &then, &rounds[..at], round);
    }
    if of.state == LoopState::Finished {
        let again = next(of, rounds);
        let is_equal = matches!(&again, Next::Finish(reason) if Some(reason) == of.reason.as_ref());
        found.compare(is_equal, || format!("The loop ended ({:?}), and the replay gives {again:?}.", of.reason));
    }
    found
}

/// Compares how a round began.
fn begun(found: &mut Replay, of: &LoopSummary, earlier: &[LoopRound], round: &LoopRound) {
    let again = next(of, earlier);
    let is_equal = match (&again, round.kind, &round.proposal) {
        (Next::NoiseFloor, RoundKind::NoiseFloor, _) | (Next::Confirm(_), RoundKind::Confirmation, _) => true,
        (Next::AwaitProposal, RoundKind::Change, Some(proposal)) => proposal.source == ProposalSource::Request,
        (Next::Change(again), RoundKind::Change, Some(proposal)) => is_same_proposal(again, proposal),
        _ => false,
    };
    found.compare(is_equal, || {
        format!("Round {} began as {}, and the replay gives {again:?}.", round.number, round.phrase())
    });
}

fn is_same_proposal(one: &LoopProposal, other: &LoopProposal) -> bool {
    one.parameter == other.parameter
        && one.source == other.source
        && one.values.len() == other.values.len()
        && one.values.iter().zip(&other.values).all(|(one, other)| is_same_value(one, other))
        && is_same_prediction(&one.prediction, &other.prediction)
}

fn is_same_prediction(one: &Prediction, other: &Prediction) -> bool {
    is_close(one.difference, other.difference) && is_close(one.probability, other.probability)
}

fn is_close(one: f64, other: f64) -> bool {
    (one - other).abs() <= TOLERANCE * one.abs().max(other.abs()).max(TOLERANCE)
}

/// Compares what followed from the screening trials of a change. A veto and a failed sweep are not decisions of the strategy.
fn screened(found: &mut Replay, of: &LoopSummary, earlier: &[LoopRound], round: &LoopRound) {
    let outcome = round.decision.as_ref().map(|decision| decision.outcome);
    let is_other = matches!(outcome, Some(RoundOutcome::Vetoed | RoundOutcome::Failed)) && round.promoted.is_none();
    let is_open = round.promoted.is_none() && outcome.is_none();
    if round.kind != RoundKind::Change || is_other || is_open {
        return;
    }
    let again = screen(of, earlier, round);
    let is_equal = match (&again, &round.promoted) {
        (Ok(again), Some(promoted)) => is_same_promotion(again, promoted),
        (Err((again, _)), None) => Some(*again) == outcome,
        _ => false,
    };
    found.compare(is_equal, || {
        let stored = round.promoted.as_ref().map(|promoted| &promoted.value);
        format!("Round {} promoted {stored:?}, and the replay gives {again:?}.", round.number)
    });
}

fn is_same_promotion(one: &PromotedValue, other: &PromotedValue) -> bool {
    is_same_value(&one.value, &other.value)
        && is_close(one.screened_difference, other.screened_difference)
        && is_same_prediction(&one.prediction, &other.prediction)
}

/// Compares the verdict of an experiment, and whether the change was kept.
fn tested(found: &mut Replay, of: &LoopSummary, earlier: &[LoopRound], round: &LoopRound) {
    let Some(decision) = &round.decision else { return };
    let Some(verdict) = &decision.verdict else { return };
    let spec = match (&round.promoted, next(of, earlier)) {
        (Some(promoted), _) => specs::test(of, earlier, round, promoted),
        (None, Next::Confirm(prediction)) => specs::confirmation(of, earlier, round, prediction),
        // The comparison of the beginning of the round has reported this difference.
        (None, _) => return,
    };
    let pairs: Vec<(f64, f64)> = round.pairs.iter().map(|[without, with]| (*without, *with)).collect();
    let (outcome, _) = decided(round, verdict);
    // If the rule gives no verdict, the budget has ended the experiment.
    let again = decide(&spec, &pairs).map_or(Outcome::Inconclusive, |again| again.outcome);
    let is_equal = again == verdict.outcome && outcome == decision.outcome;
    found.compare(is_equal, || {
        let (stored, again) = (verdict.outcome.word(), again.word());
        format!("The verdict of round {} is {stored}, and the replay gives {again}.", round.number)
    });
}
