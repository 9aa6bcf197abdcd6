//! What is said when something is refused: one body for the whole API, one typed error for plans.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The body of every refusal: a stable code for programs, a sentence for people, and the way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApiErrorBody {
    /// Stable, for programs: `plan_invalid`, `not_found`, `forbidden`, ...
    pub code: String,
    /// What failed, with the value.
    pub message: String,
    /// The field at fault, as a path: `overrides.optimizer.rate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What to do instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Why a spec does not resolve to a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanError {
    /// The field at fault, as a path.
    pub field: String,
    /// What is wrong, with the value.
    pub message: String,
    /// The smallest change that would do.
    pub hint: Option<String>,
}

impl PlanError {
    /// An error about `field`.
    pub fn new(field: &str, message: impl Into<String>) -> Self {
        Self { field: field.to_owned(), message: message.into(), hint: None }
    }

    /// The same, with the way out.
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
