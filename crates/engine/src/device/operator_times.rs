//! Times of the operators of a training step. Each thread adds the times of the operators that it computes; [`super::replicas`] passes those of
//! its threads to the thread that waits for them. A measurement reads the clock twice, about 50 ns; the fastest operator takes microseconds.

use std::cell::Cell;
use std::time::Instant;

use wire::run::operators::{Operator, OperatorTime, Phase};

/// Seconds by phase and operator.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct OperatorTimes([[f64; Operator::ALL.len()]; Phase::ALL.len()]);

impl OperatorTimes {
    /// The operators that were computed, in the order of a step, with their times divided by `steps`.
    pub fn per_step(&self, steps: f64) -> Vec<OperatorTime> {
        let each = Phase::ALL.into_iter().flat_map(|phase| Operator::ALL.map(|operator| (phase, operator)));
        let times = each.map(|(phase, operator)| {
            let secs = self.0[phase as usize][operator as usize];
            OperatorTime { phase, operator, ms: secs * 1000.0 / steps }
        });
        times.filter(|time| time.ms > 0.0).collect()
    }

    /// Adds `factor` times the other times.
    pub fn add(&mut self, other: &Self, factor: f64) {
        for (sum, secs) in self.0.iter_mut().flatten().zip(other.0.iter().flatten()) {
            *sum += factor * secs;
        }
    }
}

thread_local! {
    static SECS: [[Cell<f64>; Operator::ALL.len()]; Phase::ALL.len()] = Default::default();
}

/// Calls `work` and adds its time to that of the operator. Calls inside `work` would count twice.
#[inline(always)]
pub(crate) fn timed<T>(phase: Phase, operator: Operator, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let value = work();
    let secs = began.elapsed().as_secs_f64();
    SECS.with(|all| {
        let sum = &all[phase as usize][operator as usize];
        sum.set(sum.get() + secs);
    });
    value
}

/// Calls `work` and returns the times of the operators in it, which are not added to those outside.
pub(crate) fn collect<T>(work: impl FnOnce() -> T) -> (T, OperatorTimes) {
    let outside = replace(&OperatorTimes::default());
    let value = work();
    (value, replace(&outside))
}

/// Adds the times of other threads, each with a weight of `factor`.
pub(crate) fn add(times: &OperatorTimes, factor: f64) {
    let mut sum = replace(&OperatorTimes::default());
    sum.add(times, factor);
    replace(&sum);
}

/// Sets the times of this thread; returns what they were.
fn replace(times: &OperatorTimes) -> OperatorTimes {
    let mut before = OperatorTimes::default();
    SECS.with(|all| {
        let cells = all.iter().flatten().zip(times.0.iter().flatten());
        for ((cell, secs), before) in cells.zip(before.0.iter_mut().flatten()) {
            *before = cell.replace(*secs);
        }
    });
    before
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::device::replicas::{Replicas, ThreadLimit};

    /// Takes at least this long.
    fn sleep(ms: u64) {
        std::thread::sleep(Duration::from_millis(ms));
    }

    #[test]
    fn times_are_those_of_the_work_inside() {
        timed(Phase::Forward, Operator::Norm, || sleep(1));
        let (value, times) = collect(|| {
            timed(Phase::Backward, Operator::Head, || sleep(2));
            timed(Phase::Backward, Operator::Head, || sleep(3));
            // What an inner call collects does not count.
            collect(|| timed(Phase::Forward, Operator::Qkv, || sleep(1)));
            timed(Phase::Forward, Operator::Mlp, || 7)
        });
        let found = times.per_step(2.0);
        let operators: Vec<_> = found.iter().map(|time| (time.phase, time.operator)).collect();
        assert_eq!((value, operators.last()), (7, Some(&(Phase::Backward, Operator::Head))));
        assert!(!operators.iter().any(|(_, operator)| matches!(operator, Operator::Norm | Operator::Qkv)), "{found:?}");
        assert!(found.iter().any(|time| time.operator == Operator::Head && time.ms >= 2.5), "{found:?}");
    }

    #[test]
    fn replicas_count_with_the_mean_over_the_threads() {
        let limit = ThreadLimit::default();
        let replicas = Replicas::limited(4, limit.clone()).unwrap();
        for threads in [1, 2, 4] {
            limit.set(Some(threads));
            let began = Instant::now();
            let work = |_| timed(Phase::Forward, Operator::Attention, || sleep(10));
            let times = collect(|| replicas.map(work).unwrap()).1.per_step(1.0);
            let wall_ms = began.elapsed().as_secs_f64() * 1000.0;
            let least = 40.0 / threads as f64;
            assert!(
                times.len() == 1 && (least..=wall_ms).contains(&times[0].ms),
                "{threads}: {times:?} of {wall_ms} ms"
            );
        }
    }
}
