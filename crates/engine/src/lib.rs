//! The engine: text to tokens, a decoder, an optimizer, and the loop that trains. No HTTP, no async, no SQL.
//!
//! Text: [`corpus`] what the lab has, [`intake`] how it comes in, [`tokenizer`], [`dataset`] token shards on disk, [`batch`].
//! Model: [`params`] the numbers, [`decoder`] the forward pass, read top to bottom, [`fused`] the CPU's one-pass operators.
//! Training: [`train`] the loop, also read top to bottom; [`optimizer`] and [`muon`], [`cores`] the batch split over cores, [`evaluate`],
//! [`sample`], [`checkpoint`] saved states, [`stats`] looks at weights and gradients, [`gpu_stats`] the same on a GPU through [`taps`], [`device`] where it all
//! runs, [`check`] whether it can be trusted. [`interop`] models to and from the files that others read.
//! Looking inside: [`xray`] what can be seen of a model, [`lesion`] hands that last, [`reduce`] how it is made small where it lies.

pub mod batch;
pub mod bench;
pub mod check;
pub mod checkpoint;
pub mod cores;
pub mod corpus;
pub mod data_error;
pub mod dataset;
pub mod decoder;
pub mod device;
pub mod error;
pub mod evaluate;
pub mod fused;
pub mod gpu_stats;
pub mod gradient;
pub mod intake;
pub mod interop;
pub mod lesion;
pub mod look_error;
pub mod muon;
pub mod optimizer;
pub mod params;
pub mod random;
pub mod reduce;
pub mod sample;
pub mod stats;
pub mod taps;
pub mod tokenizer;
pub mod train;
pub mod xray;

mod arithmetic;
mod induction;
mod tales;

pub use data_error::DataError;
pub use error::EngineError;
pub use look_error::LookError;
