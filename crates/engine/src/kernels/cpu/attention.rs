//! Causal attention, `softmax(scale * Q K^T) V` over the keys up to each query, in tiles of queries, so that no matrix of all queries and
//! keys exists (Dao et al. 2022, arXiv:2205.14135).
//!
//! Forward keeps `l = ln sum_k exp(scale * q.k)` of each query. Backward computes the tile of probabilities `P = exp(scale * Q K^T - l)`
//! again: `dV = P^T dO`, `dP = dO V^T`, `dS = scale * P (dP - sum P dP)`, `dQ = dS K`, `dK = dS^T Q`. A tile ends at the key of its last
//! query, so the sum of a query, which cancels most of `dP`, is taken over the same rounded values. The last tile, which has all keys, comes
//! first, so that the gradients of keys and values need no zeros to begin with.
//!
//! Layout: queries `[batch, seq, heads, d_head]`, keys and values `[batch, seq, kv_heads, d_head]`, the output as the queries, `l` `[batch,
//! heads, seq]`. With fewer key-value heads, `heads / kv_heads` query heads in a row read the same one. The functions of one head take
//! views with any strides; [`crate::kernels::fused`] calls one for burn's tensors.

use wire::run::memory::ATTENTION_TILE;

use super::lanes::{dot, exp, fraction, max, sum, wide_fn};
use super::products::{Matrix, multiply};

/// Queries of a tile.
const TILE: usize = ATTENTION_TILE;

/// Sizes of an attention layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) batch: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) seq: usize,
    pub(crate) d_head: usize,
}

impl Sizes {
    pub(crate) fn kv_head(&self, head: usize) -> usize {
        head * self.kv_heads / self.heads
    }

    /// Whether a query head is the first that reads its key-value head.
    pub(crate) fn is_first_of_group(&self, head: usize) -> bool {
        head == 0 || self.kv_head(head) != self.kv_head(head - 1)
    }

    /// Values of the two tiles that backward needs; forward needs one.
    pub(crate) fn scratch(&self) -> usize {
        2 * TILE.min(self.seq) * self.seq
    }

    /// A tile that begins at this query: the number of its queries, and of the keys up to its last query.
    fn tile(&self, from: usize) -> (usize, usize) {
        let queries = TILE.min(self.seq - from);
        (queries, from + queries)
    }

    /// One head of values in `[seq, heads * d_head]`.
    pub(crate) fn head<V>(&self, values: V, heads: usize) -> Matrix<V> {
        Matrix { values, shape: [self.seq, self.d_head], strides: [heads * self.d_head, 1] }
    }
}

/// Queries, keys and values of one head, each `[seq, d_head]`.
#[derive(Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) query: Matrix<&'a [f32]>,
    pub(crate) key: Matrix<&'a [f32]>,
    pub(crate) value: Matrix<&'a [f32]>,
}

/// What backward reads of one head, besides its inputs.
pub(crate) struct Kept<'a> {
    pub(crate) log_sums: &'a [f32],
    pub(crate) gradient: Matrix<&'a [f32]>,
}

/// Gradients of one head.
pub(crate) struct Gradients<'a> {
    pub(crate) query: Matrix<&'a mut [f32]>,
    pub(crate) key: Matrix<&'a mut [f32]>,
    pub(crate) value: Matrix<&'a mut [f32]>,
    /// Whether the gradients of key and value are added to those of the heads before.
    pub(crate) is_added: bool,
}

/// A tile of scores or probabilities.
fn tile(scratch: &mut [f32], queries: usize, keys: usize) -> Matrix<&mut [f32]> {
    Matrix { values: &mut scratch[..queries * keys], shape: [queries, keys], strides: [keys, 1] }
}

/// The operator.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CausalAttention {
    pub(crate) scale: f32,
}

