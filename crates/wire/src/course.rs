//! Values that follow a line over steps: the weights of a mix, and the passes of a step.

use serde::{Deserialize, Serialize};

use crate::encode::exact;
use crate::error::PlanError;

/// Weights of the mix at one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MixPoint {
    /// Step.
    pub step: u64,
    /// One weight for each text of the plan, in its order, of any sum above 0.
    pub weights: Vec<f64>,
}

impl MixPoint {
    fn exact(step: u64, weights: &[f64]) -> Self {
        Self { step, weights: weights.iter().map(|weight| exact(*weight)).collect() }
    }
}

/// Weights of the mix over steps: straight lines through points, level outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MixCourse {
    /// In rising steps.
    pub points: Vec<MixPoint>,
}

impl MixCourse {
    /// The same weights throughout.
    pub fn level(weights: Vec<f64>) -> Self {
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

    /// Other points from `step` on; what lies before stays. The first may be later than `step`: a line leads there.
    pub fn redraw(&mut self, step: u64, points: Vec<MixPoint>) {
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

    /// The points that this course has from `step` on, for [`MixCourse::redraw`] to return to.
    pub fn rest(&self, step: u64) -> Vec<MixPoint> {
        let here = MixPoint::exact(step, &self.at(step));
        std::iter::once(here).chain(self.points.iter().filter(|point| point.step > step).cloned()).collect()
    }

    /// Refuses points that cannot be followed from `step` on.
    pub fn check(points: &[MixPoint], step: u64, texts: usize) -> Result<(), PlanError> {
        let failed = |message: String| Err(PlanError::new("points", message));
        if points.is_empty() {
            return failed("a mix needs at least one point".into());
        }
        if points[0].step < step || points.windows(2).any(|pair| pair[0].step >= pair[1].step) {
            return failed(format!("points must have rising steps from {step} on"));
        }
        for MixPoint { step, weights } in points {
            if weights.len() != texts {
                return failed(format!("{} weights at step {step}, and the run has {texts} texts", weights.len()));
            }
            if let Some(weight) = weights.iter().find(|weight| !weight.is_finite() || **weight < 0.0) {
                return failed(format!("{weight} at step {step} is no weight"));
            }
            if weights.iter().sum::<f64>() <= 0.0 {
                return failed(format!("all weights at step {step} are 0"));
            }
        }
        Ok(())
    }
}

/// A whole number that changes at steps: (first step, value), in rising steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Stairs {
    /// (first step, value).
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Vec<u64>>))]
    pub stairs: Vec<(u64, u64)>,
}

impl Stairs {
    /// One value throughout.
    pub fn level(value: u64) -> Self {
        Self { stairs: vec![(0, value)] }
    }

    /// The value at a step.
    pub fn at(&self, step: u64) -> u64 {
        let after = self.stairs.partition_point(|(first, _)| *first <= step);
        after.checked_sub(1).map_or(1, |at| self.stairs[at].1)
    }

    /// Sum of the values of all steps before `step`.
    pub fn sum_before(&self, step: u64) -> u64 {
        let ends = self.stairs.iter().skip(1).map(|(first, _)| *first).chain([u64::MAX]);
        self.stairs.iter().zip(ends).map(|((first, value), end)| (end.min(step).saturating_sub(*first)) * value).sum()
    }

    /// Other values from `step` on. The first of them may be later.
    pub fn redraw(&mut self, step: u64, stairs: Vec<(u64, u64)>) {
        let here = self.at(step);
        self.stairs.retain(|(first, _)| *first < step);
        if stairs.first().is_none_or(|(first, _)| *first > step) {
            self.stairs.push((step, here));
        }
        self.stairs.extend(stairs);
    }

    /// The stairs from `step` on, for [`Stairs::redraw`] to return to.
    pub fn rest(&self, step: u64) -> Vec<(u64, u64)> {
        let later = self.stairs.iter().filter(|(first, _)| *first > step).copied();
        std::iter::once((step, self.at(step))).chain(later).collect()
    }

    /// Refuses stairs that cannot be followed from `step` on.
    pub fn check(stairs: &[(u64, u64)], step: u64) -> Result<(), PlanError> {
        let failed = |message: String| Err(PlanError::new("stairs", message));
        if stairs.is_empty() || stairs[0].0 < step || stairs.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
            return failed(format!("at least one, in rising steps from {step} on"));
        }
        match stairs.iter().find(|(_, passes)| !(1..=65_536).contains(passes)) {
            Some((step, passes)) => failed(format!("{passes} passes at step {step}; 1 to 65,536")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_keeps_its_past_and_can_return() {
        let mut mix = MixCourse::level(vec![3.0, 1.0]);
        assert_eq!(mix.at(7), [0.75, 0.25]);
        let planned = mix.clone();
        mix.redraw(
            10,
            vec![MixPoint { step: 10, weights: vec![0.0, 1.0] }, MixPoint { step: 20, weights: vec![1.0, 1.0] }],
        );
        assert_eq!((mix.at(9), mix.at(10), mix.at(15)), (vec![0.75, 0.25], vec![0.0, 1.0], vec![1.0 / 3.0, 2.0 / 3.0]));
        mix.redraw(12, planned.rest(12));
        assert_eq!(
            (mix.at(9), mix.at(10), mix.at(12), mix.at(90)),
            (vec![0.75, 0.25], vec![0.0, 1.0], vec![0.75, 0.25], vec![0.75, 0.25])
        );
        mix.redraw(30, vec![MixPoint { step: 40, weights: vec![0.25, 0.75] }]);
        assert_eq!(mix.at(35), [0.5, 0.5], "a line leads to a later point");
    }

    #[test]
    fn bad_mixes_and_stairs_are_refused() {
        let mix = |step, weights: &[f64]| MixPoint { step, weights: weights.to_vec() };
        assert!(MixCourse::check(&[mix(5, &[1.0, 0.0])], 5, 2).is_ok());
        for bad in [
            vec![],
            vec![mix(4, &[1.0, 1.0])],
            vec![mix(5, &[0.0, 0.0])],
            vec![mix(5, &[f64::NAN, 1.0])],
            vec![mix(5, &[1.0])],
            vec![mix(5, &[1.0, 1.0]), mix(5, &[1.0, 1.0])],
        ] {
            assert!(MixCourse::check(&bad, 5, 2).is_err(), "{bad:?}");
        }
        assert!(Stairs::check(&[(5, 2), (9, 4)], 5).is_ok());
        for bad in [vec![], vec![(4, 1)], vec![(5, 0)], vec![(6, 1), (6, 2)]] {
            assert!(Stairs::check(&bad, 5).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn stairs_add_up() {
        let mut stairs = Stairs::level(2);
        stairs.redraw(10, vec![(10, 5), (20, 1)]);
        assert_eq!((stairs.at(9), stairs.at(10), stairs.at(25)), (2, 5, 1));
        let each = |step| (0..step).map(|step| stairs.at(step)).sum::<u64>();
        for step in [0, 5, 10, 15, 20, 33] {
            assert_eq!(stairs.sum_before(step), each(step), "{step}");
        }
    }
}
