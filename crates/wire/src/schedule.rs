//! The learning rate as a pure function of the step, so that it can be drawn ahead of time, edited live and replayed.

use serde::{Deserialize, Serialize};

use crate::error::PlanError;

/// The course of the rate after warm-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Half a cosine from the peak to the floor at the last step; the floor from there on.
    Cosine,
    /// A straight line from the peak to the floor at the last step.
    Linear,
    /// Warm-up, stable, decay: the peak until `decay_steps` before the end, then a straight line to the floor.
    Wsd {
        /// Length of the decay, in steps.
        decay_steps: u64,
    },
    /// The peak throughout.
    Constant,
    /// A hand-drawn curve: (step, rate) in rising steps, straight lines between, level outside. Warm-up does not apply.
    Points(Vec<(u64, f64)>),
}

/// A turn of the dial: from `from_step` on the course is scaled so that it passes through `rate` there.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Turn {
    /// First step at the new rate.
    pub from_step: u64,
    /// Rate at that step.
    pub rate: f64,
}

/// A whole schedule: shape, bounds, and the turns made while it ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Schedule {
    /// Course after warm-up.
    pub shape: Shape,
    /// Highest rate.
    pub peak: f64,
    /// Steps of linear rise: step s of it has rate `peak * (s + 1) / warmup_steps`.
    pub warmup_steps: u64,
    /// Step at which the floor is reached.
    pub steps: u64,
    /// Lowest rate, as a share of the peak.
    pub floor: f64,
    /// Turns of the dial, in order of step; the last one before a step decides.
    #[serde(default)]
    pub turns: Vec<Turn>,
}

impl Schedule {
    /// The rate of step `step` (counted from 0).
    pub fn rate(&self, step: u64) -> f64 {
        let drawn = self.drawn(step);
        match self.turns.iter().rfind(|turn| turn.from_step <= step) {
            None => drawn,
            Some(turn) => match self.drawn(turn.from_step) {
                0.0 => turn.rate,
                at_turn => drawn * turn.rate / at_turn,
            },
        }
    }

    /// Turns the dial: `rate` at `from_step`, the rest of the course scaled with it.
    pub fn turn(&mut self, from_step: u64, rate: f64) {
        self.turns.retain(|turn| turn.from_step < from_step);
        self.turns.push(Turn { from_step, rate });
    }

    fn drawn(&self, step: u64) -> f64 {
        if let Shape::Points(points) = &self.shape {
            return along(points, step);
        }
        if step < self.warmup_steps {
            return self.peak * (step + 1) as f64 / self.warmup_steps as f64;
        }
        let floor = self.peak * self.floor;
        let span = self.steps.saturating_sub(self.warmup_steps).max(1) as f64;
        let done = ((step - self.warmup_steps) as f64 / span).min(1.0);
        match &self.shape {
            Shape::Cosine => floor + (self.peak - floor) * 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
            Shape::Linear => floor + (self.peak - floor) * (1.0 - done),
            Shape::Wsd { decay_steps } => {
                let into_decay = (step + decay_steps).saturating_sub(self.steps) as f64;
                let share = (into_decay / (*decay_steps).max(1) as f64).min(1.0);
                floor + (self.peak - floor) * (1.0 - share)
            }
            Shape::Constant | Shape::Points(_) => self.peak,
        }
    }

    /// Refuses a schedule that cannot be followed: a gap, a value that is no rate.
    pub fn check(&self) -> Result<(), PlanError> {
        let is_rate = |value: f64| value.is_finite() && (0.0..=10.0).contains(&value);
        if !is_rate(self.peak) {
            return Err(PlanError::new("optimizer.rate", format!("{} is no learning rate", self.peak))
                .hint("0 to 10; 1e-3 is usual for small models"));
        }
        if !(0.0..=1.0).contains(&self.floor) {
            return Err(PlanError::new("schedule.floor", format!("{} is no share of the peak", self.floor))
                .hint("0 to 1; 0.1 is usual"));
        }
        if self.warmup_steps > self.steps {
            let message = format!("{} warm-up steps are more than the run's {}", self.warmup_steps, self.steps);
            return Err(PlanError::new("schedule.warmup_steps", message).hint(format!("at most {}", self.steps)));
        }
        match &self.shape {
            Shape::Points(points) if points.is_empty() => {
                Err(PlanError::new("schedule.shape", "a drawn schedule needs at least one point"))
            }
            Shape::Points(points) if points.iter().any(|(_, rate)| !is_rate(*rate)) => {
                Err(PlanError::new("schedule.shape", "a drawn point is no learning rate")
                    .hint("every rate from 0 to 10"))
            }
            Shape::Points(points) if points.windows(2).any(|pair| pair[0].0 >= pair[1].0) => {
                Err(PlanError::new("schedule.shape", "drawn points must have rising steps"))
            }
            _ => Ok(()),
        }
    }
}

/// Straight lines through (step, rate), level before the first and after the last.
fn along(points: &[(u64, f64)], step: u64) -> f64 {
    let after = points.partition_point(|(at, _)| *at <= step);
    match (after.checked_sub(1).and_then(|i| points.get(i)), points.get(after)) {
        (Some(&(s0, r0)), Some(&(s1, r1))) => r0 + (r1 - r0) * (step - s0) as f64 / (s1 - s0) as f64,
        (Some(&(_, rate)), None) | (None, Some(&(_, rate))) => rate,
        (None, None) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine() -> Schedule {
        Schedule { shape: Shape::Cosine, peak: 1e-3, warmup_steps: 100, steps: 2000, floor: 0.1, turns: vec![] }
    }

    #[test]
    fn cosine_rises_falls_and_never_rises_again() {
        let s = cosine();
        let check = |step, rate: f64| assert!((s.rate(step) - rate).abs() < 1e-12, "{step}: {}", s.rate(step));
        check(0, 1e-5);
        check(99, 1e-3);
        check(100, 1e-3);
        check(1050, 0.55e-3);
        check(2000, 1e-4);
        check(50_000, 1e-4);
    }

    #[test]
    fn a_turn_scales_the_rest_and_only_the_rest() {
        let (mut s, plain) = (cosine(), cosine());
        s.turn(1000, plain.rate(1000) / 2.0);
        assert_eq!(s.rate(999), plain.rate(999));
        for step in [1000, 1500, 1999] {
            assert!((s.rate(step) / plain.rate(step) - 0.5).abs() < 1e-12);
        }
        s.turn(500, 1e-4);
        assert_eq!(s.turns.len(), 1, "a turn replaces those after it");
    }

    #[test]
    fn a_dial_at_zero_can_be_turned_up_again() {
        let mut s = Schedule { shape: Shape::Constant, warmup_steps: 0, ..cosine() };
        s.turn(10, 0.0);
        assert_eq!(s.rate(11), 0.0);
        s.turn(20, 1e-3);
        assert_eq!(s.rate(30), 1e-3);
    }

    #[test]
    fn bad_drawings_are_refused() {
        let drawn = |points| Schedule { shape: Shape::Points(points), ..cosine() };
        assert!(drawn(vec![(0, 1e-3), (10, 1e-4)]).check().is_ok());
        for bad in [vec![], vec![(0, f64::NAN)], vec![(10, 1e-3), (10, 1e-4)], vec![(0, -1.0)]] {
            assert!(drawn(bad).check().is_err());
        }
        assert_eq!(drawn(vec![(10, 1.0), (20, 2.0)]).rate(15), 1.5);
    }
}
