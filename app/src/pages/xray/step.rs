//! Which step is shown: the newest, or one that has a snapshot. Playback goes through the snapshots.

/// The step that a view shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum StepChoice {
    /// The newest; live while a worker holds the run.
    Newest,
    /// A step that has a snapshot.
    At(u64),
}

/// Whether a step is inspected on the chosen text and not on that of the snapshots. The steps that are shown side by side always have
/// the same text: that of the newest, if it is one of them.
pub(crate) fn has_chosen_text(shown: &[StepChoice], is_wanted_at_past_steps: bool) -> bool {
    is_wanted_at_past_steps || shown.contains(&StepChoice::Newest)
}

/// Playback speeds, snapshots per second.
pub(crate) const SPEEDS: [u32; 5] = [2, 5, 12, 30, 60];

/// The position of a choice on a slider over the snapshots, whose right end is the newest step. A step without a
/// snapshot stands at the snapshot before it.
pub(crate) fn slider_position(steps: &[u64], choice: StepChoice) -> usize {
    match choice {
        StepChoice::Newest => steps.len(),
        StepChoice::At(step) => steps.partition_point(|known| *known <= step).saturating_sub(1),
    }
}

/// The choice at a position of that slider.
pub(crate) fn choice_at(steps: &[u64], position: usize) -> StepChoice {
    steps.get(position).map_or(StepChoice::Newest, |step| StepChoice::At(*step))
}

/// The choice `by` snapshots forwards or backwards, limited to the ends of the slider.
pub(crate) fn stepped(steps: &[u64], choice: StepChoice, by: isize) -> StepChoice {
    choice_at(steps, slider_position(steps, choice).saturating_add_signed(by).min(steps.len()))
}

/// Where playback starts: at the first snapshot if the choice is at the end.
pub(crate) fn playback_start(steps: &[u64], choice: StepChoice) -> StepChoice {
    if slider_position(steps, choice) + 1 >= steps.len() { choice_at(steps, 0) } else { choice }
}

/// The choice after `secs` of playback from a slider position; `None` once playback is past the last snapshot.
pub(crate) fn playback_choice(steps: &[u64], from: usize, secs: f64, speed: u32) -> Option<StepChoice> {
    let position = from + (secs * f64::from(speed)).max(0.0) as usize;
    (position < steps.len()).then(|| choice_at(steps, position))
}

#[cfg(test)]
mod tests {
    use super::StepChoice::{At, Newest};
    use super::*;

    #[test]
    fn stepping_stays_between_the_first_snapshot_and_the_newest_step() {
        let steps = [0, 1, 2, 4, 8];
        assert_eq!(stepped(&steps, Newest, -1), At(8));
        assert_eq!(stepped(&steps, At(8), 1), Newest);
        assert_eq!(stepped(&steps, Newest, 5), Newest);
        assert_eq!(stepped(&steps, At(0), -3), At(0));
        assert_eq!(slider_position(&steps, At(5)), 3, "a step without a snapshot stands at the snapshot before it");
        assert_eq!(stepped(&[], Newest, -1), Newest);
        for position in 0..=steps.len() {
            assert_eq!(slider_position(&steps, choice_at(&steps, position)), position);
        }
    }

    #[test]
    fn compared_steps_are_inspected_on_the_same_text() {
        assert!(
            has_chosen_text(&[Newest], false) && !has_chosen_text(&[At(4)], false) && has_chosen_text(&[At(4)], true)
        );
        for shown in [[Newest, At(4)], [At(4), Newest]] {
            assert!(has_chosen_text(&shown, false), "{shown:?}");
        }
        assert!(!has_chosen_text(&[At(8), At(4)], false), "both are snapshots");
    }

    #[test]
    fn playback_goes_through_all_snapshots_and_ends() {
        let steps = [0, 1, 2, 4, 8];
        assert_eq!(playback_start(&steps, Newest), At(0));
        assert_eq!(playback_start(&steps, At(2)), At(2));
        assert_eq!(playback_choice(&steps, 0, 0.34, 12), Some(At(8)));
        assert_eq!(playback_choice(&steps, 0, 0.5, 12), None);
    }
}
