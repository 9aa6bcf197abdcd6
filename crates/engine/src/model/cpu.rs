//! The gradient of a replica on the CPU: the decoder's forward pass in execution order, and backward in reverse order, without a graph and
//! over buffers that are allocated once ([`workspace`]). [`layers`]: the parameters of each layer; [`crate::kernels::cpu`]: the operators.
//! Evaluations use its forward pass.
//!
//! It covers every option of a plan. The reference is [`crate::model::decoder`] with burn's autodiff
//! (`by_autodiff` of the module `gradient`), which other devices use; a test compares both for every option.
//!
//! Sizes in comments: `rows` is `batch * seq`, `d_kv` is `kv_heads * d_head`. `p` are the parameters and their gradients, `w` the
//! workspace; a name that begins with `d_` is a gradient, except for sizes. `timed` calls an operator and adds its time to the profile of the
//! step; the layers do so themselves.

pub(super) mod decode;
mod layers;
#[cfg(test)]
mod tests;
pub mod workspace;

use std::ops::Range;

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use wire::hyperparameters::recipe::{Compute, Precision};
use wire::model::{Mlp, ModelPlan};
use wire::run::operators::Operator;
use wire::run::operators::Phase::{Backward, Forward};

use self::layers::{Layers, Parameters, Projection};
use self::workspace::{Purpose, Workspace, attention_sizes};
use crate::data::batch::Batch;
use crate::device::host_values;
use crate::device::operator_times::timed;
use crate::kernels::cpu::attention::{CausalAttention, Sizes};
use crate::kernels::cpu::head::{Head, Loss};
use crate::kernels::cpu::norm::{rms_in_place, rms_in_place_backward};
use crate::kernels::cpu::reference::head::Inputs;
use crate::kernels::cpu::{activation, dropout, embedding, lanes, reference};
use crate::model::decoder::{Dropout, HEAD_EPS};
use crate::model::params::Weights;
use crate::model::variant::{Part, Variant};

/// What a pass minimizes: the sum over its tokens of `weight * (nats + z_loss * l^2)`, where `l` is the log-partition function.
#[derive(Debug, Clone, Copy)]
pub struct Objective {
    /// Factor of a token.
    pub weight: f64,
    /// Weight of the z-loss.
    pub z_loss: f64,
    /// Dropout of the pass, if it has any.
    pub dropout: Option<Dropout>,
}

/// The sum of `weight * nats` over the tokens of a batch, and the gradient of the objective, one flat tensor for each parameter.
pub fn gradient(
    plan: &ModelPlan,
    weights: &Weights,
    batch: &Batch,
    objective: Objective,
    compute: &Compute,
    workspace: &mut Workspace,
) -> (f64, Vec<Tensor<1>>) {
    if batch.size == 0 {
        return (0.0, weights.flat.iter().map(Tensor::zeros_like).collect());
    }
    workspace.renew();
    let purpose = if compute.recompute { Purpose::Recomputation } else { Purpose::Gradient };
    workspace.fit(plan, batch.size, batch.seq, purpose);
    let held: Vec<FlexTensor> = weights.flat.iter().map(host_values).collect();
    let mut gradients = workspace.take_gradients(&held);
    let parameters = Parameters {
        weights: values(&held),
        gradients: gradients.iter_mut().map(|tensor| tensor.storage_mut::<f32>()).collect(),
    };
    let variant = workspace.variant();
    let layers = Layers::new(plan, weights, compute.precision, variant);
    let pass = Pass { dropout: objective.dropout, ..Pass::new(plan, batch, layers, parameters, workspace) };
    let run = || pass.run(objective.z_loss, objective.weight as f32);
    let nats = if variant.is_plain(Part::Vectors) { lanes::narrow(run) } else { run() };
    (nats * objective.weight, gradients.into_iter().map(Tensor::from_primitive::<Flex>).collect())
}

/// `-ln p(target)` of each token of a batch, sequence by sequence, nats; with 32-bit factors, whatever the precision of the training.
pub fn token_nats(plan: &ModelPlan, weights: &Weights, batch: &Batch, workspace: &mut Workspace) -> Vec<f32> {
    if batch.size == 0 {
        return vec![];
    }
    workspace.fit(plan, batch.size, batch.seq, Purpose::Losses);
    let held: Vec<FlexTensor> = weights.flat.iter().map(host_values).collect();
    let parameters = Parameters { weights: values(&held), gradients: vec![] };
    let layers = Layers::new(plan, weights, Precision::Float32, workspace.variant());
    let mut pass = Pass::new(plan, batch, layers, parameters, workspace);
    pass.forward();
    pass.nats()
}

