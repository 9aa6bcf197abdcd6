//! Checks commands before they are sent. An undo is replaced by the command that reverts the change; an invalid command is refused and
//! changes nothing.

use store::OpenCheckpoint;
use wire::control::command::UndoMethod;
use wire::control::{intervention, reason};
use wire::hyperparameters::recipe::MAX_SAMPLE_TOKENS;
use wire::number::grouped;
use wire::run::history::History;
use wire::run::saving::is_being_saved;
use wire::{CheckpointId, Command, EventRecord, PlanError, RunState, RunSummary};

use crate::error::ApiError;
use crate::lab::Lab;

/// Maximum length of a reason, note or prompt, bytes.
const TEXT_BYTES: usize = 10_000;
/// Steps of one step command.
const STEPS: u64 = 1_000_000;
/// Batches that one rollback may skip.
const SKIP_BATCHES: u64 = 1_000_000_000;
/// Checkpoints that an error names.
const NAMED: usize = 12;
/// A checkpoint before a change is complete before the journal has this many events after the change.
const WRITTEN_WITHIN: u32 = 1_000;

/// Checks a command by itself.
///
/// # Errors
/// 422 for an invalid value.
pub fn check(command: &Command) -> Result<(), ApiError> {
    let invalid = |field: &str, message: String, hint: String| {
        Err(ApiError::invalid("value_invalid", message).field(field).hint(hint))
    };
    let too_long = |text: &str| text.len() > TEXT_BYTES;
    let length = || format!("enter at most {} bytes", grouped(TEXT_BYTES as u64));
    match command {
        Command::Set { path, value, .. } => path.check(*value).map_err(|error| at_field("value", error))?,
        Command::Step { steps } if !(1..=STEPS).contains(steps) => {
            return invalid(
                "steps",
                format!("{} is not a valid number of steps", grouped(*steps)),
                format!("enter 1 to {}", grouped(STEPS)),
            );
        }
        Command::Sample { temperature: Some(temperature), .. } if !(0.0..=10.0).contains(temperature) => {
            let message = format!("{temperature} is not a valid temperature");
            return invalid("temperature", message, "enter 0 to 10; 0.8 is usual".into());
        }
        Command::Sample { tokens: Some(tokens), .. } if !(1..=MAX_SAMPLE_TOKENS).contains(tokens) => {
            let message = format!("{} is not a valid number of tokens", grouped(u64::from(*tokens)));
            return invalid("tokens", message, format!("enter 1 to {}", grouped(u64::from(MAX_SAMPLE_TOKENS))));
        }
        Command::Sample { prompt: Some(prompt), .. } if too_long(prompt) => {
            return invalid("prompt", format!("the prompt has {} bytes", grouped(prompt.len() as u64)), length());
        }
        Command::Rollback { skip_batches, .. } if *skip_batches > SKIP_BATCHES => {
            let message = format!("{} batches cannot be skipped", grouped(*skip_batches));
            return invalid(
                "skip_batches",
                message,
                format!("enter 0 to {}; a few hundred is usual", grouped(SKIP_BATCHES)),
            );
        }
        Command::Annotate { text } if text.trim().is_empty() || too_long(text) => {
            let message = format!("the note has {} bytes", grouped(text.trim().len() as u64));
            return invalid("text", message, format!("enter 1 to {} bytes", grouped(TEXT_BYTES as u64)));
        }
        _ => {}
    }
    match command.reason() {
        Some(reason) if too_long(reason) => {
            invalid("reason", format!("the reason has {} bytes", reason.len()), length())
        }
        _ => Ok(()),
    }
}

/// An error about a field of a command.
fn at_field(field: &str, error: PlanError) -> ApiError {
    ApiError::invalid_value(error).field(field)
}

/// Whether a connected worker trains the run. A run that has ended may stay assigned for a moment longer.
pub fn is_trained(lab: &Lab, summary: &RunSummary) -> bool {
    summary.state.is_live() && lab.workers.fleet.trains(&summary.id)
}

/// The command that replaces an undo; any other command unchanged.
///
/// # Errors
/// 409 if there is nothing to undo, or not by this method.
pub async fn expand(lab: &Lab, summary: &RunSummary, command: Command) -> Result<Command, ApiError> {
    let Command::Undo { event, method } = command else { return Ok(command) };
    let run = &summary.id;
    let history = lab.store().history(run).await?;
    let Some(number) = event.or(history.last_change().map(|record| record.number)) else {
        return Err(ApiError::conflict("nothing_to_undo", format!("{run} has no change that can be undone")));
    };
    let path = history.path();
    let Some(record) = path.iter().find(|record| record.number == number) else {
        let message = format!("event {number} is not a change on the path of {run}");
        return Err(ApiError::conflict("nothing_to_undo", message)
            .field("event")
            .hint(format!("give one of {}", listed(path.iter().map(|record| record.number)))));
    };
    let reason = reason::undoes(record);
    match method {
        UndoMethod::Inverse => {
            let from = earliest_step(summary, &history);
            history.inverse(number, from, reason).ok_or_else(|| {
                let message = format!("event {number} ({}) has no inverse", record.event.phrase());
                ApiError::conflict("no_inverse", message)
                    .field("method")
                    .hint("undo it by a rollback: {\"kind\": \"undo\", \"method\": \"rollback\"}")
            })
        }
        UndoMethod::Rollback => {
            let kept = lab.store().checkpoint_ids(run).await?;
            match history.checkpoint_before(number, &kept) {
                Some(checkpoint) => Ok(Command::Rollback { checkpoint, skip_batches: 0, reason: Some(reason) }),
                None => Err(no_checkpoint_before(number, is_being_written(lab, summary, record).await?, &kept)),
            }
        }
    }
}

