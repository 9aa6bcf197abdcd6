//! Attention with matrices of all queries and keys: `P = softmax(scale Q K^T)`, `out = P V`. Forward keeps `P`, and backward reads it:
//! `dV = P^T dO`, `dP = dO V^T`, `dS = scale P (dP - sum P dP)`, `dQ = dS K`, `dK = dS^T Q`.
//!
//! Layout: as [`crate::kernels::cpu::attention`]; `P` `[batch, heads, seq, seq]`.

use crate::kernels::cpu::attention::{CausalAttention, Head, Sizes, inputs_of};
use crate::kernels::cpu::products::{Matrix, multiply};

impl CausalAttention {
    /// Writes the output of all heads; returns `P`.
    pub(crate) fn plain_forward(&self, sizes: Sizes, inputs: [&[f32]; 3], out: &mut [f32]) -> Vec<f32> {
        let Sizes { batch, heads, seq, .. } = sizes;
        let mut probabilities = vec![0.0; batch * heads * seq * seq];
        for (index, p) in probabilities.chunks_exact_mut(seq * seq).enumerate() {
            let Head { query, key, value } = inputs_of(sizes, inputs, index / heads, index % heads);
            multiply(Matrix::dense(&mut *p, seq), false, query, key.transposed());
            p.iter_mut().for_each(|score| *score *= self.scale);
            causal_softmax(p, seq);
            let out = sizes.head(&mut out[first(sizes, index)..], heads);
            multiply(out, false, Matrix::dense(&*p, seq), value);
        }
        probabilities
    }

    /// Writes the gradients of the queries, keys and values of all heads.
    pub(crate) fn plain_backward(
        &self,
        sizes: Sizes,
        inputs: [&[f32]; 3],
        [probabilities, gradient]: [&[f32]; 2],
        [d_query, d_key, d_value]: [&mut [f32]; 3],
    ) {
        let Sizes { heads, kv_heads, seq, d_head, .. } = sizes;
        for (index, p) in probabilities.chunks_exact(seq * seq).enumerate() {
            let (sample, head) = (index / heads, index % heads);
            let is_added = !sizes.is_first_of_group(head);
            let Head { query, key, value } = inputs_of(sizes, inputs, sample, head);
            let from = first(sizes, index);
            let kv_from = (sample * seq * kv_heads + sizes.kv_head(head)) * d_head;
            let gradient = sizes.head(&gradient[from..], heads);
            let mut ds = vec![0.0; seq * seq];
            multiply(Matrix::dense(&mut ds[..], seq), false, gradient, value.transposed());
            score_gradients(self.scale, p, &mut ds, seq);
            let (p, ds) = (Matrix::dense(p, seq), Matrix::dense(&ds[..], seq));
            multiply(sizes.head(&mut d_query[from..], heads), false, ds, key);
            multiply(sizes.head(&mut d_key[kv_from..], kv_heads), is_added, ds.transposed(), query);
            multiply(sizes.head(&mut d_value[kv_from..], kv_heads), is_added, p.transposed(), gradient);
        }
    }
}

/// Where the first value of a head of a sequence is; `index`: `sample * heads + head`.
fn first(sizes: Sizes, index: usize) -> usize {
    (index / sizes.heads * sizes.seq * sizes.heads + index % sizes.heads) * sizes.d_head
}

/// A row for each query; one pass for each of mask, maximum, exponential, sum and quotient.
fn causal_softmax(scores: &mut [f32], seq: usize) {
    for (row, scores) in scores.chunks_exact_mut(seq).enumerate() {
        scores[row + 1..].fill(f32::NEG_INFINITY);
    }
    for row in scores.chunks_exact_mut(seq) {
        let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        row.iter_mut().for_each(|score| *score -= top);
    }
    scores.iter_mut().for_each(|score| *score = score.exp());
    for row in scores.chunks_exact_mut(seq) {
        let total: f32 = row.iter().sum();
        row.iter_mut().for_each(|p| *p /= total);
    }
}

/// `dP` to `dS`.
fn score_gradients(scale: f32, p: &[f32], ds: &mut [f32], seq: usize) {
    for (p, ds) in p.chunks_exact(seq).zip(ds.chunks_exact_mut(seq)) {
        let mean: f32 = p.iter().zip(&*ds).map(|(p, dp)| p * dp).sum();
        ds.iter_mut().for_each(|dp| *dp -= mean);
    }
    ds.iter_mut().zip(p).for_each(|(ds, p)| *ds *= p);
    ds.iter_mut().for_each(|ds| *ds *= scale);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::cpu::reference::{assert_close, waves};

    #[test]
    fn attention_in_tiles_equals_whole_matrices() {
        // One token; groups of heads; several tiles.
        for (batch, heads, kv_heads, seq, d_head) in [(2, 2, 2, 1, 2), (2, 4, 2, 21, 3), (1, 2, 1, 150, 8)] {
            let sizes = Sizes { batch, heads, kv_heads, seq, d_head };
            let (count, kv_count) = (batch * seq * heads * d_head, batch * seq * kv_heads * d_head);
            let (query, key, value) = (waves(count, 0.7), waves(kv_count, 1.1), waves(kv_count, 1.7));
            let (inputs, gradient) = ([&query[..], &key, &value], waves(count, 2.3));
            let attention = CausalAttention { scale: 0.4 };

            let (mut plain, mut tiled) = (vec![f32::NAN; count], vec![f32::NAN; count]);
            let p = attention.plain_forward(sizes, inputs, &mut plain);
            let (mut log_sums, mut scratch) = (vec![f32::NAN; batch * heads * seq], vec![f32::NAN; sizes.scratch()]);
            attention.forward(sizes, inputs, &mut tiled, &mut log_sums, &mut scratch);
            assert_close("outputs", &tiled, &plain);

            let buffers = || [vec![f32::NAN; count], vec![f32::NAN; kv_count], vec![f32::NAN; kv_count]];
            let (mut plain, mut tiled) = (buffers(), buffers());
            attention.plain_backward(sizes, inputs, [&p[..], &gradient], plain.each_mut().map(|all| &mut all[..]));
            let to = tiled.each_mut().map(|all| &mut all[..]);
            attention.backward(sizes, inputs, [&log_sums[..], &gradient], to, &mut scratch);
            // A single token attends to itself alone, so queries and keys have no gradient but rounding.
            let from = if seq == 1 { 2 } else { 0 };
            for (which, (tiled, plain)) in tiled.iter().zip(&plain).enumerate().skip(from) {
                assert_close(&format!("{sizes:?}, input {which}"), tiled, plain);
            }
        }
    }
}
