//! Errors of imports from the hub.

use std::io;
use std::path::PathBuf;

use axum::http::StatusCode;

use crate::error::ApiError;

/// Why something of the hub cannot be imported. No message has a token.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    #[error("{given:?} is not a name on the hub")]
    Name { given: String },
    #[error("{given:?} is not a branch, a tag or a commit")]
    Revision { given: String },
    #[error("the access token contains characters that are not valid in a token")]
    Token,
    #[error("cannot reach {host}: {}", why_offline(source))]
    Offline { host: String, source: Box<ureq::Error> },
    #[error("the hub does not show {what} without an access token")]
    NoToken { what: String },
    #[error("the access token does not give access to {what}")]
    NoAccess { what: String },
    #[error("the hub has no {what}")]
    NotFound { what: String },
    #[error("{host} answered with status {status} for {what}")]
    Status { host: String, status: u16, what: String },
    #[error("the answer of {host} cannot be read: {source}")]
    Malformed { host: String, source: serde_json::Error },
    #[error("the hub lists a file {path:?}, which leads out of its folder")]
    Path { path: String },
    #[error("{message}")]
    NoFiles { message: String, hint: String },
    #[error("another job downloads {repo}")]
    Busy { repo: String },
    #[error("the download of {path} stopped after {done} bytes: {source}")]
    Interrupted { path: String, done: u64, source: io::Error },
    #[error("{path} has {found} bytes instead of {expected}, and was deleted")]
    Size { path: String, found: u64, expected: u64 },
    #[error("{path} has the SHA-256 {found} instead of {expected}, and was deleted")]
    Hash { path: String, found: String, expected: String },
    #[error("{}: {source}", path.display())]
    Disk { path: PathBuf, source: io::Error },
    #[error("the import was cancelled")]
    Cancelled,
    /// An error of the import that follows the download, or a full disk.
    #[error("{0}")]
    Import(Box<ApiError>),
}

/// Why a host was not reached. The resolver of the system words its error differently on each system.
fn why_offline(error: &ureq::Error) -> String {
    match error {
        ureq::Error::HostNotFound => "no such host".to_owned(),
        ureq::Error::Io(source) if source.to_string().contains("lookup address") => "no such host".to_owned(),
        ureq::Error::Io(source) => source.to_string(),
        other => other.to_string(),
    }
}

impl From<ApiError> for HubError {
    fn from(error: ApiError) -> Self {
        Self::Import(Box::new(error))
    }
}

impl From<HubError> for ApiError {
    fn from(error: HubError) -> Self {
        let message = error.to_string();
        let unprocessable = |code: &str| Self::invalid(code, message.clone());
        let unavailable = |code: &str| Self::new(StatusCode::BAD_GATEWAY, code, message.clone());
        let converted = match &error {
            HubError::Import(error) => return (**error).clone(),
            HubError::Disk { .. } => return Self::internal("a download", error),
            HubError::Name { .. } => unprocessable("hub_name")
                .field("repo")
                .hint("write owner/name, as in the address of its page on the hub"),
            HubError::Revision { .. } => {
                unprocessable("hub_revision").field("revision").hint("leave it out for the branch main")
            }
            HubError::Token => unprocessable("hub_token").field("token").hint("copy the token again"),
            HubError::NoToken { .. } => unprocessable("hub_access")
                .field("repo")
                .hint("check the name; if it is private or gated, give a token that may read it"),
            HubError::NoAccess { .. } => unprocessable("hub_access")
                .field("token")
                .hint("accept the conditions on its page on the hub, or give another token"),
            HubError::NotFound { .. } => {
                Self::not_found(message.clone()).hint("check the name, the revision and the path on the hub")
            }
            HubError::Path { .. } => unprocessable("hub_path").hint("download the files elsewhere and upload them"),
            HubError::NoFiles { hint, .. } => unprocessable("hub_no_files").hint(hint.clone()),
            HubError::Busy { .. } => {
                Self::conflict("hub_busy", message.clone()).hint("wait until that job is done, or cancel it")
            }
            HubError::Cancelled => Self::conflict("cancelled", message.clone()),
            HubError::Offline { .. } => unavailable("hub_unreachable")
                .hint("check the network of the server, or download the files elsewhere and upload them"),
            HubError::Status { .. } | HubError::Malformed { .. } => {
                unavailable("hub_failed").hint("try again later; the option --hub-url of the server names the hub")
            }
            HubError::Interrupted { .. } => {
                unavailable("hub_interrupted").hint("import it again: the download continues there")
            }
            HubError::Size { .. } | HubError::Hash { .. } => unavailable("hub_altered").hint("import it again"),
        };
        converted.source(error)
    }
}
