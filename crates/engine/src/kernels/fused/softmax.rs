//! Causal softmax of attention scores, a query at a time, over its allowed keys only.

use super::lanes::{exp, fraction, max, sum, wide};
use super::{Fused, Values};

#[derive(Debug, Clone)]
pub(super) struct CausalSoftmax {
    pub(super) scale: f32,
}

impl Fused<1> for CausalSoftmax {
    fn forward(&self, [scores]: [Values; 1]) -> (Values, Vec<Values>) {
        let seq = scores.last();
        let mut probabilities = vec![0.0; scores.get().len()];
        wide(|| {
            for (row, (p, s)) in probabilities.chunks_exact_mut(seq).zip(scores.get().chunks_exact(seq)).enumerate() {
                let keys = row % seq + 1;
                let (p, s) = (&mut p[..keys], &s[..keys]);
                let top = max(s);
                p.iter_mut().zip(s).for_each(|(p, s)| *p = fraction(exp((s - top) * self.scale)));
                let part = 1.0 / sum(keys, |i| p[i]);
                p.iter_mut().for_each(|p| *p *= part);
            }
        });
        let probabilities = Values::from_vec(probabilities, &scores.shape);
        (probabilities.clone(), vec![probabilities])
    }

    fn backward(&self, kept: &[Values], gradient: &Values) -> [Values; 1] {
        let [probabilities] = kept else { unreachable!("forward keeps the probabilities") };
        let seq = probabilities.last();
        let mut ds = vec![0.0; probabilities.get().len()];
        wide(|| {
            for (row, ((ds, p), dp)) in ds
                .chunks_exact_mut(seq)
                .zip(probabilities.get().chunks_exact(seq))
                .zip(gradient.get().chunks_exact(seq))
                .enumerate()
            {
                let keys = row % seq + 1;
                let (ds, p, dp) = (&mut ds[..keys], &p[..keys], &dp[..keys]);
                let mean = sum(keys, |i| p[i] * dp[i]);
                for ((ds, p), dp) in ds.iter_mut().zip(p).zip(dp) {
                    *ds = self.scale * p * (dp - mean);
                }
            }
        });
        [Values::from_vec(ds, &probabilities.shape)]
    }
}
