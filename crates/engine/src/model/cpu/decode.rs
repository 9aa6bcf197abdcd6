//! Decoding on the CPU: the logits of the next token, from the new tokens of one text and the keys and values of those before. It chains the
//! operators of [`crate::kernels::cpu`] over buffers; the reference is [`crate::model::decoder`], with which a test compares every option.
//!
//! Sizes in comments: `rows` are the new tokens, `keys` all tokens so far, `d_kv` is `kv_heads * d_head`.

use burn::backend::flex::FlexTensor;
use wire::hyperparameters::recipe::Precision;
use wire::model::{Mlp, ModelPlan, Positions};

use super::layers::{Block, Layers, Parameters, Projection};
use super::values;
use super::workspace::{Normed, attention_sizes};
use crate::device::host_values;
use crate::kernels::cpu::attention::{CausalAttention, Sizes, forward_query};
use crate::kernels::cpu::norm::rms_in_place;
use crate::kernels::cpu::rotary::Rotary;
use crate::kernels::cpu::{activation, embedding, row};
use crate::model::decoder::HEAD_EPS;
use crate::model::params::Weights;
use crate::model::variant::Variant;

/// A text in the context of a model.
pub(in crate::model) struct Decoding<'a> {
    plan: &'a ModelPlan,
    layers: Layers,
    weights: Vec<FlexTensor>,
    rotary: Option<Rotary>,
    /// Keys and values of each block, `[context, d_kv]`.
    cache: Vec<[Vec<f32>; 2]>,
    /// Tokens in the cache.
    len: usize,
}

impl<'a> Decoding<'a> {
    /// An empty text.
    ///
    /// # Panics
    /// If the weights are on another device.
    pub(in crate::model) fn new(plan: &'a ModelPlan, weights: &Weights) -> Self {
        let frequencies = || (0..plan.d_head() / 2).map(|pair| plan.rotary_frequency(pair)).collect::<Vec<f64>>();
        let room = || vec![0.0; plan.seq * plan.kv_heads * plan.d_head()];
        Self {
            plan,
            layers: Layers::new(plan, weights, Precision::Float32, Variant::default()),
            weights: weights.flat.iter().map(host_values).collect(),
            rotary: (plan.positions == Positions::Rotary).then(|| Rotary::new(&frequencies(), plan.seq)),
            cache: (0..plan.layers).map(|_| [room(), room()]).collect(),
            len: 0,
        }
    }

    /// Tokens of the text so far.
    pub(in crate::model) fn len(&self) -> usize {
        self.len
    }

    /// Begins a new text.
    pub(in crate::model) fn clear(&mut self) {
        self.len = 0;
    }

    /// Adds tokens, at least one and no more than the context has room for. Returns the logits of the token after them, `[vocab]`.
    pub(in crate::model) fn logits(&mut self, tokens: &[i32]) -> Vec<f32> {
        let (plan, rows) = (self.plan, tokens.len());
        let p = Parameters { weights: values(&self.weights), gradients: vec![] };
        let mut b = Buffers::new(plan, rows, self.len + rows);
        let position = self.layers.position.map(|position| &p.weights[position][self.len * plan.d_model..]);
        embedding::forward(tokens, rows, p.weights[self.layers.token], position, &mut b.stream, plan.d_model); // [rows, d_model]
        for (block, cache) in self.layers.blocks.iter().zip(&mut self.cache) {
            block.attention_norm.forward(&p, &b.stream, &mut b.normed);
            let attention = Attention { plan, rotary: self.rotary.as_ref(), first: self.len };
            attention.forward(block, &p, &mut b, cache);
            project(&block.out, &p, &b.mixed, &mut b.branch, rows); // [rows, d_model]
            add(&mut b.stream, &b.branch);
            block.mlp_norm.forward(&p, &b.stream, &mut b.normed);
            mlp(plan, block, &p, &mut b);
            add(&mut b.stream, &b.branch);
        }
        self.len += rows;
        self.layers.norm.forward(&p, &b.stream, &mut b.normed);
        head(plan, p.weights[self.layers.head], &b.normed.values[(rows - 1) * plan.d_model..])
    }
}

fn add(stream: &mut [f32], branch: &[f32]) {
    stream.iter_mut().zip(branch).for_each(|(stream, branch)| *stream += branch);
}

/// What a pass writes. Without shape: `[rows, d_model]`.
struct Buffers {
    stream: Vec<f32>,
    normed: Normed,
    query: Vec<f32>,
    mixed: Vec<f32>,
    branch: Vec<f32>,
    /// `[rows, d_ff]`.
    gate: Vec<f32>,
    /// `[rows, d_ff]`.
    up: Vec<f32>,
    /// `[rows, d_ff]`.
    neurons: Vec<f32>,
    /// Logarithms of the sums of attention and scales of QK-norm, which nothing reads, `[rows, heads]`.
    sums: Vec<f32>,
    /// Attention scores of one query, or of two tiles.
    scores: Vec<f32>,
}

