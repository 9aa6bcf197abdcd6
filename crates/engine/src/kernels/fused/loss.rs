//! Cross-entropy, with its gradient computed in the same pass: `softmax(logits) - onehot(target)`.
//!
//! Layout: logits and their gradients `[rows, vocab]`, targets and losses `[rows]`.

use super::{Fused, Values};
use crate::kernels::cpu::lanes::{exp, fraction, max, sum, wide_fn};

wide_fn! {
    /// Writes the gradient of the sum of the losses; returns that sum, nats.
    fn sum_with_gradient(logits: &[f32], targets: &[usize], vocab: usize, d: &mut [f32]) -> f64 {
        let mut nats = 0.0;
        for ((d, logits), &target) in d.chunks_exact_mut(vocab).zip(logits.chunks_exact(vocab)).zip(targets) {
            let top = exponentials(logits, d);
            let total = sum(d, |exp| exp);
            let part = 1.0 / total;
            for d in d.iter_mut() {
                *d *= part;
            }
            d[target] -= 1.0;
            nats += f64::from(top) + f64::from(total.ln()) - f64::from(logits[target]);
        }
        nats
    }

    /// Writes the loss of each row, nats. `exps` has room for one row.
    fn losses(logits: &[f32], targets: &[usize], exps: &mut [f32], nats: &mut [f32]) {
        let vocab = exps.len();
        for ((logits, &target), nats) in logits.chunks_exact(vocab).zip(targets).zip(nats) {
            let top = exponentials(logits, exps);
            let total = sum(exps, |exp| exp);
            *nats = (f64::from(top) + f64::from(total.ln()) - f64::from(logits[target])) as f32;
        }
    }

    /// Writes the gradient of the sum of the losses, each times a factor.
    fn gradients(logits: &[f32], targets: &[usize], factors: &[f32], vocab: usize, d: &mut [f32]) {
        let rows = d.chunks_exact_mut(vocab).zip(logits.chunks_exact(vocab));
        for ((d, logits), (&target, &factor)) in rows.zip(targets.iter().zip(factors)) {
            exponentials(logits, d);
            let part = factor / sum(d, |exp| exp);
            for d in d.iter_mut() {
                *d *= part;
            }
            d[target] -= factor;
        }
    }

    fn scale(values: &mut [f32], factor: f32) {
        for value in values {
            *value *= factor;
        }
    }
}

/// Writes `exp(logit - largest logit)` of a row; returns the largest logit.
#[inline(always)]
fn exponentials(logits: &[f32], exps: &mut [f32]) -> f32 {
    let top = max(logits);
    for (exp_of, logit) in exps.iter_mut().zip(logits) {
        *exp_of = fraction(exp(logit - top));
    }
    top
}

#[derive(Debug, Clone)]
pub(super) struct CrossEntropy {
    /// Target of each row.
    pub(super) targets: Vec<usize>,
}

impl Fused<1> for CrossEntropy {
    fn forward(&self, [logits]: [Values; 1]) -> (Values, Vec<Values>) {
        let vocab = logits.last();
        let mut d = vec![0.0; logits.get().len()];
        let nats = sum_with_gradient(logits.get(), &self.targets, vocab, &mut d);
        (Values::from_vec(vec![nats as f32], &[1]), vec![Values::from_vec(d, &logits.shape)])
    }

    fn backward(&self, kept: &[Values], gradient: &Values) -> [Values; 1] {
        let [d] = kept else { unreachable!("forward keeps the logits' gradient") };
        let mut scaled = d.get().to_vec();
        scale(&mut scaled, gradient.get().first().copied().unwrap_or_default());
        [Values::from_vec(scaled, &d.shape)]
    }
}

/// The cross-entropy of each row, for evaluations. The backward pass computes the softmax again.
#[derive(Debug, Clone)]
pub(super) struct RowCrossEntropy {
    /// Target of each row.
    pub(super) targets: Vec<usize>,
}

impl Fused<1> for RowCrossEntropy {
    fn forward(&self, [logits]: [Values; 1]) -> (Values, Vec<Values>) {
        let rows = self.targets.len();
        let (mut exps, mut nats) = (vec![0.0; logits.last()], vec![0.0; rows]);
        losses(logits.get(), &self.targets, &mut exps, &mut nats);
        (Values::from_vec(nats, &[rows]), vec![logits])
    }

    fn backward(&self, kept: &[Values], gradient: &Values) -> [Values; 1] {
        let [logits] = kept else { unreachable!("forward keeps the logits") };
        let mut d = vec![0.0; logits.get().len()];
        gradients(logits.get(), &self.targets, gradient.get(), logits.last(), &mut d);
        [Values::from_vec(d, &logits.shape)]
    }
}
