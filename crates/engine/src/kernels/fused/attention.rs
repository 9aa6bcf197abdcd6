//! Causal attention, `softmax(scale * Q K^T) V` over the keys up to each query, in tiles of queries, so that no matrix of all queries and keys
//! exists (Dao et al. 2022, arXiv:2205.14135).
//!
//! Forward keeps `l = ln sum_k exp(scale * q.k)` of each query. Backward computes the tile of probabilities `P = exp(scale * Q K^T - l)` again:
//! `dV = P^T dY`, `dP = dY V^T`, `dS = scale * P (dP - sum P dP)`, `dQ = dS K`, `dK = dS^T Q`. A tile ends at the key of its last query, so
//! the sum of a query, which cancels most of `dP`, is taken over the same rounded values.
//!
//! Layout: queries, keys and values `[batch, heads, seq, d_head]` with any strides; the output `[batch, seq, heads * d_head]`, as the next
//! projection reads it. With fewer key-value heads, `heads / kv_heads` query heads in a row read the same one. The reference is
//! [`causal_softmax`](super::causal_softmax) between two products.

use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{Shape, TensorData};
use rayon::prelude::*;

use super::{Fused, Values};
use crate::kernels::cpu::lanes::{dot, exp, fraction, max, sum, wide_fn};
use crate::kernels::cpu::products::{Matrix, multiply};

/// Queries of a tile.
const TILE: usize = 64;

#[derive(Debug, Clone)]
pub(super) struct CausalAttention {
    pub(super) scale: f32,
}

/// Sizes of an attention layer.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    batch: usize,
    heads: usize,
    kv_heads: usize,
    seq: usize,
    d_head: usize,
}

impl Sizes {
    fn new(query: &Values, key: &Values) -> Self {
        let [batch, heads, seq, d_head] = query.shape[..] else { unreachable!("queries have four dimensions") };
        Self { batch, heads, kv_heads: key.shape[1], seq, d_head }
    }

    fn kv_head(&self, head: usize) -> usize {
        head * self.kv_heads / self.heads
    }

    /// A tile that begins at this query: the number of its queries, and of the keys up to its last query.
    fn tile(&self, from: usize) -> (usize, usize) {
        let queries = TILE.min(self.seq - from);
        (queries, from + queries)
    }

    /// One head of values in `[seq, heads * d_head]`.
    fn head<'a>(&self, values: &'a [f32], head: usize, heads: usize) -> Matrix<&'a [f32]> {
        let (shape, strides) = ([self.seq, self.d_head], [heads * self.d_head, 1]);
        Matrix { values: &values[head * self.d_head..], shape, strides }
    }

    fn head_mut<'a>(&self, values: &'a mut [f32], head: usize, heads: usize) -> Matrix<&'a mut [f32]> {
        let (shape, strides) = ([self.seq, self.d_head], [heads * self.d_head, 1]);
        Matrix { values: &mut values[head * self.d_head..], shape, strides }
    }
}

/// Queries, keys and values of one head.
#[derive(Clone, Copy)]
struct Head<'a> {
    query: Matrix<&'a [f32]>,
    key: Matrix<&'a [f32]>,
    value: Matrix<&'a [f32]>,
}

