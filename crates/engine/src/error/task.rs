//! Errors of evaluation tasks: of the file of a task, and of an item that a model cannot be scored on.

use wire::number::grouped;
use wire::task::{MAX_FILE_BYTES, MAX_ITEMS};

use super::inspect::quoted;

/// An error of [`crate::task`]. Items are numbered from 1.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The file is too large to be read.
    #[error("the file has {} bytes, and a task has at most {}; split it into several tasks", grouped(*bytes), grouped(MAX_FILE_BYTES))]
    TooLarge { bytes: u64 },
    /// The file is not UTF-8.
    #[error("line {line}: a byte is not UTF-8; save the file as UTF-8 text")]
    NotText {
        /// Line, from 1.
        line: usize,
    },
    /// The file does not have the format of a task.
    #[error("line {line}: {message}; {hint}")]
    Format {
        /// Line, from 1.
        line: usize,
        /// The parser's message, with the value.
        message: String,
        /// The fields that the format has at this place.
        hint: &'static str,
    },
    /// The number of items is outside its range.
    #[error("the task has {} items; give 1 to {}", grouped(*items as u64), grouped(MAX_ITEMS as u64))]
    Items { items: usize },
    /// Characters that the tokenizer of the model has no token for.
    #[error(
        "item {item} has characters that are not in the model's vocabulary: {}; remove them, or evaluate a model with another tokenizer",
        quoted(chars)
    )]
    UnknownChars {
        item: usize,
        /// The characters, each once.
        chars: Vec<char>,
    },
    /// The model has no token before the text, so nothing predicts its first token.
    #[error("item {item} has an empty prompt, and texts of this model begin without a special token; give it a prompt")]
    NoPrompt { item: usize },
    /// The tokenizer gives no tokens for a text.
    #[error("item {item}: the tokenizer of the model gives no tokens for {text:?}; give it another text")]
    NoTokens {
        item: usize,
        /// The choice, answer or text, at most 40 characters of it.
        text: String,
    },
    /// A choice or an answer is longer than the context.
    #[error(
        "item {item}: {text:?} has {tokens} tokens, and the context of this model has {context}; shorten it, or use a task of the kind perplexity"
    )]
    TooLong {
        item: usize,
        /// The choice or answer, at most 40 characters of it.
        text: String,
        tokens: usize,
        context: usize,
    },
}
