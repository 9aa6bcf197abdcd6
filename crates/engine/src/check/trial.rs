//! A tiny training on fixed weights and batches, to be compared with the same one elsewhere, split otherwise, or resumed.

use burn::tensor::Tensor;
use wire::hyperparameters::recipe::OptimizerKind;
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

const DIAL: StepHyperparameters = StepHyperparameters {
    kind: OptimizerKind::Adamw,
    learning_rate: 1e-3,
    beta1: 0.9,
    beta2: 0.99,
    eps: 1e-8,
    weight_decay: 0.1,
    grad_clip: 1.0,
};

/// What one training step made of fixed weights and a fixed batch.
#[derive(Debug, Clone)]
pub struct Step {
    specs: Vec<ParamSpec>,
    /// Nats per token.
    pub loss: f64,
    /// Gradient of each parameter.
    pub gradient: Vec<Vec<f32>>,
    /// Weights after the step.
    pub weights: Vec<Vec<f32>>,
}

/// How far two steps are apart: relative differences, of vectors by their norms.
#[derive(Debug, Clone, PartialEq)]
pub struct Apart {
    pub loss: f64,
    /// Of the parameter whose gradient differs most.
    pub gradient: f64,
    /// Its name.
    pub gradient_of: String,
    /// Of the parameter whose weights differ most after the step.
    pub weights: f64,
}

impl Apart {
    /// The largest.
    pub fn worst(&self) -> f64 {
        self.loss.max(self.gradient).max(self.weights)
    }
}

impl std::fmt::Display for Apart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "loss {:.1e}, gradient {:.1e} ({}), weights {:.1e} apart",
            self.loss, self.gradient, self.gradient_of, self.weights
        )
    }
}

impl Step {
    /// How far another step is from this one. Gradients are compared at the scale of their parameter, but of one that is zero but for
    /// rounding (a key's bias, which softmax cancels) at a thousandth of the whole gradient's; its weights, which AdamW moves by the sign of
    /// that rounding, are left out.
    pub fn apart(&self, other: &Step) -> Apart {
        let norms: Vec<f64> = self.gradient.iter().map(|values| norm(values)).collect();
        let whole = norms.iter().map(|norm| norm * norm).sum::<f64>().sqrt();
        let pairs = self.gradient.iter().zip(&other.gradient).zip(&self.specs);
        let (gradient, of) = pairs
            .map(|((a, b), spec)| (distance(a, b, 1e-3 * whole), &spec.name))
            .fold((0.0, None), |worst, next| if next.0 > worst.0 { (next.0, Some(next.1)) } else { worst });
        let weights = self.weights.iter().zip(&other.weights).zip(&norms);
        Apart {
            loss: relative((self.loss - other.loss).abs(), self.loss.abs()),
            gradient,
            gradient_of: of.map_or_else(|| "none".to_owned(), Clone::clone),
            weights: weights
                .filter(|(_, norm)| **norm > 1e-5 * whole)
                .map(|((a, b), _)| distance(a, b, 0.0))
                .fold(0.0, f64::max),
        }
    }
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt()
}

/// `|a - b| / |a|`, at least at a scale of `least`; infinite where either is not a number.
fn distance(a: &[f32], b: &[f32], least: f64) -> f64 {
    let difference = a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>().sqrt();
    if a.len() == b.len() { relative(difference, norm(a).max(least)) } else { f64::INFINITY }
}

fn relative(difference: f64, size: f64) -> f64 {
    let relative = difference / size.max(1e-30);
    if relative.is_finite() { relative } else { f64::INFINITY }
}

/// A training under way.
pub(super) struct Trial<'a> {
    device: &'a EngineDevice,
    model: &'a ModelPlan,
    specs: Vec<ParamSpec>,
    state: State,
    cores: Option<Replicas>,
    /// Different batches; after the last one the first comes again.
    batches: u64,
    faults: Faults,
}

impl<'a> Trial<'a> {
    pub(super) fn new(device: &'a EngineDevice, model: &'a ModelPlan, replicas: usize) -> Result<Self, EngineError> {
        let specs = params::layout(model);
        let weights = first_weights(&specs).into_iter().map(|values| params::upload(values, &device.burn)).collect();
        let cores = if device.is_cpu() { Some(Replicas::new(replicas)?) } else { None };
        let (batches, faults) = (u64::MAX, Faults::default());
        Ok(Self { device, model, specs, state: State::new(weights), cores, batches, faults })
    }

    /// Repeats so many batches, so that the loss falls.
    pub(super) fn repeating(self, batches: u64) -> Self {
        Self { batches, ..self }
    }

    /// Plants what a test wants found.
    pub(super) fn with_faults(self, faults: Faults) -> Self {
        Self { faults, ..self }
    }

