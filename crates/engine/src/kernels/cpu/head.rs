//! Head and loss of some rows at once: logits, cross-entropy with z-loss, and their gradients. The caller passes chunks of rows, so that
//! the logits of all rows never exist.
//!
//! Formula, for a row: `z = x W / m`, with the width multiplier `m` of muP; logits `c = cap tanh(z / cap)` with a soft cap, else `c = z`;
//! `l = ln sum_i exp(c_i)`; objective `weight (l - c_target + z_loss l^2)`.
//!
//! Backward, in the pass that computes the loss: `dc_i = weight (p_i (1 + 2 z_loss l) - [i = target])` with `p_i = exp(c_i - l)`;
//! `dz = dc (1 - (c / cap)^2)`; `dx = dz W^T / m`, `dW += x^T dz / m`.
//!
//! Layout: `x` `[rows, d]`, `W` `[d, vocab]`, or `[vocab, d]` if it is the table of the embedding; logits `[rows, vocab]`, which become
//! their gradient in place.

use wire::hyperparameters::recipe::Precision;

use super::lanes::{exp, fraction, max, sum, wide_fn};
use super::precision::multiply_in;
use super::products::Matrix;

/// The unembedding.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) d_model: usize,
    pub(crate) vocab: usize,
    /// Whether the weight is the table of the embedding.
    pub(crate) is_tied: bool,
    /// Of the factors of its products.
    pub(crate) precision: Precision,
}

impl Head {
    /// `[d_model, vocab]`.
    fn matrix<V>(self, values: V) -> Matrix<V> {
        let strides = if self.is_tied { [1, self.d_model] } else { [self.vocab, 1] };
        Matrix { values, shape: [self.d_model, self.vocab], strides }
    }

    /// `products = x W`.
    pub(crate) fn forward(self, x: &[f32], weight: &[f32], products: &mut [f32]) {
        multiply_in(
            self.precision,
            Matrix::dense(products, self.vocab),
            false,
            Matrix::dense(x, self.d_model),
            self.matrix(weight),
        );
    }

    /// `dx = d W^T`, where `d` is the gradient of the products.
    pub(crate) fn input_gradient(self, d: &[f32], weight: &[f32], dx: &mut [f32]) {
        let weight = self.matrix(weight).transposed();
        multiply_in(self.precision, Matrix::dense(dx, self.d_model), false, Matrix::dense(d, self.vocab), weight);
    }

    /// `dW = x^T d`, or `dW += x^T d`.
    pub(crate) fn weight_gradient(self, x: &[f32], d: &[f32], dweight: &mut [f32], is_added: bool) {
        let x = Matrix::dense(x, self.d_model).transposed();
        multiply_in(self.precision, self.matrix(dweight), is_added, x, Matrix::dense(d, self.vocab));
    }
}

/// The objective of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loss {
    /// `1 / m`.
    pub(crate) scale: f32,
    /// Soft cap of the logits; 0 for none.
    pub(crate) cap: f32,
    pub(crate) z_loss: f64,
    /// Factor of the row in the objective.
    pub(crate) weight: f32,
}

impl Loss {
    /// Replaces the products `x W` of some rows by the gradient of the objective. Returns the sum of `-ln p(target)`, nats. `slopes` has
    /// room for one row.
    pub(crate) fn backward(self, products: &mut [f32], targets: &[i32], slopes: &mut [f32]) -> f64 {
        loss_gradient(self, products, targets, slopes)
    }

    /// `-ln p(target)` of each row, nats. The products are overwritten.
    pub(crate) fn forward(self, products: &mut [f32], targets: &[i32], slopes: &mut [f32], nats: &mut [f32]) {
        losses(self, products, targets, slopes, nats);
    }

    /// Products to logits; `slopes` are written if there is a soft cap.
    #[inline(always)]
    fn logits(self, row: &mut [f32], slopes: &mut [f32]) {
        if self.cap > 0.0 {
            let inner = self.scale / self.cap;
            for (value, slope) in row.iter_mut().zip(slopes) {
                let tanh = 1.0 - 2.0 / (1.0 + exp(2.0 * inner * *value));
                (*value, *slope) = (self.cap * tanh, 1.0 - tanh * tanh);
            }
        } else if self.scale != 1.0 {
            for value in row {
                *value *= self.scale;
            }
        }
    }
}

wide_fn! {
    fn loss_gradient(loss: Loss, products: &mut [f32], targets: &[i32], slopes: &mut [f32]) -> f64 {
        let mut nats = 0.0;
        for (row, target) in products.chunks_exact_mut(slopes.len()).zip(targets) {
            let target = *target as usize;
            loss.logits(row, slopes);
            let of_target = row[target];
            let (total, log_partition) = exponentials(row);
            nats += log_partition - f64::from(of_target);
            let factor = loss.weight * loss.scale;
            let part = factor * (1.0 + 2.0 * loss.z_loss * log_partition) as f32 / total;
            for exp in row.iter_mut() {
                *exp *= part;
            }
            row[target] -= factor;
            if loss.cap > 0.0 {
                for (d, slope) in row.iter_mut().zip(slopes.iter()) {
                    *d *= slope;
                }
            }
        }
        nats
    }

    fn losses(loss: Loss, products: &mut [f32], targets: &[i32], slopes: &mut [f32], nats: &mut [f32]) {
        for ((row, target), nats) in products.chunks_exact_mut(slopes.len()).zip(targets).zip(nats) {
            loss.logits(row, slopes);
            let of_target = row[*target as usize];
            *nats = (exponentials(row).1 - f64::from(of_target)) as f32;
        }
    }
}

