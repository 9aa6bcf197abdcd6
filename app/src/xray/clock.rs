//! Which step is seen: the newest, or one of those whose looks are kept. Playing goes through the kept ones.

/// Which step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum When {
    /// The newest, as it comes.
    Now,
    /// A kept one.
    At(u64),
}

/// Kept steps a second while playing.
pub(crate) const SPEEDS: [u32; 5] = [2, 5, 12, 30, 60];

/// The place of a moment on a slider over the kept steps, whose right end is the newest.
pub(crate) fn notch(steps: &[u64], when: When) -> usize {
    match when {
        When::Now => steps.len(),
        When::At(step) => steps.partition_point(|kept| *kept <= step).saturating_sub(1),
    }
}

/// The moment at a place of that slider.
pub(crate) fn moment(steps: &[u64], notch: usize) -> When {
    steps.get(notch).map_or(When::Now, |step| When::At(*step))
}

/// So many kept steps on or back, no further than the ends.
pub(crate) fn scrubbed(steps: &[u64], when: When, by: isize) -> When {
    moment(steps, notch(steps, when).saturating_add_signed(by).min(steps.len()))
}

/// Where playing begins: from the first again where it is at the end.
pub(crate) fn start_of_play(steps: &[u64], when: When) -> When {
    if notch(steps, when) + 1 >= steps.len() { moment(steps, 0) } else { when }
}

/// How far playing has come after so many seconds, from a place; none once it is through.
pub(crate) fn played(steps: &[u64], from: usize, secs: f64, speed: u32) -> Option<When> {
    let notch = from + (secs * f64::from(speed)).max(0.0) as usize;
    (notch < steps.len()).then(|| moment(steps, notch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scrubbing_stays_between_the_first_step_and_now() {
        let steps = [0, 1, 2, 4, 8];
        assert_eq!(scrubbed(&steps, When::Now, -1), When::At(8));
        assert_eq!(scrubbed(&steps, When::At(8), 1), When::Now);
        assert_eq!(scrubbed(&steps, When::Now, 5), When::Now);
        assert_eq!(scrubbed(&steps, When::At(0), -3), When::At(0));
        assert_eq!(notch(&steps, When::At(5)), 3, "a step that is gone is seen at the one before");
        assert_eq!(scrubbed(&[], When::Now, -1), When::Now);
        for at in 0..=steps.len() {
            assert_eq!(notch(&steps, moment(&steps, at)), at);
        }
    }

    #[test]
    fn playing_goes_through_all_and_ends() {
        let steps = [0, 1, 2, 4, 8];
        assert_eq!(start_of_play(&steps, When::Now), When::At(0));
        assert_eq!(start_of_play(&steps, When::At(2)), When::At(2));
        assert_eq!(played(&steps, 0, 0.34, 12), Some(When::At(8)));
        assert_eq!(played(&steps, 0, 0.5, 12), None);
    }
}
