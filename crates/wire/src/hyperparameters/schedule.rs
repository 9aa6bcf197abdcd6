//! The learning-rate schedule: a pure function of the step, so that it can be drawn ahead of time, edited live and replayed.

mod overrides;

pub use overrides::restoring;
use serde::{Deserialize, Serialize};

use crate::error::PlanError;
use crate::number::{counted, grouped};

/// Maximum number of overrides in a curve that restores a schedule.
const MAX_RESTORED: usize = 1_000;

/// The shape of the learning-rate schedule after warm-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Half a cosine from the peak to the final learning rate at the last step; constant after it.
    Cosine,
    /// A straight line from the peak to the final learning rate at the last step.
    Linear,
    /// Warm-up, stable, decay: the peak until `decay_steps` before the end, then a straight line to the final learning rate.
    Wsd {
        /// Length of the decay, in steps.
        decay_steps: u64,
    },
    /// The peak at every step after warm-up.
    Constant,
    /// A drawn curve: (step, learning rate) in increasing steps, linear between points, constant outside. Warm-up does not apply.
    Points(Vec<(u64, f64)>),
}

/// A change of the schedule from a step on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScheduleOverride {
    /// First step to which it applies.
    pub from_step: u64,
    /// The curve that the learning rate follows from there.
    pub curve: ScheduleCurve,
}

/// The curve of an override, which replaces the schedule from the step of the override on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ScheduleCurve {
    /// The schedule before the override, scaled to have this learning rate at the first step.
    Scaled(f64),
    /// A line from the current learning rate through points (step, learning rate) in increasing steps, constant after the last.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Vec<f64>>))]
    Points(Vec<(u64, f64)>),
    /// Half a cosine from the current learning rate to `learning_rate` at `to_step`, constant after it.
    Cosine {
        /// Step at which the cosine ends.
        to_step: u64,
        /// Learning rate from there on.
        learning_rate: f64,
    },
    /// The planned schedule, fitted to a run that ends at `to_step`. Overrides before it no longer apply.
    Refit {
        /// Step at which the final learning rate is reached.
        to_step: u64,
    },
    /// The schedule as it was with these overrides.
    #[cfg_attr(feature = "openapi", schema(no_recursion))]
    Restore(Vec<ScheduleOverride>),
}

/// A learning-rate schedule: shape, bounds, and the overrides made while the run trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Schedule {
    /// Shape after warm-up.
    pub shape: Shape,
    /// Peak learning rate.
    pub peak: f64,
    /// Warm-up steps: step s of them has the learning rate `peak * (s + 1) / warmup_steps`.
    pub warmup_steps: u64,
    /// Step at which the final learning rate is reached.
    pub steps: u64,
    /// Final learning rate as a fraction of the peak.
    pub final_fraction: f64,
    /// Overrides in order of step; the last override at or before a step applies.
    #[serde(default)]
    pub overrides: Vec<ScheduleOverride>,
}

impl Schedule {
    /// The learning rate of a step, counted from 0.
    pub fn learning_rate(&self, step: u64) -> f64 {
        self.with_overrides(&self.overrides, step)
    }

    /// The learning rate of a step divided by the peak, without factors that were applied while the run trained: 1 in the stable phase, the
    /// final fraction after a decay. Two runs are in the same phase of their schedules where it is equal, whatever their learning rates.
    pub fn phase(&self, step: u64) -> f64 {
        let peak = match &self.shape {
            Shape::Points(points) => points.iter().map(|(_, rate)| *rate).fold(0.0, f64::max),
            _ => self.peak,
        };
        let is_shape = |over: &&ScheduleOverride| !matches!(over.curve, ScheduleCurve::Scaled(_));
        let overrides: Vec<ScheduleOverride> = self.overrides.iter().filter(is_shape).cloned().collect();
        if peak > 0.0 { self.with_overrides(&overrides, step) / peak } else { 1.0 }
    }

    /// The planned schedule with its end at `steps`, without overrides. A drawn schedule is stretched; a warm-up keeps its length.
    pub fn fitted_to(&self, steps: u64) -> Self {
        let shape = match &self.shape {
            Shape::Points(points) => Shape::Points(stretched(points, self.steps, steps)),
            shape => shape.clone(),
        };
        Self { shape, steps, warmup_steps: self.warmup_steps.min(steps), overrides: vec![], ..*self }
    }

    /// The step from which the learning rate is constant; `None` if it never changes after warm-up.
    pub fn constant_from(&self) -> Option<u64> {
        self.constant_from_with(&self.overrides)
    }