    /// The same, from numbers that were on the host in between, as a checkpoint's are.
    pub(super) fn resumed(&self) -> Result<Self, EngineError> {
        let carry = |tensors: &[Tensor<1>]| -> Result<Vec<_>, EngineError> {
            Ok(all(tensors)?.into_iter().map(|values| params::upload(values, &self.device.burn)).collect())
        };
        let State { weights, first, second, steps } = &self.state;
        let steps = if self.faults.resume { steps.saturating_sub(1) } else { *steps };
        let state = State { weights: carry(weights)?, first: carry(first)?, second: carry(second)?, steps };
        let fresh = Self::new(self.device, self.model, self.cores.as_ref().map_or(1, Replicas::count))?;
        Ok(Self { state, batches: self.batches, ..fresh })
    }

    /// One AdamW step: its loss, nats per token, and its gradient.
    pub(super) fn step(&mut self) -> Result<(f64, Vec<Vec<f32>>), EngineError> {
        let (loss, gradient) = self.advance()?;
        Ok((loss, all(&gradient)?))
    }

    /// The losses of further steps, nats per token.
    pub(super) fn losses(&mut self, steps: u64) -> Result<Vec<f64>, EngineError> {
        (0..steps).map(|_| self.advance().map(|(loss, _)| loss)).collect()
    }

    fn advance(&mut self) -> Result<(f64, Vec<Tensor<1>>), EngineError> {
        let pass = GradientArgs { model: self.model.clone(), z_loss: 0.0, dropout_seed: 0 };
        let weights = Weights::new(&self.specs, self.state.weights.clone());
        let batches = vec![batch(self.model, self.state.steps % self.batches)];
        let mut learned = gradient::of_step(&pass, &weights, batches, self.cores.as_ref(), &self.device.burn)?;
        self.faults.alter(&self.specs, &mut learned.flat);
        let loss = f64::from(read(learned.loss.clone())?.first().copied().unwrap_or(f32::NAN));
        let gradient = learned.flat.clone();
        match &self.cores {
            Some(cores) => {
                let scale = optimizer::clip_scale(optimizer::norm_on_cpu(&learned), DIAL.grad_clip);
                self.state.step_on_cpu(&self.specs, learned.flat, scale, DIAL, cores)?;
            }
            None => {
                let norm = optimizer::norm_on_gpu(&learned);
                let scale = ((norm + 1e-6).recip() * DIAL.grad_clip).clamp_max(1.0);
                self.state.step_on_gpu(&self.specs, learned.flat, scale, DIAL);
            }
        }
        Ok((loss, gradient))
    }

    pub(super) fn end(self, (loss, gradient): (f64, Vec<Vec<f32>>)) -> Result<Step, EngineError> {
        Ok(Step { weights: all(&self.state.weights)?, specs: self.specs, loss, gradient })
    }
}

/// One AdamW step of a model from fixed weights on a fixed batch, split over `replicas` replicas on the CPU.
///
/// # Errors
/// A device that cannot train.
pub fn step_on(device: &EngineDevice, model: &ModelPlan, replicas: usize) -> Result<Step, EngineError> {
    step_with(device, model, replicas, Faults::default())
}

/// The same with what a test plants.
pub(super) fn step_with(
    device: &EngineDevice,
    model: &ModelPlan,
    replicas: usize,
    faults: Faults,
) -> Result<Step, EngineError> {
    let mut trial = Trial::new(device, model, replicas)?.with_faults(faults);
    let learned = trial.step()?;
    trial.end(learned)
}

/// How far a training that was carried through the host after three steps is from the one that never stopped, five steps later. Zero on
/// the CPU; on a card whose sums have no fixed order, what that costs.
///
/// # Errors
/// A device that cannot train.
pub fn resume_on(device: &EngineDevice, model: &ModelPlan) -> Result<Apart, EngineError> {
    resume_with(device, model, Faults::default())
}

/// The same with what a test plants.
pub(super) fn resume_with(device: &EngineDevice, model: &ModelPlan, faults: Faults) -> Result<Apart, EngineError> {
    let mut kept_on = Trial::new(device, model, 1)?.with_faults(faults);
    for _ in 0..3 {
        kept_on.step()?;
    }
    let mut resumed = kept_on.resumed()?;
    let (mut a, mut b) = (kept_on.step()?, resumed.step()?);
    for _ in 0..4 {
        (a, b) = (kept_on.step()?, resumed.step()?);
    }
    Ok(kept_on.end(a)?.apart(&resumed.end(b)?))
}

fn all(tensors: &[Tensor<1>]) -> Result<Vec<Vec<f32>>, EngineError> {
    tensors.iter().cloned().map(read).collect()
}

/// Wider than a run's own first weights, so that attention and MLP are far from their straight parts.
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
