//! Head and loss with the logits of all rows at once: product, scale, soft cap, softmax and gradient in a pass each.
//!
//! Formula and layout: as [`crate::kernels::cpu::head`].

use crate::kernels::cpu::head::{Head, Loss};

/// Rows of the last norm, the matrix of the head, and a token for each row.
pub(crate) struct Inputs<'a> {
    /// `[rows, d_model]`.
    pub(crate) x: &'a [f32],
    pub(crate) weight: &'a [f32],
    pub(crate) targets: &'a [i32],
}

impl Loss {
    /// Writes the gradients of the weight and of `x`. Returns the sum of `-ln p(target)`, nats.
    pub(crate) fn plain(self, head: Head, inputs: Inputs, dweight: &mut [f32], dx: &mut [f32]) -> f64 {
        let mut logits = vec![0.0; inputs.targets.len() * head.vocab];
        head.forward(inputs.x, inputs.weight, &mut logits);
        self.plain_logits(&mut logits);
        let (d, nats) = self.plain_gradient(&logits, inputs.targets, head.vocab);
        head.weight_gradient(inputs.x, &d, dweight, false);
        head.input_gradient(&d, inputs.weight, dx);
        nats
    }

    fn plain_logits(self, logits: &mut [f32]) {
        logits.iter_mut().for_each(|logit| *logit *= self.scale);
        if self.cap > 0.0 {
            logits.iter_mut().for_each(|logit| *logit = self.cap * (*logit / self.cap).tanh());
        }
    }

    /// The gradient of the products, and the nats.
    fn plain_gradient(self, logits: &[f32], targets: &[i32], vocab: usize) -> (Vec<f32>, f64) {
        let top = |row: &[f32]| row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let tops: Vec<f32> = logits.chunks_exact(vocab).map(top).collect();
        let mut d = vec![0.0; logits.len()];
        for ((d, row), top) in d.chunks_exact_mut(vocab).zip(logits.chunks_exact(vocab)).zip(&tops) {
            d.iter_mut().zip(row).for_each(|(d, logit)| *d = (logit - top).exp());
        }
        let mut nats = 0.0;
        for (row, (d, target)) in d.chunks_exact_mut(vocab).zip(targets).enumerate() {
            let total: f32 = d.iter().sum();
            let log_partition = f64::from(tops[row]) + f64::from(total.ln());
            nats += log_partition - f64::from(logits[row * vocab + *target as usize]);
            d.iter_mut().for_each(|exp| *exp /= total);
            let factor = (1.0 + 2.0 * self.z_loss * log_partition) as f32;
            d.iter_mut().for_each(|p| *p *= factor);
            d[*target as usize] -= 1.0;
        }
        d.iter_mut().for_each(|d| *d *= self.weight * self.scale);
        if self.cap > 0.0 {
            d.iter_mut().zip(logits).for_each(|(d, logit)| *d *= 1.0 - (logit / self.cap).powi(2));
        }
        (d, nats)
    }
}

#[cfg(test)]
mod tests {
    use wire::hyperparameters::recipe::Precision;

    use super::*;
    use crate::kernels::cpu::reference::{assert_close, waves};

    #[test]
    fn the_loss_of_chunks_equals_that_of_all_logits() {
        let (rows, d_model, vocab) = (6, 8, 37);
        let (x, weight) = (waves(rows * d_model, 0.7), waves(d_model * vocab, 0.31));
        let targets: Vec<i32> = (0..rows as i32).map(|row| row * 5 % 37).collect();
        let plain = Loss { scale: 1.0, cap: 0.0, z_loss: 0.0, weight: 1.0 };
        for loss in [plain, Loss { scale: 0.5, cap: 3.0, z_loss: 0.1, weight: 0.25 }] {
            for is_tied in [false, true] {
                let head = Head { d_model, vocab, is_tied, precision: Precision::Float32 };
                let (mut expected, mut expected_dx) = (vec![f32::NAN; d_model * vocab], vec![f32::NAN; rows * d_model]);
                let inputs = Inputs { x: &x, weight: &weight, targets: &targets };
                let nats = loss.plain(head, inputs, &mut expected, &mut expected_dx);
                let (mut found, mut dx) = (vec![f32::NAN; d_model * vocab], vec![f32::NAN; rows * d_model]);
                let mut of_chunks = 0.0;
                for from in [0, 4] {
                    let to = (from + 4).min(rows);
                    let (x, mut logits) = (&x[from * d_model..to * d_model], vec![f32::NAN; (to - from) * vocab]);
                    head.forward(x, &weight, &mut logits);
                    of_chunks += loss.backward(&mut logits, &targets[from..to], &mut vec![f32::NAN; vocab]);
                    head.weight_gradient(x, &logits, &mut found, from > 0);
                    head.input_gradient(&logits, &weight, &mut dx[from * d_model..to * d_model]);
                }
                assert!((nats - of_chunks).abs() < 1e-4 * nats, "{nats} and {of_chunks}");
                assert_close("weight", &found, &expected);
                assert_close("input", &dx, &expected_dx);
            }
        }
    }
}