impl CausalAttention {
    /// All heads of all sequences; `scratch` has [`Sizes::scratch`] values.
    pub(crate) fn forward(
        &self,
        sizes: Sizes,
        inputs: [&[f32]; 3],
        out: &mut [f32],
        log_sums: &mut [f32],
        scratch: &mut [f32],
    ) {
        let (width, per_sample) = (sizes.heads * sizes.d_head, sizes.heads * sizes.seq);
        let samples = out.chunks_exact_mut(sizes.seq * width).zip(log_sums.chunks_exact_mut(per_sample));
        for (sample, (out, log_sums)) in samples.enumerate() {
            for (index, log_sums) in log_sums.chunks_exact_mut(sizes.seq).enumerate() {
                let out = sizes.head(&mut out[index * sizes.d_head..], sizes.heads);
                self.forward_head(sizes, inputs_of(sizes, inputs, sample, index), out, log_sums, scratch);
            }
        }
    }

    /// The gradients of the queries, keys and values of all heads.
    pub(crate) fn backward(
        &self,
        sizes: Sizes,
        inputs: [&[f32]; 3],
        [log_sums, gradient]: [&[f32]; 2],
        [query, key, value]: [&mut [f32]; 3],
        scratch: &mut [f32],
    ) {
        let Sizes { batch, heads, kv_heads, seq, d_head } = sizes;
        for sample in 0..batch {
            for index in 0..heads {
                let kv_head = sizes.kv_head(index);
                let from = (sample * seq * heads + index) * d_head;
                let kv_from = (sample * seq * kv_heads + kv_head) * d_head;
                let kept = Kept {
                    log_sums: &log_sums[(sample * heads + index) * seq..][..seq],
                    gradient: sizes.head(&gradient[from..], heads),
                };
                let mut to = Gradients {
                    query: sizes.head(&mut query[from..], heads),
                    key: sizes.head(&mut key[kv_from..], kv_heads),
                    value: sizes.head(&mut value[kv_from..], kv_heads),
                    is_added: !sizes.is_first_of_group(index),
                };
                self.backward_head(sizes, inputs_of(sizes, inputs, sample, index), &kept, &mut to, scratch);
            }
        }
    }

    /// Writes the output of a head and the logarithm of each query's sum.
    pub(crate) fn forward_head(
        &self,
        sizes: Sizes,
        head: Head,
        mut out: Matrix<&mut [f32]>,
        log_sums: &mut [f32],
        scratch: &mut [f32],
    ) {
        for from in (0..sizes.seq).step_by(TILE) {
            let (queries, keys) = sizes.tile(from);
            let mut scores = tile(scratch, queries, keys);
            multiply(scores.all(), false, head.query.rows(from, queries), head.key.rows(0, keys).transposed());
            let mut parts = [0.0; TILE];
            let (log_sums, parts) = (&mut log_sums[from..keys], &mut parts[..queries]);
            exponentials(self.scale, scores.values, keys, log_sums, parts);
            multiply(out.rows(from, queries), false, scores.view(), head.value.rows(0, keys));
            scale_rows(out.rows(from, queries), parts);
        }
    }

    /// Writes or adds the gradients of a head.
    pub(crate) fn backward_head(&self, sizes: Sizes, head: Head, kept: &Kept, to: &mut Gradients, scratch: &mut [f32]) {
        let (first, second) = scratch.split_at_mut(sizes.scratch() / 2);
        for from in (0..sizes.seq).step_by(TILE).rev() {
            let (queries, keys) = sizes.tile(from);
            let is_added = to.is_added || keys < sizes.seq;
            let (mut p, mut ds) = (tile(first, queries, keys), tile(second, queries, keys));
            let (query, gradient) = (head.query.rows(from, queries), kept.gradient.rows(from, queries));
            multiply(p.all(), false, query, head.key.rows(0, keys).transposed());
            multiply(ds.all(), false, gradient, head.value.rows(0, keys).transposed());
            score_gradients(self.scale, [&mut *p.values, &mut *ds.values], keys, &kept.log_sums[from..keys]);
            multiply(to.query.rows(from, queries), false, ds.view(), head.key.rows(0, keys));
            multiply(to.key.rows(0, keys), is_added, ds.view().transposed(), query);
            multiply(to.value.rows(0, keys), is_added, p.view().transposed(), gradient);
        }
    }
}

