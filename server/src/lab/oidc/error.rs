//! The errors of a sign-in with OpenID Connect.

use std::error::Error;

use openidconnect::url::ParseError;
use tokio::task::JoinError;

/// Why a sign-in with OpenID Connect failed.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// No such sign-in is under way in this browser.
    #[error("the sign-in took longer than 10 minutes, was used already, or began in another browser")]
    Unknown,
    /// The address to return to cannot be one.
    #[error("the address of this lab is not valid: {source}")]
    Address {
        #[from]
        source: ParseError,
    },
    /// The metadata of the provider cannot be read.
    #[error("the provider cannot be reached, or it is not an OpenID Connect provider: {}", causes(source.as_ref()))]
    Discovery { source: Box<dyn Error + Send + Sync> },
    /// The provider refused the code, or its answer is not valid.
    #[error("the answer of the provider is not valid: {}", causes(source.as_ref()))]
    Answer { source: Box<dyn Error + Send + Sync> },
    /// The provider speaks OAuth but not OpenID Connect.
    #[error("the answer of the provider has no ID token")]
    NoIdToken,
    /// The work on another thread panicked.
    #[error("the sign-in was aborted: {0}")]
    Aborted(JoinError),
}

impl OidcError {
    pub(super) fn discovery(source: impl Error + Send + Sync + 'static) -> Self {
        Self::Discovery { source: source.into() }
    }

    pub(super) fn answer(source: impl Error + Send + Sync + 'static) -> Self {
        Self::Answer { source: source.into() }
    }
}

/// An error and its causes, because those of the protocol name only their kind.
fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// A request to the provider failed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct HttpError(Box<ureq::Error>);

impl HttpError {
    pub(super) fn boxed(source: ureq::Error) -> Self {
        Self(source.into())
    }
}
