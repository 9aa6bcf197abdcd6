//! The learning rate with the overrides that were made while the run trained.

use super::{Schedule, ScheduleCurve, ScheduleOverride, along};

impl Schedule {
    /// The learning rate of a step with these overrides: the last override whose first step has been reached applies. It may depend on the
    /// learning rates that the overrides before it give at its first step and at `step`. So `rates` has an entry for the first step of each
    /// override and a last one for `step`, and each override in turn changes the entries after its own. A recursion from the last override
    /// would compute the same learning rates again and again, and a run may have hundreds of overrides.
    pub(super) fn with_overrides(&self, overrides: &[ScheduleOverride], step: u64) -> f64 {
        let steps = overrides.iter().map(|over| over.from_step).chain([step]);
        let mut rates: Vec<(u64, f64)> = steps.map(|step| (step, self.planned(step))).collect();
        for (at, ScheduleOverride { from_step, curve }) in overrides.iter().enumerate() {
            let here = rates[at].1;
            for (step, rate) in &mut rates[at + 1..] {
                if *step >= *from_step {
                    *rate = self.along_curve(curve, (*from_step, here), (*step, *rate));
                }
            }
        }
        rates.last().map_or(0.0, |(_, rate)| *rate)
    }

    /// The learning rate of a step from the first step of a curve on. `here` is that first step and `before` the later one, both with their
    /// learning rates without the curve.
    fn along_curve(&self, curve: &ScheduleCurve, here: (u64, f64), before: (u64, f64)) -> f64 {
        let ((from_step, rate_here), (step, rate_before)) = (here, before);
        match curve {
            ScheduleCurve::Scaled(rate) if rate_here == 0.0 => *rate,
            ScheduleCurve::Scaled(rate) => rate_before * rate / rate_here,
            ScheduleCurve::Points(points) => {
                let begins_here = points.first().is_none_or(|(first, _)| *first > from_step);
                along(begins_here.then_some(here).into_iter().chain(points.iter().copied()), step)
            }
            ScheduleCurve::Cosine { to_step, learning_rate: rate } => {
                let span = to_step.saturating_sub(from_step).max(1) as f64;
                let done = ((step - from_step) as f64 / span).min(1.0);
                rate + (rate_here - rate) * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
            }
            ScheduleCurve::Refit { to_step } => self.fitted_to(*to_step).planned(step),
            ScheduleCurve::Restore(overrides) => self.with_overrides(overrides, step),
        }
    }
}

/// The curve that restores a schedule with these overrides after a later one. Overrides whose effect has ended are left out, so that a
/// schedule that is changed and restored many times does not contain itself again and again.
pub fn restoring(overrides: &[ScheduleOverride]) -> ScheduleCurve {
    ScheduleCurve::Restore(in_effect(overrides))
}

/// The overrides that decide the learning rate after the last of them, none of them a [`ScheduleCurve::Restore`].
fn in_effect(overrides: &[ScheduleOverride]) -> Vec<ScheduleOverride> {
    let is_independent =
        |over: &ScheduleOverride| matches!(over.curve, ScheduleCurve::Restore(_) | ScheduleCurve::Refit { .. });
    let from = overrides.iter().rposition(is_independent).unwrap_or(0);
    match &overrides[from..] {
        [ScheduleOverride { curve: ScheduleCurve::Restore(earlier), .. }, later @ ..] => {
            [in_effect(earlier).as_slice(), later].concat()
        }
        all => all.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::cosine;
    use super::*;

    #[test]
    fn hundreds_of_changes_are_followed_and_undone() {
        let (mut s, plain) = (cosine(), cosine());
        for change in 0..300 {
            s.scale_to(1000 + change, 1e-4 + 1e-7 * change as f64);
        }
        // The last change sets the learning rate at its step and scales what was planned from there on.
        let expected = (1e-4 + 1e-7 * 299.0) * plain.learning_rate(1900) / plain.learning_rate(1299);
        assert!((s.learning_rate(1900) / expected - 1.0).abs() < 1e-9);
        assert!((s.learning_rate(1299) / (1e-4 + 1e-7 * 299.0) - 1.0).abs() < 1e-12);
        let mut undone = cosine();
        for change in 0..300 {
            let before = restoring(&undone.overrides);
            undone.scale_to(1000 + 2 * change, 1e-5);
            undone.override_from(1001 + 2 * change, before);
        }
        assert_eq!(undone.learning_rate(1900), plain.learning_rate(1900));
        assert!((undone.learning_rate(1598) / 1e-5 - 1.0).abs() < 1e-12);
        let written = serde_json::to_string(&undone).unwrap();
        assert!(written.len() < 40_000, "the schedule does not contain itself: {} bytes", written.len());
    }

    #[test]
    fn what_restores_a_schedule_gives_its_learning_rates() {
        let mut s = cosine();
        for (step, curve) in [
            (300, ScheduleCurve::Scaled(2e-4)),
            (400, ScheduleCurve::Restore(vec![])),
            (500, ScheduleCurve::Cosine { to_step: 900, learning_rate: 1e-5 }),
            (
                550,
                ScheduleCurve::Restore(vec![ScheduleOverride { from_step: 300, curve: ScheduleCurve::Scaled(3e-4) }]),
            ),
            (600, ScheduleCurve::Points(vec![(700, 1e-3), (800, 2e-3)])),
            (650, ScheduleCurve::Scaled(5e-4)),
            (680, ScheduleCurve::Refit { to_step: 3000 }),
            (690, ScheduleCurve::Scaled(7e-4)),
        ] {
            s.override_from(step, curve);
            let mut restored = s.clone();
            restored.override_from(900, ScheduleCurve::Scaled(1.0));
            restored.override_from(1000, restoring(&s.overrides));
            for later in [1000, 1200, 2500] {
                assert_eq!(restored.learning_rate(later), s.learning_rate(later), "{:?}", s.overrides);
            }
        }
    }
}
