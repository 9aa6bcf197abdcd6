//! Why a provider gave no reply. Messages name the host, and never contain the key.

/// Longest message of a provider, characters.
const MESSAGE_CHARS: usize = 300;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    #[error("{host} cannot be reached: {message}")]
    Unreachable { host: String, message: String },
    #[error("{host} has sent nothing for {secs} s")]
    Timeout { host: String, secs: u64 },
    #[error("{host} answered with status {status}: {message}")]
    Refused { host: String, status: u16, message: String, retry_after_secs: Option<u64> },
    #[error("{host} reported an error: {message}")]
    Reported { host: String, message: String, is_temporary: bool },
    #[error("{host} ended its answer early")]
    Incomplete { host: String },
    #[error("{host} did not answer with a stream of events")]
    NoStream { host: String },
}

impl ProviderError {
    /// Whether the same request may succeed later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Refused { status, .. } => matches!(status, 408 | 429 | 500 | 502 | 503 | 504 | 529),
            Self::Reported { is_temporary, .. } => *is_temporary,
            Self::Unreachable { .. } | Self::Incomplete { .. } => true,
            Self::Timeout { .. } | Self::NoStream { .. } => false,
        }
    }

    /// The time after which the provider wants to be asked again, seconds.
    pub fn retry_after_secs(&self) -> Option<u64> {
        match self {
            Self::Refused { retry_after_secs, .. } => *retry_after_secs,
            _ => None,
        }
    }
}

/// A message of a provider on one line, shortened.
pub fn short(message: &str) -> String {
    let plain: String = message.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    plain.trim().chars().take(MESSAGE_CHARS).collect()
}
