//! Layer norm and RMS norm with a gain, a row at a time.

use super::lanes::{sum, wide};
use super::{Fused, Values};

#[derive(Debug, Clone)]
pub(super) struct Normalize {
    pub(super) eps: f32,
    /// Layer norm subtracts the mean first, RMS norm does not.
    pub(super) is_centred: bool,
}

impl Fused<2> for Normalize {
    fn forward(&self, [x, gain]: [Values; 2]) -> (Values, Vec<Values>) {
        let d = x.last();
        let rows = x.get().len() / d;
        let mut y = vec![0.0; x.get().len()];
        let mut centres = vec![0.0; 2 * rows]; // mean and 1 / deviation of each row
        let gain_values = gain.get();
        wide(|| {
            for ((y, x), centre) in y.chunks_exact_mut(d).zip(x.get().chunks_exact(d)).zip(centres.chunks_exact_mut(2))
            {
                let mean = if self.is_centred { sum(d, |i| x[i]) / d as f32 } else { 0.0 };
                let variance = sum(d, |i| (x[i] - mean) * (x[i] - mean)) / d as f32;
                let scale = 1.0 / (variance + self.eps).sqrt();
                for ((y, x), gain) in y.iter_mut().zip(x).zip(gain_values) {
                    *y = (x - mean) * scale * gain;
                }
                centre.copy_from_slice(&[mean, scale]);
            }
        });
        let shape = x.shape.clone();
        (Values::from_vec(y, &shape), vec![x, gain, Values::from_vec(centres, &[rows, 2])])
    }

    fn backward(&self, kept: &[Values], gradient: &Values) -> [Values; 2] {
        let [x, gain, centres] = kept else { unreachable!("forward keeps x, gain and the rows' centres") };
        let d = x.last();
        let mut dx = vec![0.0; x.get().len()];
        let mut dgain = vec![0.0; d];
        let gain_values = gain.get();
        wide(|| {
            let rows = dx
                .chunks_exact_mut(d)
                .zip(x.get().chunks_exact(d))
                .zip(gradient.get().chunks_exact(d))
                .zip(centres.get().chunks_exact(2));
            for (((dx, x), dy), centre) in rows {
                let (mean, scale) = (centre[0], centre[1]);
                let along = sum(d, |i| dy[i] * gain_values[i] * (x[i] - mean) * scale) / d as f32;
                let level = if self.is_centred { sum(d, |i| dy[i] * gain_values[i]) / d as f32 } else { 0.0 };
                for i in 0..d {
                    let unit = (x[i] - mean) * scale;
                    dx[i] = scale * (dy[i] * gain_values[i] - level - unit * along);
                    dgain[i] += dy[i] * unit;
                }
            }
        });
        [Values::from_vec(dx, &x.shape), Values::from_vec(dgain, &gain.shape)]
    }
}
