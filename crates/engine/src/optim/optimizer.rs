//! AdamW (Loshchilov and Hutter 2019) with global-norm clipping: one pass over memory on the CPU (`super::cpu`), and on a GPU.
//! A test compares the two. The matrices that Muon trains are passed to [`crate::optim::muon`].

use burn::tensor::{Device, Tensor};
use wire::run::operators::{Operator, Phase};

use crate::device::host_values;
use crate::device::operator_times::timed;
use crate::kernels::dispatch::Operators;
use crate::kernels::moments;
use crate::kernels::reference::AdamwStep;
use crate::model::gradient::Gradient;
use crate::model::params::ParamSpec;
use crate::optim::muon;
use crate::optim::spare::Spare;
use crate::optim::step_hyperparameters::StepHyperparameters;

/// The update of one parameter.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Update {
    /// Sum of the squared changes.
    pub change_squared: f64,
    /// Sum of the squared weights after the update.
    pub weight_squared: f64,
}

/// Weights with their moments, one flat tensor for each parameter.
pub struct State {
    pub weights: Vec<Tensor<1>>,
    /// First moments; the momentum of Muon's matrices.
    pub first: Vec<Tensor<1>>,
    /// Second moments; zero for Muon's matrices.
    pub second: Vec<Tensor<1>>,
    /// Number of steps taken.
    pub steps: u64,
    /// Of weights, first and second moments on the CPU.
    pub(crate) spare: [Spare; 3],
}

impl State {
    /// Weights with moments at zero.
    pub fn new(weights: Vec<Tensor<1>>) -> Self {
        let zeros = || weights.iter().map(Tensor::zeros_like).collect();
        Self { first: zeros(), second: zeros(), weights, steps: 0, spare: Default::default() }
    }

    /// Takes one step on the device, for GPUs: nothing is read back. `scale` is `[1]`; where it is 0, the step is skipped: weights and
    /// moments stay as they are, whatever the gradient is.
    pub fn step_on_gpu(
        &mut self,
        specs: &[ParamSpec],
        gradient: Vec<Tensor<1>>,
        scale: Tensor<1>,
        hyperparameters: StepHyperparameters,
    ) {
        self.steps += 1;
        let step = Coefficients::new(hyperparameters, self.steps, 1.0);
        let is_skipped = scale.clone().equal_elem(0.0);
        let unless_skipped =
            |new: Tensor<1>, old: Tensor<1>| new.mask_where(is_skipped.clone().expand(old.dims()), old);
        let operators = Operators::with_gradients(scale.device() == Device::flex());
        let mut parameters = vec![];
        let before = self.weights.drain(..).zip(self.first.drain(..)).zip(self.second.drain(..));
        for ((((weight, first), second), gradient), spec) in before.zip(gradient).zip(specs) {
            let scale = scale.clone();
            parameters.push(match muon::shape_of(spec, hyperparameters.kind) {
                Some(shape) => {
                    let gradient = gradient * scale;
                    let (stepped, momentum) =
                        muon::step(weight.clone(), first.clone(), gradient, shape, hyperparameters);
                    [unless_skipped(stepped, weight), unless_skipped(momentum, first), second]
                }
                None => operators.adamw([weight, first, second], gradient, scale, step.of(spec).on_gpu()),
            });
        }
        for [weight, first, second] in parameters {
            self.weights.push(weight);
            self.first.push(first);
            self.second.push(second);
        }
    }
}

/// The update that AdamW would make with the moments after `steps` steps, without weight decay.
pub fn update(
    spec: &ParamSpec,
    first: Tensor<1>,
    second: Tensor<1>,
    hyperparameters: StepHyperparameters,
    steps: u64,
) -> Tensor<1> {
    let step = Coefficients::new(hyperparameters, steps, 1.0).of(spec);
    first / (second.sqrt() * step.second_scale + step.eps) * -step.rate
}

/// Root of the sum of all squared gradients, on the CPU: the norm that was computed with the sum of several gradients, or by one pass over
/// memory, with the same bits.
pub fn norm_on_cpu(gradient: &Gradient) -> f64 {
    let squares = || gradient.flat.iter().map(sum_of_squares).sum::<f64>();
    gradient.norm.unwrap_or_else(|| timed(Phase::Optimizer, Operator::GradientNorm, || squares().sqrt()))
}

/// [`norm_on_cpu`] on the device, `[1]`.
pub fn norm_on_gpu(gradient: &Gradient) -> Tensor<1> {
    let squares = gradient.flat.iter().map(|values| values.clone().square().sum()).collect();
    Tensor::cat(squares, 0).sum().sqrt()
}

/// The factor of PyTorch's `clip_grad_norm_`: scales a norm down to `max_norm`; 1 if the norm is smaller or `max_norm` is 0.
pub fn clip_scale(norm: f64, max_norm: f64) -> f64 {
    if max_norm > 0.0 { (max_norm / (norm + 1e-6)).min(1.0) } else { 1.0 }
}

/// [`clip_scale`] on the device, `[1]` to `[1]`.
pub fn clip_scale_on_gpu(norm: Tensor<1>, max_norm: f64) -> Tensor<1> {
    if max_norm > 0.0 { ((norm + 1e-6).recip() * max_norm).clamp_max(1.0) } else { norm.ones_like() }
}

pub(super) fn sum_of_squares(tensor: &Tensor<1>) -> f64 {
    moments::sum_of_squares(host_values(tensor).as_slice::<f32>().unwrap_or_default())
}

/// The coefficients of an AdamW step, computed once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Coefficients {
    pub(super) beta1: f64,
    pub(super) beta2: f64,
    pub(super) eps: f64,
    /// Factor of gradient clipping.
    pub(super) scale: f64,
    /// Learning rate with the bias correction of the first moment.
    pub(super) rate: f64,
    /// Inverse root of the bias correction of the second moment.
    pub(super) second_scale: f64,
    /// `1 - learning_rate * weight_decay`, for matrices.
    pub(super) matrix_keep: f64,
    /// The decay factor of the current parameter: `matrix_keep` or 1.
    pub(super) keep: f64,
}

impl Coefficients {
    pub(super) fn new(hyperparameters: StepHyperparameters, step: u64, scale: f64) -> Self {
        let correction = |beta: f64| 1.0 - beta.powf(step as f64);
        Self {
            beta1: hyperparameters.beta1,
            beta2: hyperparameters.beta2,
            eps: hyperparameters.eps,
            scale,
            rate: hyperparameters.learning_rate / correction(hyperparameters.beta1),
            second_scale: 1.0 / correction(hyperparameters.beta2).sqrt(),
            matrix_keep: 1.0 - hyperparameters.learning_rate * hyperparameters.weight_decay,
            keep: 1.0,
        }
    }

    /// The coefficients that the operator of GPUs reads.
    fn on_gpu(self) -> AdamwStep {
        let Self { beta1, beta2, eps, rate, second_scale, keep, .. } = self;
        AdamwStep { beta1, beta2, eps, rate, second_scale, keep }
    }

    /// The coefficients of one parameter. Its weight decay does not depend on the factor of its learning rate.
    pub(super) fn of(self, spec: &ParamSpec) -> Self {
        Self {
            keep: if spec.decays() { self.matrix_keep } else { 1.0 },
            rate: self.rate * spec.learning_rate_factor,
            ..self
        }
    }
}
