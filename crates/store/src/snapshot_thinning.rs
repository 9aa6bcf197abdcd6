//! Which snapshots of a run are removed when they exceed their size limit. Pure: the result does not depend on how reports were batched.
//!
//! The remaining steps are spread evenly over the doublings of the step count (1, 2-3, 4-7, ...): the doubling with the most steps loses
//! one, the step whose neighbours are nearest to each other. The first and the newest step stay.

use std::collections::BTreeMap;

/// A segment of the run's history, and steps done.
pub(crate) type SegmentStep = (u32, u64);

/// Sizes of the snapshots of one run by step, and their limit.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    budget_bytes: u64,
    total_bytes: u64,
    bytes: BTreeMap<SegmentStep, u64>,
}

impl Budget {
    /// The limit and the current sizes.
    pub(crate) fn new(budget_bytes: u64, kept: impl IntoIterator<Item = (SegmentStep, u64)>) -> Self {
        let bytes: BTreeMap<SegmentStep, u64> = kept.into_iter().collect();
        Self { budget_bytes, total_bytes: bytes.values().sum(), bytes }
    }

    /// Adds a snapshot at the newest step. Returns the steps to remove for it, each with all its snapshots; `None` if it exceeds the
    /// limit even beside the first step alone.
    pub(crate) fn add(&mut self, newest: SegmentStep, bytes: u64) -> Option<Vec<SegmentStep>> {
        let first = self.bytes.keys().next().copied().filter(|first| *first < newest);
        let of = |step: SegmentStep| self.bytes.get(&step).copied().unwrap_or(0);
        let pinned = first.map_or(0, of).saturating_add(of(newest)).saturating_add(bytes);
        if pinned > self.budget_bytes {
            return None;
        }
        *self.bytes.entry(newest).or_default() += bytes;
        self.total_bytes += bytes;
        let mut removed = vec![];
        while self.total_bytes > self.budget_bytes
            && let Some(step) = self.next_to_remove(newest)
        {
            self.total_bytes -= self.bytes.remove(&step).unwrap_or(0);
            removed.push(step);
        }
        Some(removed)
    }

    /// The next step to remove; `None` if only the first and the newest are left.
    fn next_to_remove(&self, newest: SegmentStep) -> Option<SegmentStep> {
        let steps: Vec<SegmentStep> = self.bytes.keys().copied().collect();
        let mut crowd: BTreeMap<(u32, u32), usize> = BTreeMap::new();
        steps.iter().for_each(|step| *crowd.entry(doubling(*step)).or_default() += 1);
        // Steps between both neighbours in the segment; at the end of a segment the gap is unbounded.
        let gap = |at: usize| {
            let (segment, step) = steps[at];
            let is_near = |other: &&SegmentStep| other.0 == segment;
            let before = steps[..at].last().filter(is_near).map_or(0, |at| at.1);
            let after = steps.get(at + 1).filter(is_near).map_or(u64::MAX, |at| at.1);
            (after - before.min(step), step)
        };
        let rank = |at: &usize| (std::cmp::Reverse(crowd[&doubling(steps[*at])]), doubling(steps[*at]), gap(*at));
        (1..steps.len()).filter(|at| steps[*at] != newest).min_by_key(rank).map(|at| steps[at])
    }
}

/// The doubling of a step: its segment and the binary logarithm of the step.
fn doubling((segment, step): SegmentStep) -> (u32, u32) {
    (segment, step.max(1).ilog2())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::inspect::request::is_snapshot_step;

    /// A run of `steps` steps with `inspections` snapshots per step, each of `bytes(step)` bytes.
    fn run(limit: u64, steps: u64, bytes: impl Fn(u64) -> u64, inspections: u64) -> Budget {
        let mut budget = Budget::new(limit, []);
        for step in (0..steps).filter(|step| is_snapshot_step(*step)) {
            for _ in 0..inspections {
                let is_stored = budget.add((0, step), bytes(step)).is_some();
                assert!(budget.total_bytes <= limit, "{} of {limit}", budget.total_bytes);
                assert_eq!(budget.total_bytes, budget.bytes.values().sum::<u64>());
                if is_stored {
                    assert!(budget.bytes.contains_key(&(0, 0)) && budget.bytes.contains_key(&(0, step)), "{step}");
                }
            }
        }
        budget
    }

    #[test]
    fn the_limit_is_never_exceeded_and_first_and_newest_steps_stay() {
        for limit in [0, 1, 99, 100, 250, 1000, 10_000] {
            run(limit, 5000, |_| 100, 1);
            run(limit, 5000, |step| 1 + step * 7919 % 300, 3);
        }
        assert_eq!(run(0, 50, |_| 1, 1).bytes.len(), 0);
        assert_eq!(run(200, 5000, |_| 100, 1).bytes.len(), 2, "the first and the newest");
    }

    #[test]
    fn remaining_steps_are_spread_over_all_doublings() {
        let budget = run(64 * 100, 1 << 18, |_| 100, 1);
        let steps: Vec<u64> = budget.bytes.keys().map(|at| at.1).collect();
        assert_eq!(steps.len(), 64);
        for pair in steps.windows(2).filter(|pair| pair[0] >= 4) {
            assert!(pair[1] * 10 <= pair[0] * 16, "from {} to {}: {steps:?}", pair[0], pair[1]);
        }
    }

    #[test]
    fn abandoned_segments_are_thinned_like_others() {
        let mut budget = Budget::new(30, []);
        for (segment, steps) in [(0, 0..40), (1, 20..60), (2, 5..60)] {
            for step in steps {
                assert!(budget.add((segment, step), 1).is_some());
            }
        }
        let in_segment = |segment| budget.bytes.keys().filter(|at| at.0 == segment).count();
        assert!((0..3).all(|segment| in_segment(segment) >= 4), "{:?}", budget.bytes);
        assert!(budget.bytes.contains_key(&(0, 0)) && budget.bytes.contains_key(&(2, 59)));
    }
}