/// Logits of a row to `exp(c - max c)`. Returns their sum, and `l`.
#[inline(always)]
fn exponentials(row: &mut [f32]) -> (f32, f64) {
    let top = max(row);
    for logit in row.iter_mut() {
        *logit = fraction(exp(*logit - top));
    }
    let total = sum(row, |exp| exp);
    (total, f64::from(top) + f64::from(total.ln()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Objective and nats of rows of logits, in 64 bits.
    fn exact(loss: Loss, products: &[f64], targets: &[i32], vocab: usize) -> (f64, f64) {
        let (mut objective, mut nats) = (0.0, 0.0);
        for (row, target) in products.chunks(vocab).zip(targets) {
            let cap = f64::from(loss.cap);
            let logit = |product: &f64| {
                let z = product * f64::from(loss.scale);
                if cap > 0.0 { cap * (z / cap).tanh() } else { z }
            };
            let log_partition = row.iter().map(|product| logit(product).exp()).sum::<f64>().ln();
            let of_row = log_partition - logit(&row[*target as usize]);
            nats += of_row;
            objective += f64::from(loss.weight) * (of_row + loss.z_loss * log_partition * log_partition);
        }
        (objective, nats)
    }

    #[test]
    fn the_gradient_of_the_loss_equals_differences() {
        let plain = Loss { scale: 1.0, cap: 0.0, z_loss: 0.0, weight: 1.0 };
        let cases = [
            plain,
            Loss { weight: 0.25, ..plain },
            Loss { scale: 0.5, ..plain },
            Loss { cap: 3.0, ..plain },
            Loss { z_loss: 0.1, ..plain },
            Loss { scale: 0.5, cap: 2.0, z_loss: 0.2, weight: 0.5 },
        ];
        // More values of a row than lanes, and two rows.
        let (vocab, targets) = (19, [4, 18]);
        let products: Vec<f32> = (0..2 * vocab).map(|i| 3.0 * (i as f32 * 0.9).sin()).collect();
        let wide: Vec<f64> = products.iter().map(|product| f64::from(*product)).collect();
        for loss in cases {
            let mut d = products.clone();
            let nats = loss.backward(&mut d, &targets, &mut vec![f32::NAN; vocab]);
            let expected = exact(loss, &wide, &targets, vocab).1;
            let mut of_rows = [f32::NAN; 2];
            loss.forward(&mut products.clone(), &targets, &mut vec![f32::NAN; vocab], &mut of_rows);
            assert!((f64::from(of_rows[0] + of_rows[1]) - expected).abs() < 1e-5, "{loss:?}: {of_rows:?}");
            assert!((nats - expected).abs() < 1e-5, "{loss:?}: {nats} and {expected}");
            for at in 0..d.len() {
                let moved = |h: f64| {
                    let mut products = wide.clone();
                    products[at] += h;
                    exact(loss, &products, &targets, vocab).0
                };
                let numeric = (moved(1e-4) - moved(-1e-4)) / 2e-4;
                assert!((f64::from(d[at]) - numeric).abs() < 4e-6, "{loss:?}, {at}: {} and {numeric}", d[at]);
            }
        }
    }

    #[test]
    fn improbable_tokens_have_no_subnormal_gradient() {
        let loss = Loss { scale: 1.0, cap: 0.0, z_loss: 0.0, weight: 1.0 };
        let mut d = [90.0, 90.0, 2.0, -300.0];
        let nats = loss.backward(&mut d, &[0], &mut [0.0; 4]);
        assert!((nats - 2f64.ln()).abs() < 1e-6, "{nats}");
        assert_eq!(d, [-0.5, 0.5, 0.0, 0.0]);
    }

    #[test]
    fn a_tied_head_reads_and_writes_the_transposed_matrix() {
        let (d_model, vocab) = (2, 3);
        let untied = Head { d_model, vocab, is_tied: false, precision: Precision::Float32 };
        let tied = Head { is_tied: true, ..untied };
        let (x, d) = ([1.0, 2.0, 3.0, 4.0], [1.0, -1.0, 2.0, 0.0, 3.0, 1.0]);
        let (weight, table) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        for (head, weight, gradient) in [
            // x^T d, and its transposed matrix.
            (untied, weight, [1.0, 8.0, 5.0, 2.0, 10.0, 8.0]),
            (tied, table, [1.0, 2.0, 8.0, 10.0, 5.0, 8.0]),
        ] {
            let (mut products, mut dx, mut dweight) = ([f32::NAN; 6], [f32::NAN; 4], [f32::NAN; 6]);
            head.forward(&x, &weight, &mut products);
            assert_eq!(products, [9.0, 12.0, 15.0, 19.0, 26.0, 33.0]);
            head.input_gradient(&d, &weight, &mut dx);
            assert_eq!(dx, [5.0, 11.0, 9.0, 21.0]);
            head.weight_gradient(&x, &d, &mut dweight, false);
            assert_eq!(dweight, gradient);
            head.weight_gradient(&x, &d, &mut dweight, true);
            assert_eq!(dweight, gradient.map(|value| 2.0 * value));
        }
    }
}
