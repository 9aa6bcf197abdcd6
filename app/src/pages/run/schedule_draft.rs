//! A learning-rate schedule that is being edited: points from the current step on. The run does not change until it is
//! applied.

use wire::LiveHyperparameters;
use wire::hyperparameters::schedule::{Schedule, ScheduleCurve, curves};

/// Intervals between the points of a new draft.
const POINTS: u64 = 8;
/// Top of the axis relative to the highest point.
const ROOM: f64 = 1.2;
/// Maximum learning rate; commands accept no higher one.
const MAX_LEARNING_RATE: f64 = 10.0;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct ScheduleDraft {
    /// The schedule from [`ScheduleDraft::from_step`] on.
    pub(super) curve: ScheduleCurve,
    /// Step at which the run ends.
    pub(super) steps: u64,
    /// First step that can still be changed.
    pub(super) from_step: u64,
    /// Top of the axis: it does not change while a point is moved.
    pub(super) ceiling: f64,
    /// Whether anybody changed it. Its points only approximate the schedule of the run, so a comparison of the two would not tell.
    pub(super) is_edited: bool,
}

/// Common schedules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StandardCurve {
    /// A straight line to the final learning rate, over this many steps.
    Cooldown(u64),
    /// A rise to the peak over a tenth of the remaining steps, then half a cosine to the end.
    Rewarm,
    /// The current learning rate.
    Constant,
    /// This many more steps, with half a cosine from here to the new end.
    ExtendCosine(u64),
    /// This many more steps at the current learning rate.
    ExtendConstant(u64),
    /// This many more steps, with the planned schedule fitted to the new length.
    Refit(u64),
}

impl ScheduleDraft {
    /// The current schedule, as points that can be moved.
    pub(super) fn begin(hyperparameters: &LiveHyperparameters, from_step: u64) -> Self {
        let end = hyperparameters.steps.max(from_step + 1);
        let curve = ScheduleCurve::Points(sampled(&hyperparameters.schedule, from_step, end));
        Self { curve, steps: hyperparameters.steps, from_step, ceiling: 0.0, is_edited: false }.raised(hyperparameters)
    }

    /// With room above its highest point and above the peak of the plan.
    fn raised(mut self, hyperparameters: &LiveHyperparameters) -> Self {
        self.ceiling = hyperparameters.schedule.peak.max(hyperparameters.schedule.learning_rate(self.from_step)) * ROOM;
        self.settle();
        self
    }

    /// Makes room above a point that was moved to the top.
    pub(super) fn settle(&mut self) {
        let highest = self.points().iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
        if highest * 1.05 > self.ceiling {
            self.ceiling = highest * ROOM;
        }
    }

    /// A common schedule from the current step on.
    pub(super) fn standard(hyperparameters: &LiveHyperparameters, from_step: u64, which: StandardCurve) -> Self {
        let (schedule, steps) = (&hyperparameters.schedule, hyperparameters.steps);
        let of = |curve, steps| Self { curve, steps, from_step, ceiling: 0.0, is_edited: true }.raised(hyperparameters);
        match which {
            StandardCurve::Cooldown(over) => {
                of(curves::cooldown(schedule, from_step, over), steps.max(from_step + over))
            }
            StandardCurve::Rewarm => {
                let end = steps.max(from_step + 2);
                let over = ((end - from_step) / 10).max(1);
                of(curves::rewarm(schedule, from_step, over, schedule.peak, end), steps)
            }
            StandardCurve::Constant => of(curves::constant(schedule, from_step), steps),
            StandardCurve::ExtendCosine(more) => of(curves::cosine_to(schedule, steps + more), steps + more),
            StandardCurve::Refit(more) => of(ScheduleCurve::Refit { to_step: steps + more }, steps + more),
            StandardCurve::ExtendConstant(more) => of(curves::constant(schedule, from_step), steps + more),
        }
    }

    /// The schedule with the draft applied.
    pub(super) fn schedule(&self, hyperparameters: &LiveHyperparameters) -> Schedule {
        let mut schedule = hyperparameters.schedule.clone();
        schedule.override_from(self.from_step, self.curve.clone());
        schedule
    }

    /// Its points; a common schedule has none until it is converted.
    pub(super) fn points(&self) -> &[(u64, f64)] {
        match &self.curve {
            ScheduleCurve::Points(points) => points,
            _ => &[],
        }
    }

    /// Converts a common schedule to points, so that they can be moved.
    pub(super) fn to_points(&mut self, hyperparameters: &LiveHyperparameters) {
        if !matches!(self.curve, ScheduleCurve::Points(_)) {
            let end = self.steps.max(self.from_step + 1);
            self.curve = ScheduleCurve::Points(sampled(&self.schedule(hyperparameters), self.from_step, end));
        }
    }

    /// The run has advanced: steps before `from_step` can no longer be changed.
    pub(super) fn advance(&mut self, from_step: u64, hyperparameters: &LiveHyperparameters) {
        if from_step <= self.from_step {
            return;
        }
        let rate = self.schedule(hyperparameters).learning_rate(from_step);
        if let ScheduleCurve::Points(points) = &mut self.curve {
            points.retain(|(step, _)| *step > from_step);
            points.insert(0, (from_step, rate));
        }
        self.from_step = from_step;
        self.steps = self.steps.max(from_step);
    }

