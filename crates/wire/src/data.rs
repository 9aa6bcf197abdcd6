//! Datasets, their imports and tokenizers, as pages list them and plans name them.

pub mod corpus;
pub mod hub;
pub mod import;
pub mod tokenizer;
