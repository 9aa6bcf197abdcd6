//! The buffers of a replica: of its gradient, and of the losses of an evaluation. They are allocated at the first step and keep their
//! addresses as long as plan and batch stay, so that a step zeroes nothing and causes no page fault.

use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, Shape, Tensor};
use wire::model::{Mlp, ModelPlan, Positions};

use crate::device::host_values;
use crate::kernels::cpu::attention::Sizes;
use crate::kernels::cpu::rotary::Rotary;
use crate::model::variant::{Part, Variant};

/// Which passes a workspace has buffers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Forward and backward; the values of each block are kept.
    Gradient,
    /// The same; the input of each block is kept, and backward computes the values of the block again, in the buffers of one.
    Recomputation,
    /// Forward alone; all blocks use the buffers of one.
    Losses,
}

/// Output of a norm, `[rows, d_model]`, and the mean and scale of each row.
#[derive(Debug, Default)]
pub(super) struct Normed {
    pub(super) values: Vec<f32>,
    pub(super) centres: Vec<f32>,
}

/// What forward computes in one block and backward reads. Without shape: `[rows, d_model]`.
#[derive(Debug, Default)]
pub(super) struct BlockValues {
    pub(super) attention_norm: Normed,
    pub(super) query: Vec<f32>,
    /// `[rows, kv_heads * d_head]`.
    pub(super) key: Vec<f32>,
    /// `[rows, kv_heads * d_head]`.
    pub(super) value: Vec<f32>,
    /// Scales of QK-norm, `[rows, heads]`; empty without it.
    pub(super) query_scales: Vec<f32>,
    /// Scales of QK-norm, `[rows, kv_heads]`; empty without it.
    pub(super) key_scales: Vec<f32>,
    /// `[batch, heads, seq]`.
    pub(super) log_sums: Vec<f32>,
    pub(super) mixed: Vec<f32>,
    /// Probabilities of plain attention, `[batch, heads, seq, seq]`; empty without it.
    pub(super) probabilities: Vec<f32>,
    pub(super) mlp_norm: Normed,
    /// Gate of SwiGLU, then its slope, then its gradient, `[rows, d_ff]`; empty without it.
    pub(super) gate: Vec<f32>,
    /// Input of the activation, then its slope, then its gradient, `[rows, d_ff]`.
    pub(super) up: Vec<f32>,
    /// `[rows, d_ff]`.
    pub(super) neurons: Vec<f32>,
}

/// The buffers that a replica keeps between steps.
#[derive(Debug, Default)]
pub struct Workspaces {
    pub gradient: Workspace,
    /// Those of evaluations, whose batches have other sizes.
    pub losses: Workspace,
}

/// All buffers. Without shape: `[rows, d_model]`.
#[derive(Debug, Default)]
pub struct Workspace {
    /// Plan, sequences, tokens of a sequence and purpose for which the buffers have their lengths.
    fitted: Option<(ModelPlan, usize, usize, Purpose)>,
    /// By default, no part is plain.
    variant: Variant,
    pub(super) rotary: Option<Rotary>,
    /// The residual stream at the places of [`Workspace::places`].
    pub(super) streams: Vec<Vec<f32>>,
    /// Dropout masks of the embedding, and of attention and MLP of each block that is kept; empty without dropout.
    pub(super) masks: Vec<Vec<f32>>,
    pub(super) blocks: Vec<BlockValues>,
    pub(super) last: Normed,
    /// `[chunk, vocab]`.
    pub(super) logits: Vec<f32>,
    /// Slopes of the soft cap, `[vocab]`.
    pub(super) slopes: Vec<f32>,
    /// Two tiles of attention scores.
    pub(super) scores: Vec<f32>,
    /// Output of a branch before its mask, and gradient of a branch after its mask; empty without dropout.
    pub(super) branch: Vec<f32>,
    pub(super) d_stream: Vec<f32>,
    pub(super) d_normed: Vec<f32>,
    pub(super) d_mixed: Vec<f32>,
    pub(super) d_query: Vec<f32>,
    /// `[rows, kv_heads * d_head]`.
    pub(super) d_key: Vec<f32>,
    /// `[rows, kv_heads * d_head]`.
    pub(super) d_value: Vec<f32>,
    /// `[tile, d_ff]`.
    pub(super) d_neurons: Vec<f32>,
    /// Gradients that were returned, one set for each micro-batch that may be in use at once.
    spare: Vec<Vec<FlexTensor>>,
}

