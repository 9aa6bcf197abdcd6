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

/// What the rate does from a step on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Turn {
    /// First step of the new course.
    pub from_step: u64,
    /// The course.
    pub bend: Bend,
}

/// A course that takes the place of the one before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Bend {
    /// The course before, scaled so that it passes through this rate at the first step.
    Scaled(f64),
    /// A line from the present rate through points (step, rate) in rising steps, level after the last.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Vec<f64>>))]
    Points(Vec<(u64, f64)>),
    /// Half a cosine from the present rate to `rate` at `to_step`, level after it.
    Cosine {
        /// Where it ends.
        to_step: u64,
        /// Rate there.
        rate: f64,
    },
    /// The schedule as it was with these turns.
    #[cfg_attr(feature = "openapi", schema(no_recursion))]
    Back(Vec<Turn>),
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
        self.turned(&self.turns, step)
    }

    /// The rate with these turns: the last one begun decides, and may lean on those before it.
    fn turned(&self, turns: &[Turn], step: u64) -> f64 {
        let Some(at) = turns.iter().rposition(|turn| turn.from_step <= step) else { return self.drawn(step) };
        let (Turn { from_step, bend }, before) = (&turns[at], &turns[..at]);
        match bend {
            Bend::Scaled(rate) => match self.turned(before, *from_step) {
                0.0 => *rate,
                here => self.turned(before, step) * rate / here,
            },
            Bend::Points(points) => {
                let here = (points.first().is_none_or(|(first, _)| first > from_step))
                    .then(|| (*from_step, self.turned(before, *from_step)));
                along(here.into_iter().chain(points.iter().copied()), step)
            }
            Bend::Cosine { to_step, rate } => {
                let here = self.turned(before, *from_step);
                let span = to_step.saturating_sub(*from_step).max(1) as f64;
                let done = ((step - from_step) as f64 / span).min(1.0);
                rate + (here - rate) * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
            }
            Bend::Back(turns) => self.turned(turns, step),
        }
    }

    /// Turns the dial: `rate` at `from_step`, the rest of the course scaled with it.
    pub fn turn(&mut self, from_step: u64, rate: f64) {
        self.bend(from_step, Bend::Scaled(rate));
    }

    /// Gives the rate another course from `from_step` on; turns that lie later are gone.
    pub fn bend(&mut self, from_step: u64, bend: Bend) {
        // One at the same step stays: the new one may lean on it.
        self.turns.retain(|turn| turn.from_step <= from_step);
        if matches!(bend, Bend::Scaled(_)) {
            self.turns.retain(|turn| turn.from_step < from_step || !matches!(turn.bend, Bend::Scaled(_)));
        }
        self.turns.push(Turn { from_step, bend });
    }

    /// Refuses a course that cannot be followed from `step` on.
    pub fn check_bend(bend: &Bend, step: u64) -> Result<(), PlanError> {
        let failed = |message: String, hint: &str| Err(PlanError::new("bend", message).hint(hint));
        match bend {
            Bend::Scaled(rate) | Bend::Cosine { rate, .. } if !is_rate(*rate) => {
                failed(format!("{rate} is no learning rate"), "0 to 10")
            }
            Bend::Cosine { to_step, .. } if *to_step <= step => {
                failed(format!("the cosine would end at step {to_step}, before it begins"), "a later step")
            }
            Bend::Points(points) if points.is_empty() => {
                failed("a drawn course needs at least one point".into(), "one (step, rate)")
            }
            Bend::Points(points) if points[0].0 < step => {
                failed(format!("a point at step {} lies in the past", points[0].0), "only what is ahead can be drawn")
            }
            Bend::Points(points) => check_points("bend", points),
            Bend::Back(turns) => turns.iter().try_for_each(|turn| Self::check_bend(&turn.bend, turn.from_step)),
            Bend::Scaled(_) | Bend::Cosine { .. } => Ok(()),
        }
    }

    fn drawn(&self, step: u64) -> f64 {
        if let Shape::Points(points) = &self.shape {
            return along(points.iter().copied(), step);
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
        let message = format!("the drawn point at step {step} is no learning rate: {rate}");
        return Err(PlanError::new(field, message).hint("every rate from 0 to 10"));
    }
    match points.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
        Some(pair) => Err(PlanError::new(field, format!("step {} comes after step {}", pair[1].0, pair[0].0))
            .hint("drawn points must have rising steps")),
        None => Ok(()),
    }
}

