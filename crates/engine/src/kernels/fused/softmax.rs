//! Causal softmax of attention scores, a query at a time, over its allowed keys only.

use super::lanes::{exp, max, sum, wide};
use super::{Fused, Values};

#[derive(Debug, Clone)]
pub(super) struct CausalSoftmax {
    pub(super) scale: f32,
}

impl Fused<1> for CausalSoftmax {
    fn forward(&self, [scores]: [Values; 1]) -> (Values, Vec<Values>) {
        let seq = scores.last();
        let mut shares = vec![0.0; scores.get().len()];
        wide(|| {
            for (row, (p, s)) in shares.chunks_exact_mut(seq).zip(scores.get().chunks_exact(seq)).enumerate() {
                let keys = row % seq + 1;
                let (p, s) = (&mut p[..keys], &s[..keys]);
                let top = max(s);
                p.iter_mut().zip(s).for_each(|(p, s)| *p = exp((s - top) * self.scale));
                let part = 1.0 / sum(keys, |i| p[i]);
                p.iter_mut().for_each(|p| *p *= part);
            }
        });
        let shares = Values::from_vec(shares, &scores.shape);
        (shares.clone(), vec![shares])
    }

    fn backward(&self, kept: &[Values], gradient: &Values) -> [Values; 1] {
        let [shares] = kept else { unreachable!("forward keeps the shares") };
        let seq = shares.last();
        let mut ds = vec![0.0; shares.get().len()];
        wide(|| {
            for (row, ((ds, p), dp)) in ds
                .chunks_exact_mut(seq)
                .zip(shares.get().chunks_exact(seq))
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
        [Values::from_vec(ds, &shares.shape)]
    }
}
