//! A tiny training run on fixed weights and batches, to compare devices, numbers of replicas, and a resumed run.

use burn::tensor::Tensor;
use wire::hyperparameters::recipe::{Compute, OptimizerKind, Precision};
use wire::model::ModelPlan;

use super::ROWS;
use super::faults::Faults;
use crate::data::batch::Batch;
use crate::device::replicas::Replicas;
use crate::device::{EngineDevice, read};
use crate::error::EngineError;
use crate::kernels::random::Counter;
use crate::model::gradient::{self, GradientArgs};
use crate::model::params::{self, ParamSpec, Weights};
use crate::optim::optimizer::{self, State};
use crate::optim::step_hyperparameters::StepHyperparameters;

/// Factor of the loss with float16 products.
const LOSS_SCALE: f32 = 1024.0;

const HYPERPARAMETERS: StepHyperparameters = StepHyperparameters {
    kind: OptimizerKind::Adamw,
    learning_rate: 1e-3,
    beta1: 0.9,
    beta2: 0.99,
    eps: 1e-8,
    weight_decay: 0.1,
    grad_clip: 1.0,
};

/// Result of one training step on fixed weights and a fixed batch.
#[derive(Debug, Clone)]
pub struct Step {
    specs: Vec<ParamSpec>,
    /// Loss, nats per token.
    pub loss: f64,
    /// Gradient of each parameter.
    pub gradient: Vec<Vec<f32>>,
    /// Weights after the step.
    pub weights: Vec<Vec<f32>>,
}

/// Relative differences between two steps; that of two vectors is `|a - b| / |a|`.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Difference of the losses.
    pub loss: f64,
    /// Maximum over the gradients of the parameters.
    pub gradient: f64,
    /// Parameter whose gradient differs most.
    pub gradient_of: String,
    /// Maximum over the weights of the parameters after the step.
    pub weights: f64,
}

impl Difference {
    /// The largest of the three differences.
    pub fn worst(&self) -> f64 {
        self.loss.max(self.gradient).max(self.weights)
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "differences: loss {:.1e}, gradient {:.1e} ({}), weights {:.1e}",
            self.loss, self.gradient, self.gradient_of, self.weights
        )
    }
}

impl Step {
    /// Compares two steps. The difference of a gradient is relative to its norm, or to a thousandth of the global norm if that is larger: the
    /// gradient of a key bias is zero up to rounding, because softmax cancels it. The weights of such a parameter are not compared, because
    /// AdamW moves them by the sign of the rounding error.
    pub fn compare(&self, other: &Step) -> Difference {
        let norms: Vec<f64> = self.gradient.iter().map(|values| norm(values)).collect();
        let global = norms.iter().map(|norm| norm * norm).sum::<f64>().sqrt();
        let pairs = self.gradient.iter().zip(&other.gradient).zip(&self.specs);
        let (gradient, of) = pairs
            .map(|((a, b), spec)| (distance(a, b, 1e-3 * global), &spec.name))
            .fold((0.0, None), |worst, next| if next.0 > worst.0 { (next.0, Some(next.1)) } else { worst });
        let weights = self.weights.iter().zip(&other.weights).zip(&norms);
        Difference {
            loss: relative((self.loss - other.loss).abs(), self.loss.abs()),
            gradient,
            gradient_of: of.map_or_else(|| "none".to_owned(), Clone::clone),
            weights: weights
                .filter(|(_, norm)| **norm > 1e-5 * global)
                .map(|((a, b), _)| distance(a, b, 0.0))
                .fold(0.0, f64::max),
        }
    }
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt()
}

/// `|a - b| / max(|a|, min_scale)`; infinite if a value is not finite.
fn distance(a: &[f32], b: &[f32], min_scale: f64) -> f64 {
    let difference = a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>().sqrt();
    if a.len() == b.len() { relative(difference, norm(a).max(min_scale)) } else { f64::INFINITY }
}