fn values(held: &[FlexTensor]) -> Vec<&[f32]> {
    held.iter().map(|tensor| tensor.as_slice::<f32>().unwrap_or_default()).collect()
}

/// Forward and backward over the sequences of a batch.
struct Pass<'a> {
    plan: &'a ModelPlan,
    batch: &'a Batch,
    layers: Layers,
    attention: CausalAttention,
    sizes: Sizes,
    dropout: Option<Dropout>,
    variant: Variant,
    p: Parameters<'a>,
    w: &'a mut Workspace,
}

impl<'a> Pass<'a> {
    /// A pass without dropout.
    fn new(
        plan: &'a ModelPlan,
        batch: &'a Batch,
        layers: Layers,
        parameters: Parameters<'a>,
        workspace: &'a mut Workspace,
    ) -> Self {
        Self {
            plan,
            batch,
            layers,
            attention: CausalAttention { scale: plan.attention_scale() as f32 },
            sizes: attention_sizes(plan, batch.size, batch.seq),
            dropout: None,
            variant: workspace.variant(),
            p: parameters,
            w: workspace,
        }
    }
}

/// Forward. Mask 0 is that of the embedding, `2 slot + 1` that of a block's attention, `2 slot + 2` that of its MLP.
impl Pass<'_> {
    /// Writes the gradients; returns the sum of `-ln p(target)`, nats.
    fn run(mut self, z_loss: f64, weight: f32) -> f64 {
        self.forward();
        let nats = self.loss(z_loss, weight);
        self.backward();
        nats
    }

    fn forward(&mut self) {
        self.embed();
        for layer in 0..self.plan.layers {
            self.attend(layer);
            self.mlp(layer);
            if self.w.swaps_streams() {
                self.w.streams.swap(0, 2);
            }
        }
        let [last, ..] = self.w.places(self.plan.layers);
        let w = &mut *self.w;
        self.layers.norm.forward(&self.p, &w.streams[last], &mut w.last);
    }

    fn embed(&mut self) {
        let (w, p) = (&mut *self.w, &self.p);
        let position = self.layers.position.map(|position| p.weights[position]);
        let (token, d_model) = (p.weights[self.layers.token], self.plan.d_model);
        timed(Forward, Operator::Embedding, || {
            embedding::forward(&self.batch.inputs, self.batch.seq, token, position, &mut w.streams[0], d_model); // [rows, d_model]
        });
        if let Some(Dropout { rate, key }) = self.dropout {
            timed(Forward, Operator::Dropout, || {
                dropout::draw(rate, key, 0, &mut w.masks[0]);
                dropout::forward(&mut w.streams[0], &w.masks[0]);
            });
        }
    }

    /// `stream + out(attention(norm(stream)))`.
    fn attend(&mut self, layer: usize) {
        let (slot, [before, after, _]) = (self.w.slot(layer), self.w.places(layer));
        let (w, p, block) = (&mut *self.w, &self.p, &self.layers.blocks[layer]);
        let kept = &mut w.blocks[slot];
        let [before, after] = w.streams.get_disjoint_mut([before, after]).expect("the places of a block differ");
        block.attention_norm.forward(p, before, &mut kept.attention_norm); // [rows, d_model]
        let normed = &kept.attention_norm.values;
        block.query.forward(p, normed, &mut kept.query); // [rows, heads * d_head]
        block.key.forward(p, normed, &mut kept.key); // [rows, d_kv]
        block.value.forward(p, normed, &mut kept.value); // [rows, d_kv]
        // The decoder rotates after QK-norm. A rotation keeps the mean square of a head, so the order does not matter; in this one,
        // backward of the norm needs its output alone.
        if let Some(rotary) = &w.rotary {
            timed(Forward, Operator::Rotary, || {
                rotary.forward(&mut kept.query, self.plan.heads);
                rotary.forward(&mut kept.key, self.plan.kv_heads);
            });
        }
        if self.plan.qk_norm {
            timed(Forward, Operator::Norm, || {
                rms_in_place(&mut kept.query, self.sizes.d_head, HEAD_EPS as f32, &mut kept.query_scales);
                rms_in_place(&mut kept.key, self.sizes.d_head, HEAD_EPS as f32, &mut kept.key_scales);
            });
        }
        let inputs = [&kept.query[..], &kept.key[..], &kept.value[..]];
        // [rows, heads * d_head]
        timed(Forward, Operator::Attention, || match self.variant.is_plain(Part::Attention) {
            true => kept.probabilities = self.attention.plain_forward(self.sizes, inputs, &mut kept.mixed),
            false => self.attention.forward(self.sizes, inputs, &mut kept.mixed, &mut kept.log_sums, &mut w.scores),
        });
        let (place, mask) = (2 * layer + 1, &mut w.masks[2 * slot + 1]);
        let branch = Branch { dropout: self.dropout, place, mask, out: &mut w.branch };
        branch.forward(&block.out, p, &kept.mixed, before, after); // [rows, d_model]
    }

    /// `stream + down(neurons)`.
    fn mlp(&mut self, layer: usize) {
        self.neurons(layer);
        let (slot, [_, before, after]) = (self.w.slot(layer), self.w.places(layer));
        let (w, p, block) = (&mut *self.w, &self.p, &self.layers.blocks[layer]);
        let [before, after] = w.streams.get_disjoint_mut([before, after]).expect("the places of a block differ");
        let (place, mask) = (2 * layer + 2, &mut w.masks[2 * slot + 2]);
        let branch = Branch { dropout: self.dropout, place, mask, out: &mut w.branch };
        branch.forward(&block.down, p, &w.blocks[slot].neurons, before, after); // [rows, d_model]
    }

    /// `activation(up(norm(stream)))`.
    fn neurons(&mut self, layer: usize) {
        let (slot, [_, before, _]) = (self.w.slot(layer), self.w.places(layer));
        let (w, p, block) = (&mut *self.w, &self.p, &self.layers.blocks[layer]);
        let (kept, before) = (&mut w.blocks[slot], &w.streams[before]);
        block.mlp_norm.forward(p, before, &mut kept.mlp_norm); // [rows, d_model]
        for rows in tiles(self.sizes.batch * self.sizes.seq, |all| self.variant.mlp_tile_rows(self.plan, all)) {
            let normed = &kept.mlp_norm.values[of(&rows, self.plan.d_model)];
            let hidden = of(&rows, self.plan.d_ff);
            let (up, neurons) = (&mut kept.up[hidden.clone()], &mut kept.neurons[hidden.clone()]);
            block.up.forward(p, normed, up); // [tile, d_ff]
            if self.variant.is_plain(Part::Activation) {
                let gate = &mut kept.gate[if block.gate.is_some() { hidden } else { 0..0 }];
                block.gate.iter().for_each(|projection| projection.forward(p, normed, gate));
                timed(Forward, Operator::Activation, || {
                    reference::activation::forward(self.plan.mlp, gate, up, neurons);
                });
                continue;
            }
            match (self.plan.mlp, &block.gate) {
                (Mlp::Swiglu, Some(projection)) => {
                    let gate = &mut kept.gate[hidden];
                    projection.forward(p, normed, gate); // [tile, d_ff]
                    timed(Forward, Operator::Activation, || activation::swiglu_forward(gate, up, neurons));
                }
                (Mlp::GeluExact, _) => {
                    timed(Forward, Operator::Activation, || activation::gelu_exact_forward(up, neurons));
                }
                _ => timed(Forward, Operator::Activation, || activation::gelu_forward(up, neurons)),
            }
        }
    }
}