    fn constant_from_with(&self, overrides: &[ScheduleOverride]) -> Option<u64> {
        let Some((ScheduleOverride { from_step, curve }, before)) = overrides.split_last() else {
            return match &self.shape {
                Shape::Constant => None,
                Shape::Points(points) => points.last().map(|(step, _)| *step),
                Shape::Cosine | Shape::Linear | Shape::Wsd { .. } => Some(self.steps),
            };
        };
        match curve {
            ScheduleCurve::Scaled(_) => self.constant_from_with(before),
            ScheduleCurve::Points(points) => points.last().map(|(step, _)| *step).filter(|step| step > from_step),
            ScheduleCurve::Cosine { to_step, .. } => Some(*to_step),
            ScheduleCurve::Refit { to_step } => self.fitted_to(*to_step).constant_from(),
            ScheduleCurve::Restore(overrides) => self.constant_from_with(overrides),
        }
    }

    /// Sets the learning rate at `from_step` and scales the rest of the schedule with it.
    pub fn scale_to(&mut self, from_step: u64, rate: f64) {
        self.override_from(from_step, ScheduleCurve::Scaled(rate));
    }

    /// Overrides the schedule from `from_step` on and removes later overrides.
    pub fn override_from(&mut self, from_step: u64, curve: ScheduleCurve) {
        // An override at the same step stays, because the new one may depend on it.
        self.overrides.retain(|over| over.from_step <= from_step);
        if matches!(curve, ScheduleCurve::Scaled(_)) {
            self.overrides.retain(|over| over.from_step < from_step || !matches!(over.curve, ScheduleCurve::Scaled(_)));
        }
        self.overrides.push(ScheduleOverride { from_step, curve });
    }

    /// The learning rate at the end of the planned schedule.
    pub fn final_learning_rate(&self) -> f64 {
        self.peak * self.final_fraction
    }

    /// Checks a curve that would override the schedule from `step` on.
    ///
    /// # Errors
    /// A learning rate outside 0 to 10, or points that are not ahead of `step` in increasing order.
    pub fn check_curve(curve: &ScheduleCurve, step: u64) -> Result<(), PlanError> {
        let failed = |message: String, hint: &str| Err(PlanError::new("curve", message).hint(hint));
        match curve {
            ScheduleCurve::Scaled(rate) | ScheduleCurve::Cosine { learning_rate: rate, .. } if !is_rate(*rate) => {
                failed(format!("learning rate {rate} is out of range"), "enter a number from 0 to 10")
            }
            ScheduleCurve::Cosine { to_step, .. } if *to_step <= step => failed(
                format!("the cosine would end at step {}, before it begins", grouped(*to_step)),
                "enter a later step",
            ),
            ScheduleCurve::Refit { to_step } if *to_step <= step => failed(
                format!("the schedule would end at step {}, before it begins", grouped(*to_step)),
                "enter a later step",
            ),
            ScheduleCurve::Points(points) if points.is_empty() => {
                failed("a drawn schedule needs at least one point".into(), "enter one (step, learning rate)")
            }
            ScheduleCurve::Points(points) if points[0].0 < step => failed(
                format!("a point at step {} is in the past", grouped(points[0].0)),
                "only steps from the current one on can be drawn",
            ),
            ScheduleCurve::Points(points) => check_points("curve", points),
            ScheduleCurve::Restore(overrides) if overrides.len() > MAX_RESTORED => {
                let message = format!("the schedule to restore has {} overrides", grouped(overrides.len() as u64));
                failed(message, &format!("give at most {}", grouped(MAX_RESTORED as u64)))
            }
            ScheduleCurve::Restore(overrides)
                if overrides.iter().any(|over| matches!(over.curve, ScheduleCurve::Restore(_))) =>
            {
                failed("the schedule to restore restores another one".into(), "give the overrides of that one")
            }
            ScheduleCurve::Restore(overrides) => {
                overrides.iter().try_for_each(|over| Self::check_curve(&over.curve, over.from_step))
            }
            ScheduleCurve::Scaled(_) | ScheduleCurve::Cosine { .. } | ScheduleCurve::Refit { .. } => Ok(()),
        }
    }

    fn planned(&self, step: u64) -> f64 {
        if let Shape::Points(points) = &self.shape {
            return along(points.iter().copied(), step);
        }
        if step < self.warmup_steps {
            return self.peak * (step + 1) as f64 / self.warmup_steps as f64;
        }
        let last = self.final_learning_rate();
        let span = self.steps.saturating_sub(self.warmup_steps).max(1) as f64;
        let done = ((step - self.warmup_steps) as f64 / span).min(1.0);
        match &self.shape {
            Shape::Cosine => last + (self.peak - last) * 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
            Shape::Linear => last + (self.peak - last) * (1.0 - done),
            Shape::Wsd { decay_steps } => {
                let into_decay = (step + decay_steps).saturating_sub(self.steps) as f64;
                let share = (into_decay / (*decay_steps).max(1) as f64).min(1.0);
                last + (self.peak - last) * (1.0 - share)
            }
            Shape::Constant | Shape::Points(_) => self.peak,
        }
    }

