//! Norms over rows. Layer norm: `y = u g + b` with `u = (x - mean) / sqrt(variance + eps)`; RMS norm is the same with a mean of 0.
//!
//! Backward, with `s = 1 / sqrt(variance + eps)` and `h = dy g`: `dx = s (h - mean(h) - u mean(h u))`, without `mean(h)` for RMS norm;
//! `dg = sum over rows of dy u`; `db` is that of a linear layer.
//!
//! Layout: `x` and `y` `[rows, d]`; `centres` `[rows, 2]`, mean and `s` of each row, kept for backward.
//!
//! QK-norm is RMS norm without a gain, in place. Its backward needs the output alone: `dx = s (dy - y mean(dy y))`.

use super::lanes::{dot, sum, sum_of_three, wide_fn};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Norm {
    pub(crate) eps: f32,
    /// Layer norm subtracts the mean first, RMS norm does not.
    pub(crate) is_centred: bool,
}

impl Norm {
    pub(crate) fn forward(self, x: &[f32], gain: &[f32], bias: Option<&[f32]>, y: &mut [f32], centres: &mut [f32]) {
        normalize(self, x, gain, y, centres);
        if let Some(bias) = bias {
            add_row(bias, y);
        }
    }

    /// Adds to `dx`, which has the gradient of the residual stream past this branch already; writes `dgain`.
    pub(crate) fn backward(
        self,
        x: &[f32],
        gain: &[f32],
        centres: &[f32],
        dy: &[f32],
        dx: &mut [f32],
        dgain: &mut [f32],
    ) {
        normalize_backward(self, [x, dy], gain, centres, dx, dgain);
    }
}

