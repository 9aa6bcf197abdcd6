//! Why an inspection fails: what was requested, what there is, and what to do.

use wire::PlanError;
use wire::control::intervention::NoSuchComponent;

/// An error of [`crate::inspect`].
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The inspection is invalid for every model.
    #[error(transparent)]
    Invalid(#[from] PlanError),
    /// The model does not have this component.
    #[error(transparent)]
    NoSuchComponent(#[from] NoSuchComponent),
    /// No token at this position.
    #[error("there is no position {at} in this text: it has {tokens} tokens, positions 0 to {}", tokens.saturating_sub(1))]
    NoPosition {
        /// Requested position.
        at: u32,
        /// Tokens of the text.
        tokens: usize,
    },
    /// No parameter of this name.
    #[error("there is no parameter {tensor:?} in this model; there are {}", known.join(", "))]
    NoTensor {
        /// Requested name.
        tensor: String,
        /// The first parameters of the model.
        known: Vec<String>,
    },
    /// A window that begins outside its matrix.
    #[error(
        "{tensor} is {rows} × {columns}, and a window from row {row}, column {column} is outside of it; begin within the matrix"
    )]
    Outside {
        /// Parameter.
        tensor: String,
        rows: usize,
        columns: usize,
        /// First requested row.
        row: u32,
        /// First requested column.
        column: u32,
    },
    /// A text longer than an inspection reads.
    #[error("the text has {tokens} tokens, and an inspection of this model reads at most {max}; shorten it by {}", tokens - max)]
    TooLong {
        /// Tokens of the text.
        tokens: usize,
        /// Maximum.
        max: usize,
    },
    /// Characters that the tokenizer has no token for.
    #[error("the tokenizer of this run does not know {}; leave these characters out", quoted(chars))]
    UnknownChars {
        /// Each once.
        chars: Vec<char>,
    },
    /// No validation window of this number.
    #[error("there is no validation window {window}: the dataset has {windows} of {tokens} tokens, numbered from 0")]
    NoWindow {
        /// Requested window.
        window: u32,
        /// Windows of the dataset.
        windows: usize,
        /// Tokens of each.
        tokens: usize,
    },
    /// The optimizer has no moments here.
    #[error("there is no optimizer update here: {why}")]
    NoUpdate {
        /// Why, and what to do.
        why: &'static str,
    },
    /// No step has measured statistics yet.
    #[error(
        "statistics of gradients and updates are measured by training steps at their interval, and no step has measured them here; try again some steps later"
    )]
    NoStats,
    /// No batch of this step.
    #[error("the run has no batch of step {step}: its steps are 0 to {}", steps.saturating_sub(1))]
    NoBatch {
        /// Requested step.
        step: u64,
        /// Steps of the run.
        steps: u64,
    },
    /// The inspection panicked.
    #[error("the inspection failed: {message}; the run continues")]
    Panicked {
        /// Message of the panic.
        message: String,
    },
}

fn quoted(chars: &[char]) -> String {
    chars.iter().take(20).map(|c| format!("{c:?}")).collect::<Vec<_>>().join(", ")
}
