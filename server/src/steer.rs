//! What is known of a command before it travels: an undo is put into plain words, and what could not be done is refused with
//! nothing changed.

use store::HeldCheckpoint;
use wire::command::UndoWay;
use wire::edit;
use wire::history::History;
use wire::{CheckpointId, Command, RunId, RunState, RunSummary};

use crate::api_error::ApiError;
use crate::app_state::AppState;
use crate::runs::store_error;

/// Longest reason, note or prompt, bytes.
const TEXT_BYTES: usize = 10_000;
/// Checkpoints named in a refusal.
const NAMED: usize = 12;

/// Refuses what no worker could do, before it travels.
pub fn check(command: &Command) -> Result<(), ApiError> {
    let too_long = |text: &str| text.len() > TEXT_BYTES;
    match command {
        Command::Set { field, value, .. } => {
            field.check(*value).map_err(|message| {
                ApiError::invalid("value_invalid", message).field("value").hint(field.describe().2)
            })?;
        }
        Command::Step { steps } if !(1..=1_000_000).contains(steps) => {
            return Err(ApiError::invalid("value_invalid", format!("{steps} steps cannot be taken at once"))
                .field("steps")
                .hint("1 to 1,000,000"));
        }
        Command::Sample { temperature: Some(temperature), .. } if !(0.0..=10.0).contains(temperature) => {
            return Err(ApiError::invalid("value_invalid", format!("{temperature} is no temperature"))
                .field("temperature")
                .hint("0 to 10; 0.8 is usual"));
        }
        Command::Sample { tokens: Some(tokens), .. } if !(1..=10_000).contains(tokens) => {
            return Err(ApiError::invalid("value_invalid", format!("{tokens} tokens cannot be drawn"))
                .field("tokens")
                .hint("1 to 10,000"));
        }
        Command::Sample { prompt: Some(prompt), .. } if too_long(prompt) => {
            return Err(ApiError::invalid("value_invalid", "the prompt is longer than 10,000 bytes").field("prompt"));
        }
        Command::Rollback { skip_batches, .. } if *skip_batches > 1_000_000_000 => {
            return Err(ApiError::invalid("value_invalid", format!("{skip_batches} batches cannot be left out"))
                .field("skip_batches")
                .hint("0 to 1,000,000,000; a few hundred is usual"));
        }
        Command::Annotate { text } if text.trim().is_empty() || too_long(text) => {
            return Err(ApiError::invalid("value_invalid", "a note has 1 to 10,000 bytes").field("text"));
        }
        _ => {}
    }
    match command.reason() {
        Some(reason) if too_long(reason) => {
            Err(ApiError::invalid("value_invalid", "the reason is longer than 10,000 bytes").field("reason"))
        }
        _ => Ok(()),
    }
}

/// An undo as the command that it stands for; any other as it is.
pub async fn expand(state: &AppState, summary: &RunSummary, command: Command) -> Result<Command, ApiError> {
    let Command::Undo { event, way } = command else { return Ok(command) };
    let run = &summary.id;
    let history = state.store.history(run).await.map_err(|source| store_error(run, source))?;
    let Some(number) = event.or(history.last_change().map(|record| record.number)) else {
        return Err(ApiError::conflict("nothing_to_undo", format!("nothing on the path of {run} can be undone")));
    };
    let path = history.path();
    let Some(record) = path.iter().find(|record| record.number == number) else {
        let message = format!("line {number} of the journal is no change on the path of {run}");
        return Err(ApiError::conflict("nothing_to_undo", message)
            .field("event")
            .hint(format!("one of {}", listed(path.iter().map(|record| record.number)))));
    };
    let reason = format!("undoes #{number}: {}", record.event.phrase());
    match way {
        UndoWay::Inverse => {
            let from = soonest_step(summary, &history);
            history.inverse(number, from, reason).ok_or_else(|| {
                ApiError::conflict("no_inverse", format!("#{number} ({}) has no opposite", record.event.phrase()))
                    .field("way")
                    .hint("{\"kind\": \"undo\", \"way\": \"rollback\"} goes back to before it")
            })
        }
        UndoWay::Rollback => {
            let kept = kept(state, run).await?;
            let checkpoint = history.checkpoint_before(number, &kept).ok_or_else(|| {
                let message = format!("no checkpoint from just before #{number} is kept");
                ApiError::conflict("checkpoint_gone", message)
                    .field("way")
                    .hint(format!("undo it by its opposite, or roll back to one of {}", newest(&kept)))
            })?;
            Ok(Command::Rollback { checkpoint, skip_batches: 0, reason: Some(reason) })
        }
    }
}