impl Buffers {
    fn new(plan: &ModelPlan, rows: usize, keys: usize) -> Self {
        let (stream, hidden) = (|| vec![0.0; rows * plan.d_model], || vec![0.0; rows * plan.d_ff]);
        Self {
            stream: stream(),
            normed: Normed { values: stream(), centres: vec![0.0; 2 * rows] },
            query: stream(),
            mixed: stream(),
            branch: stream(),
            gate: hidden(),
            up: hidden(),
            neurons: hidden(),
            sums: vec![0.0; rows * plan.heads],
            scores: vec![0.0; keys.max(attention_sizes(plan, 1, rows).scratch())],
        }
    }
}

/// `[rows, d_in]` to `[rows, d_out]`.
fn project(projection: &Projection, p: &Parameters, x: &[f32], y: &mut [f32], rows: usize) {
    if rows == 1 { projection.forward_row(p, x, y) } else { projection.forward(p, x, y) }
}

/// Attention of the new tokens, the first of which has position `first`.
struct Attention<'a> {
    plan: &'a ModelPlan,
    rotary: Option<&'a Rotary>,
    first: usize,
}

impl Attention<'_> {
    fn forward(&self, block: &Block, p: &Parameters, b: &mut Buffers, cache: &mut [Vec<f32>; 2]) {
        let (plan, rows) = (self.plan, b.normed.centres.len() / 2);
        let sizes = attention_sizes(plan, 1, rows);
        let d_kv = sizes.kv_heads * sizes.d_head;
        let new = self.first * d_kv..(self.first + rows) * d_kv;
        let [keys, values] = cache;
        let key = &mut keys[new.clone()];
        project(&block.query, p, &b.normed.values, &mut b.query, rows); // [rows, heads * d_head]
        project(&block.key, p, &b.normed.values, key, rows); // [rows, d_kv]
        project(&block.value, p, &b.normed.values, &mut values[new.clone()], rows); // [rows, d_kv]
        if let Some(rotary) = self.rotary {
            rotary.forward_from(&mut b.query, sizes.heads, self.first);
            rotary.forward_from(key, sizes.kv_heads, self.first);
        }
        if plan.qk_norm {
            rms_in_place(&mut b.query, sizes.d_head, HEAD_EPS as f32, &mut b.sums);
            rms_in_place(key, sizes.d_head, HEAD_EPS as f32, &mut b.sums);
        }
        self.mix(sizes, b, &keys[..new.end], &values[..new.end]);
    }

    /// `[rows, heads * d_head]`: a whole text in tiles, later tokens one by one.
    fn mix(&self, sizes: Sizes, b: &mut Buffers, keys: &[f32], values: &[f32]) {
        let scale = self.plan.attention_scale() as f32;
        if self.first == 0 {
            let inputs = [&b.query[..], keys, values];
            return CausalAttention { scale }.forward(sizes, inputs, &mut b.mixed, &mut b.sums, &mut b.scores);
        }
        let width = sizes.heads * sizes.d_head;
        for (row, mixed) in b.mixed.chunks_exact_mut(width).enumerate() {
            let seen = Sizes { seq: self.first + row + 1, ..sizes };
            for (index, out) in mixed.chunks_exact_mut(sizes.d_head).enumerate() {
                let from = sizes.kv_head(index) * sizes.d_head;
                let (key, value) =
                    (seen.head(&keys[from..], sizes.kv_heads), seen.head(&values[from..], sizes.kv_heads));
                let query = &b.query[row * width + index * sizes.d_head..][..sizes.d_head];
                forward_query(scale, query, key, value, &mut b.scores, out);
            }
        }
    }
}

/// Writes the output of the branch, `[rows, d_model]`.
fn mlp(plan: &ModelPlan, block: &Block, p: &Parameters, b: &mut Buffers) {
    let rows = b.normed.centres.len() / 2;
    project(&block.up, p, &b.normed.values, &mut b.up, rows); // [rows, d_ff]
    match (plan.mlp, &block.gate) {
        (Mlp::Swiglu, Some(gate)) => {
            project(gate, p, &b.normed.values, &mut b.gate, rows); // [rows, d_ff]
            activation::swiglu_forward(&mut b.gate, &mut b.up, &mut b.neurons);
        }
        (Mlp::GeluExact, _) => activation::gelu_exact_forward(&mut b.up, &mut b.neurons),
        _ => activation::gelu_forward(&mut b.up, &mut b.neurons),
    }
    project(&block.down, p, &b.neurons, &mut b.branch, rows);
}

/// `[d_model]` to `[vocab]`.
fn head(plan: &ModelPlan, matrix: &[f32], x: &[f32]) -> Vec<f32> {
    let mut logits = vec![0.0; plan.vocab];
    if plan.tied_head {
        row::dots(x, matrix, &mut logits)
    } else {
        row::add_product(x, matrix, &mut logits)
    }
    let (scale, cap) = ((1.0 / plan.width_multiplier()) as f32, plan.logit_softcap as f32);
    for logit in &mut logits {
        *logit *= scale;
        if cap > 0.0 {
            *logit = cap * (*logit / cap).tanh();
        }
    }
    logits
}