impl<'a> Head<'a> {
    fn new(inputs: [&'a Values; 3], sample: usize, head: usize, kv_head: usize) -> Self {
        let [query, key, value] = inputs;
        Self { query: view(query, sample, head), key: view(key, sample, kv_head), value: view(value, sample, kv_head) }
    }
}

/// `[seq, d_head]` of one head.
fn view(values: &Values, sample: usize, head: usize) -> Matrix<&[f32]> {
    let layout = values.held.layout();
    let [of_sample, of_head, down, right] = layout.strides()[..] else { unreachable!("inputs have four dimensions") };
    let from = layout.start_offset() + sample * of_sample as usize + head * of_head as usize;
    let strides = [down as usize, right as usize];
    Matrix { values: &values.held.storage()[from..], shape: [values.shape[2], values.shape[3]], strides }
}

/// A tile of scores or probabilities.
fn tile(scratch: &mut [f32], queries: usize, keys: usize) -> Matrix<&mut [f32]> {
    Matrix { values: &mut scratch[..queries * keys], shape: [queries, keys], strides: [keys, 1] }
}

impl CausalAttention {
    /// Writes the output of a head and the logarithm of each query's sum.
    fn attend(&self, sizes: Sizes, head: Head, mut out: Matrix<&mut [f32]>, log_sums: &mut [f32], scratch: &mut [f32]) {
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
}

/// Gradients of one head.
struct Gradients<'a> {
    query: Matrix<&'a mut [f32]>,
    key: Matrix<&'a mut [f32]>,
    value: Matrix<&'a mut [f32]>,
}

impl CausalAttention {
    /// `dy`: the gradient of the output of the head. Adds to the gradients of keys and values.
    fn back(
        &self,
        sizes: Sizes,
        head: Head,
        log_sums: &[f32],
        dy: Matrix<&[f32]>,
        to: &mut Gradients,
        scratch: &mut [f32],
    ) {
        let (first, second) = scratch.split_at_mut(TILE * sizes.seq);
        for from in (0..sizes.seq).step_by(TILE) {
            let (queries, keys) = sizes.tile(from);
            let (mut p, mut ds) = (tile(first, queries, keys), tile(second, queries, keys));
            let (query, dy) = (head.query.rows(from, queries), dy.rows(from, queries));
            multiply(p.all(), false, query, head.key.rows(0, keys).transposed());
            multiply(ds.all(), false, dy, head.value.rows(0, keys).transposed());
            score_gradients(self.scale, [&mut *p.values, &mut *ds.values], keys, &log_sums[from..keys]);
            multiply(to.query.rows(from, queries), false, ds.view(), head.key.rows(0, keys));
            multiply(to.key.rows(0, keys), true, ds.view().transposed(), query);
            multiply(to.value.rows(0, keys), true, p.view().transposed(), dy);
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

impl Fused<3> for CausalAttention {
    const TAKES_VIEWS: bool = true;

    fn forward(&self, inputs: [Values; 3]) -> (Values, Vec<Values>) {
        let sizes = Sizes::new(&inputs[0], &inputs[1]);
        let Sizes { batch, heads, seq, d_head, .. } = sizes;
        let mut out = vec![0.0; batch * seq * heads * d_head];
        let mut log_sums = vec![0.0; batch * heads * seq];
        let samples = out.par_chunks_mut(seq * heads * d_head).zip(log_sums.par_chunks_mut(heads * seq));
        samples.enumerate().for_each(|(sample, (out, log_sums))| {
            let mut scratch = vec![0.0; TILE.min(seq) * seq];
            for (index, log_sums) in log_sums.chunks_exact_mut(seq).enumerate() {
                let head = Head::new(inputs.each_ref(), sample, index, sizes.kv_head(index));
                self.attend(sizes, head, sizes.head_mut(out, index, heads), log_sums, &mut scratch);
            }
        });
        let [query, key, value] = inputs;
        let log_sums = Values::from_vec(log_sums, &[batch, heads, seq]);
        (Values::from_vec(out, &[batch, seq, heads * d_head]), vec![query, key, value, log_sums])
    }

    fn backward(&self, kept: &[Values], gradient: &Values) -> [Values; 3] {
        let [query, key, value, log_sums] = kept else { unreachable!("forward keeps its inputs") };
        let sizes = Sizes::new(query, key);
        let Sizes { batch, heads, kv_heads, seq, d_head } = sizes;
        let (width, kv_width) = (seq * heads * d_head, seq * kv_heads * d_head);
        let mut to_query = vec![0.0; batch * width];
        let (mut to_key, mut to_value) = (vec![0.0; batch * kv_width], vec![0.0; batch * kv_width]);
        let chunks = to_query.par_chunks_mut(width).zip(to_key.par_chunks_mut(kv_width));
        chunks.zip(to_value.par_chunks_mut(kv_width)).enumerate().for_each(
            |(sample, ((to_query, to_key), to_value))| {
                let mut scratch = vec![0.0; 2 * TILE * seq];
                let gradient = &gradient.get()[sample * width..(sample + 1) * width];
                for index in 0..heads {
                    let kv_head = sizes.kv_head(index);
                    let rows = (sample * heads + index) * seq;
                    let log_sums = &log_sums.get()[rows..rows + seq];
                    let mut to = Gradients {
                        query: sizes.head_mut(to_query, index, heads),
                        key: sizes.head_mut(to_key, kv_head, kv_heads),
                        value: sizes.head_mut(to_value, kv_head, kv_heads),
                    };
                    let head = Head::new([query, key, value], sample, index, kv_head);
                    self.back(sizes, head, log_sums, sizes.head(gradient, index, heads), &mut to, &mut scratch);
                }
            },
        );
        [by_head(to_query, sizes, heads), by_head(to_key, sizes, kv_heads), by_head(to_value, sizes, kv_heads)]
    }
}

/// Values in `[batch, seq, heads, d_head]` as a tensor `[batch, heads, seq, d_head]`.
fn by_head(values: Vec<f32>, sizes: Sizes, heads: usize) -> Values {
    let Sizes { batch, seq, d_head, .. } = sizes;
    let shape = [batch, heads, seq, d_head];
    let strides = [seq * heads * d_head, d_head, heads * d_head, 1].map(|stride| stride as isize);
    let data = TensorData::new(values, [batch, seq, heads, d_head]);
    let layout = Layout::new(Shape::new(shape), strides.to_vec(), 0);
    Values { shape: shape.to_vec(), held: FlexTensor::from_data(data).with_layout(layout) }
}
