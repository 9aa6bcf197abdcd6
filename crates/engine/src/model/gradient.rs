//! The gradient of a step: one flat gradient for each parameter. On the CPU each batch is split over replicas, whose gradients
//! [`super::cpu`] computes; on other devices burn's autodiff does, in [`autodiff`].

mod autodiff;

use burn::tensor::{Device, Int, Tensor, TensorData};
use wire::RunPlan;
use wire::hyperparameters::recipe::{Compute, Optimizer, Recipe};
use wire::model::ModelPlan;
use wire::run::operators::{Operator, Phase};

use crate::data::batch::Batch;
use crate::device::host_values;
use crate::device::operator_times::timed;
use crate::device::replicas::Replicas;
use crate::error::EngineError;
use crate::kernels::moments::sum_of_squares;
use crate::model::cpu::workspace::{Workspace, Workspaces};
use crate::model::cpu::{self, Objective};
use crate::model::decoder::Dropout;
use crate::model::gradient_sum;
use crate::model::params::{self, Weights};

pub use self::autodiff::by_autodiff;

/// The gradient of a step.
pub struct Gradient {
    /// Mean loss in nats per token, `[1]`, on the device.
    pub loss: Tensor<1>,
    /// One flat gradient for each parameter, of the mean objective, in the model's order.
    pub flat: Vec<Tensor<1>>,
    /// Its norm, where the CPU has computed it with the sum of several gradients.
    pub norm: Option<f64>,
}

/// The gradient of a part of a step's sequences: those of one replica in one micro-batch.
pub struct GradientPart {
    /// Tokens of the part.
    pub tokens: u64,
    /// Squared norm of the part's summand of the step's gradient, `[1]`, on the device.
    pub squares: Tensor<1>,
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
    /// Precision and recomputation.
    pub compute: Compute,
    /// Factor of the loss in backward, `[1]` on the device; `None` scales nothing. The gradient is divided by it.
    pub loss_scale: Option<Tensor<1>>,
}

impl GradientArgs {
    /// The arguments for a model without z-loss, in 32 bits, with all activations kept.
    pub fn new(model: ModelPlan) -> Self {
        Self { model, z_loss: 0.0, dropout_seed: 0, compute: Compute::default(), loss_scale: None }
    }

    /// The arguments for `step` of a run, with the current hyperparameters of its optimizer.
    pub fn of_step(plan: &RunPlan, optimizer: &Optimizer, step: u64) -> Self {
        let dropout_seed = plan.seed.wrapping_mul(0x9e37_79b9).wrapping_add(step);
        let Recipe { model, compute, .. } = plan.recipe.clone();
        Self { model, z_loss: optimizer.z_loss, dropout_seed, compute, loss_scale: None }
    }

    /// Dropout of the sequences with index `part` in the step; `None` without dropout.
    fn dropout(&self, part: u64) -> Option<Dropout> {
        let dropout = Dropout { rate: self.model.dropout, key: self.dropout_seed.wrapping_add(part << 48) };
        (dropout.rate > 0.0).then_some(dropout)
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
    let step = Step { args, weights, total: tokens_of(&batches), replicas, device, is_measured: false };
    Ok(step.gradient(batches)?.0)
}

/// [`of_step`], with the norm of each part; the gradient has the same bits.
///
/// # Errors
/// The errors of [`of_step`].
pub fn of_step_with_parts(
    args: &GradientArgs,
    weights: &Weights,
    batches: Vec<Batch>,
    replicas: Option<&Replicas>,
    device: &Device,
) -> Result<(Gradient, Vec<GradientPart>), EngineError> {
    Step { args, weights, total: tokens_of(&batches), replicas, device, is_measured: true }.gradient(batches)
}

fn tokens_of(batches: &[Batch]) -> usize {
    batches.iter().map(|batch| batch.size * batch.seq).sum()
}

/// The computation of the gradient of one step.
struct Step<'a> {
    args: &'a GradientArgs,
    weights: &'a Weights,
    /// Tokens of all micro-batches.
    total: usize,
    replicas: Option<&'a Replicas>,
    device: &'a Device,
    /// Whether the norm of each part is computed.
    is_measured: bool,
}

