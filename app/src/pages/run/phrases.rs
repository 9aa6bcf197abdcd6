//! Commands, events, authors and checkpoints in words, with numbers as the page writes them.

use figure::number;
use wire::control::checkpoint::Cause;
use wire::control::command::ScheduleChange;
use wire::{Author, Command, Event, EventRecord, LivePath};

use super::hyperparameter;
use crate::components::isolated;

/// Text of a command whose answer has not arrived.
pub(super) fn in_progress(command: &Command) -> String {
    match command {
        Command::Pause { .. } => "Pausing before the next step".into(),
        Command::Resume { .. } => "Resuming".into(),
        Command::Step { steps: 1 } => "Training one step".into(),
        Command::Step { steps } => format!("Training {} steps", number::whole(*steps)),
        Command::Stop { .. } => "Stopping".into(),
        Command::Set { path, .. } => format!("Setting {}", path.row().label.to_lowercase()),
        Command::SetSchedule { schedule: ScheduleChange::LearningRate { .. }, .. } => {
            "Changing the learning-rate schedule".into()
        }
        Command::SetSchedule { schedule: ScheduleChange::Mix { .. }, .. } => "Changing the dataset mix".into(),
        Command::SetSchedule { schedule: ScheduleChange::Accumulation { .. }, .. } => {
            "Changing gradient accumulation".into()
        }
        Command::EditWeights { .. } => "Editing the weights".into(),
        Command::Checkpoint { .. } => "Saving a checkpoint".into(),
        Command::Rollback { checkpoint, .. } => format!("Rolling back to step {}", number::whole(checkpoint.step)),
        Command::Suspend { .. } => "Suspending".into(),
        Command::Undo { .. } => "Undoing".into(),
        Command::Evaluate => "Evaluating".into(),
        Command::Sample { .. } => "Generating a sample".into(),
        Command::Annotate { .. } => "Adding the note".into(),
    }
}

/// What was applied, and at which step.
pub(super) fn applied(record: &EventRecord) -> String {
    match &record.event {
        Event::Stepping { steps: 1 } => format!("Training step {}, then pausing.", number::whole(record.step)),
        Event::Annotated { .. } => format!("Note added at step {}.", number::whole(record.step)),
        // The reason of an undo says which change it undoes.
        event @ (Event::Changed { .. } | Event::ScheduleChanged { .. } | Event::WeightsEdited { .. }) => {
            let reason = record.reason.as_deref().map(|reason| format!(" ({})", isolated(reason))).unwrap_or_default();
            format!("At step {}: {}{reason}.", number::whole(record.step), phrase(event))
        }
        event => format!("At step {}: {}.", number::whole(record.step), phrase(event)),
    }
}

/// The event in a short text.
pub(super) fn phrase(event: &Event) -> String {
    match event {
        Event::Changed { path: LivePath::LEARNING_RATE, old, new } => match factor(*old, *new) {
            Some(factor) => format!("learning rate {factor}, now {}", number::short(*new)),
            None => format!("learning rate {} → {}", number::short(*old), number::short(*new)),
        },
        Event::Changed { path, old, new } => {
            let value = |value| hyperparameter::value(*path, value);
            format!("{} {} → {}", path.row().label.to_lowercase(), value(*old), value(*new))
        }
        Event::Started { parameters } => {
            format!("started, {} parameters", crate::components::number::short(*parameters as f64))
        }
        // The step, which the id contains, is written beside it.
        Event::Checkpointed { checkpoint } => format!("checkpoint saved ({})", cause(checkpoint.cause)),
        Event::Annotated { text } => isolated(text),
        other => other.phrase(),
    }
}

/// `×½` and `×2`, the most common changes.
fn factor(old: f64, new: f64) -> Option<&'static str> {
    let ratio = new / old;
    [(0.1, "×0.1"), (0.5, "×½"), (2.0, "×2"), (10.0, "×10")]
        .into_iter()
        .find(|(of, _)| (ratio / of - 1.0).abs() < 1e-6)
        .map(|(_, word)| word)
}

/// The author of an event; `me` is the name of whoever is signed in.
pub(super) fn author(author: &Author, me: Option<&str>) -> String {
    match author {
        Author::Person(name) if Some(name.as_str()) == me => "you".into(),
        Author::Person(name) => isolated(name),
        Author::Rule(name) => format!("rule {}", isolated(name)),
        Author::Agent(name) => format!("agent {}", isolated(name)),
        Author::System => "system".into(),
    }
}

/// Why a checkpoint was saved, and whether it is the best: "before a change · best".
pub(super) fn checkpoint(saved: Cause, is_best: bool) -> String {
    let best = if is_best && saved != Cause::Best { " · best" } else { "" };
    format!("{}{best}", cause(saved))
}

/// Reason for saving a checkpoint.
fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Interval => "periodic",
        Cause::Requested => "requested",
        Cause::BeforeChange => "before a change",
        Cause::Best => "best",
        Cause::End => "last",
        Cause::Imported => "imported",
    }
}