/// The step from which an undo can be drawn: the present one while the run holds, else one it has surely not passed when the
/// command arrives, about half a second on.
fn soonest_step(summary: &RunSummary, history: &History) -> u64 {
    if summary.state == RunState::Paused || summary.elapsed_secs <= 0.0 {
        return summary.step;
    }
    let first = history.segments().first().map_or(0, |segment| segment.from_step);
    let steps_per_sec = summary.step.saturating_sub(first) as f64 / summary.elapsed_secs;
    summary.step + 2 + (steps_per_sec * 0.5).ceil() as u64
}

/// Refuses what the run's own history says cannot be done. A rollback's checkpoint is held until what is returned is dropped.
pub async fn verify(
    state: &AppState,
    summary: &RunSummary,
    command: &Command,
) -> Result<Option<HeldCheckpoint>, ApiError> {
    let run = &summary.id;
    match command {
        Command::Rollback { checkpoint, .. } => {
            let held = state.store.hold_checkpoint(run, *checkpoint).await;
            match held.map_err(|source| store_error(run, source))? {
                Some(held) => Ok(Some(held)),
                None => Err(no_checkpoint(run, &checkpoint.to_string(), &kept(state, run).await?).field("checkpoint")),
            }
        }
        Command::Redraw { .. } => {
            let history = state.store.history(run).await.map_err(|source| store_error(run, source))?;
            let checked = history.dials().change(command, summary.step);
            checked.map(|_| None).map_err(|message| ApiError::invalid("value_invalid", message).field("course"))
        }
        Command::Edit { edits, .. } => {
            let view = state.store.run(run).await.map_err(|source| store_error(run, source))?;
            let checked = view.map_or(Ok(()), |view| edit::check_lasting(edits, &view.plan.recipe.model));
            checked.map(|()| None).map_err(|message| ApiError::invalid("value_invalid", message).field("edits"))
        }
        _ => Ok(None),
    }
}

/// Names of the checkpoints that are kept.
pub async fn kept(state: &AppState, run: &RunId) -> Result<Vec<CheckpointId>, ApiError> {
    state.store.kept(run).await.map_err(|source| store_error(run, source))
}

/// That a checkpoint is not there, and which are.
pub fn no_checkpoint(run: &RunId, wanted: &str, kept: &[CheckpointId]) -> ApiError {
    let error =
        ApiError::conflict("checkpoint_gone", format!("{run} keeps no checkpoint {wanted}; nothing was changed"));
    match kept.is_empty() {
        true => error.hint("it keeps none yet: ask for one with {\"kind\": \"checkpoint\"}"),
        false => error.hint(format!("it keeps {}", newest(kept))),
    }
}

fn newest(kept: &[CheckpointId]) -> String {
    match kept.len() > NAMED {
        true => format!("{} and {} more", listed(kept.iter().rev().take(NAMED)), kept.len() - NAMED),
        false => listed(kept.iter().rev()),
    }
}

fn listed<T: std::fmt::Display>(things: impl IntoIterator<Item = T>) -> String {
    let words: Vec<String> = things.into_iter().map(|thing| thing.to_string()).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::SetField;

    #[test]
    fn what_no_worker_could_do_is_refused_with_its_field() {
        let refused = |command: Command| check(&command).map_err(|error| error.body.field.unwrap_or_default());
        assert_eq!(refused(Command::Set { field: SetField::Rate, value: -1.0, reason: None }), Err("value".into()));
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
