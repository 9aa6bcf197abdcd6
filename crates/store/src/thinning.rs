//! Which steps of a run's kept looks go where they outgrow their budget. Pure, and the same however the looks came in.
//!
//! Kept steps are meant to be spread evenly over the doublings of the step count. So the doubling with the most of them gives one up,
//! and in it the step whose neighbours are nearest to each other. The first step of all and the newest stay.

use std::collections::BTreeMap;

/// A segment of the run's history, and steps done.
pub(crate) type Place = (u32, u64);

/// What the kept steps of one run weigh.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    budget_bytes: u64,
    total_bytes: u64,
    bytes: BTreeMap<Place, u64>,
}

impl Ledger {
    /// What is kept so far.
    pub(crate) fn new(budget_bytes: u64, kept: impl IntoIterator<Item = (Place, u64)>) -> Self {
        let bytes: BTreeMap<Place, u64> = kept.into_iter().collect();
        Self { budget_bytes, total_bytes: bytes.values().sum(), bytes }
    }

    /// Takes in a look of so many bytes at the newest step. Gives the steps that go for it, all of each; none where it has no place
    /// even when everything has gone that may.
    pub(crate) fn take(&mut self, newest: Place, bytes: u64) -> Option<Vec<Place>> {
        let first = self.bytes.keys().next().copied().filter(|first| *first < newest);
        let of = |place: Place| self.bytes.get(&place).copied().unwrap_or(0);
        let pinned = first.map_or(0, of).saturating_add(of(newest)).saturating_add(bytes);
        if pinned > self.budget_bytes {
            return None;
        }
        *self.bytes.entry(newest).or_default() += bytes;
        self.total_bytes += bytes;
        let mut gone = vec![];
        while self.total_bytes > self.budget_bytes
            && let Some(place) = self.most_needless(newest)
        {
            self.total_bytes -= self.bytes.remove(&place).unwrap_or(0);
            gone.push(place);
        }
        Some(gone)
    }

    /// The step that tells least beside its neighbours; none where only the first and the newest are left.
    fn most_needless(&self, newest: Place) -> Option<Place> {
        let places: Vec<Place> = self.bytes.keys().copied().collect();
        let mut crowd: BTreeMap<(u32, u32), usize> = BTreeMap::new();
        places.iter().for_each(|place| *crowd.entry(doubling(*place)).or_default() += 1);
        // Steps from the one before to the one after, within the segment; an end of a segment has the whole of it on that side.
        let gap = |at: usize| {
            let (segment, step) = places[at];
            let is_near = |place: &&Place| place.0 == segment;
            let before = places[..at].last().filter(is_near).map_or(0, |place| place.1);
            let after = places.get(at + 1).filter(is_near).map_or(u64::MAX, |place| place.1);
            (after - before.min(step), step)
        };
        let rank = |at: &usize| (std::cmp::Reverse(crowd[&doubling(places[*at])]), doubling(places[*at]), gap(*at));
        (1..places.len()).filter(|at| places[*at] != newest).min_by_key(rank).map(|at| places[at])
    }
}

/// The stretch of a segment in which the step count doubles.
fn doubling((segment, step): Place) -> (u32, u32) {
    (segment, step.max(1).ilog2())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::look::is_kept;

    /// A run of so many steps whose looks weigh `bytes` a step, in `looks` parts.
    fn run(budget: u64, steps: u64, bytes: impl Fn(u64) -> u64, looks: u64) -> Ledger {
        let mut ledger = Ledger::new(budget, []);
        for step in (0..steps).filter(|step| is_kept(*step)) {
            for _ in 0..looks {
                let is_taken = ledger.take((0, step), bytes(step)).is_some();
                assert!(ledger.total_bytes <= budget, "{} of {budget}", ledger.total_bytes);
                assert_eq!(ledger.total_bytes, ledger.bytes.values().sum::<u64>());
                if is_taken {
                    assert!(ledger.bytes.contains_key(&(0, 0)) && ledger.bytes.contains_key(&(0, step)), "{step}");
                }
            }
        }
        ledger
    }

    #[test]
    fn the_budget_is_never_passed_and_the_ends_stay() {
        for budget in [0, 1, 99, 100, 250, 1000, 10_000] {
            run(budget, 5000, |_| 100, 1);
            run(budget, 5000, |step| 1 + step * 7919 % 300, 3);
        }
        assert_eq!(run(0, 50, |_| 1, 1).bytes.len(), 0);
        assert_eq!(run(200, 5000, |_| 100, 1).bytes.len(), 2, "the first and the newest");
    }

    #[test]
    fn what_is_left_is_spread_over_all_doublings() {
        let ledger = run(64 * 100, 1 << 18, |_| 100, 1);
        let steps: Vec<u64> = ledger.bytes.keys().map(|place| place.1).collect();
        assert_eq!(steps.len(), 64);
        for pair in steps.windows(2).filter(|pair| pair[0] >= 4) {
            assert!(pair[1] * 10 <= pair[0] * 16, "from {} to {}: {steps:?}", pair[0], pair[1]);
        }
    }

    #[test]
    fn stretches_that_were_left_give_way_like_any_other() {
        let mut ledger = Ledger::new(30, []);
        for (segment, steps) in [(0, 0..40), (1, 20..60), (2, 5..60)] {
            for step in steps {
                assert!(ledger.take((segment, step), 1).is_some());
            }
        }
        let in_segment = |segment| ledger.bytes.keys().filter(|place| place.0 == segment).count();
        assert!((0..3).all(|segment| in_segment(segment) >= 4), "{:?}", ledger.bytes);
        assert!(ledger.bytes.contains_key(&(0, 0)) && ledger.bytes.contains_key(&(2, 59)));
    }
}
