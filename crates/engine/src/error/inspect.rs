//! Errors of inspections: what was requested, what is available, and what to do.

use wire::PlanError;
use wire::control::intervention::NoSuchComponent;
use wire::inspect::request::UNKNOWN_CHARACTERS;
use wire::number::grouped;

/// An error of [`crate::inspect`].
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The inspection is invalid for every model.
    #[error(transparent)]
    Invalid(#[from] PlanError),
    /// The model does not have this component.
    #[error(transparent)]
    NoSuchComponent(#[from] NoSuchComponent),
    /// The text has no token at this position.
    #[error("position {at} is outside of the text, which has {tokens} tokens, positions 0 to {}", tokens.saturating_sub(1))]
    NoPosition {
        /// Requested position.
        at: u32,
        /// Number of tokens of the text.
        tokens: usize,
    },
    /// The model has no parameter of this name.
    #[error("this model has no parameter {tensor:?}; it has {}", known.join(", "))]
    NoTensor {
        /// Requested name.
        tensor: String,
        /// The first parameters of the model.
        known: Vec<String>,
    },
    /// A window that starts outside its matrix.
    #[error(
        "{tensor} is {rows} × {columns}, and a window from row {row}, column {column} is outside of it; start within the matrix"
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
    /// The text is longer than the maximum of an inspection.
    #[error("the text has {tokens} tokens, and an inspection of this model reads at most {max}; shorten it by {}", tokens - max)]
    TooLong {
        /// Number of tokens of the text.
        tokens: usize,
        /// Maximum number of tokens.
        max: usize,
    },
    /// Characters that the tokenizer has no token for.
    #[error("{} ({}); remove them from the prompt", UNKNOWN_CHARACTERS, quoted(chars))]
    UnknownChars {
        /// The characters, each once.
        chars: Vec<char>,
    },
    /// The dataset has no validation window of this number.
    #[error(
        "unknown validation window {}: the dataset has {} windows of {} tokens, numbered from 0",
        grouped(u64::from(*window)),
        grouped(*windows as u64),
        grouped(*tokens as u64)
    )]
    NoWindow {
        /// Requested window.
        window: u32,
        /// Number of windows of the dataset.
        windows: usize,
        /// Number of tokens of a window.
        tokens: usize,
    },
    /// The state has no optimizer moments.
    #[error("no optimizer update is available: {why}")]
    NoUpdate {
        /// The reason, and what to do.
        why: &'static str,
    },
    /// No step has measured statistics.
    #[error(
        "statistics of gradients and updates are measured by training steps at their interval, and no step has measured them here; try again a few steps later"
    )]
    NoStats,
    /// The run has no batch of this step.
    #[error("the run has no batch of step {}: its steps are 0 to {}", grouped(*step), grouped(steps.saturating_sub(1)))]
    NoBatch {
        /// Requested step.
        step: u64,
        /// Number of steps of the run.
        steps: u64,
    },
    /// The inspection panicked.
    #[error("the inspection failed: {message}; the run continues")]
    Panicked {
        /// Message of the panic.
        message: String,
    },
}

pub(super) fn quoted(chars: &[char]) -> String {
    chars.iter().take(20).map(|c| format!("{c:?}")).collect::<Vec<_>>().join(", ")
}
