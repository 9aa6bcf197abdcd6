//! The weights of a dataset mix over steps.

use serde::{Deserialize, Serialize};

use crate::encode::exact;
use crate::error::PlanError;
use crate::number::counted;

/// Weights of the mix at one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MixPoint {
    pub step: u64,
    /// One weight for each dataset of the plan, in its order; any sum above 0.
    pub weights: Vec<f64>,
}

impl MixPoint {
    fn exact(step: u64, weights: &[f64]) -> Self {
        Self { step, weights: weights.iter().map(|weight| exact(*weight)).collect() }
    }
}

/// Weights of the mix over steps: linear between points, constant outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MixSchedule {
    /// In increasing steps.
    pub points: Vec<MixPoint>,
}

impl MixSchedule {
    /// A schedule with constant weights.
    pub fn constant(weights: Vec<f64>) -> Self {
        Self { points: vec![MixPoint { step: 0, weights }] }
    }

    /// Weights at a step, summing to 1.
    pub fn at(&self, step: u64) -> Vec<f64> {
        let after = self.points.partition_point(|point| point.step <= step);
        let raw = match (after.checked_sub(1).and_then(|i| self.points.get(i)), self.points.get(after)) {
            (Some(a), Some(b)) => {
                let share = (step - a.step) as f64 / (b.step - a.step) as f64;
                a.weights.iter().zip(&b.weights).map(|(a, b)| a + (b - a) * share).collect()
            }
            (Some(point), None) | (None, Some(point)) => point.weights.clone(),
            (None, None) => vec![],
        };
        let total: f64 = raw.iter().sum();
        raw.iter().map(|weight| weight / total).collect()
    }

    /// Replaces the points from `step` on. The first may be later than `step`: weights are then interpolated up to it.
    pub fn override_from(&mut self, step: u64, points: Vec<MixPoint>) {
        let (before, here) = (step.checked_sub(1).map(|last| (last, self.at(last))), self.at(step));
        self.points.retain(|point| point.step < step);
        if let Some((last, weights)) = before.filter(|(last, _)| self.points.last().is_none_or(|p| p.step < *last)) {
            self.points.push(MixPoint::exact(last, &weights));
        }
        if points.first().is_none_or(|point| point.step > step) {
            self.points.push(MixPoint::exact(step, &here));
        }
        self.points.extend(points.iter().map(|point| MixPoint::exact(point.step, &point.weights)));
    }

    /// The points from `step` on, for [`MixSchedule::override_from`] to restore.
    pub fn rest(&self, step: u64) -> Vec<MixPoint> {
        let here = MixPoint::exact(step, &self.at(step));
        std::iter::once(here).chain(self.points.iter().filter(|point| point.step > step).cloned()).collect()
    }

    /// Checks points that would apply from `step` on, for a run with this many datasets.
    ///
    /// # Errors
    /// No point, steps before `step` or not increasing, or weights that are negative, all 0, or of the wrong number.
    pub fn check(points: &[MixPoint], step: u64, datasets: usize) -> Result<(), PlanError> {
        let failed = |message: String| Err(PlanError::new("points", message));
        if points.is_empty() {
            return failed("a mix needs at least one point".into());
        }
        if points[0].step < step || points.windows(2).any(|pair| pair[0].step >= pair[1].step) {
            return failed(format!("points must have increasing steps from {step} on"));
        }
        for MixPoint { step, weights } in points {
            if weights.len() != datasets {
                let (given, datasets) = (counted(weights.len() as u64, "weight"), counted(datasets as u64, "dataset"));
                return failed(format!("{given} at step {step}, and the run has {datasets}"));
            }
            if let Some(weight) = weights.iter().find(|weight| !weight.is_finite() || **weight < 0.0) {
                return failed(format!("weight {weight} at step {step} is out of range; enter a number, at least 0"));
            }
            if weights.iter().sum::<f64>() <= 0.0 {
                return failed(format!("all weights at step {step} are 0"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_keeps_earlier_steps_and_can_be_restored() {
        let mut mix = MixSchedule::constant(vec![3.0, 1.0]);
        assert_eq!(mix.at(7), [0.75, 0.25]);
        let planned = mix.clone();
        mix.override_from(
            10,
            vec![MixPoint { step: 10, weights: vec![0.0, 1.0] }, MixPoint { step: 20, weights: vec![1.0, 1.0] }],
        );
        assert_eq!((mix.at(9), mix.at(10), mix.at(15)), (vec![0.75, 0.25], vec![0.0, 1.0], vec![1.0 / 3.0, 2.0 / 3.0]));
        mix.override_from(12, planned.rest(12));
        assert_eq!(
            (mix.at(9), mix.at(10), mix.at(12), mix.at(90)),
            (vec![0.75, 0.25], vec![0.0, 1.0], vec![0.75, 0.25], vec![0.75, 0.25])
        );
        mix.override_from(30, vec![MixPoint { step: 40, weights: vec![0.25, 0.75] }]);
        assert_eq!(mix.at(35), [0.5, 0.5], "interpolated up to a later point");
    }

    #[test]
    fn invalid_mixes_are_refused() {
        let mix = |step, weights: &[f64]| MixPoint { step, weights: weights.to_vec() };
        assert!(MixSchedule::check(&[mix(5, &[1.0, 0.0])], 5, 2).is_ok());
        for bad in [
            vec![],
            vec![mix(4, &[1.0, 1.0])],
            vec![mix(5, &[0.0, 0.0])],
            vec![mix(5, &[f64::NAN, 1.0])],
            vec![mix(5, &[1.0])],
            vec![mix(5, &[1.0, 1.0]), mix(5, &[1.0, 1.0])],
        ] {
            assert!(MixSchedule::check(&bad, 5, 2).is_err(), "{bad:?}");
        }
    }
}