impl Step<'_> {
    fn gradient(&self, batches: Vec<Batch>) -> Result<(Gradient, Vec<GradientPart>), EngineError> {
        let (mut sum, mut parts): (Option<Gradient>, _) = (None, vec![]);
        for (index, batch) in batches.into_iter().enumerate() {
            let (gradients, measured): (Vec<_>, Vec<_>) = self.of_micro_batch(batch, index)?.into_iter().unzip();
            parts.extend(measured.into_iter().flatten());
            sum = self.add(sum, gradients)?;
        }
        let sum = sum.ok_or(EngineError::NoBatches)?;
        self.keep(0, &sum.flat);
        Ok((sum, parts))
    }

    /// The gradients of a micro-batch, one per replica.
    fn of_micro_batch(&self, batch: Batch, index: usize) -> Result<Vec<(Gradient, Option<GradientPart>)>, EngineError> {
        let (total, is_measured) = (self.total, self.is_measured);
        let Some(replicas) = self.replicas else {
            let mut workspace = Workspace::default();
            let gradient =
                of_replica(self.args, self.weights, &batch, index as u64, total, self.device, &mut workspace);
            let part = is_measured.then(|| part(&gradient, &batch));
            return Ok(vec![(gradient, part)]);
        };
        let (args, weights, device, count) =
            (self.args.clone(), self.weights.clone(), self.device.clone(), replicas.count());
        replicas.map_keeping(move |replica, buffers: &mut Workspaces| {
            let number = (index * count + replica) as u64;
            let batch = timed(Phase::Batch, Operator::Batch, || sequences_of(&batch, replica, count));
            let gradient = of_replica(&args, &weights, &batch, number, total, &device, &mut buffers.gradient);
            let part = (is_measured && batch.size > 0).then(|| part(&gradient, &batch));
            (gradient, part)
        })
    }

    /// The sum of all gradients so far and those of the replicas in a micro-batch, in their order.
    fn add(&self, sum: Option<Gradient>, gradients: Vec<Gradient>) -> Result<Option<Gradient>, EngineError> {
        let mut gradients = gradients.into_iter().enumerate();
        let Some(sum) = sum.or_else(|| gradients.next().map(|(_, first)| first)) else { return Ok(None) };
        let (replicas, others): (Vec<usize>, Vec<Gradient>) = gradients.unzip();
        if others.is_empty() {
            return Ok(Some(sum));
        }
        if !self.weights.are_on_cpu() {
            return Ok(Some(others.into_iter().fold(sum, add_on_gpu)));
        }
        let loss = others.iter().fold(sum.loss, |sum, other| sum + other.loss.clone());
        let values: Vec<&[Tensor<1>]> = others.iter().map(|other| &other.flat[..]).collect();
        let (flat, norm) = gradient_sum::add(sum.flat, &values, self.replicas)?;
        replicas.into_iter().zip(&others).for_each(|(replica, other)| self.keep(replica, &other.flat));
        Ok(Some(Gradient { loss, flat, norm: Some(norm) }))
    }

    /// Returns the buffers of a gradient to the replica, which uses them again when they are free.
    fn keep(&self, replica: usize, flat: &[Tensor<1>]) {
        if let Some(replicas) = self.replicas {
            replicas.with_kept(replica, |buffers: &mut Workspaces| buffers.gradient.return_gradients(flat));
        }
    }
}

fn add_on_gpu(sum: Gradient, other: Gradient) -> Gradient {
    let flat = sum.flat.into_iter().zip(other.flat).map(|(a, b)| a + b).collect();
    Gradient { loss: sum.loss + other.loss, flat, norm: None }
}

/// The norm of the gradient of a part, computed where the gradient was: on the CPU in one pass over memory.
fn part(gradient: &Gradient, batch: &Batch) -> GradientPart {
    let device = gradient.loss.device();
    let squares = if device == Device::flex() {
        let of = |values: &Tensor<1>| sum_of_squares(host_values(values).as_slice::<f32>().unwrap_or_default());
        params::upload(vec![gradient.flat.iter().map(of).sum::<f64>() as f32], &device)
    } else {
        Tensor::cat(gradient.flat.iter().map(|values| values.clone().square().sum()).collect(), 0).sum()
    };
    GradientPart { tokens: (batch.size * batch.seq) as u64, squares }
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
    workspace: &mut Workspace,
) -> Gradient {
    // A replica without sequences has nothing to differentiate.
    let is_reference = workspace.variant().is_reference() && batch.size > 0;
    match weights.are_on_cpu() && !is_reference {
        true => on_cpu(args, weights, batch, part, total, workspace),
        false => by_autodiff(args, weights, batch, part, total, device),
    }
}

/// The summand of these sequences in the gradient of a step that has `total` tokens, by [`cpu::gradient`] in the buffers of a replica.
/// `part`: index of the sequences in the step, which selects their dropout masks.
pub fn on_cpu(
    args: &GradientArgs,
    weights: &Weights,
    batch: &Batch,
    part: u64,
    total: usize,
    workspace: &mut Workspace,
) -> Gradient {
    let objective = Objective { weight: 1.0 / total as f64, z_loss: args.z_loss, dropout: args.dropout(part) };
    let (loss, flat) = cpu::gradient(&args.model, weights, batch, objective, &args.compute, workspace);
    Gradient { loss: params::upload(vec![loss as f32], &Device::flex()), flat, norm: None }
}