    /// Checks the planned schedule.
    ///
    /// # Errors
    /// A learning rate outside 0 to 10, a fraction outside 0 to 1, more warm-up steps than steps, or drawn points out of order.
    pub fn check(&self) -> Result<(), PlanError> {
        if !is_rate(self.peak) {
            return Err(PlanError::new(
                "optimizer.learning_rate",
                format!("learning rate {} is out of range", self.peak),
            )
            .hint("enter a number from 0 to 10; 1e-3 is usual for small models"));
        }
        if !(0.0..=1.0).contains(&self.final_fraction) {
            return Err(PlanError::new(
                "schedule.final_fraction",
                format!("final learning rate {} is out of range", self.final_fraction),
            )
            .hint("enter a fraction of the peak from 0 to 1; 0.1 is usual"));
        }
        if self.warmup_steps > self.steps {
            let message = format!(
                "warm-up steps ({}) must not exceed the number of steps ({})",
                grouped(self.warmup_steps),
                grouped(self.steps)
            );
            return Err(PlanError::new("schedule.warmup_steps", message)
                .hint(format!("enter at most {}", counted(self.steps, "step"))));
        }
        match &self.shape {
            Shape::Points(points) if points.is_empty() => {
                Err(PlanError::new("schedule.shape", "a drawn schedule needs at least one point"))
            }
            Shape::Points(points) => check_points("schedule.shape", points),
            _ => Ok(()),
        }
    }
}

fn is_rate(value: f64) -> bool {
    value.is_finite() && (0.0..=10.0).contains(&value)
}

fn check_points(field: &str, points: &[(u64, f64)]) -> Result<(), PlanError> {
    if let Some((step, rate)) = points.iter().find(|(_, rate)| !is_rate(*rate)) {
        let message = format!("learning rate {rate} of the point at step {} is out of range", grouped(*step));
        return Err(PlanError::new(field, message).hint("enter a number from 0 to 10"));
    }
    match points.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
        Some(pair) => {
            Err(PlanError::new(field, format!("step {} comes after step {}", grouped(pair[1].0), grouped(pair[0].0)))
                .hint("drawn points must have increasing steps"))
        }
        None => Ok(()),
    }
}

/// The points of a schedule of `from` steps, moved to the same fractions of `to` steps.
fn stretched(points: &[(u64, f64)], from: u64, to: u64) -> Vec<(u64, f64)> {
    let moved = |step: u64| (u128::from(step) * u128::from(to) / u128::from(from.max(1))) as u64;
    let mut points: Vec<(u64, f64)> = points.iter().map(|(step, rate)| (moved(*step), *rate)).collect();
    points.dedup_by_key(|(step, _)| *step);
    points
}

/// Linear interpolation through (step, learning rate), constant before the first and after the last.
fn along(points: impl IntoIterator<Item = (u64, f64)>, step: u64) -> f64 {
    let mut before: Option<(u64, f64)> = None;
    for (at, rate) in points {
        match before {
            _ if at <= step => before = Some((at, rate)),
            Some((s0, r0)) => return r0 + (rate - r0) * (step - s0) as f64 / (at - s0) as f64,
            None => return rate,
        }
    }
    before.map_or(0.0, |(_, rate)| rate)
}

/// Curves for common changes of a schedule, from `step` on.
pub mod curves {
    use super::{Schedule, ScheduleCurve};

    /// A straight line from the current to the final learning rate over `over` steps.
    pub fn cooldown(schedule: &Schedule, step: u64, over: u64) -> ScheduleCurve {
        ScheduleCurve::Points(vec![(step + over.max(1), schedule.final_learning_rate())])
    }

    /// A rise from the current learning rate to `rate` over `over` steps, then a cosine decay, in 16 straight pieces, to the final learning
    /// rate at `end`.
    pub fn rewarm(schedule: &Schedule, step: u64, over: u64, rate: f64, end: u64) -> ScheduleCurve {
        let (top, floor) = (step + over.max(1), schedule.final_learning_rate());
        let fall = |part: u64| {
            let share = part as f64 / 16.0;
            let at = top + (end.saturating_sub(top) as f64 * share).round() as u64;
            (at, floor + (rate - floor) * 0.5 * (1.0 + (std::f64::consts::PI * share).cos()))
        };
        let mut points: Vec<(u64, f64)> = (0..=16).map(fall).collect();
        points.dedup_by_key(|(at, _)| *at);
        ScheduleCurve::Points(points)
    }

