//! The gradient noise scale of McCandlish et al. 2018 (arXiv 1812.06162), appendix A.1, from the gradients of the parts of a step.
//!
//! The mean gradient over b tokens has the expected squared norm |G|² + S / b, with the gradient G of the whole distribution and the trace S
//! of the covariance of the gradient of one token. A step gives it at two sizes, that of its parts and that of all its tokens, which solves for
//! |G|² and S. Tokens of one sequence are not independent, so S is that of whole sequences, per token. A single step is far too noisy, so both
//! are averaged before they are divided.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::model::gradient::GradientPart;

/// Weight of the older measurements in the mean: it is over about twenty.
const KEEP: f64 = 0.95;
/// Measurements before which the mean is too noisy to be reported.
const FEWEST: u64 = 10;

/// The norms of the parts of a step.
#[derive(Debug)]
pub struct PartNorms {
    /// Mean of the squared norms of the parts' mean gradients, `[1]`, on the device.
    pub squares: Tensor<1>,
    /// Mean of 1 / tokens of the parts.
    inverse_part: f64,
    /// 1 / tokens of the step.
    inverse_step: f64,
}

impl PartNorms {
    /// The norms of the parts of one step; `None` for a single part.
    pub fn new(parts: Vec<GradientPart>) -> Option<Self> {
        if parts.len() < 2 {
            return None;
        }
        let count = parts.len() as f64;
        let total: u64 = parts.iter().map(|part| part.tokens).sum();
        let inverse_part = parts.iter().map(|part| 1.0 / part.tokens as f64).sum::<f64>() / count;
        // A summand is the mean gradient of its part times its fraction of the tokens.
        let mean = |part: GradientPart| part.squares * ((total as f64 / part.tokens as f64).powi(2) / count);
        let squares = Tensor::cat(parts.into_iter().map(mean).collect(), 0).sum();
        Some(Self { squares, inverse_part, inverse_step: 1.0 / total as f64 })
    }

    /// Estimates of |G|² and S, from the value of `squares` and the norm of the gradient of the step.
    fn estimate(&self, squares: f64, norm: f64) -> (f64, f64) {
        let noise = (squares - norm * norm) / (self.inverse_part - self.inverse_step);
        (norm * norm - noise * self.inverse_step, noise)
    }
}

/// Means of the estimates of |G|² and S over the measurements of a run. A checkpoint saves them, as bits, because a JSON number may be
/// read back with another last bit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoiseScale {
    gradient_bits: u64,
    noise_bits: u64,
    measurements: u64,
}

impl NoiseScale {
    /// Adds the measurement of a step; values that are not finite are left out.
    pub fn add(&mut self, norms: &PartNorms, squares: f64, norm: f64) {
        let (gradient, noise) = norms.estimate(squares, norm);
        if !(gradient.is_finite() && noise.is_finite()) {
            return;
        }
        // Both means begin at 0, and their ratio has no bias from it.
        let mean = |bits: u64, new: f64| (KEEP * f64::from_bits(bits) + (1.0 - KEEP) * new).to_bits();
        self.gradient_bits = mean(self.gradient_bits, gradient);
        self.noise_bits = mean(self.noise_bits, noise);
        self.measurements += 1;
    }

    /// The noise scale S / |G|², tokens; `None` after few measurements, or if noise hides that one of them is positive.
    pub fn tokens(&self) -> Option<f64> {
        let (gradient, noise) = (f64::from_bits(self.gradient_bits), f64::from_bits(self.noise_bits));
        (self.measurements >= FEWEST && gradient > 0.0 && noise > 0.0).then(|| noise / gradient)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::kernels::random::Normals;
    use crate::model::params;

    /// Dimensions of the synthetic gradient.
    const DIMENSIONS: usize = 64;
    /// Value of each dimension of its mean.
    const MEAN: f64 = 0.5;
    /// Variance of each dimension, for one token.
    const VARIANCE: f64 = 4.0;

    /// The parts of one step with noise of known variance, and the norm of the gradient of the step.
    fn step(seed: u64, number: u64, sizes: &[u64]) -> (Vec<GradientPart>, f64) {
        let mut normals = Normals::new(seed, number);
        let total: u64 = sizes.iter().sum();
        let mut sum = [0.0; DIMENSIONS];
        let mut part = |tokens: u64| {
            let mut squares = 0.0;
            for of_step in &mut sum {
                let noise = (VARIANCE / tokens as f64).sqrt() * f64::from(normals.next().unwrap());
                let summand = (MEAN + noise) * tokens as f64 / total as f64;
                *of_step += summand;
                squares += summand * summand;
            }
            GradientPart { tokens, squares: params::upload(vec![squares as f32], &Device::flex()) }
        };
        let parts = sizes.iter().map(|tokens| part(*tokens)).collect();
        (parts, sum.iter().map(|value| value * value).sum::<f64>().sqrt())
    }

    #[test]
    fn known_noise_gives_its_scale_whatever_the_sizes_of_the_parts() {
        let expected = VARIANCE / (MEAN * MEAN);
        for sizes in [&[16, 16][..], &[16, 16, 32], &[8, 24, 8, 24]] {
            let mut scale = NoiseScale::default();
            for number in 0..200 {
                let (parts, norm) = step(testing::seed(5), number, sizes);
                let norms = PartNorms::new(parts).unwrap();
                let squares = crate::device::read(norms.squares.clone()).unwrap()[0];
                scale.add(&norms, f64::from(squares), norm);
                assert_eq!(scale.tokens().is_none(), number + 1 < FEWEST, "{sizes:?}, measurement {number}");
            }
            let found = scale.tokens().unwrap();
            assert!((found / expected - 1.0).abs() < 0.35, "{sizes:?}: {found} instead of {expected} tokens");
            let json = serde_json::to_string(&scale).unwrap();
            assert_eq!(serde_json::from_str::<NoiseScale>(&json).unwrap(), scale, "the bits of a checkpoint");
        }
    }

    #[test]
    fn one_part_or_a_value_that_is_not_finite_is_no_measurement() {
        let (parts, norm) = step(1, 0, &[16, 16]);
        let mut scale = NoiseScale::default();
        scale.add(&PartNorms::new(parts).unwrap(), f64::NAN, norm);
        assert_eq!(scale, NoiseScale::default());
        assert!(PartNorms::new(step(1, 0, &[16]).0).is_none());
    }
}