/// The end of a branch, which adds its output to the residual stream.
struct Branch<'a> {
    dropout: Option<Dropout>,
    /// Stream of random numbers of the mask.
    place: usize,
    mask: &'a mut [f32],
    /// The output before its mask.
    out: &'a mut [f32],
}

impl Branch<'_> {
    /// `after = before + dropout(projection(x))`.
    fn forward(self, projection: &Projection, p: &Parameters, x: &[f32], before: &[f32], after: &mut [f32]) {
        let Some(Dropout { rate, key }) = self.dropout else {
            return projection.forward_after(p, before, x, after);
        };
        projection.forward(p, x, self.out);
        timed(Forward, Operator::Dropout, || {
            dropout::draw(rate, key, self.place as u64, self.mask);
            dropout::forward_after(before, self.out, self.mask, after);
        });
    }
}

/// Head and loss.
impl Pass<'_> {
    fn head(&self) -> Head {
        let (plan, precision) = (self.plan, self.layers.precision);
        Head { d_model: plan.d_model, vocab: plan.vocab, is_tied: plan.tied_head, precision }
    }

    fn cross_entropy(&self) -> Loss {
        let scale = (1.0 / self.plan.width_multiplier()) as f32;
        Loss { scale, cap: self.plan.logit_softcap as f32, z_loss: 0.0, weight: 1.0 }
    }

    /// `-ln p(target)` of each token.
    fn nats(&mut self) -> Vec<f32> {
        let (head, loss, matrix) = (self.head(), self.cross_entropy(), self.p.weights[self.layers.head]);
        let (w, plan) = (&mut *self.w, self.plan);
        let mut nats = vec![0.0; self.batch.targets.len()];
        for rows in tiles(nats.len(), |all| plan.logit_chunk_rows(all)) {
            let logits = &mut w.logits[..rows.len() * plan.vocab];
            timed(Forward, Operator::Head, || {
                head.forward(&w.last.values[of(&rows, plan.d_model)], matrix, logits); // [chunk, vocab]
                loss.forward(logits, &self.batch.targets[rows.clone()], &mut w.slopes, &mut nats[rows]);
            });
        }
        nats
    }
}

