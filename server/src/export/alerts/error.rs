//! Why a message was not accepted.

use std::time::Duration;

/// The error of an attempt to send a message. No text contains the address of the receiver, which may be a secret.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error("the server has no SMTP server: start it with kindling serve --smtp-host HOST --smtp-from ADDRESS")]
    NoSmtp,
    #[error("the receiver answered HTTP {status}{}", shown(answer))]
    Refused { status: u16, answer: String },
    #[error("the receiver did not answer: {source}")]
    Http { source: Box<ureq::Error> },
    #[error("the message cannot be written as JSON: {source}")]
    Encoding { source: serde_json::Error },
    #[error("the e-mail address cannot be used: {source}")]
    Address { source: lettre::address::AddressError },
    #[error("the e-mail cannot be written: {source}")]
    Email { source: lettre::error::Error },
    #[error("the SMTP server did not accept the e-mail: {source}")]
    Smtp { source: lettre::transport::smtp::Error },
    #[error("the receiver did not answer within {} s", within.as_secs_f32().ceil())]
    Slow { within: Duration },
    #[error("the attempt was interrupted: {source}")]
    Interrupted { source: tokio::task::JoinError },
}

fn shown(answer: &str) -> String {
    if answer.is_empty() { String::new() } else { format!(": {answer}") }
}
