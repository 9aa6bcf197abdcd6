//! Commands, events, authors and checkpoints in words, with numbers as the page writes them.

use figure::number;
use wire::control::checkpoint::Cause;
use wire::control::command::ScheduleChange;
use wire::control::saved_schedule::SavedSchedule;
use wire::hyperparameters::schedule::{Schedule, ScheduleOverride};
use wire::{Author, Command, Event, LivePath};

use super::hyperparameter;
use crate::components::isolated;

/// The cause of a checkpoint that was saved because its validation loss is the lowest.
const BEST: &str = "best";
/// Of the checkpoint at the end of a run.
pub(super) const END: &str = "end";

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

/// What a command asks for, as a noun: `sample`, `change of weight decay`.
pub(super) fn request(command: &Command) -> String {
    match command {
        Command::Pause { .. } => "pause".into(),
        Command::Resume { .. } => "resume".into(),
        Command::Step { .. } => "step".into(),
        Command::Stop { .. } => "stop".into(),
        Command::Set { path, .. } => format!("change of {}", path.row().label.to_lowercase()),
        Command::SetSchedule { .. } => "change of the schedule".into(),
        Command::EditWeights { .. } => "weight edit".into(),
        Command::Checkpoint { .. } => "checkpoint".into(),
        Command::Rollback { .. } => "rollback".into(),
        Command::Suspend { .. } => "suspension".into(),
        Command::Undo { .. } => "undo".into(),
        Command::Evaluate => "evaluation".into(),
        Command::Sample { .. } => "sample".into(),
        Command::Annotate { .. } => "note".into(),
    }
}

/// The steps of a step command: "Training step 2 712, then pausing", and once they are trained "Trained step 2 712."
pub(super) fn stepping(from: u64, steps: u64, now: u64) -> String {
    let last = (from + steps).saturating_sub(1);
    let which = match steps {
        1 => format!("step {}", number::whole(from)),
        _ => format!("steps {} to {}", number::whole(from), number::whole(last)),
    };
    if now > last { format!("Trained {which}.") } else { format!("Training {which}, then pausing …") }
}

/// The change of a learning rate at a step by a change of its schedule: `4.8e-3 → 1.88e-3`.
pub(super) fn learning_rates(base: &Schedule, event: &Event, step: u64) -> Option<String> {
    let Event::ScheduleChanged {
        old: SavedSchedule::LearningRate { overrides: old, .. },
        new: SavedSchedule::LearningRate { overrides: new, .. },
    } = event
    else {
        return None;
    };
    let rate = |overrides: &Vec<ScheduleOverride>| {
        number::short(Schedule { overrides: overrides.clone(), ..base.clone() }.learning_rate(step))
    };
    let (old, new) = (rate(old), rate(new));
    (old != new).then(|| format!("{old} → {new}"))
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
        Event::Checkpointed { checkpoint } => format!("checkpoint saved ({})", cause(checkpoint.cause, false)),
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
pub(super) fn checkpoint(cause: &str, is_best: bool, is_abandoned: bool) -> String {
    if cause == BEST && is_abandoned {
        return "best of the abandoned branch".to_owned();
    }
    let best = if is_best && cause != BEST { " · best" } else { "" };
    format!("{cause}{best}")
}

/// Reason for saving a checkpoint.
pub(super) fn cause(cause: Cause, is_of_suspension: bool) -> &'static str {
    match cause {
        Cause::Interval => "periodic",
        Cause::Requested => "requested",
        Cause::BeforeChange => "before a change",
        Cause::Best => BEST,
        Cause::End if is_of_suspension => "suspension",
        Cause::End => END,
        Cause::Imported => "imported",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::hyperparameters::schedule::{ScheduleCurve, Shape};

    #[test]
    fn a_step_is_being_trained_until_it_is_done() {
        assert_eq!(stepping(12, 1, 12), "Training step 12, then pausing …");
        assert_eq!(stepping(12, 1, 13), "Trained step 12.");
        assert_eq!(stepping(12, 5, 14), "Training steps 12 to 16, then pausing …");
    }

    #[test]
    fn a_restored_schedule_names_the_learning_rates_before_and_after() {
        let planned = Schedule {
            shape: Shape::Constant,
            peak: 1e-3,
            warmup_steps: 0,
            steps: 100,
            final_fraction: 1.0,
            overrides: vec![],
        };
        let raised = vec![ScheduleOverride { from_step: 10, curve: ScheduleCurve::Scaled(5e-3) }];
        let saved =
            |overrides: &[ScheduleOverride]| SavedSchedule::LearningRate { overrides: overrides.to_vec(), steps: 100 };
        let event = Event::ScheduleChanged { old: saved(&raised), new: saved(&[]) };
        let expected = format!("{} → {}", number::short(5e-3), number::short(1e-3));
        assert_eq!(learning_rates(&planned, &event, 20), Some(expected));
        let same = Event::ScheduleChanged { old: saved(&raised), new: saved(&raised) };
        assert_eq!(learning_rates(&planned, &same, 20), None);
    }
}
