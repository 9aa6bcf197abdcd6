//! Text on its way to batches. [`corpus`]: the corpora of a data folder; [`import`]: files that become one; `tales`, `modular_addition` and
//! `induction`: generators with a known entropy; [`dataset`]: token shards on disk; [`batch`]: the windows that a step reads, a pure
//! function of seed, step and mix. How text becomes tokens is [`crate::tokenizer`]'s.

pub mod batch;
pub mod corpus;
pub mod dataset;
pub mod import;

mod induction;
mod modular_addition;
mod tales;
