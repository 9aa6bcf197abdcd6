//! A research loop: its state, its rounds with their proposals and decisions, its hints (pins and suggested values) and its journal.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{LoopGoal, Proposer};
use crate::control::author::Author;
use crate::experiment::Prediction;
use crate::experiment::record::Verdict;
use crate::id::RunId;
use crate::run::spec::RunSpec;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LoopState {
    /// Rounds follow each other until the budget is used up or no value is left to propose.
    Running,
    /// No further runs start. The runs that train now continue.
    Paused,
    /// The search has ended, and the confirmation too if a change was kept.
    Finished,
    /// A person or a program stopped it.
    Stopped,
}

impl LoopState {
    /// Its word on the page.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
        }
    }

    /// Whether it has ended and starts no further runs.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Stopped)
    }
}

/// The recipe at the beginning of a loop, resolved once.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoopStart {
    /// Specification of the full-length runs, without a seed.
    pub base: RunSpec,
    /// Seed of the first run; those of later rounds are larger.
    pub seed: u64,
    /// Steps of a full-length run.
    pub steps: u64,
    /// Steps of a screening trial.
    pub short_steps: u64,
    /// Warm-up of a full-length run, steps.
    pub warmup_steps: u64,
    /// The values of the hyperparameters of the goal, by path.
    pub values: BTreeMap<String, Value>,
}

/// Instructions of people and agents for the loop.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct LoopHints {
    /// Pinned hyperparameters, which keep their current values.
    pub pinned: BTreeSet<String>,
    /// Values to try next, each in a round of its own, in this order.
    pub suggested: Vec<SuggestedValue>,
    /// Whether the search ends after the current round. The confirmation follows if a change was kept.
    pub is_concluding: bool,
    /// Who proposes from the next round on; that of the goal by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proposer: Option<Proposer>,
}

/// A value that a person suggests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SuggestedValue {
    /// Path of a hyperparameter of the goal.
    pub parameter: String,
    pub value: Value,
}

/// The origin of a proposal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ProposalSource {
    /// The strategy of the lab.
    #[default]
    Strategy,
    /// A value that a person suggested.
    Hint,
    /// A request to `POST /research-loops/{id}/proposals`.
    Request,
}

/// Values of one hyperparameter to try, with a prediction for the best of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoopProposal {
    /// Path of a hyperparameter of the goal.
    pub parameter: String,
    /// Values to screen.
    pub values: Vec<Value>,
    /// Expected loss of a full-length run with the best value minus that of one without, bits/byte, and the probability that the change is kept.
    pub prediction: Prediction,
    /// Why these values, in a sentence.
    pub reason: String,
    pub source: ProposalSource,
    pub author: Author,
}

/// A proposal as an agent sends it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewLoopProposal {
    /// Path of a hyperparameter of the goal.
    pub parameter: String,
    /// Values to screen, within the range of the goal: at most `screening.values`.
    pub values: Vec<Value>,
    /// Expected loss of a full-length run with the best value minus that of one without, bits/byte: below 0. `probability`: that it is kept.
    pub prediction: Prediction,
    /// Why these values: 1 to 500 characters on one line.
    pub reason: String,
}

/// The purpose of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RoundKind {
    /// The default recipe with several seeds, at the length of a screening trial.
    NoiseFloor,
    /// A change of one hyperparameter: screened, and tested if it is promising.
    Change,
    /// The best recipe compared with the default, with new seeds.
    Confirmation,
}

/// The result of a screening trial. An earlier attempt of a trial that was retried has neither value nor loss, and follows the trials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScreenedTrial {
    /// Value of the hyperparameter; `None` in the noise floor and of an earlier attempt.
    pub value: Option<Value>,
    pub seed: u64,
    pub run: Option<RunId>,
    /// Validation loss at its end, bits/byte; `None` if it did not train all its steps.
    pub loss: Option<f64>,
    /// Training time, seconds.
    pub device_secs: f64,
}

/// The value that a round tests with full-length runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PromotedValue {
    pub value: Value,
    /// Its screened loss minus that of the current recipe, bits/byte.
    pub screened_difference: f64,
    /// The expected result of the test.
    pub prediction: Prediction,
}