/// Loss and backward. `d_stream` is the gradient of the residual stream at the place that backward has reached.
impl Pass<'_> {
    /// Head and loss, forward and backward, in chunks of rows. Returns the sum of `-ln p(target)`, nats.
    fn loss(&mut self, z_loss: f64, weight: f32) -> f64 {
        let (head, loss) = (self.head(), Loss { z_loss, weight, ..self.cross_entropy() });
        let (w, p, plan) = (&mut *self.w, &mut self.p, self.plan);
        let matrix = p.weights[self.layers.head];
        if self.variant.is_plain(Part::Head) {
            let inputs = Inputs { x: &w.last.values, weight: matrix, targets: &self.batch.targets };
            let d_matrix = &mut *p.gradients[self.layers.head];
            return timed(Forward, Operator::Head, || loss.plain(head, inputs, d_matrix, &mut w.d_normed));
        }
        let mut nats = 0.0;
        for rows in tiles(self.sizes.batch * self.sizes.seq, |all| plan.logit_chunk_rows(all)) {
            let x = &w.last.values[of(&rows, plan.d_model)];
            let logits = &mut w.logits[..rows.len() * plan.vocab];
            nats += timed(Forward, Operator::Head, || {
                head.forward(x, matrix, logits); // [chunk, vocab]
                loss.backward(logits, &self.batch.targets[rows.clone()], &mut w.slopes)
            });
            timed(Backward, Operator::Head, || {
                head.weight_gradient(x, logits, p.gradients[self.layers.head], rows.start > 0);
                head.input_gradient(logits, matrix, &mut w.d_normed[of(&rows, plan.d_model)]); // [chunk, d_model]
            });
        }
        nats
    }

    fn backward(&mut self) {
        let (layers, [last, ..]) = (self.plan.layers, self.w.places(self.plan.layers));
        let w = &mut *self.w;
        w.d_stream.fill(0.0);
        self.layers.norm.backward(&mut self.p, &w.streams[last], &w.last, &w.d_normed, &mut w.d_stream);
        for layer in (0..layers).rev() {
            // The values of the last block are still there.
            if self.w.recomputes() && layer + 1 < layers {
                self.attend(layer);
                self.neurons(layer);
                self.draw_mlp_mask(layer);
            }
            self.mlp_backward(layer);
            self.attend_backward(layer);
        }
        self.embed_backward();
    }

    /// The dropout mask of an MLP whose output is not computed again.
    fn draw_mlp_mask(&mut self, layer: usize) {
        let mask = &mut self.w.masks[2]; // of the one block that has buffers
        if let Some(Dropout { rate, key }) = self.dropout {
            timed(Forward, Operator::Dropout, || dropout::draw(rate, key, 2 * layer as u64 + 2, mask));
        }
    }

    fn mlp_backward(&mut self, layer: usize) {
        let (slot, [_, before, _]) = (self.w.slot(layer), self.w.places(layer));
        let (w, p, block, plan) = (&mut *self.w, &mut self.p, &self.layers.blocks[layer], self.plan);
        let kept = &mut w.blocks[slot];
        let d_out = masked(&w.d_stream, &w.masks[2 * slot + 2], &mut w.branch); // [rows, d_model]
        block.down.parameter_gradients(p, &kept.neurons, d_out);
        for rows in tiles(self.sizes.batch * self.sizes.seq, |all| self.variant.mlp_tile_rows(plan, all)) {
            let (hidden, d_neurons) = (of(&rows, plan.d_ff), &mut w.d_neurons[..rows.len() * plan.d_ff]);
            block.down.input_gradient(p, &d_out[of(&rows, plan.d_model)], d_neurons, false); // [tile, d_ff]
            timed(Backward, Operator::Activation, || {
                if self.variant.is_plain(Part::Activation) {
                    let gate = &mut kept.gate[if block.gate.is_some() { hidden.clone() } else { 0..0 }];
                    return reference::activation::backward(plan.mlp, gate, &mut kept.up[hidden], d_neurons);
                }
                activation::backward(&mut kept.up[hidden.clone()], d_neurons);
                if block.gate.is_some() {
                    activation::backward(&mut kept.gate[hidden], d_neurons);
                }
            });
        }
        let normed = &kept.mlp_norm.values;
        block.up.backward(p, normed, &kept.up, &mut w.d_normed, false); // [rows, d_model]
        if let Some(gate) = &block.gate {
            gate.backward(p, normed, &kept.gate, &mut w.d_normed, true);
        }
        block.mlp_norm.backward(p, &w.streams[before], &kept.mlp_norm, &w.d_normed, &mut w.d_stream);
    }

    fn attend_backward(&mut self, layer: usize) {
        let (slot, [before, ..]) = (self.w.slot(layer), self.w.places(layer));
        let (w, p, block, plan) = (&mut *self.w, &mut self.p, &self.layers.blocks[layer], self.plan);
        let kept = &w.blocks[slot];
        let d_out = masked(&w.d_stream, &w.masks[2 * slot + 1], &mut w.branch); // [rows, d_model]
        block.out.backward(p, &kept.mixed, d_out, &mut w.d_mixed, false); // [rows, heads * d_head]
        let inputs = [&kept.query[..], &kept.key[..], &kept.value[..]];
        let gradients = [&mut w.d_query[..], &mut w.d_key[..], &mut w.d_value[..]];
        timed(Backward, Operator::Attention, || match self.variant.is_plain(Part::Attention) {
            true => {
                let outputs = [&kept.probabilities[..], &w.d_mixed[..]];
                self.attention.plain_backward(self.sizes, inputs, outputs, gradients);
            }
            false => {
                let outputs = [&kept.log_sums[..], &w.d_mixed[..]];
                self.attention.backward(self.sizes, inputs, outputs, gradients, &mut w.scores);
            }
        });
        if plan.qk_norm {
            timed(Backward, Operator::Norm, || {
                rms_in_place_backward(&kept.query, self.sizes.d_head, &kept.query_scales, &mut w.d_query);
                rms_in_place_backward(&kept.key, self.sizes.d_head, &kept.key_scales, &mut w.d_key);
            });
        }
        if let Some(rotary) = &w.rotary {
            timed(Backward, Operator::Rotary, || {
                rotary.backward(&mut w.d_query, plan.heads);
                rotary.backward(&mut w.d_key, plan.kv_heads);
            });
        }
        let normed = &kept.attention_norm.values;
        block.query.backward(p, normed, &w.d_query, &mut w.d_normed, false); // [rows, d_model]
        block.key.backward(p, normed, &w.d_key, &mut w.d_normed, true);
        block.value.backward(p, normed, &w.d_value, &mut w.d_normed, true);
        block.attention_norm.backward(p, &w.streams[before], &kept.attention_norm, &w.d_normed, &mut w.d_stream);
    }

    fn embed_backward(&mut self) {
        let (w, p, d_model) = (&mut *self.w, &mut self.p, self.plan.d_model);
        if self.dropout.is_some() {
            timed(Backward, Operator::Dropout, || dropout::forward(&mut w.d_stream, &w.masks[0]));
        }
        timed(Backward, Operator::Embedding, || {
            if let Some(position) = self.layers.position {
                embedding::positions_backward(&w.d_stream, self.batch.seq, p.gradients[position], d_model);
            }
            let d_token = &mut *p.gradients[self.layers.token];
            // A tied head has written its part already.
            if !self.plan.tied_head {
                d_token.fill(0.0);
            }
            embedding::backward(&self.batch.inputs, &w.d_stream, d_token, d_model);
        });
    }
}

/// The gradient of a branch's output: that of the stream, times the dropout mask if there is one.
fn masked<'a>(d_stream: &'a [f32], mask: &[f32], d_branch: &'a mut [f32]) -> &'a [f32] {
    if mask.is_empty() {
        return d_stream;
    }
    timed(Backward, Operator::Dropout, || dropout::backward(d_stream, mask, d_branch));
    d_branch
}

/// Ranges of at most `size(rows)` rows.
fn tiles(rows: usize, size: impl Fn(usize) -> usize) -> impl Iterator<Item = Range<usize>> {
    let size = size(rows);
    (0..rows).step_by(size).map(move |from| from..(from + size).min(rows))
}

/// The values of some rows of `d` values.
fn of(rows: &Range<usize>, d: usize) -> Range<usize> {
    rows.start * d..rows.end * d
}
