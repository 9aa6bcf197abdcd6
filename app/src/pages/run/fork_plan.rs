//! What a fork that is being configured starts with: the hyperparameters of its parent at the checkpoint with the changes of the form, as
//! the server resolves them. Pure.

use figure::number;
use wire::run::fork::refit_to;
use wire::run::plan::constant_tail;
use wire::{Command, LiveHyperparameters};

/// The step at which a fork ends. By default that of its parent, and if it starts there, as many steps again as its parent planned.
pub(super) fn fork_end(at_start: &LiveHyperparameters, start: u64, planned: u64, wanted: Option<u64>) -> u64 {
    let ends_at = at_start.steps;
    wanted.unwrap_or(if ends_at <= start { start + planned.max(1) } else { ends_at })
}

/// The hyperparameters of a fork from `start` to `end`. A change that cannot be applied is left out; its field says why.
pub(super) fn with_changes(
    at_start: &LiveHyperparameters,
    (start, end): (u64, u64),
    changes: &[Command],
    refits: bool,
) -> LiveHyperparameters {
    let mut live = LiveHyperparameters { steps: end, ..at_start.clone() };
    let refit = refits.then(|| refit_to(end));
    for command in refit.iter().chain(changes) {
        if let Ok(Some(event)) = live.change(command, start) {
            live.apply(&event, start);
        }
    }
    live
}

/// A note on a fork that ends before or after its learning-rate schedule does.
pub(super) fn schedule_note(live: &LiveHyperparameters) -> Option<String> {
    constant_tail(live).or_else(|| cut_short(live))
}

/// A note on a fork that ends before its learning-rate schedule does.
fn cut_short(live: &LiveHyperparameters) -> Option<String> {
    let LiveHyperparameters { schedule, steps, .. } = live;
    let ends_at = schedule.constant_from()?;
    let last = schedule.learning_rate(steps.saturating_sub(1));
    let is_cut = *steps < ends_at && last > schedule.learning_rate(ends_at);
    is_cut.then(|| {
        format!(
            "The learning-rate schedule ends at step {}; at the last step of the fork the rate is {}.",
            number::whole(ends_at),
            number::rounded(last)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::LivePath;
    use wire::hyperparameters::schedule::ScheduleCurve;

    fn parent() -> LiveHyperparameters {
        crate::curves::fixture::view().plan.live()
    }

    #[test]
    fn the_rate_at_the_end_is_that_of_the_typed_learning_rate() {
        let half = Command::Set { path: LivePath::LEARNING_RATE, value: 5e-4, reason: None };
        let fork = with_changes(&parent(), (500, 600), &[half], false);
        assert!((fork.schedule.learning_rate(500) - 5e-4).abs() < 1e-12);
        let last = fork.schedule.learning_rate(599);
        let note = schedule_note(&fork).unwrap();
        assert!(last < 5e-4 && note.contains(&number::rounded(last)), "{note}");
    }

    #[test]
    fn a_schedule_that_was_extended_ends_at_its_new_end() {
        let mut extended = parent();
        let steps = extended.steps;
        extended.schedule.override_from(100, ScheduleCurve::Refit { to_step: steps + 1000 });
        extended.steps = steps + 1000;
        assert_eq!(schedule_note(&with_changes(&extended, (500, steps + 1000), &[], false)), None);
        let note = schedule_note(&with_changes(&extended, (500, 600), &[], false)).unwrap();
        assert!(note.contains(&number::whole(steps + 1000)), "{note}");
        assert_eq!(schedule_note(&with_changes(&extended, (500, 600), &[], true)), None, "refitted");
    }

    #[test]
    fn a_fork_from_the_last_step_trains_as_many_steps_again() {
        let at_end = parent();
        assert_eq!(fork_end(&at_end, at_end.steps, 1000, None), at_end.steps + 1000);
        assert_eq!((fork_end(&at_end, 10, 1000, None), fork_end(&at_end, 10, 1000, Some(50))), (at_end.steps, 50));
    }
}
