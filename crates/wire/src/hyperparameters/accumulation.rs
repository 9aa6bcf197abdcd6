//! Gradient accumulation over steps: how many micro-batches an optimizer step averages over.

use serde::{Deserialize, Serialize};

use crate::error::PlanError;

/// Micro-batches per optimizer step, as a step function: (first step, micro-batches) in increasing steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AccumulationSchedule {
    /// (first step, micro-batches).
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Vec<u64>>))]
    pub changes: Vec<(u64, u64)>,
}

impl AccumulationSchedule {
    /// A schedule with a constant number of micro-batches.
    pub fn constant(micro_batches: u64) -> Self {
        Self { changes: vec![(0, micro_batches)] }
    }

    /// Micro-batches of a step.
    pub fn at(&self, step: u64) -> u64 {
        let after = self.changes.partition_point(|(first, _)| *first <= step);
        after.checked_sub(1).map_or(1, |at| self.changes[at].1)
    }

    /// Micro-batches of all steps before `step`.
    pub fn sum_before(&self, step: u64) -> u64 {
        let ends = self.changes.iter().skip(1).map(|(first, _)| *first).chain([u64::MAX]);
        let counts = self.changes.iter().zip(ends);
        let counts = counts.map(|((first, value), end)| end.min(step).saturating_sub(*first).saturating_mul(*value));
        // A plan from an archive may have any numbers.
        counts.fold(0, u64::saturating_add)
    }

    /// Replaces the schedule from `step` on. The first change may be later than `step`.
    pub fn override_from(&mut self, step: u64, changes: Vec<(u64, u64)>) {
        let here = self.at(step);
        self.changes.retain(|(first, _)| *first < step);
        if changes.first().is_none_or(|(first, _)| *first > step) {
            self.changes.push((step, here));
        }
        self.changes.extend(changes);
    }

    /// The schedule from `step` on, for [`AccumulationSchedule::override_from`] to restore.
    pub fn rest(&self, step: u64) -> Vec<(u64, u64)> {
        let later = self.changes.iter().filter(|(first, _)| *first > step).copied();
        std::iter::once((step, self.at(step))).chain(later).collect()
    }

    /// Checks changes that would apply from `step` on.
    ///
    /// # Errors
    /// No change, steps before `step` or not increasing, or a number outside 1 to 65,536.
    pub fn check(changes: &[(u64, u64)], step: u64) -> Result<(), PlanError> {
        let failed = |message: String| Err(PlanError::new("accumulation", message));
        if changes.is_empty() || changes[0].0 < step || changes.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
            return failed(format!(
                "gradient accumulation needs at least one change, in increasing steps from {step} on"
            ));
        }
        match changes.iter().find(|(_, micro_batches)| !(1..=65_536).contains(micro_batches)) {
            Some((step, micro_batches)) => failed(format!(
                "{micro_batches} micro-batches at step {step} is out of range; enter a whole number from 1 to 65\u{202f}536"
            )),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_changes_are_refused() {
        assert!(AccumulationSchedule::check(&[(5, 2), (9, 4)], 5).is_ok());
        for bad in [vec![], vec![(4, 1)], vec![(5, 0)], vec![(6, 1), (6, 2)]] {
            assert!(AccumulationSchedule::check(&bad, 5).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_sum_is_that_of_the_steps() {
        let mut schedule = AccumulationSchedule::constant(2);
        schedule.override_from(10, vec![(10, 5), (20, 1)]);
        assert_eq!((schedule.at(9), schedule.at(10), schedule.at(25)), (2, 5, 1));
        let each = |step| (0..step).map(|step| schedule.at(step)).sum::<u64>();
        for step in [0, 5, 10, 15, 20, 33] {
            assert_eq!(schedule.sum_before(step), each(step), "{step}");
        }
        let of_archive = AccumulationSchedule { changes: vec![(0, u64::MAX / 2), (10, 3)] };
        assert_eq!(of_archive.sum_before(20), u64::MAX);
    }
}
