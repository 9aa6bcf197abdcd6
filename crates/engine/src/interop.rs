//! Models from and to Hugging Face's `transformers`: a folder of `config.json`, `model.safetensors` and `tokenizer.json`, for decoders of
//! GPT-2's, Llama's (also Mistral's) or Qwen2's architecture.
//!
//! - [`export`]: a checkpoint to such a folder; [`import`]: such a folder to a first checkpoint; [`folder`]: which of its files are read;
//! - `names`: the parameters that make each tensor, one table for both directions;
//! - `config`: the architecture; `generation`: where texts begin and end; `tokenizer_files`: the tokenizer;
//! - `weights`: the tensors of all shards by name; `tensors`: one weights file as untrusted bytes.
//!
//! A model with an option that the other format does not support is refused with the name of the option, because a converted model would
//! compute different values.

mod config;
pub mod export;
pub mod folder;
mod generation;
pub mod import;
mod names;
mod tensors;
mod tokenizer_files;
mod weights;

pub use wire::model::architecture::Shape;

use crate::error::{EngineError, Source};

/// File of the architecture.
pub const CONFIG: &str = "config.json";
/// File of the weights.
pub const WEIGHTS: &str = "model.safetensors";
/// File of the tokenizer.
pub const TOKENIZER: &str = "tokenizer.json";
/// File that names the shard of each tensor.
pub const INDEX: &str = "model.safetensors.index.json";
/// File of the tokens at which texts begin and end.
const GENERATION: &str = "generation_config.json";
/// File of the settings of a tokenizer.
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";

/// The optional prefix of all tensor names of an architecture.
fn prefix(shape: Shape) -> &'static str {
    match shape {
        Shape::Gpt2 => "transformer.",
        Shape::Llama | Shape::Qwen2 => "model.",
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
