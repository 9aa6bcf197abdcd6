//! Why a look inside cannot be answered: what was asked for, what there is, and the way out.

use wire::edit::NoPart;

/// An error of [`crate::xray`].
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// No model could answer it.
    #[error("{message}")]
    Refused {
        /// The sentence to show.
        message: String,
    },
    /// The model has no such part.
    #[error(transparent)]
    NoPart(#[from] NoPart),
    /// No token at this place.
    #[error("there is no place {at} in this text: it has {tokens} tokens, places 0 to {}", tokens.saturating_sub(1))]
    NoPlace {
        /// As asked.
        at: u32,
        /// Tokens of the text.
        tokens: usize,
    },
    /// No parameter of this name.
    #[error("there is no parameter {tensor:?} in this model; there are {}", known.join(", "))]
    NoTensor {
        /// As asked.
        tensor: String,
        /// Those that it has, the first of them.
        known: Vec<String>,
    },
    /// A window that begins outside its matrix.
    #[error(
        "{tensor} is {rows} x {columns}, and a window from row {row}, column {column} lies outside: begin within it"
    )]
    Outside {
        /// Which parameter.
        tensor: String,
        /// Rows it has.
        rows: usize,
        /// Columns it has.
        columns: usize,
        /// First row asked for.
        row: u32,
        /// First column asked for.
        column: u32,
    },
    /// More text than a look reads.
    #[error("the text has {tokens} tokens, and a look into this model reads at most {most}: take {} away", tokens - most)]
    TooLong {
        /// Tokens of the text.
        tokens: usize,
        /// Tokens that are read.
        most: usize,
    },
    /// Characters that the run's text never had.
    #[error("the run's text never had {}: leave that out", quoted(chars))]
    Strangers {
        /// Each once.
        chars: Vec<char>,
    },
    /// No held-out window of this number.
    #[error("there is no held-out window {window}: the text has {windows} of {tokens} tokens, numbered from 0")]
    NoWindow {
        /// As asked.
        window: u32,
        /// Windows there are.
        windows: usize,
        /// Tokens of each.
        tokens: usize,
    },
    /// The optimizer has no moments here.
    #[error("there is no update to look at: {why}")]
    NoUpdate {
        /// Why, and the way out.
        why: &'static str,
    },
    /// No step has measured anything.
    #[error(
        "gradients and updates are measured by training steps now and then, and none has done so here: look some steps later"
    )]
    NoStats,
    /// No batch of this step.
    #[error("the run has no batch of step {step}: it ends at step {steps}, and its first step is 0")]
    NoBatch {
        /// As asked.
        step: u64,
        /// Steps of the run.
        steps: u64,
    },
    /// It broke off.
    #[error("this look broke off: {message}; the run goes on without it")]
    Broken {
        /// The panic's words.
        message: String,
    },
}

fn quoted(chars: &[char]) -> String {
    chars.iter().take(20).map(|c| format!("{c:?}")).collect::<Vec<_>>().join(", ")
}
