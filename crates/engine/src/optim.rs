//! Optimizers and their state. [`optimizer`]: weights with their moments, gradient clipping and AdamW; `cpu`: one step on the CPU;
//! `spare`: the memory that it writes while a checkpoint is read; [`muon`]: Muon for the matrices of the blocks; [`stats`] and
//! [`gpu_stats`]: statistics of weights, gradients and updates; [`noise_scale`]: the gradient noise scale; [`checkpoint`]: weights and moments
//! on disk.

pub mod checkpoint;
pub(crate) mod cpu;
pub mod gpu_stats;
pub mod loss_scale;
pub mod muon;
pub mod noise_scale;
pub mod optimizer;
pub(crate) mod spare;
pub mod stats;
pub mod step_hyperparameters;