/// The result of a decided round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RoundOutcome {
    /// The noise floor was measured.
    Measured,
    /// No screened value was better than the current one by more than noise, so none was tested.
    NotPromising,
    /// The test confirmed the change, and it was kept.
    Kept,
    /// The test refuted the change.
    Refuted,
    /// The test neither confirmed nor refuted the change, which was discarded.
    Inconclusive,
    /// A person vetoed the proposal.
    Vetoed,
    /// Its runs gave no result.
    Failed,
    /// The confirmation with new seeds confirmed the improvement.
    Confirmed,
    /// The confirmation did not confirm it.
    NotConfirmed,
}

impl RoundOutcome {
    /// Its words on the page.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::NotPromising => "not promising",
            Self::Kept => "kept",
            Self::Refuted => "refuted",
            Self::Inconclusive => "inconclusive",
            Self::Vetoed => "vetoed",
            Self::Failed => "failed",
            Self::Confirmed => "confirmed",
            Self::NotConfirmed => "not confirmed",
        }
    }
}

/// The decision about a round, which is final.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoopDecision {
    pub outcome: RoundOutcome,
    /// The verdict of the test, with its interval; `None` if there was no test or it had no verdict.
    pub verdict: Option<Verdict>,
    /// The decision and its reason.
    pub sentence: String,
    /// Time, ms since 1970.
    pub at_ms: i64,
}

/// A veto of a proposal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoopVeto {
    pub author: Author,
    pub reason: String,
}

/// One step of the search: a proposal, what was trained for it, and the decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoopRound {
    /// From 1.
    pub number: u32,
    pub kind: RoundKind,
    /// The proposal of a change.
    pub proposal: Option<LoopProposal>,
    /// The hints at the beginning of the round.
    pub hints: LoopHints,
    /// Beginning, ms since 1970.
    pub created_ms: i64,
    /// The sweep of its screening trials, or of the runs of the noise floor.
    pub sweep: Option<i64>,
    /// Their results, once all have ended.
    pub screened: Vec<ScreenedTrial>,
    /// The value that is tested.
    pub promoted: Option<PromotedValue>,
    /// The experiment that tests it, or that confirms the best recipe.
    pub experiment: Option<u64>,
    /// Losses of the pairs of the experiment, [without, with] the change, bits/byte, once it has ended.
    pub pairs: Vec<[f64; 2]>,
    pub veto: Option<LoopVeto>,
    pub decision: Option<LoopDecision>,
    /// Training time of its runs until now, seconds.
    pub device_secs: f64,
}

impl LoopRound {
    /// Whether its change is part of the recipe of later rounds.
    pub fn is_kept(&self) -> bool {
        self.decision.as_ref().is_some_and(|decision| decision.outcome == RoundOutcome::Kept)
    }

    /// The hyperparameter and the value that it added to the recipe.
    pub fn kept(&self) -> Option<(&str, &Value)> {
        let (proposal, promoted) = self.proposal.as_ref().zip(self.promoted.as_ref())?;
        self.is_kept().then_some((proposal.parameter.as_str(), &promoted.value))
    }

    /// What it tries, in a phrase: `optimizer.learning_rate = 0.001, 0.003`.
    pub fn phrase(&self) -> String {
        match (self.kind, &self.proposal) {
            (RoundKind::NoiseFloor, _) => "noise floor of the default recipe".to_owned(),
            (RoundKind::Confirmation, _) => "best recipe compared with the default".to_owned(),
            (RoundKind::Change, Some(proposal)) => {
                let values: Vec<String> = proposal.values.iter().map(Value::to_string).collect();
                format!("{} = {}", proposal.parameter, values.join(", "))
            }
            (RoundKind::Change, None) => "change".to_owned(),
        }
    }
}

/// The changes that rounds have kept, by path; a later value of a hyperparameter replaces an earlier one.
pub fn kept_changes(rounds: &[LoopRound]) -> BTreeMap<String, Value> {
    rounds.iter().filter_map(LoopRound::kept).map(|(path, value)| (path.to_owned(), value.clone())).collect()
}

