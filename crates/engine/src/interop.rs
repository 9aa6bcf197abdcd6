//! Models to and from the files that the rest of the world reads: a folder of `config.json`, `model.safetensors` and `tokenizer.json`,
//! as Hugging Face's `transformers` writes and loads it, for decoders of GPT-2's or Llama's shape.
//!
//! - [`export`] a checkpoint out, [`import`] a model in;
//! - `names` which of our parameters make which of theirs, one table for both ways;
//! - `config` the shape as numbers, `tensors` the weights' file as untrusted bytes, `vocabulary` the tokenizer.
//!
//! A model that has a switch which the other side knows nothing of is refused with the switch's name: a file that loads and computes
//! something else would be worse than none.

mod config;
pub mod export;
pub mod import;
mod names;
mod tensors;
pub mod vocabulary;

pub use wire::shape::Shape;

use crate::error::EngineError;

/// The shape's file.
pub const CONFIG: &str = "config.json";
/// The weights' file.
pub const WEIGHTS: &str = "model.safetensors";
/// The tokenizer's file.
pub const TOKENIZER: &str = "tokenizer.json";

/// What all parameters' names of a shape may begin with.
fn prefix(shape: Shape) -> &'static str {
    match shape {
        Shape::Gpt2 => "transformer.",
        Shape::Llama => "model.",
    }
}

/// A refusal: which file or model, what is wrong with the value found, and the way out.
fn refused(what: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) -> EngineError {
    EngineError::Interop { what: what.into(), message: message.into(), hint: hint.into() }
}
