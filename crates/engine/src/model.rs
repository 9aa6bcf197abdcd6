//! The model: [`params`] names, shapes and initial values of its parameters; [`decoder`] the forward pass, in execution order; [`hook`]
//! the points at which activations can be read and changed; [`gradient`] forward and backward over the batches of a step; `gradient_sum`
//! the sum over replicas; [`cpu`] forward and backward of a replica of the CPU, without a graph; [`evaluate`] losses without gradients;
//! [`sample`] text generation; [`weight_edit`] interventions written into the weights; [`speed`] a device's throughput on a small model;
//! [`variant`] which implementation of the gradient a bench measures.
//! See [`crate::optim`] for optimizers.

pub mod cpu;
pub mod decoder;
pub mod evaluate;
pub mod gradient;
mod gradient_sum;
pub mod hook;
pub mod params;
pub mod sample;
pub mod speed;
pub mod variant;
pub mod weight_edit;
