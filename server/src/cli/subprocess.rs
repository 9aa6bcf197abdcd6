//! The common part of `complete` and `inspect`. The server runs them as separate processes ([`crate::runs::subprocess`]): each reads one
//! request as JSON from standard input and answers on standard output.

use wire::ApiErrorBody;

/// Longest request, bytes.
pub(super) const REQUEST_BYTES: u64 = 1_000_000;

/// The request was refused; the answer on standard output says why.
#[derive(Debug, thiserror::Error)]
#[error("the request was refused: the last line on standard output says why, as JSON")]
pub struct Refused;

/// Lowers this process's priority, so that trainings on this machine go first.
pub(super) fn lower_priority() {
    #[cfg(unix)]
    if let Err(error) = rustix::process::nice(10) {
        tracing::debug!("running at normal priority: {error}");
    }
}

pub(super) fn refusal(code: &str, message: impl ToString, hint: &str) -> ApiErrorBody {
    ApiErrorBody { code: code.into(), message: message.to_string(), field: None, hint: Some(hint.into()) }
}