/// Sets of gradients that are kept: the sum over micro-batches, and that of the next one.
const MAX_SPARE: usize = 2;

impl Workspace {
    /// A workspace for the gradient of a variant.
    pub fn of(variant: Variant) -> Self {
        Self { variant, ..Self::default() }
    }

    pub(crate) fn variant(&self) -> Variant {
        self.variant
    }

    /// Drops all buffers, if the variant has new ones at each step.
    pub(super) fn renew(&mut self) {
        if self.variant.is_plain(Part::Buffers) {
            *self = Self::of(self.variant);
        }
    }

    /// Gives every buffer its length. Buffers grow only if they were never as long.
    pub(super) fn fit(&mut self, plan: &ModelPlan, batch: usize, seq: usize, purpose: Purpose) {
        let is_fitted = |(of, size, len, why): &(ModelPlan, usize, usize, Purpose)| {
            (of, *size, *len, *why) == (plan, batch, seq, purpose)
        };
        if self.fitted.as_ref().is_some_and(is_fitted) {
            return;
        }
        let blocks = if purpose == Purpose::Gradient { plan.layers } else { 1 };
        let is_rotary = plan.positions == Positions::Rotary;
        let frequencies = || (0..plan.d_head() / 2).map(|pair| plan.rotary_frequency(pair)).collect::<Vec<f64>>();
        self.rotary = is_rotary.then(|| Rotary::new(&frequencies(), seq));
        let streams = if purpose == Purpose::Recomputation { plan.layers + 2 } else { 2 * blocks + 1 };
        self.streams.resize_with(streams, Vec::new);
        self.masks.resize_with(2 * blocks + 1, Vec::new);
        self.blocks.resize_with(blocks, BlockValues::default);
        self.buffers(plan, batch, seq, purpose).into_iter().for_each(|(buffer, len)| buffer.resize(len, 0.0));
        self.fitted = Some((plan.clone(), batch, seq, purpose));
    }

    /// Whether the buffers are those of this purpose.
    fn is_for(&self, purpose: Purpose) -> bool {
        self.fitted.as_ref().is_some_and(|(.., fitted)| *fitted == purpose)
    }

    /// Whether backward computes the values of a block again.
    pub(super) fn recomputes(&self) -> bool {
        self.is_for(Purpose::Recomputation)
    }

    /// Index of the values and masks of a block.
    pub(super) fn slot(&self, layer: usize) -> usize {
        if self.is_for(Purpose::Gradient) { layer } else { 0 }
    }

    /// Indices of the residual stream before attention, before the MLP and after it. Without backward there are three places, and the
    /// output of a block is swapped to the place of its input.
    pub(super) fn places(&self, layer: usize) -> [usize; 3] {
        match self.fitted {
            Some((.., Purpose::Gradient)) => [2 * layer, 2 * layer + 1, 2 * layer + 2],
            // One place before the MLP serves all blocks.
            Some((.., Purpose::Recomputation)) => [layer, self.streams.len() - 1, layer + 1],
            _ => [0, 1, 2],
        }
    }

    /// Whether the output of a block must be swapped to the place of its input.
    pub(super) fn swaps_streams(&self) -> bool {
        self.is_for(Purpose::Losses)
    }

    /// Every buffer with its length.
    fn buffers(&mut self, plan: &ModelPlan, batch: usize, seq: usize, purpose: Purpose) -> Vec<(&mut Vec<f32>, usize)> {
        let (rows, sizes) = (batch * seq, attention_sizes(plan, batch, seq));
        let (stream, keys) = (rows * plan.d_model, rows * plan.kv_heads * plan.d_head());
        let backward = |len: usize| if purpose == Purpose::Losses { 0 } else { len };
        let tile = self.variant.mlp_tile_rows(plan, rows);
        let dropped = if plan.dropout > 0.0 { backward(stream) } else { 0 };
        let mut all = vec![
            (&mut self.last.values, stream),
            (&mut self.last.centres, 2 * rows),
            (&mut self.logits, plan.logit_chunk_rows(rows) * plan.vocab),
            (&mut self.slopes, plan.vocab),
            (&mut self.scores, sizes.scratch()),
            (&mut self.branch, dropped),
            (&mut self.d_stream, backward(stream)),
            (&mut self.d_normed, backward(stream)),
            (&mut self.d_mixed, backward(stream)),
            (&mut self.d_query, backward(stream)),
            (&mut self.d_key, backward(keys)),
            (&mut self.d_value, backward(keys)),
            (&mut self.d_neurons, backward(tile * plan.d_ff)),
        ];
        all.extend(self.streams.iter_mut().map(|buffer| (buffer, stream)));
        all.extend(self.masks.iter_mut().map(|buffer| (buffer, dropped)));
        all.extend(self.blocks.iter_mut().flat_map(|block| block.buffers(plan, rows)));
        all
    }