/// A line of the journal of a loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoopEvent {
    /// From 1.
    pub number: u32,
    /// ms since 1970.
    pub at_ms: i64,
    pub author: Author,
    pub text: String,
}

/// A research loop in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoopSummary {
    pub id: u64,
    pub project: String,
    pub author: Author,
    pub goal: LoopGoal,
    pub start: LoopStart,
    pub hints: LoopHints,
    /// A proposal that waits for the next round.
    pub queued: Option<LoopProposal>,
    pub state: LoopState,
    /// Why it is paused or has ended, or what it is waiting for.
    pub reason: Option<String>,
    /// ms since 1970.
    pub created_ms: i64,
    /// ms since 1970.
    pub ended_ms: Option<i64>,
}

impl LoopSummary {
    /// Who proposes the next change: the hints replace the goal.
    pub fn proposer(&self) -> Proposer {
        self.hints.proposer.unwrap_or(self.goal.proposer)
    }
}

/// A research loop in full.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoopView {
    #[serde(flatten)]
    pub summary: LoopSummary,
    /// All rounds in their order.
    pub rounds: Vec<LoopRound>,
    /// The newest events of its journal, at most 100, oldest first. They are numbered without gaps: `GET /research-loops/{id}/events` returns
    /// earlier ones.
    pub events: Vec<LoopEvent>,
}

impl LoopView {
    /// The round without a decision.
    pub fn current(&self) -> Option<&LoopRound> {
        current(&self.rounds)
    }

    /// Used device time that counts towards the budget, seconds.
    pub fn used_secs(&self) -> f64 {
        used_secs(&self.rounds)
    }
}

/// The round without a decision, among the rounds of a loop in their order.
pub fn current(rounds: &[LoopRound]) -> Option<&LoopRound> {
    rounds.last().filter(|round| round.decision.is_none())
}

/// Device time of rounds that counts towards the budget, seconds: all but that of the confirmation.
pub fn used_secs(rounds: &[LoopRound]) -> f64 {
    rounds.iter().filter(|round| round.kind != RoundKind::Confirmation).map(|round| round.device_secs).sum()
}

/// A command of a person to a loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", tag = "action", deny_unknown_fields)]
pub enum LoopAction {
    /// Start no further runs.
    Pause,
    /// Continue a paused loop.
    Resume,
    /// End the search after the current round; the confirmation follows if a change was kept.
    Conclude,
    /// Stop the loop and its runs.
    Stop {
        /// Why, at most 500 characters.
        reason: String,
    },
    /// Discard the proposal of the current round, and stop its runs. Its values are not proposed again.
    Veto {
        /// Number of the round.
        round: u32,
        /// Why, at most 500 characters.
        reason: String,
    },
    /// Keep the current value of a hyperparameter from the next round on.
    Pin { parameter: String },
    /// Let the loop change a pinned hyperparameter again.
    Unpin { parameter: String },
    /// Try a value in the next round.
    Suggest { parameter: String, value: Value },
    /// Let an agent propose from the next round on, or the strategy of the lab again.
    SetProposer { proposer: Proposer },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_have_short_json() {
        for (text, action) in [
            (r#"{"action":"pause"}"#, LoopAction::Pause),
            (r#"{"action":"stop","reason":"no time"}"#, LoopAction::Stop { reason: "no time".into() }),
            (
                r#"{"action":"veto","round":3,"reason":"too slow"}"#,
                LoopAction::Veto { round: 3, reason: "too slow".into() },
            ),
            (r#"{"action":"pin","parameter":"batch.size"}"#, LoopAction::Pin { parameter: "batch.size".into() }),
            (
                r#"{"action":"suggest","parameter":"batch.size","value":16}"#,
                LoopAction::Suggest { parameter: "batch.size".into(), value: 16.into() },
            ),
            (r#"{"action":"set_proposer","proposer":"agent"}"#, LoopAction::SetProposer { proposer: Proposer::Agent }),
        ] {
            assert_eq!(serde_json::to_string(&action).unwrap(), text);
            assert_eq!(serde_json::from_str::<LoopAction>(text).unwrap(), action);
        }
    }
}