    /// Moves a point; it stays between its neighbours.
    pub(super) fn shift(&mut self, at: usize, step: u64, rate: f64) {
        let from_step = self.from_step;
        let ScheduleCurve::Points(points) = &mut self.curve else { return };
        let low = at.checked_sub(1).map_or(from_step, |before| points[before].0 + 1);
        let high = points.get(at + 1).map_or(u64::MAX, |next| next.0 - 1);
        if let Some(point) = points.get_mut(at).filter(|_| low <= high) {
            let rate = if rate.is_finite() { rate.clamp(0.0, MAX_LEARNING_RATE) } else { point.1 };
            let moved = (step.clamp(low, high), rate);
            self.is_edited |= moved != *point;
            *point = moved;
        }
    }

    /// Adds a point and returns its index; a point at the same step is moved instead.
    pub(super) fn add(&mut self, step: u64, rate: f64) -> usize {
        let step = step.max(self.from_step);
        let ScheduleCurve::Points(points) = &mut self.curve else { return 0 };
        self.is_edited = true;
        let at = points.partition_point(|(known, _)| *known < step);
        let point = (step, rate.clamp(0.0, MAX_LEARNING_RATE));
        match points.get_mut(at).filter(|known| known.0 == step) {
            Some(known) => *known = point,
            None => points.insert(at, point),
        }
        at
    }

    /// Removes a point; the last one stays.
    pub(super) fn remove(&mut self, at: usize) {
        if let ScheduleCurve::Points(points) = &mut self.curve
            && points.len() > 1
            && at < points.len()
        {
            points.remove(at);
            self.is_edited = true;
        }
    }
}

/// A schedule at evenly spaced steps.
fn sampled(schedule: &Schedule, from: u64, to: u64) -> Vec<(u64, f64)> {
    let mut points: Vec<(u64, f64)> = (0..=POINTS)
        .map(|part| from + (to - from) * part / POINTS)
        .map(|step| (step, schedule.learning_rate(step)))
        .collect();
    points.dedup_by_key(|(step, _)| *step);
    points
}

#[cfg(test)]
mod tests {
    use wire::hyperparameters::schedule::Shape;

    use super::*;

    fn hyperparameters() -> LiveHyperparameters {
        let mut hyperparameters = crate::curves::fixture::view().hyperparameters;
        hyperparameters.schedule = Schedule {
            shape: Shape::Cosine,
            peak: 1e-3,
            warmup_steps: 0,
            steps: 1000,
            final_fraction: 0.1,
            overrides: vec![],
        };
        hyperparameters.steps = 1000;
        hyperparameters
    }

    #[test]
    fn an_edited_schedule_is_a_valid_command() {
        let hyperparameters = hyperparameters();
        let mut draft = ScheduleDraft::begin(&hyperparameters, 200);
        assert_eq!((draft.points().len(), draft.points()[0].0), (9, 200));
        let (step, rate) = draft.points()[3];
        draft.shift(3, step, rate);
        draft.advance(201, &hyperparameters);
        assert!(!draft.is_edited, "a point that stays, and steps of the run, are no edit");
        draft = ScheduleDraft::begin(&hyperparameters, 200);
        draft.shift(3, 9_999, -5.0);
        assert!(draft.is_edited);
        assert_eq!(draft.points()[3], (draft.points()[4].0 - 1, 0.0), "a point stays between its neighbours");
        let at = draft.add(201, 2e-3);
        assert_eq!((at, draft.points()[1]), (1, (201, 2e-3)));
        draft.remove(1);
        draft.advance(350, &hyperparameters);
        assert!(draft.points().iter().all(|(step, _)| *step >= 350));
        assert!(Schedule::check_curve(&draft.curve, 350).is_ok());
        while draft.points().len() > 1 {
            draft.remove(0);
        }
        draft.remove(0);
        assert_eq!(draft.points().len(), 1, "a schedule has at least one point");
    }

    #[test]
    fn common_schedules_have_their_defining_values() {
        let hyperparameters = hyperparameters();
        let rate = |which, step| {
            ScheduleDraft::standard(&hyperparameters, 400, which).schedule(&hyperparameters).learning_rate(step)
        };
        let here = hyperparameters.schedule.learning_rate(400);
        assert_eq!(rate(StandardCurve::Constant, 900), here);
        assert!((rate(StandardCurve::Cooldown(100), 500) - 1e-4).abs() < 1e-12);
        assert!((rate(StandardCurve::Rewarm, 460) - 1e-3).abs() < 1e-12);
        let longer = ScheduleDraft::standard(&hyperparameters, 400, StandardCurve::ExtendCosine(500));
        assert_eq!(longer.steps, 1500);
        assert!((longer.schedule(&hyperparameters).learning_rate(1500) - 1e-4).abs() < 1e-12);
        let mut converted = longer;
        converted.to_points(&hyperparameters);
        assert_eq!(converted.points().len(), 9, "a common schedule is converted to points");
    }
}
