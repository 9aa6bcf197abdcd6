//! Linear layer: `y = x W + b`.
//!
//! Backward: `dx = dy W^T`, `dW = x^T dy`, `db = sum of the rows of dy`.
//!
//! Layout: `x` `[rows, d_in]`, `W` `[d_in, d_out]`, `y` `[rows, d_out]`, row by row. A bias, and the residual stream to which a branch is
//! added, are the values to which the product is added, so that they cost no pass of their own.

use wire::hyperparameters::recipe::Precision;

use super::lanes::wide_fn;
use super::precision::multiply_in;
use super::products::Matrix;

/// Sizes of a linear layer, and the precision of its products.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Linear {
    pub(crate) d_in: usize,
    pub(crate) d_out: usize,
    pub(crate) precision: Precision,
}

impl Linear {
    /// `y = x W + b`.
    pub(crate) fn forward(self, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        if let Some(bias) = bias {
            y.chunks_exact_mut(self.d_out).for_each(|y| y.copy_from_slice(bias));
        }
        self.product(x, weight, y, bias.is_some());
    }

    /// `y = before + x W + b`.
    pub(crate) fn forward_after(self, before: &[f32], x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        match bias {
            None => y.copy_from_slice(before),
            Some(bias) => add_row(before, bias, y),
        }
        self.product(x, weight, y, true);
    }

    fn product(self, x: &[f32], weight: &[f32], y: &mut [f32], is_added: bool) {
        let (x, weight) = (Matrix::dense(x, self.d_in), Matrix::dense(weight, self.d_out));
        multiply_in(self.precision, Matrix::dense(y, self.d_out), is_added, x, weight);
    }

    /// `dx = dy W^T`, or `dx += dy W^T`.
    pub(crate) fn input_gradient(self, dy: &[f32], weight: &[f32], dx: &mut [f32], is_added: bool) {
        let (dy, weight) = (Matrix::dense(dy, self.d_out), Matrix::dense(weight, self.d_out));
        multiply_in(self.precision, Matrix::dense(dx, self.d_in), is_added, dy, weight.transposed());
    }

    /// `dW = x^T dy`.
    pub(crate) fn weight_gradient(self, x: &[f32], dy: &[f32], dweight: &mut [f32]) {
        let (x, dy) = (Matrix::dense(x, self.d_in), Matrix::dense(dy, self.d_out));
        multiply_in(self.precision, Matrix::dense(dweight, self.d_out), false, x.transposed(), dy);
    }
}

wide_fn! {
    /// `y = before + b`, row by row.
    fn add_row(before: &[f32], bias: &[f32], y: &mut [f32]) {
        for (y, before) in y.chunks_exact_mut(bias.len()).zip(before.chunks_exact(bias.len())) {
            for ((y, before), bias) in y.iter_mut().zip(before).zip(bias) {
                *y = before + bias;
            }
        }
    }

    /// The sum of the rows: the gradient of a bias.
    ///
    /// # Shapes
    /// `[rows, d]` to `[d]`.
    pub(crate) fn sum_rows(rows: &[f32], total: &mut [f32]) {
        total.fill(0.0);
        for row in rows.chunks_exact(total.len()) {
            for (total, value) in total.iter_mut().zip(row) {
                *total += value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small whole numbers, whose sums are exact.
    fn whole(count: usize, step: usize) -> Vec<f32> {
        (0..count).map(|i| (i * step % 7) as f32 - 3.0).collect()
    }

    #[test]
    fn products_equal_sums_and_overwrite_what_was_there() {
        let (rows, linear) = (5, Linear { d_in: 4, d_out: 3, precision: Precision::Float32 });
        let (x, weight, bias, dy) = (whole(20, 3), whole(12, 5), whole(3, 2), whole(15, 4));
        let before = whole(15, 6);
        let product = |row: usize, column: usize| (0..4).map(|k| x[row * 4 + k] * weight[k * 3 + column]).sum::<f32>();
        let each = |f: &dyn Fn(usize, usize) -> f32, rows: usize, columns: usize| -> Vec<f32> {
            (0..rows * columns).map(|i| f(i / columns, i % columns)).collect()
        };
        let mut y = vec![f32::NAN; 15];
        linear.forward(&x, &weight, None, &mut y);
        assert_eq!(y, each(&product, rows, 3));
        y.fill(f32::NAN);
        linear.forward(&x, &weight, Some(&bias), &mut y);
        assert_eq!(y, each(&|row, column| product(row, column) + bias[column], rows, 3));
        for bias in [None, Some(&bias[..])] {
            let expected = |row: usize, column: usize| {
                product(row, column) + before[row * 3 + column] + bias.map_or(0.0, |bias| bias[column])
            };
            y.fill(f32::NAN);
            linear.forward_after(&before, &x, &weight, bias, &mut y);
            assert_eq!(y, each(&expected, rows, 3));
        }

        let mut dx = vec![f32::NAN; 20];
        let of_input = |row: usize, k: usize| (0..3).map(|j| dy[row * 3 + j] * weight[k * 3 + j]).sum::<f32>();
        linear.input_gradient(&dy, &weight, &mut dx, false);
        assert_eq!(dx, each(&of_input, rows, 4));
        linear.input_gradient(&dy, &weight, &mut dx, true);
        assert_eq!(dx, each(&|row, k| 2.0 * of_input(row, k), rows, 4));
        let (mut dweight, mut dbias) = (vec![f32::NAN; 12], vec![f32::NAN; 3]);
        linear.weight_gradient(&x, &dy, &mut dweight);
        let of_weight = |k: usize, j: usize| (0..rows).map(|row| x[row * 4 + k] * dy[row * 3 + j]).sum::<f32>();
        assert_eq!(dweight, each(&of_weight, 4, 3));
        sum_rows(&dy, &mut dbias);
        assert_eq!(dbias, each(&|_, j| (0..rows).map(|row| dy[row * 3 + j]).sum(), 1, 3));
    }
}