wide_fn! {
    /// Scores of a tile of queries, the last of which sees all keys, to `exp(scale (s - max s))`, zero after the key of the query. Writes
    /// `l` and `1 / sum` of each query.
    fn exponentials(scale: f32, scores: &mut [f32], keys: usize, log_sums: &mut [f32], parts: &mut [f32]) {
        let first = keys - parts.len();
        for (row, scores) in scores.chunks_exact_mut(keys).enumerate() {
            let (seen, future) = scores.split_at_mut(first + row + 1);
            future.fill(0.0);
            let top = max(seen);
            for score in seen.iter_mut() {
                *score = fraction(exp((*score - top) * scale));
            }
            let total = sum(seen, |exp| exp);
            log_sums[row] = top * scale + total.ln();
            parts[row] = 1.0 / total;
        }
    }

    /// The output of one query of a head over these keys and values, `[keys, d_head]`; `scores` has room for one of each key.
    pub(crate) fn forward_query(
        scale: f32,
        query: &[f32],
        key: Matrix<&[f32]>,
        value: Matrix<&[f32]>,
        scores: &mut [f32],
        out: &mut [f32],
    ) {
        let (scores, d_head) = (&mut scores[..key.shape[0]], query.len());
        for (index, score) in scores.iter_mut().enumerate() {
            *score = dot(query, &key.values[index * key.strides[0]..][..d_head]);
        }
        let top = max(scores);
        for score in scores.iter_mut() {
            *score = fraction(exp((*score - top) * scale));
        }
        let part = 1.0 / sum(scores, |exp| exp);
        out.fill(0.0);
        for (index, score) in scores.iter().enumerate() {
            let probability = score * part;
            for (out, value) in out.iter_mut().zip(&value.values[index * value.strides[0]..][..d_head]) {
                *out += probability * value;
            }
        }
    }

    /// Multiplies each row by its factor.
    fn scale_rows(rows: Matrix<&mut [f32]>, factors: &[f32]) {
        let mut rows = rows;
        for (row, factor) in factors.iter().enumerate() {
            for value in rows.row(row) {
                *value *= factor;
            }
        }
    }

    /// Scores and `dP` of a tile of queries, the last of which sees all keys, to `P` and `dS`, zero after the key of the query.
    fn score_gradients(scale: f32, tiles: [&mut [f32]; 2], keys: usize, log_sums: &[f32]) {
        let ([p, ds], first) = (tiles, keys - log_sums.len());
        let rows = p.chunks_exact_mut(keys).zip(ds.chunks_exact_mut(keys)).zip(log_sums);
        for (row, ((p, ds), log_sum)) in rows.enumerate() {
            let seen = first + row + 1;
            p[seen..].fill(0.0);
            ds[seen..].fill(0.0);
            let (p, ds) = (&mut p[..seen], &mut ds[..seen]);
            for p in p.iter_mut() {
                *p = fraction(exp(*p * scale - log_sum));
            }
            let mean = dot(p, ds);
            for (ds, p) in ds.iter_mut().zip(p) {
                *ds = scale * *p * (*ds - mean);
            }
        }
    }
}