    /// Buffers for the gradients of these weights, one for each parameter. Their values are those of an earlier step.
    pub(super) fn take_gradients(&mut self, weights: &[FlexTensor]) -> Vec<FlexTensor> {
        let lengths = || weights.iter().map(|weight| weight.layout().shape().num_elements());
        let fits = |set: &Vec<FlexTensor>| {
            let fits = |(tensor, len): (&FlexTensor, usize)| {
                tensor.is_unique() && tensor.as_slice::<f32>().is_some_and(|values| values.len() == len)
            };
            set.len() == weights.len() && set.iter().zip(lengths()).all(fits)
        };
        match self.spare.iter().position(fits) {
            Some(index) => self.spare.swap_remove(index),
            None => lengths().map(|len| FlexTensor::zeros(Shape::new([len]), DType::F32)).collect(),
        }
    }

    /// Takes gradients back. Others may still hold them: a set is used again when nobody does.
    pub fn return_gradients(&mut self, flat: &[Tensor<1>]) {
        if self.spare.len() == MAX_SPARE {
            self.spare.remove(0);
        }
        self.spare.push(flat.iter().map(host_values).collect());
    }
}

impl BlockValues {
    fn buffers(&mut self, plan: &ModelPlan, rows: usize) -> Vec<(&mut Vec<f32>, usize)> {
        let (stream, keys, hidden) = (rows * plan.d_model, rows * plan.kv_heads * plan.d_head(), rows * plan.d_ff);
        let if_on = |is_on: bool, len: usize| if is_on { len } else { 0 };
        vec![
            (&mut self.attention_norm.values, stream),
            (&mut self.attention_norm.centres, 2 * rows),
            (&mut self.query, stream),
            (&mut self.key, keys),
            (&mut self.value, keys),
            (&mut self.query_scales, if_on(plan.qk_norm, rows * plan.heads)),
            (&mut self.key_scales, if_on(plan.qk_norm, rows * plan.kv_heads)),
            (&mut self.log_sums, rows * plan.heads),
            (&mut self.mixed, stream),
            (&mut self.mlp_norm.values, stream),
            (&mut self.mlp_norm.centres, 2 * rows),
            (&mut self.gate, if_on(plan.mlp == Mlp::Swiglu, hidden)),
            (&mut self.up, hidden),
            (&mut self.neurons, hidden),
        ]
    }
}

/// Sizes of the attention layers.
pub(super) fn attention_sizes(plan: &ModelPlan, batch: usize, seq: usize) -> Sizes {
    Sizes { batch, heads: plan.heads, kv_heads: plan.kv_heads, seq, d_head: plan.d_head() }
}

#[cfg(test)]
impl Workspace {
    /// Where the values of each buffer are.
    pub(super) fn addresses(&mut self) -> Vec<*const f32> {
        let (plan, batch, seq, purpose) = self.fitted.clone().unwrap();
        let mut found: Vec<_> =
            self.buffers(&plan, batch, seq, purpose).into_iter().map(|(buffer, _)| buffer.as_ptr()).collect();
        found.extend(self.spare.iter().flatten().map(|tensor| tensor.as_slice::<f32>().unwrap().as_ptr()));
        found
    }

    /// Length of all buffers together.
    pub(super) fn values(&mut self) -> u64 {
        let (plan, batch, seq, purpose) = self.fitted.clone().unwrap();
        self.buffers(&plan, batch, seq, purpose).into_iter().map(|(buffer, _)| buffer.len() as u64).sum()
    }

    /// Fills every buffer with NaN, so that a value of an earlier step that is read is seen.
    pub(super) fn poison(&mut self) {
        let (plan, batch, seq, purpose) = self.fitted.clone().unwrap();
        self.buffers(&plan, batch, seq, purpose).into_iter().for_each(|(buffer, _)| buffer.fill(f32::NAN));
        self.spare.iter_mut().flatten().for_each(|tensor| tensor.storage_mut::<f32>().fill(f32::NAN));
    }
}
