//! The gradient of a step: one flat gradient for each parameter. On the CPU each batch is split over replicas.

use burn::tensor::{Device, Int, Tensor, TensorData};
use wire::RunPlan;
use wire::hyperparameters::recipe::Optimizer;
use wire::model::ModelPlan;

use crate::data::batch::Batch;
use crate::device::replicas::Replicas;
use crate::error::EngineError;
use crate::model::decoder::{Decoder, Dropout};
use crate::model::params::Weights;

/// The gradient of a step.
pub struct Gradient {
    /// Mean loss in nats per token, `[1]`, on the device.
    pub loss: Tensor<1>,
    /// One flat gradient for each parameter, of the mean objective, in the model's order.
    pub flat: Vec<Tensor<1>>,
}

/// Arguments of the gradient of a step besides weights and batches.
#[derive(Debug, Clone)]
pub struct GradientArgs {
    /// Architecture of the decoder.
    pub model: ModelPlan,
    /// Weight of the z-loss.
    pub z_loss: f64,
    /// Seed of the dropout masks of this step.
    pub dropout_seed: u64,
}

impl GradientArgs {
    /// The arguments for `step` of a run, with the current hyperparameters of its optimizer.
    pub fn of_step(plan: &RunPlan, optimizer: &Optimizer, step: u64) -> Self {
        let dropout_seed = plan.seed.wrapping_mul(0x9e37_79b9).wrapping_add(step);
        Self { model: plan.recipe.model.clone(), z_loss: optimizer.z_loss, dropout_seed }
    }
}

/// Token ids on a device.
///
/// # Shapes
/// `[size, seq]`.
pub fn tokens(ids: &[i32], size: usize, seq: usize, device: &Device) -> Tensor<2, Int> {
    Tensor::from_data(TensorData::new(ids.to_vec(), [size, seq]), device)
}

/// The mean gradient of a step's micro-batches, one after another; each is split over `replicas` if there are any, and gradients are
/// summed in the order of the replicas.
///
/// # Errors
/// A replica panicked, or there is no micro-batch.
pub fn of_step(
    args: &GradientArgs,
    weights: &Weights,
    batches: Vec<Batch>,
    replicas: Option<&Replicas>,
    device: &Device,
) -> Result<Gradient, EngineError> {
    let total: usize = batches.iter().map(|batch| batch.size * batch.seq).sum();
    let mut sum: Option<Gradient> = None;
    for (index, batch) in batches.into_iter().enumerate() {
        for gradient in of_micro_batch(args, weights, batch, index, total, replicas, device)? {
            sum = Some(match sum {
                None => gradient,
                Some(sum) => add(sum, gradient),
            });
        }
    }
    sum.ok_or(EngineError::NoBatches)
}

/// The gradients of a micro-batch, one per replica. `total`: tokens of the step.
fn of_micro_batch(
    args: &GradientArgs,
    weights: &Weights,
    batch: Batch,
    index: usize,
    total: usize,
    replicas: Option<&Replicas>,
    device: &Device,
) -> Result<Vec<Gradient>, EngineError> {
    let Some(replicas) = replicas else {
        return Ok(vec![of_replica(args, weights, &batch, index as u64, total, device)]);
    };
    let (args, weights, device, count) = (args.clone(), weights.clone(), device.clone(), replicas.count());
    replicas.map(move |replica| {
        let part = (index * count + replica) as u64;
        of_replica(&args, &weights, &sequences_of(&batch, replica, count), part, total, &device)
    })
}

/// The sequences of a batch that one of `count` replicas processes: from `size * replica / count` on.
pub fn sequences_of(batch: &Batch, replica: usize, count: usize) -> Batch {
    let (from, to) = (batch.size * replica / count, batch.size * (replica + 1) / count);
    let range = from * batch.seq..to * batch.seq;
    Batch {
        size: to - from,
        seq: batch.seq,
        inputs: batch.inputs[range.clone()].to_vec(),
        targets: batch.targets[range].to_vec(),
    }
}

/// `part`: index of these sequences in the step, which selects their dropout masks.
fn of_replica(
    args: &GradientArgs,
    weights: &Weights,
    batch: &Batch,
    part: u64,
    total: usize,
    device: &Device,
) -> Gradient {
    let leaves = weights.leaves();
    let dropout = Dropout { rate: args.model.dropout, key: args.dropout_seed.wrapping_add(part << 48) };
    let device = device.clone().autodiff();
    let (inputs, targets) =
        (tokens(&batch.inputs, batch.size, batch.seq, &device), tokens(&batch.targets, batch.size, batch.seq, &device));
    let loss = Decoder::training(&args.model, &leaves, Some(dropout)).loss_sum(inputs, targets, args.z_loss);
    let weight = 1.0 / total as f64;
    let mut grads = (loss.objective * weight).backward();
    let flat = leaves
        .flat
        .iter()
        .map(|leaf| leaf.grad_remove(&mut grads).unwrap_or_else(|| leaf.clone().inner().zeros_like()))
        .collect();
    Gradient { loss: loss.nats.inner() * weight, flat }
}

fn add(sum: Gradient, other: Gradient) -> Gradient {
    let flat = sum.flat.into_iter().zip(other.flat).map(|(a, b)| a + b).collect();
    Gradient { loss: sum.loss + other.loss, flat }
}
