//! Linear layers whose bias, residual stream and sum of gradients are separate passes over the outputs of the products.
//!
//! Layout: as [`crate::kernels::cpu::linear`].

use crate::kernels::cpu::linear::Linear;

impl Linear {
    /// `y = x W + b`, or `y = before + x W + b`.
    pub(crate) fn plain_forward(
        self,
        before: Option<&[f32]>,
        x: &[f32],
        weight: &[f32],
        bias: Option<&[f32]>,
        y: &mut [f32],
    ) {
        self.forward(x, weight, None, y);
        if let Some(bias) = bias {
            y.chunks_exact_mut(self.d_out).for_each(|row| add(row, bias));
        }
        if let Some(before) = before {
            add(y, before);
        }
    }

    /// `dx = dy W^T`, or `dx += dy W^T`.
    pub(crate) fn plain_input_gradient(self, dy: &[f32], weight: &[f32], dx: &mut [f32], is_added: bool) {
        if !is_added {
            return self.input_gradient(dy, weight, dx, false);
        }
        let mut other = vec![0.0; dx.len()];
        self.input_gradient(dy, weight, &mut other, false);
        add(dx, &other);
    }
}

fn add(sum: &mut [f32], other: &[f32]) {
    sum.iter_mut().zip(other).for_each(|(sum, other)| *sum += other);
}

#[cfg(test)]
mod tests {
    use wire::hyperparameters::recipe::Precision;

    use super::*;
    use crate::kernels::cpu::reference::{assert_close, waves};

    #[test]
    fn sums_in_products_equal_separate_passes() {
        let (rows, linear) = (7, Linear { d_in: 20, d_out: 33, precision: Precision::Float32 });
        let (x, weight, bias, before) =
            (waves(rows * 20, 0.7), waves(20 * 33, 0.3), waves(33, 0.9), waves(rows * 33, 1.1));
        let (mut found, mut expected) = (vec![f32::NAN; rows * 33], vec![f32::NAN; rows * 33]);
        for bias in [None, Some(&bias[..])] {
            linear.forward(&x, &weight, bias, &mut found);
            linear.plain_forward(None, &x, &weight, bias, &mut expected);
            assert_close("output", &found, &expected);
            linear.forward_after(&before, &x, &weight, bias, &mut found);
            linear.plain_forward(Some(&before), &x, &weight, bias, &mut expected);
            assert_close("output after a stream", &found, &expected);
        }
        let (mut dx, mut plain_dx) = (waves(rows * 20, 1.9), waves(rows * 20, 1.9));
        for is_added in [true, false] {
            linear.input_gradient(&before, &weight, &mut dx, is_added);
            linear.plain_input_gradient(&before, &weight, &mut plain_dx, is_added);
            assert_close("gradient", &dx, &plain_dx);
        }
    }
}
