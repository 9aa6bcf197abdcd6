//! Layer and RMS norm in a pass over all rows for each operation: means, variances, `u = (x - mean) s`, gain, bias; backward likewise.
//!
//! Layout: as [`crate::kernels::cpu::norm`].

use crate::kernels::cpu::norm::Norm;

/// The mean of each row.
fn means(x: &[f32], d: usize) -> Vec<f32> {
    x.chunks_exact(d).map(|row| row.iter().sum::<f32>() / d as f32).collect()
}

/// `x * gain`, row by row.
fn times_gain(x: &[f32], gain: &[f32]) -> Vec<f32> {
    x.chunks_exact(gain.len()).flat_map(|row| row.iter().zip(gain).map(|(x, gain)| x * gain)).collect()
}

fn product(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a * b).collect()
}

impl Norm {
    /// [`Norm::forward`].
    pub(crate) fn plain_forward(
        self,
        x: &[f32],
        gain: &[f32],
        bias: Option<&[f32]>,
        y: &mut [f32],
        centres: &mut [f32],
    ) {
        let d = gain.len();
        let mean = if self.is_centred { means(x, d) } else { vec![0.0; x.len() / d] };
        centres.chunks_exact_mut(2).zip(&mean).for_each(|(centre, mean)| centre[0] = *mean);
        let centred: Vec<f32> =
            x.chunks_exact(d).zip(&mean).flat_map(|(row, mean)| row.iter().map(move |x| x - mean)).collect();
        let variances = means(&product(&centred, &centred), d);
        let scales = variances.iter().map(|variance| 1.0 / (variance + self.eps).sqrt());
        centres.chunks_exact_mut(2).zip(scales).for_each(|(centre, scale)| centre[1] = scale);
        y.copy_from_slice(&times_gain(&units(x, d, centres), gain));
        for row in y.chunks_exact_mut(d) {
            row.iter_mut().zip(bias.unwrap_or_default()).for_each(|(y, bias)| *y += bias);
        }
    }

    /// [`Norm::backward`].
    pub(crate) fn plain_backward(
        self,
        x: &[f32],
        gain: &[f32],
        centres: &[f32],
        dy: &[f32],
        dx: &mut [f32],
        dgain: &mut [f32],
    ) {
        let d = gain.len();
        let (unit, h) = (units(x, d, centres), times_gain(dy, gain));
        dgain.fill(0.0);
        for row in product(dy, &unit).chunks_exact(d) {
            dgain.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
        let level = if self.is_centred { means(&h, d) } else { vec![0.0; x.len() / d] };
        let along = means(&product(&h, &unit), d);
        for (row, dx) in dx.chunks_exact_mut(d).enumerate() {
            let (unit, h) = (&unit[row * d..][..d], &h[row * d..][..d]);
            for ((dx, unit), h) in dx.iter_mut().zip(unit).zip(h) {
                *dx += centres[2 * row + 1] * (h - level[row] - unit * along[row]);
            }
        }
    }
}

/// `(x - mean) s`.
fn units(x: &[f32], d: usize, centres: &[f32]) -> Vec<f32> {
    let of_row = |(row, centre): (&[f32], &[f32])| row.iter().map(|x| (x - centre[0]) * centre[1]).collect::<Vec<_>>();
    x.chunks_exact(d).zip(centres.chunks_exact(2)).flat_map(of_row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::cpu::reference::{assert_close, waves};

    #[test]
    fn norms_in_one_pass_equal_those_in_several() {
        let (rows, d) = (5, 37);
        let (x, dy, gain, bias) = (waves(rows * d, 0.7), waves(rows * d, 1.3), waves(d, 0.3), waves(d, 0.9));
        for (is_centred, bias) in [(true, None), (true, Some(&bias[..])), (false, None)] {
            let norm = Norm { eps: 1e-3, is_centred };
            let (mut found, mut expected) = (vec![f32::NAN; rows * d], vec![f32::NAN; rows * d]);
            let (mut centres, mut plain_centres) = (vec![f32::NAN; 2 * rows], vec![f32::NAN; 2 * rows]);
            norm.forward(&x, &gain, bias, &mut found, &mut centres);
            norm.plain_forward(&x, &gain, bias, &mut expected, &mut plain_centres);
            assert_close("values", &found, &expected);
            assert_close("means and scales", &centres, &plain_centres);
            let (mut dx, mut plain_dx) = (waves(rows * d, 1.9), waves(rows * d, 1.9));
            let (mut dgain, mut plain_dgain) = (vec![f32::NAN; d], vec![f32::NAN; d]);
            norm.backward(&x, &gain, &centres, &dy, &mut dx, &mut dgain);
            norm.plain_backward(&x, &gain, &centres, &dy, &mut plain_dx, &mut plain_dgain);
            assert_close("dx", &dx, &plain_dx);
            assert_close("dgain", &dgain, &plain_dgain);
        }
    }
}