    /// Half a cosine from the current to the final learning rate at `end`: for a run that is extended.
    pub fn cosine_to(schedule: &Schedule, end: u64) -> ScheduleCurve {
        ScheduleCurve::Cosine { to_step: end, learning_rate: schedule.final_learning_rate() }
    }

    /// The current learning rate, constant.
    pub fn constant(schedule: &Schedule, step: u64) -> ScheduleCurve {
        ScheduleCurve::Points(vec![(step, schedule.learning_rate(step))])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Also used by the tests of `overrides`.
    pub(super) fn cosine() -> Schedule {
        Schedule {
            shape: Shape::Cosine,
            peak: 1e-3,
            warmup_steps: 100,
            steps: 2000,
            final_fraction: 0.1,
            overrides: vec![],
        }
    }

    #[test]
    fn cosine_rises_falls_and_never_rises_again() {
        let s = cosine();
        let check = |step, rate: f64| {
            assert!((s.learning_rate(step) - rate).abs() < 1e-12, "{step}: {}", s.learning_rate(step))
        };
        check(0, 1e-5);
        check(99, 1e-3);
        check(100, 1e-3);
        check(1050, 0.55e-3);
        check(2000, 1e-4);
        check(50_000, 1e-4);
    }

    #[test]
    fn the_phase_is_that_of_the_shape_and_not_of_the_learning_rate() {
        let (planned, mut halved) = (cosine(), cosine());
        halved.scale_to(1000, 0.5 * planned.learning_rate(1000));
        let other = Schedule { peak: 7e-3, ..cosine() };
        for step in [50, 500, 1050, 2000] {
            assert_eq!(
                (halved.phase(step), planned.phase(step)),
                (planned.phase(step), planned.learning_rate(step) / 1e-3)
            );
            assert!((other.phase(step) - planned.phase(step)).abs() < 1e-12);
        }
        halved.override_from(1500, ScheduleCurve::Cosine { to_step: 1600, learning_rate: 0.0 });
        assert_eq!((halved.phase(1600), halved.phase(50)), (0.0, planned.phase(50)));
        let drawn = Schedule { shape: Shape::Points(vec![(0, 1e-4), (10, 2e-4)]), ..cosine() };
        assert_eq!((drawn.phase(0), drawn.phase(10)), (0.5, 1.0));
    }

    #[test]
    fn a_refit_schedule_equals_one_planned_with_the_new_length() {
        for shape in [Shape::Cosine, Shape::Linear, Shape::Wsd { decay_steps: 500 }] {
            let planned = Schedule { shape, ..cosine() };
            let longer = Schedule { steps: 5000, ..planned.clone() };
            let mut refit = planned.clone();
            refit.scale_to(1000, 1e-5);
            refit.override_from(2000, ScheduleCurve::Refit { to_step: 5000 });
            for step in 2000..6000 {
                assert_eq!(refit.learning_rate(step), longer.learning_rate(step), "{:?} at {step}", planned.shape);
            }
            assert_eq!(refit.learning_rate(1000), 1e-5, "steps before it stay");
            assert_eq!((planned.constant_from(), refit.constant_from()), (Some(2000), Some(5000)));
        }
        let drawn = Schedule { shape: Shape::Points(vec![(0, 1e-3), (1000, 5e-4), (2000, 0.0)]), ..cosine() };
        let mut refit = drawn.clone();
        refit.override_from(2000, ScheduleCurve::Refit { to_step: 4000 });
        assert_eq!((drawn.learning_rate(3000), refit.learning_rate(3000)), (0.0, drawn.learning_rate(1500)));
        assert_eq!((drawn.constant_from(), refit.constant_from()), (Some(2000), Some(4000)));
        assert!(Schedule::check_curve(&ScheduleCurve::Refit { to_step: 10 }, 10).is_err());
    }

    #[test]
    fn the_learning_rate_is_constant_from_the_step_that_the_schedule_says() {
        let mut schedules = vec![cosine(), Schedule { shape: Shape::Constant, ..cosine() }];
        for curve in [
            ScheduleCurve::Scaled(1e-4),
            ScheduleCurve::Points(vec![(900, 1e-4)]),
            ScheduleCurve::Points(vec![(500, 1e-4)]),
            ScheduleCurve::Cosine { to_step: 3000, learning_rate: 1e-5 },
            ScheduleCurve::Refit { to_step: 3000 },
        ] {
            let mut changed = cosine();
            changed.override_from(500, curve);
            let mut restored = changed.clone();
            restored.override_from(600, ScheduleCurve::Restore(vec![]));
            schedules.extend([changed, restored]);
        }
        for schedule in schedules {
            let from = schedule.constant_from().unwrap_or(schedule.warmup_steps.max(500));
            let last = schedule.learning_rate(from);
            assert!((from..10_000).all(|step| schedule.learning_rate(step) == last), "{schedule:?}");
            let changes = schedule.constant_from().is_none_or(|from| schedule.learning_rate(from - 1) != last);
            assert!(changes, "{schedule:?}");
        }
    }

    #[test]
    fn an_override_scales_later_steps_only() {
        let (mut s, plain) = (cosine(), cosine());
        s.scale_to(1000, plain.learning_rate(1000) / 2.0);
        assert_eq!(s.learning_rate(999), plain.learning_rate(999));
        for step in [1000, 1500, 1999] {
            assert!((s.learning_rate(step) / plain.learning_rate(step) - 0.5).abs() < 1e-12);
        }
        s.scale_to(500, 1e-4);
        assert_eq!(s.overrides.len(), 1, "an override replaces the later ones");
    }

    #[test]
    fn a_curve_can_be_drawn_ahead_scaled_and_restored() {
        let (mut s, plain) = (cosine(), cosine());
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        s.override_from(1000, curves::cooldown(&plain, 1000, 100));
        near(s.learning_rate(999), plain.learning_rate(999));
        near(s.learning_rate(1000), plain.learning_rate(1000));
        near(s.learning_rate(1050), (plain.learning_rate(1000) + 1e-4) / 2.0);
        near(s.learning_rate(9000), 1e-4);
        s.scale_to(1050, s.learning_rate(1050) / 2.0);
        near(s.learning_rate(1100), 0.5e-4);
        let before = s.clone();
        s.override_from(1080, ScheduleCurve::Restore(vec![]));
        near(s.learning_rate(1079), before.learning_rate(1079));
        for step in [1080, 1500, 3000] {
            near(s.learning_rate(step), plain.learning_rate(step));
        }
        s.override_from(1500, curves::cosine_to(&plain, 4000));
        near(s.learning_rate(1500), plain.learning_rate(1500));
        near(s.learning_rate(4000), 1e-4);
        assert!(s.learning_rate(2500) < plain.learning_rate(1500) && s.learning_rate(2500) > 1e-4);
    }

    #[test]
    fn invalid_curves_are_refused() {
        assert!(Schedule::check_curve(&ScheduleCurve::Points(vec![(10, 1e-3)]), 10).is_ok());
        for bad in [
            ScheduleCurve::Points(vec![]),
            ScheduleCurve::Points(vec![(9, 1e-3)]),
            ScheduleCurve::Points(vec![(10, f64::NAN)]),
            ScheduleCurve::Points(vec![(11, 1e-3), (11, 1e-3)]),
            ScheduleCurve::Cosine { to_step: 10, learning_rate: 1e-3 },
            ScheduleCurve::Cosine { to_step: 20, learning_rate: -1.0 },
            ScheduleCurve::Scaled(f64::INFINITY),
            ScheduleCurve::Restore(vec![ScheduleOverride { from_step: 3, curve: ScheduleCurve::Scaled(1e300) }]),
            ScheduleCurve::Restore(vec![ScheduleOverride { from_step: 3, curve: ScheduleCurve::Restore(vec![]) }]),
        ] {
            assert!(Schedule::check_curve(&bad, 10).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_learning_rate_of_zero_can_be_raised_again() {
        let mut s = Schedule { shape: Shape::Constant, warmup_steps: 0, ..cosine() };
        s.scale_to(10, 0.0);
        assert_eq!(s.learning_rate(11), 0.0);
        s.scale_to(20, 1e-3);
        assert_eq!(s.learning_rate(30), 1e-3);
    }

    #[test]
    fn invalid_drawn_schedules_are_refused() {
        let drawn = |points| Schedule { shape: Shape::Points(points), ..cosine() };
        assert!(drawn(vec![(0, 1e-3), (10, 1e-4)]).check().is_ok());
        for bad in [vec![], vec![(0, f64::NAN)], vec![(10, 1e-3), (10, 1e-4)], vec![(0, -1.0)]] {
            assert!(drawn(bad).check().is_err());
        }
        assert_eq!(drawn(vec![(10, 1.0), (20, 2.0)]).learning_rate(15), 1.5);
    }
}
