//! A course of the rate being drawn ahead: points from the present step on, moved by hand, before anything is asked of the run.

use wire::Dials;
use wire::schedule::{Bend, Schedule, ready};

/// Points that a present course is taken up with, so that it can be moved.
const POINTS: u64 = 8;
/// Top of the axis over the highest point.
const ROOM: f64 = 1.2;
/// Highest rate that is drawn; the wire takes no higher one.
const HIGHEST: f64 = 10.0;

/// What is being drawn.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sketch {
    /// The new course from [`Sketch::from_step`] on.
    pub(crate) bend: Bend,
    /// Where the run will end.
    pub(crate) steps: u64,
    /// First step that can still be drawn.
    pub(crate) from_step: u64,
    /// Top of the axis: it stays where it is while a point is moved.
    pub(crate) ceiling: f64,
}

/// Courses that have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ready {
    /// A straight line to the floor, over so many steps.
    Cooldown(u64),
    /// Up to the peak over a tenth of so many steps, then half a cosine down to the end.
    Rewarm,
    /// The present rate, held.
    Hold,
    /// So many steps more, with half a cosine from here to the new end.
    Refit(u64),
    /// So many steps more, at the present rate.
    Longer(u64),
}

impl Sketch {
    /// The present course, as points that can be moved.
    pub(crate) fn begin(dials: &Dials, from_step: u64) -> Self {
        let end = dials.steps.max(from_step + 1);
        let bend = Bend::Points(sampled(&dials.schedule, from_step, end));
        Self { bend, steps: dials.steps, from_step, ceiling: 0.0 }.raised(dials)
    }

    /// With room above its highest point, and above the peak of the plan.
    fn raised(mut self, dials: &Dials) -> Self {
        self.ceiling = dials.schedule.peak.max(dials.schedule.rate(self.from_step)) * ROOM;
        self.settle();
        self
    }

    /// Makes room above what has been moved to the top.
    pub(crate) fn settle(&mut self) {
        let highest = self.points().iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
        if highest * 1.05 > self.ceiling {
            self.ceiling = highest * ROOM;
        }
    }

    /// A course by its name, from the present step on.
    pub(crate) fn ready(dials: &Dials, from_step: u64, which: Ready) -> Self {
        let (schedule, steps) = (&dials.schedule, dials.steps);
        let of = |bend, steps| Self { bend, steps, from_step, ceiling: 0.0 }.raised(dials);
        match which {
            Ready::Cooldown(over) => of(ready::cooldown(schedule, from_step, over), steps.max(from_step + over)),
            Ready::Rewarm => {
                let end = steps.max(from_step + 2);
                let over = ((end - from_step) / 10).max(1);
                of(ready::rewarm(schedule, from_step, over, schedule.peak, end), steps)
            }
            Ready::Hold => of(ready::hold(schedule, from_step), steps),
            Ready::Refit(more) => of(ready::refit(schedule, steps + more), steps + more),
            Ready::Longer(more) => of(ready::hold(schedule, from_step), steps + more),
        }
    }

    /// The schedule as it would be.
    pub(crate) fn schedule(&self, dials: &Dials) -> Schedule {
        let mut schedule = dials.schedule.clone();
        schedule.bend(self.from_step, self.bend.clone());
        schedule
    }

    /// Its points; those of a named curve once it is taken in hand.
    pub(crate) fn points(&self) -> &[(u64, f64)] {
        match &self.bend {
            Bend::Points(points) => points,
            _ => &[],
        }
    }

    /// Turns a named curve into points, to be moved.
    pub(crate) fn take_up(&mut self, dials: &Dials) {
        if !matches!(self.bend, Bend::Points(_)) {
            let end = self.steps.max(self.from_step + 1);
            self.bend = Bend::Points(sampled(&self.schedule(dials), self.from_step, end));
        }
    }

    /// The run has moved on: what lies behind it can no longer be drawn.
    pub(crate) fn advance(&mut self, from_step: u64, dials: &Dials) {
        if from_step <= self.from_step {
            return;
        }
        let rate = self.schedule(dials).rate(from_step);
        if let Bend::Points(points) = &mut self.bend {
            points.retain(|(step, _)| *step > from_step);
            points.insert(0, (from_step, rate));
        }
        self.from_step = from_step;
        self.steps = self.steps.max(from_step);
    }

