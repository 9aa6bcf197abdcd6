//! The engine: text to tokens, a decoder, an optimizer, and the loop that trains. No HTTP, no async, no SQL.
//!
//! From the bottom up; a module uses only those above it in this list:
//!
//! - [`error`]: one typed error per area;
//! - [`device`]: the devices of this machine, and the replicas over which a batch is split;
//! - [`kernels`]: fused operators of the CPU, reductions with their WGSL kernels, counter-based random numbers;
//! - [`data`]: corpora, their imports and generators, tokenizers, token shards, and the batch of any step;
//! - [`model`]: parameters, the decoder (read [`model::decoder`] first), gradients, evaluation, sampling, weight edits;
//! - [`optim`]: AdamW and Muon, statistics of weights and gradients, checkpoints of weights and moments;
//! - [`inspect`]: inspections of a model, each a pure function of weights, plan and text;
//! - [`task`]: evaluation tasks, and the scores of a model on them;
//! - [`train`]: the training loop (read [`train::trainer`] first) and the session around it;
//! - [`interop`]: models from and to Hugging Face's files; [`check`]: the device check.

pub mod check;
pub mod data;
pub mod device;
pub mod error;
pub mod inspect;
pub mod interop;
pub mod kernels;
pub mod model;
pub mod optim;
pub mod task;
pub mod train;

pub use error::{DataError, EngineError, InspectError, TaskError};
