//! Layer norm and RMS norm with a gain, a row at a time.
//!
//! Layout: values and their gradients `[rows, d]`; `centres` `[rows, 2]`, mean and `1 / deviation` of each row.

use super::{Fused, Values};
use crate::kernels::cpu::lanes::{dot, sum, sum_of_three, wide_fn};

#[derive(Debug, Clone, Copy)]
pub(super) struct Normalize {
    pub(super) eps: f32,
    /// Layer norm subtracts the mean first, RMS norm does not.
    pub(super) is_centred: bool,
}

wide_fn! {
    fn normalize(norm: Normalize, x: &[f32], gain: &[f32], y: &mut [f32], centres: &mut [f32]) {
        let d = gain.len();
        for ((y, x), centre) in y.chunks_exact_mut(d).zip(x.chunks_exact(d)).zip(centres.chunks_exact_mut(2)) {
            let mean = if norm.is_centred { sum(x, |x| x) / d as f32 } else { 0.0 };
            let variance = sum(x, |x| (x - mean) * (x - mean)) / d as f32;
            let scale = 1.0 / (variance + norm.eps).sqrt();
            for ((y, x), gain) in y.iter_mut().zip(x).zip(gain) {
                *y = (x - mean) * scale * gain;
            }
            centre.copy_from_slice(&[mean, scale]);
        }
    }

    /// `inputs` are `x` and `dy`. Writes `dx`, adds to `dgain`.
    fn gradients(
        norm: Normalize,
        inputs: [&[f32]; 2],
        gain: &[f32],
        centres: &[f32],
        dx: &mut [f32],
        dgain: &mut [f32],
    ) {
        let ([x, dy], d) = (inputs, gain.len());
        let rows = dx.chunks_exact_mut(d).zip(x.chunks_exact(d)).zip(dy.chunks_exact(d));
        for (((dx, x), dy), centre) in rows.zip(centres.chunks_exact(2)) {
            let (mean, scale) = (centre[0], centre[1]);
            let along = sum_of_three([dy, gain, x], |dy, gain, x| dy * gain * (x - mean) * scale) / d as f32;
            let level = if norm.is_centred { dot(dy, gain) / d as f32 } else { 0.0 };
            for ((((dx, dgain), x), dy), gain) in dx.iter_mut().zip(dgain.iter_mut()).zip(x).zip(dy).zip(gain) {
                let unit = (x - mean) * scale;
                *dx = scale * (dy * gain - level - unit * along);
                *dgain += dy * unit;
            }
        }
    }
}

impl Fused<2> for Normalize {
    fn forward(&self, [x, gain]: [Values; 2]) -> (Values, Vec<Values>) {
        let rows = x.get().len() / x.last();
        let (mut y, mut centres) = (vec![0.0; x.get().len()], vec![0.0; 2 * rows]);
        normalize(*self, x.get(), gain.get(), &mut y, &mut centres);
        let shape = x.shape.clone();
        (Values::from_vec(y, &shape), vec![x, gain, Values::from_vec(centres, &[rows, 2])])
    }

    fn backward(&self, kept: &[Values], gradient: &Values) -> [Values; 2] {
        let [x, gain, centres] = kept else { unreachable!("forward keeps x, gain and the rows' centres") };
        let (mut dx, mut dgain) = (vec![0.0; x.get().len()], vec![0.0; x.last()]);
        gradients(*self, [x.get(), gradient.get()], gain.get(), centres.get(), &mut dx, &mut dgain);
        [Values::from_vec(dx, &x.shape), Values::from_vec(dgain, &gain.shape)]
    }
}