    /// Moves a point; it stays between its neighbours. Tells its place, which does not change.
    pub(crate) fn shift(&mut self, at: usize, step: u64, rate: f64) {
        let from_step = self.from_step;
        let Bend::Points(points) = &mut self.bend else { return };
        let low = at.checked_sub(1).map_or(from_step, |before| points[before].0 + 1);
        let high = points.get(at + 1).map_or(u64::MAX, |next| next.0 - 1);
        if let Some(point) = points.get_mut(at).filter(|_| low <= high) {
            *point = (step.clamp(low, high), if rate.is_finite() { rate.clamp(0.0, HIGHEST) } else { point.1 });
        }
    }

    /// A new point, and its place; an old one at the same step is moved there.
    pub(crate) fn add(&mut self, step: u64, rate: f64) -> usize {
        let step = step.max(self.from_step);
        let Bend::Points(points) = &mut self.bend else { return 0 };
        let at = points.partition_point(|(known, _)| *known < step);
        let point = (step, rate.clamp(0.0, HIGHEST));
        match points.get_mut(at).filter(|known| known.0 == step) {
            Some(known) => *known = point,
            None => points.insert(at, point),
        }
        at
    }

    /// Takes a point away; the last one stays.
    pub(crate) fn remove(&mut self, at: usize) {
        if let Bend::Points(points) = &mut self.bend
            && points.len() > 1
            && at < points.len()
        {
            points.remove(at);
        }
    }
}

/// A schedule at evenly spaced steps.
fn sampled(schedule: &Schedule, from: u64, to: u64) -> Vec<(u64, f64)> {
    let mut points: Vec<(u64, f64)> =
        (0..=POINTS).map(|part| from + (to - from) * part / POINTS).map(|step| (step, schedule.rate(step))).collect();
    points.dedup_by_key(|(step, _)| *step);
    points
}

#[cfg(test)]
mod tests {
    use wire::schedule::Shape;

    use super::*;

    fn dials() -> Dials {
        let mut dials = crate::run_state::tests::view().dials;
        dials.schedule =
            Schedule { shape: Shape::Cosine, peak: 1e-3, warmup_steps: 0, steps: 1000, floor: 0.1, turns: vec![] };
        dials.steps = 1000;
        dials
    }

    #[test]
    fn what_is_drawn_can_be_asked_for() {
        let dials = dials();
        let mut sketch = Sketch::begin(&dials, 200);
        assert_eq!((sketch.points().len(), sketch.points()[0].0), (9, 200));
        sketch.shift(3, 9_999, -5.0);
        assert_eq!(sketch.points()[3], (sketch.points()[4].0 - 1, 0.0), "a point stays between its neighbours");
        let at = sketch.add(201, 2e-3);
        assert_eq!((at, sketch.points()[1]), (1, (201, 2e-3)));
        sketch.remove(1);
        sketch.advance(350, &dials);
        assert!(sketch.points().iter().all(|(step, _)| *step >= 350));
        assert!(Schedule::check_bend(&sketch.bend, 350).is_ok());
        while sketch.points().len() > 1 {
            sketch.remove(0);
        }
        sketch.remove(0);
        assert_eq!(sketch.points().len(), 1, "a course has at least one point");
    }

    #[test]
    fn named_courses_do_what_they_say() {
        let dials = dials();
        let rate = |which, step| Sketch::ready(&dials, 400, which).schedule(&dials).rate(step);
        let here = dials.schedule.rate(400);
        assert_eq!(rate(Ready::Hold, 900), here);
        assert!((rate(Ready::Cooldown(100), 500) - 1e-4).abs() < 1e-12);
        assert!((rate(Ready::Rewarm, 460) - 1e-3).abs() < 1e-12);
        let longer = Sketch::ready(&dials, 400, Ready::Refit(500));
        assert_eq!(longer.steps, 1500);
        assert!((longer.schedule(&dials).rate(1500) - 1e-4).abs() < 1e-12);
        let mut held = longer;
        held.take_up(&dials);
        assert_eq!(held.points().len(), 9, "a named curve becomes points when it is taken in hand");
    }
}
