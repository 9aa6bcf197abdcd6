//! Reasons in the journal that the program gives. A page writes them as they are, and those of a person in quotation marks.

use super::event::{Event, EventRecord};
use super::saved_schedule::SavedSchedule;
use crate::number::grouped;

/// Reason of the checkpoint that is saved for a fork.
pub const FOR_FORK: &str = "for a fork";
/// Reason of the checkpoint that is saved for a control run.
pub const FOR_CONTROL_RUN: &str = "for a control run";
/// Reason of a pause at a breakpoint.
pub const BREAKPOINT: &str = "breakpoint";
const UNDOES: &str = "undoes the ";

/// Reason of a command that undoes a change: `undoes the change of weight decay at step 250`.
pub fn undoes(record: &EventRecord) -> String {
    let what = match &record.event {
        Event::Changed { path, .. } => format!("change of {}", path.row().label.to_lowercase()),
        Event::ScheduleChanged { new: SavedSchedule::LearningRate { .. }, .. } => {
            "change of the learning-rate schedule".into()
        }
        Event::ScheduleChanged { new: SavedSchedule::Mix(_), .. } => "change of the dataset mix".into(),
        Event::ScheduleChanged { new: SavedSchedule::Accumulation(_), .. } => "change of gradient accumulation".into(),
        Event::WeightsEdited { .. } => "weight edit".into(),
        Event::RolledBack { .. } => "rollback".into(),
        other => other.phrase(),
    };
    format!("{UNDOES}{what} at step {}", grouped(record.step))
}

/// Whether the program gave a reason, and not a person.
pub fn is_of_program(reason: &str) -> bool {
    [FOR_FORK, FOR_CONTROL_RUN, BREAKPOINT].contains(&reason) || reason.starts_with(UNDOES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::author::Author;
    use crate::hyperparameters::live_path::LivePath;

    #[test]
    fn the_reason_of_an_undo_names_the_change_and_its_step() {
        let event = Event::Changed { path: LivePath::LEARNING_RATE, old: 1e-3, new: 5e-3 };
        let author = Author::Person("ada".into());
        let record =
            EventRecord { number: 4, segment: 0, step: 250, at_ms: 0, author, command_id: None, reason: None, event };
        assert_eq!(undoes(&record), "undoes the change of learning rate at step 250");
        assert!(is_of_program(&undoes(&record)) && is_of_program(BREAKPOINT));
        assert!(!is_of_program("too slow") && !is_of_program("for a fork of mine"));
    }
}