/// Straight lines through (step, rate), level before the first and after the last.
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

/// Courses that people ask for by name, from `step` on.
pub mod ready {
    use super::{Bend, Schedule};

    /// A straight line from the present rate to the floor, over `over` steps.
    pub fn cooldown(schedule: &Schedule, step: u64, over: u64) -> Bend {
        Bend::Points(vec![(step + over.max(1), schedule.peak * schedule.floor)])
    }

    /// A rise from the present rate to `rate` over `over` steps, then half a cosine's worth of decay, in straight lines, to the floor at
    /// `end`.
    pub fn rewarm(schedule: &Schedule, step: u64, over: u64, rate: f64, end: u64) -> Bend {
        let (top, floor) = (step + over.max(1), schedule.peak * schedule.floor);
        let fall = |part: u64| {
            let share = part as f64 / 16.0;
            let at = top + (end.saturating_sub(top) as f64 * share).round() as u64;
            (at, floor + (rate - floor) * 0.5 * (1.0 + (std::f64::consts::PI * share).cos()))
        };
        let mut points: Vec<(u64, f64)> = (0..=16).map(fall).collect();
        points.dedup_by_key(|(at, _)| *at);
        Bend::Points(points)
    }

    /// Half a cosine from the present rate to the floor at `end`: for a run that is made longer.
    pub fn refit(schedule: &Schedule, end: u64) -> Bend {
        Bend::Cosine { to_step: end, rate: schedule.peak * schedule.floor }
    }

    /// The present rate, held.
    pub fn hold(schedule: &Schedule, step: u64) -> Bend {
        Bend::Points(vec![(step, schedule.rate(step))])
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
    fn a_course_can_be_drawn_ahead_scaled_and_taken_back() {
        let (mut s, plain) = (cosine(), cosine());
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        s.bend(1000, ready::cooldown(&plain, 1000, 100));
        near(s.rate(999), plain.rate(999));
        near(s.rate(1000), plain.rate(1000));
        near(s.rate(1050), (plain.rate(1000) + 1e-4) / 2.0);
        near(s.rate(9000), 1e-4);
        s.turn(1050, s.rate(1050) / 2.0);
        near(s.rate(1100), 0.5e-4);
        let turned = s.clone();
        s.bend(1080, Bend::Back(vec![]));
        near(s.rate(1079), turned.rate(1079));
        for step in [1080, 1500, 3000] {
            near(s.rate(step), plain.rate(step));
        }
        s.bend(1500, ready::refit(&plain, 4000));
        near(s.rate(1500), plain.rate(1500));
        near(s.rate(4000), 1e-4);
        assert!(s.rate(2500) < plain.rate(1500) && s.rate(2500) > 1e-4);
    }

    #[test]
    fn courses_that_cannot_be_followed_are_refused() {
        assert!(Schedule::check_bend(&Bend::Points(vec![(10, 1e-3)]), 10).is_ok());
        for bad in [
            Bend::Points(vec![]),
            Bend::Points(vec![(9, 1e-3)]),
            Bend::Points(vec![(10, f64::NAN)]),
            Bend::Points(vec![(11, 1e-3), (11, 1e-3)]),
            Bend::Cosine { to_step: 10, rate: 1e-3 },
            Bend::Cosine { to_step: 20, rate: -1.0 },
            Bend::Scaled(f64::INFINITY),
            Bend::Back(vec![Turn { from_step: 3, bend: Bend::Scaled(1e300) }]),
        ] {
            assert!(Schedule::check_bend(&bad, 10).is_err(), "{bad:?}");
        }
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
