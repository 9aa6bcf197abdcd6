//! Datasets: from text files to batches. From the bottom up:
//!
//! - `files`: files that are renamed when they are complete, and mapped into memory; [`tokenizer`]: text to token ids and back;
//! - `documents`: the documents of a corpus on disk; `draft`: a corpus that is being written;
//! - [`import`]: a corpus from files; [`generators`]: corpora with a known entropy (`tales`, `modular_addition`, `induction`);
//! - `shards`: token shards on disk; [`corpus`]: the corpora of a data folder; `tokenization`: corpora into shards;
//! - [`dataset_files`]: the files of a tokenized dataset by names, for workers of other machines;
//! - [`batch`]: the windows that a step reads, a pure function of seed, step and mix; [`dataset`]: shards read as batches; [`repeats`]: windows
//!   whose text has already occurred elsewhere; [`online_mixing`]: a mix that follows the losses of its datasets.

pub mod batch;
pub mod corpus;
pub mod dataset;
pub mod dataset_files;
pub(crate) mod documents;
pub(crate) mod draft;
pub(crate) mod files;
pub mod generators;
pub mod import;
pub(crate) mod modular_addition;
pub mod online_mixing;
pub mod repeats;
pub(crate) mod tales;
pub mod tokenizer;

mod induction;
mod shards;
mod tokenization;
