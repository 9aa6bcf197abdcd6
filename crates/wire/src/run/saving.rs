//! The checkpoint before a change: its worker writes it while the run trains on, and reports it after the change.

use crate::control::checkpoint::CheckpointId;
use crate::control::event::{Event, EventRecord};

/// Whether a worker is writing the checkpoint before a change. `later`: the events after the change; `before_changes`: whether the plan of the
/// run keeps these checkpoints. It is meant for a run that a worker trains.
pub fn is_being_saved<'a>(
    change: &EventRecord,
    later: impl IntoIterator<Item = &'a EventRecord>,
    before_changes: bool,
) -> bool {
    let id = CheckpointId { segment: change.segment, step: change.step };
    // Checkpoints are written one after the other, so a later one says that this one is complete.
    let settles = |event: &Event| match event {
        Event::Checkpointed { checkpoint } => checkpoint.id >= id,
        Event::CheckpointFailed { checkpoint, .. } => *checkpoint >= id,
        // Its worker has ended.
        Event::Queued | Event::Starting { .. } | Event::Started { .. } | Event::Continued { .. } => true,
        _ => false,
    };
    is_saved_before(&change.event, before_changes) && !later.into_iter().any(|record| settles(&record.event))
}

/// Whether a checkpoint is saved before a change. Before a rollback the run waits for it.
fn is_saved_before(change: &Event, before_changes: bool) -> bool {
    match change {
        // An ablation has no inverse.
        Event::WeightsEdited { .. } => true,
        Event::Changed { path, .. } => before_changes && path.affects_learning(),
        Event::ScheduleChanged { .. } => before_changes,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::author::Author;
    use crate::control::checkpoint::{Cause, CheckpointInfo};
    use crate::hyperparameters::live_path::LivePath;

    fn at(segment: u32, step: u64, event: Event) -> EventRecord {
        EventRecord {
            number: 1,
            segment,
            step,
            at_ms: 0,
            author: Author::System,
            command_id: None,
            reason: None,
            event,
        }
    }

    fn saved(segment: u32, step: u64) -> EventRecord {
        let checkpoint = CheckpointInfo {
            id: CheckpointId { segment, step },
            cause: Cause::BeforeChange,
            at_ms: 0,
            bytes: 0,
            hash: String::new(),
            changes: 0,
            loss_train: None,
            loss_valid: None,
            best_valid: None,
        };
        at(segment, step, Event::Checkpointed { checkpoint })
    }

    #[test]
    fn the_checkpoint_before_a_change_is_being_saved_until_it_is_reported() {
        let change = |path| at(1, 260, Event::Changed { path, old: 1.0, new: 0.5 });
        let clip = change(LivePath::GRAD_CLIP);
        let none: [EventRecord; 0] = [];
        assert!(is_being_saved(&clip, &none, true));
        // An earlier checkpoint is complete; this one is not.
        assert!(is_being_saved(&clip, &[saved(1, 250), at(1, 270, Event::Paused)], true));
        for settled in [
            saved(1, 260),
            saved(1, 300),
            saved(2, 100),
            at(
                1,
                265,
                Event::CheckpointFailed { checkpoint: CheckpointId { segment: 1, step: 260 }, message: "full".into() },
            ),
            at(1, 265, Event::Continued { checkpoint: None, recorded: 265, damaged: vec![] }),
        ] {
            assert!(!is_being_saved(&clip, &[settled.clone()], true), "{settled:?}");
        }
        // Without this retention, none is saved, except before a weight edit, which a rollback alone can undo.
        assert!(!is_being_saved(&clip, &none, false));
        assert!(is_being_saved(&at(1, 260, Event::WeightsEdited { interventions: vec![] }), &none, false));
    }
}
