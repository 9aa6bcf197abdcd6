//! The gradient by burn's autodiff, for GPUs; on the CPU it is the reference of [`crate::model::cpu`].
//!
//! With `compute.recompute` (Chen et al. 2016) the graph of one block exists at a time. Forward runs without a graph and keeps the input
//! `x_l` of each block. Backward goes from the last block to the first: it runs the block again on a leaf of `x_l` and differentiates
//! `sum(block_l(x_l) * g)`, where `g` is the gradient of the block's output; this gives the gradients of the block's weights and of `x_l`.
//! burn's own strategy (`Device::gradient_checkpointing`) recomputes only operators that it counts as bound by memory and keeps the results
//! of all products, which are most of the activations.

use burn::tensor::{Device, Gradients, Tensor};

use super::{Gradient, GradientArgs, tokens};
use crate::data::batch::Batch;
use crate::kernels::reference::Loss;
use crate::model::decoder::Decoder;
use crate::model::params::Weights;

/// The summand of these sequences in the gradient of a step that has `total` tokens. `part`: index of the sequences in the step, which
/// selects their dropout masks.
pub fn by_autodiff(
    args: &GradientArgs,
    weights: &Weights,
    batch: &Batch,
    part: u64,
    total: usize,
    device: &Device,
) -> Gradient {
    let pass = Pass { args, weights, batch, part, weight: 1.0 / total as f64, device };
    let (loss, sum) = if args.compute.recompute { pass.by_block() } else { pass.at_once() };
    let inverse = args.loss_scale.clone().map(Tensor::recip);
    let unscaled = |gradient: Tensor<1>| match &inverse {
        Some(inverse) => gradient * inverse.clone(),
        None => gradient,
    };
    let flat = sum.flat.into_iter().zip(&weights.flat);
    let flat = flat.map(|(gradient, weight)| gradient.map_or_else(|| weight.zeros_like(), unscaled)).collect();
    Gradient { loss: loss.inner() * pass.weight, flat, norm: None }
}

/// Forward and backward over the sequences of a part.
struct Pass<'a> {
    args: &'a GradientArgs,
    weights: &'a Weights,
    batch: &'a Batch,
    part: u64,
    /// Weight of the loss of a token.
    weight: f64,
    device: &'a Device,
}

impl Pass<'_> {
    /// With the activations of all blocks in one graph. Returns the sum of the losses in nats, and the gradient.
    fn at_once(&self) -> (Tensor<1>, Sum) {
        let leaves = self.weights.leaves();
        let device = self.device.clone().autodiff();
        let [inputs, targets] = [&self.batch.inputs, &self.batch.targets].map(|ids| self.tokens(ids, &device));
        let loss = self.decoder(&leaves).loss_sum(inputs, targets, self.args.z_loss);
        let mut sum = Sum::new(&leaves);
        sum.add(&leaves, &mut self.objective(&loss).backward());
        (loss.nats, sum)
    }

    /// With the activations of one block at a time.
    fn by_block(&self) -> (Tensor<1>, Sum) {
        let layers = self.args.model.layers;
        let plain = self.decoder(self.weights);
        let mut x = plain.embed(self.tokens(&self.batch.inputs, self.device), 0);
        let rotary = plain.rotary(&x, 0);
        let mut inputs = Vec::with_capacity(layers);
        for layer in 0..layers {
            inputs.push(x.clone());
            x = plain.block(x, layer, rotary.as_ref(), None);
        }

        let leaves = self.weights.leaves();
        let (decoder, device) = (self.decoder(&leaves), self.device.clone().autodiff());
        let mut sum = Sum::new(&leaves);
        let output = leaf(x);
        let targets = self.tokens(&self.batch.targets, &device);
        let loss = decoder.loss_after_blocks(output.clone(), targets, self.args.z_loss);
        let mut grads = self.objective(&loss).backward();
        sum.add(&leaves, &mut grads);
        let mut of_output = gradient_of(&output, &mut grads);
        let rotary = decoder.rotary(&output, 0);
        for (layer, input) in inputs.into_iter().enumerate().rev() {
            let input = leaf(input);
            let output = decoder.block(input.clone(), layer, rotary.as_ref(), None);
            let mut grads = (output * of_output.autodiff()).sum().backward();
            sum.add(&leaves, &mut grads);
            of_output = gradient_of(&input, &mut grads);
        }
        let embedded = decoder.embed(self.tokens(&self.batch.inputs, &device), 0);
        sum.add(&leaves, &mut (embedded * of_output.autodiff()).sum().backward());
        (loss.nats, sum)
    }

    fn decoder<'w>(&'w self, weights: &'w Weights) -> Decoder<'w> {
        let args = self.args;
        Decoder::training(&args.model, weights, args.dropout(self.part), args.compute.precision)
    }

    fn tokens(&self, ids: &[i32], device: &Device) -> Tensor<2, burn::tensor::Int> {
        tokens(ids, self.batch.size, self.batch.seq, device)
    }

    /// What is differentiated: the part's summand of the mean objective, scaled.
    fn objective(&self, loss: &Loss) -> Tensor<1> {
        let objective = loss.objective.clone() * self.weight;
        match self.args.loss_scale.clone() {
            Some(scale) => objective * scale.autodiff(),
            None => objective,
        }
    }
}

/// The gradients of the weights so far; `None` for a weight without one.
struct Sum {
    flat: Vec<Option<Tensor<1>>>,
}

impl Sum {
    fn new(leaves: &Weights) -> Self {
        Self { flat: vec![None; leaves.flat.len()] }
    }

    /// Adds the gradients of a backward pass.
    fn add(&mut self, leaves: &Weights, grads: &mut Gradients) {
        for (sum, leaf) in self.flat.iter_mut().zip(&leaves.flat) {
            let Some(next) = leaf.grad_remove(grads) else { continue };
            *sum = Some(match sum.take() {
                Some(sum) => sum + next,
                None => next,
            });
        }
    }
}

/// The start of a new graph.
fn leaf(x: Tensor<3>) -> Tensor<3> {
    x.autodiff().require_grad()
}

fn gradient_of(leaf: &Tensor<3>, grads: &mut Gradients) -> Tensor<3> {
    leaf.grad_remove(grads).unwrap_or_else(|| leaf.clone().inner().zeros_like())
}