fn relative(difference: f64, size: f64) -> f64 {
    let relative = difference / size.max(1e-30);
    if relative.is_finite() { relative } else { f64::INFINITY }
}

/// A training run between two steps.
pub(super) struct Trial<'a> {
    device: &'a EngineDevice,
    model: &'a ModelPlan,
    specs: Vec<ParamSpec>,
    state: State,
    cores: Option<Replicas>,
    /// Number of different batches, which the run repeats in order.
    batches: u64,
    faults: Faults,
    compute: Compute,
}

impl<'a> Trial<'a> {
    pub(super) fn new(device: &'a EngineDevice, model: &'a ModelPlan, replicas: usize) -> Result<Self, EngineError> {
        let specs = params::layout(model);
        let weights = first_weights(&specs).into_iter().map(|values| params::upload(values, &device.burn)).collect();
        let cores = if device.is_cpu() { Some(Replicas::new(replicas)?) } else { None };
        let (batches, faults, compute) = (u64::MAX, Faults::default(), Compute::default());
        Ok(Self { device, model, specs, state: State::new(weights), cores, batches, faults, compute })
    }

    /// Repeats `batches` batches, so that the loss falls.
    pub(super) fn repeating(self, batches: u64) -> Self {
        Self { batches, ..self }
    }

    /// With factors of products in this format.
    pub(super) fn in_format(self, precision: Precision) -> Self {
        Self { compute: Compute { precision, ..self.compute }, ..self }
    }

    /// Injects errors for a test.
    pub(super) fn with_faults(self, faults: Faults) -> Self {
        Self { faults, ..self }
    }

    /// The same run after its weights and moments were copied to the host and back, as a checkpoint does.
    pub(super) fn resumed(&self) -> Result<Self, EngineError> {
        let copy = |tensors: &[Tensor<1>]| -> Result<Vec<_>, EngineError> {
            Ok(all(tensors)?.into_iter().map(|values| params::upload(values, &self.device.burn)).collect())
        };
        let State { weights, first, second, steps, .. } = &self.state;
        let steps = if self.faults.resume { steps.saturating_sub(1) } else { *steps };
        let state = State { first: copy(first)?, second: copy(second)?, steps, ..State::new(copy(weights)?) };
        let fresh = Self::new(self.device, self.model, self.cores.as_ref().map_or(1, Replicas::count))?;
        Ok(Self { state, batches: self.batches, ..fresh })
    }

    /// Runs one AdamW step and returns its loss, nats per token, and its gradient.
    pub(super) fn step(&mut self) -> Result<(f64, Vec<Vec<f32>>), EngineError> {
        let (loss, gradient) = self.advance()?;
        Ok((loss, all(&gradient)?))
    }

    /// Runs `steps` AdamW steps and returns their losses, nats per token.
    pub(super) fn losses(&mut self, steps: u64) -> Result<Vec<f64>, EngineError> {
        (0..steps).map(|_| self.advance().map(|(loss, _)| loss)).collect()
    }

    fn advance(&mut self) -> Result<(f64, Vec<Tensor<1>>), EngineError> {
        // Of a tiny model, no gradient overflows with this factor, and none rounds to zero.
        let loss_scale =
            (self.compute.precision == Precision::Float16).then(|| params::upload(vec![LOSS_SCALE], &self.device.burn));
        let args = GradientArgs { compute: self.compute.clone(), loss_scale, ..GradientArgs::new(self.model.clone()) };
        let weights = Weights::new(&self.specs, self.state.weights.clone());
        let batches = vec![batch(self.model, self.state.steps % self.batches)];
        let mut gradient = gradient::of_step(&args, &weights, batches, self.cores.as_ref(), &self.device.burn)?;
        self.faults.alter(&self.specs, &mut gradient.flat);
        gradient.norm = None;
        let loss = f64::from(read(gradient.loss.clone())?.first().copied().unwrap_or(f32::NAN));
        let values = gradient.flat.clone();
        match &self.cores {
            Some(cores) => {
                let scale = optimizer::clip_scale(optimizer::norm_on_cpu(&gradient), HYPERPARAMETERS.grad_clip);
                self.state.step_on_cpu(&self.specs, gradient.flat, scale, HYPERPARAMETERS, cores)?;
            }
            None => {
                let norm = optimizer::norm_on_gpu(&gradient);
                let scale = ((norm + 1e-6).recip() * HYPERPARAMETERS.grad_clip).clamp_max(1.0);
                self.state.step_on_gpu(&self.specs, gradient.flat, scale, HYPERPARAMETERS);
            }
        }
        Ok((loss, values))
    }

