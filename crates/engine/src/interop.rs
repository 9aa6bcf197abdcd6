//! Models from and to Hugging Face's `transformers`: a folder of `config.json`, `model.safetensors` and `tokenizer.json`, for decoders of
//! GPT-2's or Llama's architecture.
//!
//! - [`export`]: a checkpoint to such a folder; [`import`]: such a folder to a first checkpoint;
//! - `names`: the parameters that make each tensor, one table for both directions;
//! - `config`: the architecture; `tensors`: the weights file as untrusted bytes. [`crate::tokenizer::hugging_face`] converts the
//!   tokenizer.
//!
//! A model with an option that the other format does not support is refused with the name of the option, because a converted model would
//! compute different values.

mod config;
pub mod export;
pub mod import;
mod names;
mod tensors;

pub use wire::model::architecture::Shape;

use crate::error::{EngineError, Source};

/// File of the architecture.
pub const CONFIG: &str = "config.json";
/// File of the weights.
pub const WEIGHTS: &str = "model.safetensors";
/// File of the tokenizer.
pub const TOKENIZER: &str = "tokenizer.json";

/// The optional prefix of all tensor names of an architecture.
fn prefix(shape: Shape) -> &'static str {
    match shape {
        Shape::Gpt2 => "transformer.",
        Shape::Llama => "model.",
    }
}

/// An error with the file or model, what is wrong with it, and what to do.
fn refused(what: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) -> EngineError {
    EngineError::Interop { what: what.into(), message: message.into(), hint: hint.into(), source: None }
}

/// An error with its cause.
fn failed(what: impl Into<String>, source: impl Into<Source>, hint: impl Into<String>) -> EngineError {
    let source = source.into();
    EngineError::Interop { what: what.into(), message: source.to_string(), hint: hint.into(), source: Some(source) }
}
