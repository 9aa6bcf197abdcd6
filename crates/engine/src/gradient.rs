//! The gradient of a step: batches in, one flat gradient for each parameter out. Split over cores on the CPU, whole on a GPU.

use burn::tensor::{Device, Int, Tensor, TensorData};
use wire::RunPlan;
use wire::model::ModelPlan;

use crate::batch::Batch;
use crate::cores::Cores;
use crate::decoder::{Decoder, Dropout};
use crate::error::EngineError;
use crate::params::Weights;

/// What one step learned from its batches.
pub struct Gradient {
    /// Mean loss in nats per token, `[1]`, on the device.
    pub loss: Tensor<1>,
    /// One flat gradient for each parameter, of the mean objective, in the model's order.
    pub flat: Vec<Tensor<1>>,
}

/// How a step is computed: all of it fixed by the plan.
#[derive(Debug, Clone)]
pub struct Pass {
    /// Shape of the decoder.
    pub model: ModelPlan,
    /// Weight of the z-loss.
    pub z_loss: f64,
    /// Names the dropout masks of this step.
    pub key: u64,
}

impl Pass {
    /// The pass of a run's step.
    pub fn of_step(plan: &RunPlan, step: u64) -> Self {
        let key = plan.seed.wrapping_mul(0x9e37_79b9).wrapping_add(step);
        Self { model: plan.recipe.model.clone(), z_loss: plan.recipe.optimizer.z_loss, key }
    }
}

/// Token ids on a device.
///
/// # Shapes
/// `[rows, seq]`.
pub fn tokens(ids: &[i32], rows: usize, seq: usize, device: &Device) -> Tensor<2, Int> {
    Tensor::from_data(TensorData::new(ids.to_vec(), [rows, seq]), device)
}

/// The mean gradient of a step's batches, one pass after another; each pass is split over `cores` where there are any, and all sums are
/// made in the order of the parts.
///
/// # Errors
/// A part that panicked.
pub fn of_step(
    pass: &Pass,
    weights: &Weights,
    batches: Vec<Batch>,
    cores: Option<&Cores>,
    device: &Device,
) -> Result<Gradient, EngineError> {
    let total: usize = batches.iter().map(|batch| batch.rows * batch.seq).sum();
    let mut sum: Option<Gradient> = None;
    for (round, batch) in batches.into_iter().enumerate() {
        for part in parts(pass, weights, batch, round, total, cores, device)? {
            sum = Some(match sum {
                None => part,
                Some(sum) => add(sum, part),
            });
        }
    }
    sum.ok_or_else(|| EngineError::Shard { shard: 0, message: "a step without batches".into() })
}

fn parts(
    pass: &Pass,
    weights: &Weights,
    batch: Batch,
    round: usize,
    total: usize,
    cores: Option<&Cores>,
    device: &Device,
) -> Result<Vec<Gradient>, EngineError> {
    let Some(cores) = cores else { return Ok(vec![of_part(pass, weights, &batch, round as u64, total, device)]) };
    let (pass, weights, device, shards) = (pass.clone(), weights.clone(), device.clone(), cores.count());
    cores.map(move |shard| {
        let key = (round * shards + shard) as u64;
        of_part(&pass, &weights, &rows_of(&batch, shard, shards), key, total, &device)
    })
}

/// Rows `rows * shard / shards ..` of a batch.
pub fn rows_of(batch: &Batch, shard: usize, shards: usize) -> Batch {
    let (from, to) = (batch.rows * shard / shards, batch.rows * (shard + 1) / shards);
    let range = from * batch.seq..to * batch.seq;
    Batch {
        rows: to - from,
        seq: batch.seq,
        inputs: batch.inputs[range.clone()].to_vec(),
        targets: batch.targets[range].to_vec(),
    }
}

fn of_part(pass: &Pass, weights: &Weights, batch: &Batch, part: u64, total: usize, device: &Device) -> Gradient {
    let leaves = weights.leaves();
    let dropout = Dropout { share: pass.model.dropout, key: pass.key.wrapping_add(part << 48) };
    let place = device.clone().autodiff();
    let (inputs, targets) =
        (tokens(&batch.inputs, batch.rows, batch.seq, &place), tokens(&batch.targets, batch.rows, batch.seq, &place));
    let loss = Decoder::training(&pass.model, &leaves, Some(dropout)).loss_sum(inputs, targets, pass.z_loss);
    let share = 1.0 / total as f64;
    let mut grads = (loss.objective * share).backward();
    let flat = leaves
        .flat
        .iter()
        .map(|leaf| leaf.grad_remove(&mut grads).unwrap_or_else(|| leaf.clone().inner().zeros_like()))
        .collect();
    Gradient { loss: loss.nats.inner() * share, flat }
}

fn add(sum: Gradient, part: Gradient) -> Gradient {
    let flat = sum.flat.into_iter().zip(part.flat).map(|(a, b)| a + b).collect();
    Gradient { loss: sum.loss + part.loss, flat }
}
