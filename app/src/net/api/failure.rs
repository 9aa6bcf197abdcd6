//! Requests that were refused or failed.

use wire::ApiErrorBody;

/// A request that was refused or failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiFailure {
    /// HTTP status; 0 without a response.
    pub(crate) status: u16,
    /// What failed, the field, and what to do.
    pub(crate) body: ApiErrorBody,
}

impl ApiFailure {
    pub(super) fn new(status: u16, code: &str, message: impl Into<String>, hint: &str) -> Self {
        let body = ApiErrorBody { code: code.into(), message: message.into(), field: None, hint: Some(hint.into()) };
        Self { status, body }
    }

    pub(super) fn unreachable() -> Self {
        Self::new(
            0,
            "unreachable",
            "The server did not answer.",
            "Check that it is running and that this machine is connected.",
        )
    }

    pub(super) fn unreadable(reason: impl ToString) -> Self {
        Self::new(
            0,
            "unreadable",
            format!("The response of the server could not be read: {}", reason.to_string()),
            "Reload the page: it may be older than the server.",
        )
    }

    /// The message and the hint in one line.
    pub(crate) fn sentence(&self) -> String {
        match &self.body.hint {
            Some(hint) => format!("{} ({hint})", self.body.message),
            None => self.body.message.clone(),
        }
    }
}
