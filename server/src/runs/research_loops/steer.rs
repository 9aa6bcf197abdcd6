//! Actions of people and agents on a research loop: pause, resume, conclude, stop, veto, pin, suggest, set the proposer,
//! and propose.

use research::research_loop::is_tried;
use wire::research_loop::check::check_reason;
use wire::research_loop::record::{
    LoopAction, LoopHints, LoopProposal, LoopRound, LoopState, LoopSummary, LoopVeto, LoopView, NewLoopProposal,
    ProposalSource, RoundKind, SuggestedValue,
};
use wire::research_loop::{LoopGoal, Proposer};
use wire::{Author, PlanError};

use super::view;
use crate::error::ApiError;
use crate::lab::Lab;

/// Maximum number of suggested values of a loop.
const MAX_SUGGESTED: usize = 100;
/// Why a second proposal is refused.
const WAITING: &str = "another proposal already waits for the next round";
const RUNNING: &[LoopState] = &[LoopState::Running];
const PAUSED: &[LoopState] = &[LoopState::Paused];
const OPEN: &[LoopState] = &[LoopState::Running, LoopState::Paused];

/// Carries out an action.
///
/// # Errors
/// 409 in a state that does not allow it; 422 for an invalid reason, hyperparameter or value; an error of the store.
pub async fn change(lab: &Lab, id: u64, author: Author, action: LoopAction) -> Result<LoopView, ApiError> {
    let before = view(lab, id).await?;
    let action = rounded(&before.summary.goal, action);
    check(&before, &action)?;
    let store = lab.store();
    let is_done = match &action {
        LoopAction::Pause => store.move_loop(id, RUNNING, LoopState::Paused, &author, Some("on request")).await?,
        LoopAction::Resume => store.move_loop(id, PAUSED, LoopState::Running, &author, None).await?,
        LoopAction::Stop { reason } => {
            store.move_loop(id, OPEN, LoopState::Stopped, &author, Some(reason.trim())).await?
        }
        LoopAction::Veto { round, reason } => {
            let veto = LoopVeto { author: author.clone(), reason: reason.trim().to_owned() };
            store.veto_round(id, *round, veto).await?
        }
        hint => store.change_loop_hints(id, &author, &words(hint), |hints| add(hints, hint)).await?,
    };
    if !is_done {
        let changed = || format!("the research loop {id} has changed meanwhile");
        return Err(ApiError::conflict("loop_state", obstacle(&before, &action).unwrap_or_else(changed))
            .hint("read the loop again: GET /api/v1/research-loops/{id} returns its state and its rounds"));
    }
    view(lab, id).await
}

/// An action with the value that is suggested as the loop accepts it.
pub fn rounded(goal: &LoopGoal, action: LoopAction) -> LoopAction {
    match action {
        LoopAction::Suggest { parameter, value } => {
            LoopAction::Suggest { value: goal.rounded(&parameter, &value), parameter }
        }
        other => other,
    }
}

/// The line of the journal that an action adds, or its beginning.
pub fn words(action: &LoopAction) -> String {
    match action {
        LoopAction::Pause => LoopState::Paused.word().to_owned(),
        LoopAction::Resume => LoopState::Running.word().to_owned(),
        LoopAction::Conclude => "the search ends after the current round".to_owned(),
        LoopAction::Stop { reason } => format!("{}: {}", LoopState::Stopped.word(), reason.trim()),
        LoopAction::Veto { round, reason } => format!("round {round} vetoed: {}", reason.trim()),
        LoopAction::Pin { parameter } => format!("{parameter} is pinned: it keeps its current value"),
        LoopAction::Unpin { parameter } => format!("{parameter} is no longer pinned"),
        LoopAction::Suggest { parameter, value } => format!("suggested for the next round: {parameter} = {value}"),
        LoopAction::SetProposer { proposer: Proposer::Agent } => {
            "an agent makes the proposals from the next round on".to_owned()
        }
        LoopAction::SetProposer { proposer: Proposer::Builtin } => {
            "the built-in strategy makes the proposals from the next round on".to_owned()
        }
    }
}

/// Checks the reason, the hyperparameter and the value of an action.
///
/// # Errors
/// The field that is invalid.
pub fn check(before: &LoopView, action: &LoopAction) -> Result<(), PlanError> {
    let LoopSummary { goal, hints, .. } = &before.summary;
    match action {
        LoopAction::Stop { reason } | LoopAction::Veto { reason, .. } => check_reason(reason),
        LoopAction::Pin { parameter } | LoopAction::Unpin { parameter } => {
            match goal.parameters.contains_key(parameter) {
                true => Ok(()),
                false => Err(PlanError::new("parameter", format!("{parameter:?} is not a hyperparameter of the goal"))
                    .hint("choose one that the goal lists")),
            }
        }
        LoopAction::Suggest { parameter, value } => {
            check_free(&before.summary, parameter, "suggest a value of another hyperparameter, or unpin it")?;
            goal.check_value(parameter, value, "value")?;
            check_new(before, parameter, value, "value")?;
            if hints.suggested.len() >= MAX_SUGGESTED {
                let message = format!("{MAX_SUGGESTED} values are suggested, which is the maximum");
                return Err(PlanError::new("value", message).hint("start another loop"));
            }
            Ok(())
        }
        LoopAction::Pause | LoopAction::Resume | LoopAction::Conclude | LoopAction::SetProposer { .. } => Ok(()),
    }
}

