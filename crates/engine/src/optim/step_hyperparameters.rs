//! The optimizer's hyperparameters at one step.

use wire::hyperparameters::recipe::{Optimizer, OptimizerKind};

/// The optimizer's hyperparameters at one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepHyperparameters {
    pub kind: OptimizerKind,
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decoupled weight decay of matrices: they are multiplied by `1 - learning_rate * weight_decay`.
    pub weight_decay: f64,
    /// Maximum global gradient norm; 0 disables clipping.
    pub grad_clip: f64,
}

impl StepHyperparameters {
    /// The hyperparameters of `optimizer` with the learning rate of the step.
    pub fn new(optimizer: &Optimizer, learning_rate: f64) -> Self {
        let Optimizer { kind, learning_rate: _, beta1, beta2, eps, weight_decay, grad_clip, z_loss: _ } = *optimizer;
        Self { kind, learning_rate, beta1, beta2, eps, weight_decay, grad_clip }
    }
}