/// Whether the worker of a run is writing the checkpoint before a change.
async fn is_being_written(lab: &Lab, summary: &RunSummary, change: &EventRecord) -> Result<bool, ApiError> {
    if !is_trained(lab, summary) {
        return Ok(false);
    }
    let Some(view) = lab.store().run(&summary.id).await? else { return Ok(false) };
    let later = lab.store().events(&summary.id, change.number, WRITTEN_WITHIN).await?;
    let before_changes = view.plan.recipe.retention.before_changes;
    Ok(later.len() < WRITTEN_WITHIN as usize && is_being_saved(change, &later, before_changes))
}

/// 409 for a change that cannot be undone by a rollback.
fn no_checkpoint_before(number: u64, is_being_written: bool, kept: &[CheckpointId]) -> ApiError {
    let error = match is_being_written {
        true => {
            ApiError::conflict("checkpoint_pending", format!("the checkpoint before event {number} is being written"))
                .hint("try again in a moment, or undo it by the method inverse")
        }
        false => {
            let message = format!("the checkpoint before event {number} is no longer kept");
            ApiError::conflict("checkpoint_gone", message)
                .hint(format!("undo it by the method inverse, or roll back to one of {}", newest(kept)))
        }
    };
    error.field("method")
}

/// The first step that an undo can change: the current step of a paused run, else a step that the run cannot have passed when the
/// command arrives, about half a second later.
fn earliest_step(summary: &RunSummary, history: &History) -> u64 {
    if summary.state == RunState::Paused || summary.elapsed_secs <= 0.0 {
        return summary.step;
    }
    let first = history.segments().first().map_or(0, |segment| segment.from_step);
    let steps_per_sec = summary.step.saturating_sub(first) as f64 / summary.elapsed_secs;
    summary.step + 2 + (steps_per_sec * 0.5).ceil() as u64
}

/// Checks a command against the run. The checkpoint of a rollback is held until the result is dropped.
///
/// # Errors
/// 409 for a checkpoint that is not kept, 422 for a schedule or a weight edit that the run cannot follow.
pub async fn verify(lab: &Lab, summary: &RunSummary, command: &Command) -> Result<Option<OpenCheckpoint>, ApiError> {
    let (store, run) = (lab.store(), &summary.id);
    match command {
        Command::Rollback { checkpoint, .. } => {
            match store.open_checkpoint(run, *checkpoint).await? {
                Some(held) => Ok(Some(held)),
                None => Err(no_checkpoint(&checkpoint_named(*checkpoint), &store.checkpoint_ids(run).await?)
                    .field("checkpoint")),
            }
        }
        Command::SetSchedule { .. } => {
            let checked = store.history(run).await?.hyperparameters().change(command, summary.step);
            checked.map(|_| None).map_err(|error| at_field("schedule", error))
        }
        Command::EditWeights { interventions, .. } => {
            let Some(view) = store.run(run).await? else { return Ok(None) };
            let checked = intervention::check_weight_edit(interventions, &view.plan.recipe.model);
            checked.map(|()| None).map_err(|error| at_field("interventions", error))
        }
        _ => Ok(None),
    }
}

/// 409 for a checkpoint that is not kept; the hint names those that are.
pub fn no_checkpoint(wanted: &str, kept: &[CheckpointId]) -> ApiError {
    let message = format!("{wanted} does not exist or has been deleted; nothing was changed");
    let error = ApiError::conflict("checkpoint_gone", message);
    match kept.is_empty() {
        true => error.hint("the run has no checkpoints yet; {\"kind\": \"checkpoint\"} saves one"),
        false => error.hint(format!("choose another checkpoint: {}", newest(kept))),
    }
}

/// `the checkpoint of step 5 000 (0-5000)`
pub fn checkpoint_named(id: CheckpointId) -> String {
    format!("the checkpoint of step {} ({id})", grouped(id.step))
}

fn newest(kept: &[CheckpointId]) -> String {
    let named = listed(kept.iter().rev().take(NAMED).map(|id| format!("step {} ({id})", grouped(id.step))));
    match kept.len() > NAMED {
        true => format!("{named} and {} more", kept.len() - NAMED),
        false => named,
    }
}

fn listed<T: std::fmt::Display>(things: impl IntoIterator<Item = T>) -> String {
    let words: Vec<String> = things.into_iter().map(|thing| thing.to_string()).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::LivePath;

    #[test]
    fn an_invalid_command_is_refused_with_its_field() {
        let refused = |command: Command| check(&command).map_err(|error| error.body.field.unwrap_or_default());
        let negative = Command::Set { path: LivePath::LEARNING_RATE, value: -1.0, reason: None };
        assert_eq!(refused(negative), Err("value".into()));
        assert_eq!(refused(Command::Step { steps: 0 }), Err("steps".into()));
        assert_eq!(refused(Command::Annotate { text: " ".into() }), Err("text".into()));
        assert_eq!(
            refused(Command::Sample { prompt: None, tokens: None, temperature: Some(f64::NAN) }),
            Err("temperature".into())
        );
        assert_eq!(refused(Command::Pause { reason: Some("x".repeat(TEXT_BYTES + 1)) }), Err("reason".into()));
        assert_eq!(refused(Command::Evaluate), Ok(()));
    }
}
