//! Actions of people and agents on a research loop: pause, resume, conclude, stop, veto, pin, suggest, and propose.

use research::research_loop::is_tried;
use wire::research_loop::Proposer;
use wire::research_loop::check::check_reason;
use wire::research_loop::record::{
    LoopAction, LoopHints, LoopProposal, LoopState, LoopSummary, LoopVeto, LoopView, NewLoopProposal, ProposalSource,
    SuggestedValue,
};
use wire::{Author, PlanError};

use super::view;
use crate::error::ApiError;
use crate::lab::Lab;

/// Maximum number of suggested values of a loop.
const MAX_SUGGESTED: usize = 100;
const RUNNING: &[LoopState] = &[LoopState::Running];
const PAUSED: &[LoopState] = &[LoopState::Paused];
const OPEN: &[LoopState] = &[LoopState::Running, LoopState::Paused];

/// Carries out an action.
///
/// # Errors
/// 409 in a state that does not allow it; 422 for an invalid reason, hyperparameter or value; an error of the store.
pub async fn change(lab: &Lab, id: u64, author: Author, action: LoopAction) -> Result<LoopView, ApiError> {
    let before = view(lab, id).await?;
    let store = lab.store();
    let is_done = match &action {
        LoopAction::Pause => store.move_loop(id, RUNNING, LoopState::Paused, &author, Some("on request")).await?,
        LoopAction::Resume => store.move_loop(id, PAUSED, LoopState::Running, &author, None).await?,
        LoopAction::Stop { reason } => {
            check_reason(reason)?;
            store.move_loop(id, OPEN, LoopState::Stopped, &author, Some(reason.trim())).await?
        }
        LoopAction::Veto { round, reason } => {
            check_reason(reason)?;
            let veto = LoopVeto { author: author.clone(), reason: reason.trim().to_owned() };
            store.veto_round(id, *round, veto).await?
        }
        LoopAction::Conclude | LoopAction::Pin { .. } | LoopAction::Unpin { .. } | LoopAction::Suggest { .. } => {
            hint(lab, &before, &author, &action).await?
        }
    };
    if !is_done {
        let message = match action {
            LoopAction::Veto { round, .. } => format!("round {round} is not a change that is screened or tested now"),
            _ => format!("the research loop {id} is {}", before.summary.state.word()),
        };
        return Err(ApiError::conflict("loop_state", message)
            .hint("read the loop again: GET /api/v1/research-loops/{id} returns its state and its rounds"));
    }
    view(lab, id).await
}

/// Changes the hints, if the action names a hyperparameter and a value of the goal.
async fn hint(lab: &Lab, before: &LoopView, author: &Author, action: &LoopAction) -> Result<bool, ApiError> {
    let summary = &before.summary;
    let check = |parameter: &str| match summary.goal.parameters.contains_key(parameter) {
        true => Ok(()),
        false => Err(PlanError::new("parameter", format!("{parameter:?} is not a hyperparameter of the goal"))
            .hint("choose one that the goal lists")),
    };
    let text = match action {
        LoopAction::Pin { parameter } => {
            check(parameter)?;
            format!("{parameter} is pinned: it keeps its current value")
        }
        LoopAction::Unpin { parameter } => {
            check(parameter)?;
            format!("{parameter} is no longer pinned")
        }
        LoopAction::Suggest { parameter, value } => {
            check_free(summary, parameter, "suggest a value of another hyperparameter, or unpin it")?;
            summary.goal.check_value(parameter, value, "value")?;
            check_new(before, parameter, value, "value")?;
            if summary.hints.suggested.len() >= MAX_SUGGESTED {
                let message = format!("{MAX_SUGGESTED} values are suggested, which is the maximum");
                return Err(PlanError::new("value", message).hint("start another loop").into());
            }
            format!("suggested for the next round: {parameter} = {value}")
        }
        _ => "the search ends after the current round".to_owned(),
    };
    Ok(lab.store().change_loop_hints(summary.id, author, &text, |hints| add(hints, action)).await?)
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
/// 409 if the strategy of the lab makes the proposals, another proposal waits, or the loop has ended; 422 for a proposal outside the goal, for a
/// pinned hyperparameter, and for a value that was tried; an error of the store.
pub async fn propose(lab: &Lab, id: u64, author: Author, new: NewLoopProposal) -> Result<LoopView, ApiError> {
    let before = view(lab, id).await?;
    let summary = &before.summary;
    if summary.goal.proposer == Proposer::Builtin {
        return Err(ApiError::conflict("loop_proposer", "the built-in strategy makes the proposals of this loop")
            .hint("suggest a value, or start a loop with proposer = \"agent\""));
    }
    summary.goal.check_proposal(&new)?;
    new.values.iter().try_for_each(|value| check_new(&before, &new.parameter, value, "values"))?;
    check_free(summary, &new.parameter, "propose another hyperparameter, or unpin it")?;
    let NewLoopProposal { parameter, values, prediction, reason } = new;
    let source = ProposalSource::Request;
    let proposal = LoopProposal { parameter, values, prediction, reason, source, author };
    if !lab.store().queue_proposal(id, &proposal).await? {
        let message = match summary.state.is_over() {
            true => format!("the research loop {id} is {}", summary.state.word()),
            false => "another proposal already waits for the next round".to_owned(),
        };
        return Err(ApiError::conflict("loop_state", message)
            .hint("GET /api/v1/research-loops/{id} returns its state and its rounds"));
    }
    view(lab, id).await
}