/// The inputs of one head of one sequence.
pub(super) fn inputs_of<'a>(sizes: Sizes, [query, key, value]: [&'a [f32]; 3], sample: usize, head: usize) -> Head<'a> {
    let Sizes { heads, kv_heads, seq, d_head, .. } = sizes;
    let from = (sample * seq * heads + head) * d_head;
    let kv_from = (sample * seq * kv_heads + sizes.kv_head(head)) * d_head;
    Head {
        query: sizes.head(&query[from..], heads),
        key: sizes.head(&key[kv_from..], kv_heads),
        value: sizes.head(&value[kv_from..], kv_heads),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `sum of weights * attention`, in 64 bits and without tiles.
    fn exact(sizes: Sizes, scale: f64, [query, key, value]: [&[f64]; 3], weights: &[f32]) -> f64 {
        let Sizes { batch, heads, kv_heads, seq, d_head } = sizes;
        let mut objective = 0.0;
        for sample in 0..batch {
            for head in 0..heads {
                let at = |row: usize, i: usize| ((sample * seq + row) * heads + head) * d_head + i;
                let kv =
                    |row: usize, i: usize| ((sample * seq + row) * kv_heads + head * kv_heads / heads) * d_head + i;
                for row in 0..seq {
                    let score = |k: usize| scale * (0..d_head).map(|i| query[at(row, i)] * key[kv(k, i)]).sum::<f64>();
                    let exps: Vec<f64> = (0..=row).map(|k| score(k).exp()).collect();
                    let total: f64 = exps.iter().sum();
                    for i in 0..d_head {
                        let mixed = exps.iter().enumerate().map(|(k, exp)| exp * value[kv(k, i)]).sum::<f64>() / total;
                        objective += f64::from(weights[at(row, i)]) * mixed;
                    }
                }
            }
        }
        objective
    }

    #[test]
    fn gradients_of_shared_and_tiled_heads_equal_differences() {
        // One token; a group of two heads; two tiles.
        for (batch, heads, kv_heads, seq, d_head) in [(2, 2, 2, 1, 2), (2, 4, 2, 5, 3), (1, 2, 1, TILE + 3, 2)] {
            let sizes = Sizes { batch, heads, kv_heads, seq, d_head };
            let (count, kv_count) = (batch * seq * heads * d_head, batch * seq * kv_heads * d_head);
            let fill = |n: usize, step: f64| (0..n).map(|i| (i as f64 * step).sin()).collect::<Vec<f64>>();
            let inputs = [fill(count, 0.7), fill(kv_count, 1.1), fill(kv_count, 1.7)];
            let weights: Vec<f32> = fill(count, 2.3).iter().map(|w| *w as f32).collect();
            let narrow = inputs.each_ref().map(|all| all.iter().map(|v| *v as f32).collect::<Vec<f32>>());
            let of = narrow.each_ref().map(|all| &all[..]);
            let attention = CausalAttention { scale: 0.8 };
            let (mut out, mut log_sums) = (vec![f32::NAN; count], vec![f32::NAN; batch * heads * seq]);
            let mut scratch = vec![f32::NAN; sizes.scratch()];
            attention.forward(sizes, of, &mut out, &mut log_sums, &mut scratch);
            let objective: f64 = out.iter().zip(&weights).map(|(o, w)| f64::from(*o) * f64::from(*w)).sum();
            let expected = exact(sizes, 0.8, inputs.each_ref().map(|all| &all[..]), &weights);
            assert!((objective - expected).abs() < 1e-4, "{sizes:?}: {objective} and {expected}");

            let mut found = [vec![f32::NAN; count], vec![f32::NAN; kv_count], vec![f32::NAN; kv_count]];
            let to = found.each_mut().map(|all| &mut all[..]);
            attention.backward(sizes, of, [&log_sums[..], &weights[..]], to, &mut scratch);
            for (which, gradient) in found.iter().enumerate() {
                for at in (0..gradient.len()).step_by(gradient.len() / 9 + 1) {
                    let moved = |h: f64| {
                        let mut inputs = inputs.clone();
                        inputs[which][at] += h;
                        exact(sizes, 0.8, inputs.each_ref().map(|all| &all[..]), &weights)
                    };
                    let numeric = (moved(1e-4) - moved(-1e-4)) / 2e-4;
                    let difference = (f64::from(gradient[at]) - numeric).abs();
                    assert!(difference < 2e-5, "{sizes:?}, input {which}[{at}]: {} and {numeric}", gradient[at]);
                }
            }
        }
    }
}
