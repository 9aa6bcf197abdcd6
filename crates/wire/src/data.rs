//! Datasets and tokenizers, as pages list them and plans name them.

pub mod corpus;
pub mod tokenizer;