    /// The result of the run, whose last step returned this loss and gradient.
    pub(super) fn end(self, (loss, gradient): (f64, Vec<Vec<f32>>)) -> Result<Step, EngineError> {
        Ok(Step { weights: all(&self.state.weights)?, specs: self.specs, loss, gradient })
    }
}

/// One AdamW step of a model from fixed weights on a fixed batch, split over `replicas` replicas on the CPU.
///
/// # Errors
/// The device cannot train.
pub fn step_on(device: &EngineDevice, model: &ModelPlan, replicas: usize) -> Result<Step, EngineError> {
    step_with(device, model, replicas, Faults::default())
}

/// As [`step_on`] on a GPU, with factors of products in this format.
pub(super) fn step_in_format(
    device: &EngineDevice,
    model: &ModelPlan,
    precision: Precision,
    faults: Faults,
) -> Result<Step, EngineError> {
    let mut trial = Trial::new(device, model, 1)?.with_faults(faults).in_format(precision);
    let result = trial.step()?;
    trial.end(result)
}

/// As [`step_on`], with injected errors.
pub(super) fn step_with(
    device: &EngineDevice,
    model: &ModelPlan,
    replicas: usize,
    faults: Faults,
) -> Result<Step, EngineError> {
    let mut trial = Trial::new(device, model, replicas)?.with_faults(faults);
    let result = trial.step()?;
    trial.end(result)
}

/// Compares a run whose state was copied to the host and back after three steps with an uninterrupted one, five steps later. The difference
/// is 0 on the CPU; on a GPU it is the effect of sums without a fixed order.
///
/// # Errors
/// The device cannot train.
pub fn resume_on(device: &EngineDevice, model: &ModelPlan) -> Result<Difference, EngineError> {
    resume_with(device, model, Faults::default())
}

/// As [`resume_on`], with injected errors.
pub(super) fn resume_with(device: &EngineDevice, model: &ModelPlan, faults: Faults) -> Result<Difference, EngineError> {
    let mut uninterrupted = Trial::new(device, model, 1)?.with_faults(faults);
    for _ in 0..3 {
        uninterrupted.step()?;
    }
    let mut resumed = uninterrupted.resumed()?;
    let (mut a, mut b) = (uninterrupted.step()?, resumed.step()?);
    for _ in 0..4 {
        (a, b) = (uninterrupted.step()?, resumed.step()?);
    }
    Ok(uninterrupted.end(a)?.compare(&resumed.end(b)?))
}

fn all(tensors: &[Tensor<1>]) -> Result<Vec<Vec<f32>>, EngineError> {
    tensors.iter().cloned().map(read).collect()
}

/// Larger initial weights than those of a run, so that attention and MLP leave their linear range.
pub(super) fn first_weights(specs: &[ParamSpec]) -> Vec<Vec<f32>> {
    params::initial(specs, 7)
        .into_iter()
        .zip(specs)
        .map(|(values, spec)| if spec.decays() { values.into_iter().map(|v| v * 10.0).collect() } else { values })
        .collect()
}

pub(super) fn batch(model: &ModelPlan, step: u64) -> Batch {
    let mut random = Counter::new(7, 1 + step);
    let rows = ROWS;
    let mut ids = || (0..rows * model.seq).map(|_| random.below(model.vocab as u64) as i32).collect();
    Batch { size: rows, seq: model.seq, inputs: ids(), targets: ids() }
}
