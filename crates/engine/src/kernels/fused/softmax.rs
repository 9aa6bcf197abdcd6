//! Causal softmax of attention scores, a query at a time, over its allowed keys only.
//!
//! Layout: scores, probabilities and their gradients `[rows, seq]`, where row `r` belongs to the query at `r % seq`. What is written is zero
//! after the key of the query already.

use super::{Fused, Values};
use crate::kernels::cpu::lanes::{dot, exp, fraction, max, sum, wide_fn};

#[derive(Debug, Clone)]
pub(super) struct CausalSoftmax {
    pub(super) scale: f32,
}

wide_fn! {
    fn values(scores: &[f32], seq: usize, scale: f32, probabilities: &mut [f32]) {
        for (row, (p, s)) in probabilities.chunks_exact_mut(seq).zip(scores.chunks_exact(seq)).enumerate() {
            let keys = row % seq + 1;
            let (p, s) = (&mut p[..keys], &s[..keys]);
            let top = max(s);
            for (p, s) in p.iter_mut().zip(s) {
                *p = fraction(exp((s - top) * scale));
            }
            let part = 1.0 / sum(p, |p| p);
            for p in p {
                *p *= part;
            }
        }
    }

    /// `inputs` are the probabilities and their gradient.
    fn gradients(inputs: [&[f32]; 2], seq: usize, scale: f32, ds: &mut [f32]) {
        let rows = inputs[0].chunks_exact(seq).zip(inputs[1].chunks_exact(seq));
        for (row, (ds, (p, dp))) in ds.chunks_exact_mut(seq).zip(rows).enumerate() {
            let keys = row % seq + 1;
            let (p, dp) = (&p[..keys], &dp[..keys]);
            let mean = dot(p, dp);
            for ((ds, p), dp) in ds.iter_mut().zip(p).zip(dp) {
                *ds = scale * p * (dp - mean);
            }
        }
    }
}

impl Fused<1> for CausalSoftmax {
    fn forward(&self, [scores]: [Values; 1]) -> (Values, Vec<Values>) {
        let seq = scores.last();
        let mut probabilities = vec![0.0; scores.get().len()];
        values(scores.get(), seq, self.scale, &mut probabilities);
        let probabilities = Values::from_vec(probabilities, &scores.shape);
        (probabilities.clone(), vec![probabilities])
    }

    fn backward(&self, kept: &[Values], gradient: &Values) -> [Values; 1] {
        let [probabilities] = kept else { unreachable!("forward keeps the probabilities") };
        let seq = probabilities.last();
        let mut ds = vec![0.0; probabilities.get().len()];
        gradients([probabilities.get(), gradient.get()], seq, self.scale, &mut ds);
        [Values::from_vec(ds, &probabilities.shape)]
    }
}