wide_fn! {
    fn normalize(norm: Norm, x: &[f32], gain: &[f32], y: &mut [f32], centres: &mut [f32]) {
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

    /// Adds `b` to each row.
    fn add_row(bias: &[f32], y: &mut [f32]) {
        for y in y.chunks_exact_mut(bias.len()) {
            for (y, bias) in y.iter_mut().zip(bias) {
                *y += bias;
            }
        }
    }

    /// `inputs` are `x` and `dy`.
    fn normalize_backward(
        norm: Norm,
        inputs: [&[f32]; 2],
        gain: &[f32],
        centres: &[f32],
        dx: &mut [f32],
        dgain: &mut [f32],
    ) {
        let d = gain.len();
        dgain.fill(0.0);
        let rows = dx.chunks_exact_mut(d).zip(inputs[0].chunks_exact(d)).zip(inputs[1].chunks_exact(d));
        for (((dx, x), dy), centre) in rows.zip(centres.chunks_exact(2)) {
            let (mean, scale) = (centre[0], centre[1]);
            let along = sum_of_three([dy, gain, x], |dy, gain, x| dy * gain * (x - mean) * scale) / d as f32;
            let level = if norm.is_centred { dot(dy, gain) / d as f32 } else { 0.0 };
            for ((((dx, dgain), x), dy), gain) in dx.iter_mut().zip(dgain.iter_mut()).zip(x).zip(dy).zip(gain) {
                let unit = (x - mean) * scale;
                *dx += scale * (dy * gain - level - unit * along);
                *dgain += dy * unit;
            }
        }
    }

    /// QK-norm of rows of `d` values: `x` becomes `s x`; `scales` has the `s` of each row.
    pub(crate) fn rms_in_place(x: &mut [f32], d: usize, eps: f32, scales: &mut [f32]) {
        for (x, scale) in x.chunks_exact_mut(d).zip(scales) {
            *scale = 1.0 / (dot(x, x) / d as f32 + eps).sqrt();
            for x in x {
                *x *= *scale;
            }
        }
    }

    /// `dy` becomes `dx`; `y` is the output of [`rms_in_place`].
    pub(crate) fn rms_in_place_backward(y: &[f32], d: usize, scales: &[f32], dy: &mut [f32]) {
        for ((dy, y), scale) in dy.chunks_exact_mut(d).zip(y.chunks_exact(d)).zip(scales) {
            let along = dot(dy, y) / d as f32;
            for (dy, y) in dy.iter_mut().zip(y) {
                *dy = scale * (*dy - y * along);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_of_qk_norm_equals_differences() {
        let (d, eps) = (5, 1e-3);
        let x: Vec<f32> = (0..10).map(|i| (i as f32 * 0.7).sin()).collect();
        let dy: Vec<f32> = (0..10).map(|i| (i as f32 * 1.3).cos()).collect();
        let objective = |x: &[f64]| -> f64 {
            let rows = x.chunks(d).zip(dy.chunks(d));
            rows.map(|(x, dy)| {
                let scale = 1.0 / (x.iter().map(|x| x * x).sum::<f64>() / d as f64 + f64::from(eps)).sqrt();
                x.iter().zip(dy).map(|(x, dy)| x * scale * f64::from(*dy)).sum::<f64>()
            })
            .sum()
        };
        let (mut y, mut scales, mut dx) = (x.clone(), [0.0; 2], dy.clone());
        rms_in_place(&mut y, d, eps, &mut scales);
        rms_in_place_backward(&y, d, &scales, &mut dx);
        let wide: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
        for at in 0..x.len() {
            let moved = |h: f64| {
                let mut x = wide.clone();
                x[at] += h;
                objective(&x)
            };
            let numeric = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((f64::from(dx[at]) - numeric).abs() < 1e-5, "{at}: {} and {numeric}", dx[at]);
        }
    }

    #[test]
    fn gradients_of_layer_and_rms_norm_equal_differences() {
        // More values of a row than lanes.
        let (d, eps) = (19, 1e-3);
        let fill =
            |n: usize, step: f64, shift: f64| (0..n).map(|i| (i as f64 * step).sin() + shift).collect::<Vec<f64>>();
        let (x, gain, dy) = (fill(2 * d, 0.7, 0.2), fill(d, 1.9, 1.5), fill(2 * d, 1.3, 0.0));
        let narrow = |all: &[f64]| all.iter().map(|value| *value as f32).collect::<Vec<f32>>();
        for is_centred in [true, false] {
            let objective = |x: &[f64], gain: &[f64]| -> f64 {
                let of_row = |(x, dy): (&[f64], &[f64])| {
                    let mean = if is_centred { x.iter().sum::<f64>() / d as f64 } else { 0.0 };
                    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / d as f64;
                    let scale = 1.0 / (variance + eps).sqrt();
                    x.iter().zip(dy).zip(gain).map(|((x, dy), gain)| (x - mean) * scale * gain * dy).sum::<f64>()
                };
                x.chunks(d).zip(dy.chunks(d)).map(of_row).sum()
            };
            let norm = Norm { eps: eps as f32, is_centred };
            let (mut y, mut centres) = (vec![f32::NAN; 2 * d], [f32::NAN; 4]);
            norm.forward(&narrow(&x), &narrow(&gain), None, &mut y, &mut centres);
            let found: f64 = y.iter().zip(&dy).map(|(y, dy)| f64::from(*y) * dy).sum();
            assert!((found - objective(&x, &gain)).abs() < 1e-4, "{found} and {}", objective(&x, &gain));
            let (mut dx, mut dgain) = (vec![0.0; 2 * d], vec![f32::NAN; d]);
            norm.backward(&narrow(&x), &narrow(&gain), &centres, &narrow(&dy), &mut dx, &mut dgain);
            let moved = |all: &[f64], at: usize, h: f64| {
                let mut all = all.to_vec();
                all[at] += h;
                all
            };
            let h = 1e-5;
            for (at, dx) in dx.iter().enumerate() {
                let numeric = (objective(&moved(&x, at, h), &gain) - objective(&moved(&x, at, -h), &gain)) / (2.0 * h);
                assert!((f64::from(*dx) - numeric).abs() < 2e-5, "dx[{at}]: {dx} and {numeric}");
            }
            for (at, dgain) in dgain.iter().enumerate() {
                let numeric = (objective(&x, &moved(&gain, at, h)) - objective(&x, &moved(&gain, at, -h))) / (2.0 * h);
                assert!((f64::from(*dgain) - numeric).abs() < 2e-5, "dgain[{at}]: {dgain} and {numeric}");
            }
        }
    }

    #[test]
    fn a_bias_is_added_and_the_gradient_is_added_to_the_stream() {
        let norm = Norm { eps: 1e-5, is_centred: true };
        let (x, gain, bias) = ([1.0, 2.0, 3.0, 5.0], [1.5, 0.5], [10.0, 20.0]);
        let (mut y, mut plain, mut centres) = ([0.0; 4], [0.0; 4], [0.0; 4]);
        norm.forward(&x, &gain, None, &mut plain, &mut centres);
        norm.forward(&x, &gain, Some(&bias), &mut y, &mut centres);
        assert_eq!(y, [plain[0] + 10.0, plain[1] + 20.0, plain[2] + 10.0, plain[3] + 20.0]);
        let (mut from_zero, mut from_one, mut dgain) = ([0.0; 4], [1.0; 4], [f32::NAN; 2]);
        norm.backward(&x, &gain, &centres, &[1.0, 0.3, -0.2, 0.8], &mut from_zero, &mut dgain);
        norm.backward(&x, &gain, &centres, &[1.0, 0.3, -0.2, 0.8], &mut from_one, &mut dgain);
        assert!(from_zero.iter().zip(&from_one).all(|(zero, one)| (one - zero - 1.0).abs() < 1e-6));
        // Rows of two have units of -1 and 1 but for eps, so `dgain` is [-1.0 + 0.2, 0.3 + 0.8].
        assert!((dgain[0] + 0.8).abs() < 1e-3 && (dgain[1] - 1.1).abs() < 1e-3, "{dgain:?}");
    }
}
