//! Cross-entropy, with its gradient computed in the same pass: `softmax(logits) - onehot(target)`.

use super::lanes::{exp, fraction, max, sum, wide};
use super::{Fused, Values};

#[derive(Debug, Clone)]
pub(super) struct CrossEntropy {
    /// Target of each row.
    pub(super) targets: Vec<usize>,
}

impl Fused<1> for CrossEntropy {
    fn forward(&self, [logits]: [Values; 1]) -> (Values, Vec<Values>) {
        let vocab = logits.last();
        let mut d = vec![0.0; logits.get().len()];
        let nats: f64 = wide(|| {
            let rows = d.chunks_exact_mut(vocab).zip(logits.get().chunks_exact(vocab)).zip(&self.targets);
            rows.map(|((d, logits), &target)| {
                let top = max(logits);
                d.iter_mut().zip(logits).for_each(|(d, logit)| *d = fraction(exp(logit - top)));
                let total = sum(vocab, |i| d[i]);
                let part = 1.0 / total;
                d.iter_mut().for_each(|d| *d *= part);
                d[target] -= 1.0;
                f64::from(top) + f64::from(total.ln()) - f64::from(logits[target])
            })
            .sum()
        });
        (Values::from_vec(vec![nats as f32], &[1]), vec![Values::from_vec(d, &logits.shape)])
    }

    fn backward(&self, kept: &[Values], gradient: &Values) -> [Values; 1] {
        let [d] = kept else { unreachable!("forward keeps the logits' gradient") };
        let scale = gradient.get().first().copied().unwrap_or_default();
        let mut scaled = d.get().to_vec();
        wide(|| scaled.iter_mut().for_each(|d| *d *= scale));
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
        let vocab = logits.last();
        let mut exps = vec![0.0; vocab];
        let nats: Vec<f32> = wide(|| {
            let rows = logits.get().chunks_exact(vocab).zip(&self.targets);
            rows.map(|(logits, &target)| {
                let top = max(logits);
                exps.iter_mut().zip(logits).for_each(|(exp_of, logit)| *exp_of = fraction(exp(logit - top)));
                let total = sum(vocab, |i| exps[i]);
                (f64::from(top) + f64::from(total.ln()) - f64::from(logits[target])) as f32
            })
            .collect()
        });
        let rows = nats.len();
        (Values::from_vec(nats, &[rows]), vec![logits])
    }

    fn backward(&self, kept: &[Values], gradient: &Values) -> [Values; 1] {
        let [logits] = kept else { unreachable!("forward keeps the logits") };
        let vocab = logits.last();
        let mut d = vec![0.0; logits.get().len()];
        wide(|| {
            let rows = d.chunks_exact_mut(vocab).zip(logits.get().chunks_exact(vocab));
            for ((d, logits), (&target, &scale)) in rows.zip(self.targets.iter().zip(gradient.get())) {
                let top = max(logits);
                d.iter_mut().zip(logits).for_each(|(d, logit)| *d = fraction(exp(logit - top)));
                let part = scale / sum(vocab, |i| d[i]);
                d.iter_mut().for_each(|d| *d *= part);
                d[target] -= scale;
            }
        });
        [Values::from_vec(d, &logits.shape)]
    }
}
