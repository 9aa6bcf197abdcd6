//! Errors: the body of every API error, invalid values of a spec, and texts that cannot be parsed.

mod reason;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use reason::in_words;

/// The body of every API error: a stable code, a message, the invalid field and a hint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApiErrorBody {
    /// Stable code for programs: `plan_invalid`, `not_found`, `forbidden`, ...
    pub code: String,
    /// The error, with the value.
    pub message: String,
    /// Path of the invalid field: `overrides.optimizer.learning_rate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Hint: how to resolve the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// An invalid value of a spec, command or request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanError {
    /// Path of the invalid field.
    pub field: String,
    /// The problem, with the value.
    pub message: String,
    /// Hint: a valid range or example.
    pub hint: Option<String>,
}

impl PlanError {
    /// An error about `field`.
    pub fn new(field: &str, message: impl Into<String>) -> Self {
        Self { field: field.to_owned(), message: message.into(), hint: None }
    }

    /// Adds a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, " ({hint})"))
    }
}

impl std::error::Error for PlanError {}

/// A text that cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// The text, at most 80 characters of it.
    pub value: String,
    /// What was expected, with an example.
    pub expected: &'static str,
}

impl ParseError {
    /// An error about `value`.
    pub fn new(value: &str, expected: &'static str) -> Self {
        Self { value: value.chars().take(80).collect(), expected }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not {}", self.value, self.expected)
    }
}

impl std::error::Error for ParseError {}
