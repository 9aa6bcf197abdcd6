//! Causal softmax of attention scores, `softmax(scale * s)` over the keys up to each query, zero after it; for inspections, which show the
//! pattern. Forward only.
//!
//! Layout: scores and probabilities `[rows, seq]`, where row `r` belongs to the query at `r % seq`.

use super::lanes::{exp, fraction, max, sum, wide_fn};

wide_fn! {
    pub(crate) fn causal(scores: &[f32], seq: usize, scale: f32, probabilities: &mut [f32]) {
        for (row, (p, s)) in probabilities.chunks_exact_mut(seq).zip(scores.chunks_exact(seq)).enumerate() {
            let (p, future) = p.split_at_mut(row % seq + 1);
            future.fill(0.0);
            let s = &s[..p.len()];
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
}