/// Why the state of a loop does not allow an action; `None` if it does.
pub fn obstacle(before: &LoopView, action: &LoopAction) -> Option<String> {
    let LoopSummary { id, state, .. } = before.summary;
    let is_allowed = match action {
        LoopAction::Pause => RUNNING.contains(&state),
        LoopAction::Resume => PAUSED.contains(&state),
        LoopAction::Veto { round, .. } => {
            let can_veto =
                |one: &LoopRound| one.number == *round && one.kind == RoundKind::Change && one.veto.is_none();
            let message = || format!("round {round} is not a change that is screened or tested now");
            return (!before.current().is_some_and(can_veto)).then(message);
        }
        _ => OPEN.contains(&state),
    };
    (!is_allowed).then(|| format!("the research loop {id} is {}", state.word()))
}

fn add(hints: &mut LoopHints, action: &LoopAction) {
    match action {
        LoopAction::Pin { parameter } => {
            hints.pinned.insert(parameter.clone());
        }
        LoopAction::Unpin { parameter } => {
            hints.pinned.remove(parameter);
        }
        LoopAction::Suggest { parameter, value } => {
            let new = SuggestedValue { parameter: parameter.clone(), value: value.clone() };
            if !hints.suggested.contains(&new) {
                hints.suggested.push(new);
            }
        }
        LoopAction::SetProposer { proposer } => hints.proposer = Some(*proposer),
        _ => hints.is_concluding = true,
    }
}

/// Checks that a hyperparameter is not pinned.
fn check_free(summary: &LoopSummary, parameter: &str, hint: &str) -> Result<(), PlanError> {
    match summary.hints.pinned.contains(parameter) {
        true => Err(PlanError::new("parameter", format!("{parameter} is pinned")).hint(hint)),
        false => Ok(()),
    }
}

/// Checks that a value was not tried before.
fn check_new(view: &LoopView, parameter: &str, value: &serde_json::Value, field: &str) -> Result<(), PlanError> {
    match is_tried(&view.summary, &view.rounds, parameter, value) {
        true => Err(PlanError::new(field, format!("{parameter} = {value} has already been tried"))
            .hint("choose a value that no round has tried")),
        false => Ok(()),
    }
}

/// Stores the proposal of an agent for the next round.
///
/// # Errors
/// Those of [`check_proposal`]; 409 if another proposal waits, or the loop has ended; an error of the store.
pub async fn propose(lab: &Lab, id: u64, author: Author, new: NewLoopProposal) -> Result<LoopView, ApiError> {
    let before = view(lab, id).await?;
    let new = before.summary.goal.rounded_proposal(&new);
    check_proposal(&before, &new)?;
    let NewLoopProposal { parameter, values, prediction, reason } = new;
    let source = ProposalSource::Request;
    let proposal = LoopProposal { parameter, values, prediction, reason, source, author };
    if !lab.store().queue_proposal(id, &proposal).await? {
        let message = proposal_obstacle(&before.summary).unwrap_or_else(|| WAITING.to_owned());
        return Err(ApiError::conflict("loop_state", message)
            .hint("GET /api/v1/research-loops/{id} returns its state and its rounds"));
    }
    view(lab, id).await
}

/// Checks the proposal of an agent against the goal, the hints and the rounds.
///
/// # Errors
/// 409 if the strategy of the lab makes the proposals; 422 for a proposal outside the goal, for a pinned hyperparameter, and for a value that
/// was tried.
pub fn check_proposal(before: &LoopView, new: &NewLoopProposal) -> Result<(), ApiError> {
    let summary = &before.summary;
    if summary.proposer() == Proposer::Builtin {
        return Err(ApiError::conflict("loop_proposer", "the built-in strategy makes the proposals of this loop")
            .hint("suggest a value, or take over the proposing: the action set_proposer with proposer = \"agent\""));
    }
    summary.goal.check_proposal(new)?;
    new.values.iter().try_for_each(|value| check_new(before, &new.parameter, value, "values"))?;
    Ok(check_free(summary, &new.parameter, "propose another hyperparameter, or unpin it")?)
}

/// Why a loop accepts no proposal now; `None` if it does.
pub fn proposal_obstacle(summary: &LoopSummary) -> Option<String> {
    match (summary.state.is_over(), summary.queued.is_some()) {
        (true, _) => Some(format!("the research loop {} is {}", summary.id, summary.state.word())),
        (false, true) => Some(WAITING.to_owned()),
        (false, false) => None,
    }
}
