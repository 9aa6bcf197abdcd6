//! The exchange of a join token for the token of a worker. The token is in a header, so that it is in no log of addresses.

use std::time::Duration;

use ureq::Agent;
use ureq::http::header::{AUTHORIZATION, CONTENT_TYPE};
use wire::ApiErrorBody;
use wire::fingerprint::Fingerprint;
use wire::fleet::{JoinRequest, Joined};

/// How long the server may take to connect and to answer.
const WITHIN: Duration = Duration::from_secs(15);
/// Largest answer, bytes.
const ANSWER_BYTES: u64 = 64 * 1024;

/// Why the token could not be exchanged.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    #[error(
        "{url:?} is not the address of a server: give one such as https://lab.example.org or http://192.168.1.20:7878"
    )]
    Address { url: String },
    #[error("no server answers at {server}: {source}")]
    NoServer { server: String, source: Box<ureq::Error> },
    /// The server refuses the token.
    #[error("the server refuses to let this machine join: {}", in_words(body))]
    Refused {
        /// Its answer.
        body: Box<ApiErrorBody>,
    },
    #[error("{server} answered with status {status} and not as a Kindling server does: check the address and its path")]
    NotKindling { server: String, status: u16 },
    #[error("the token contains characters that are not valid in a token: check the content of the file")]
    Token,
    #[error("TLS cannot be used: {0}")]
    Tls(#[from] rustls::Error),
    #[error("the request cannot be encoded: {0}")]
    Request(#[from] serde_json::Error),
}

fn in_words(body: &ApiErrorBody) -> String {
    let hint = body.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
    format!("{}{hint}", body.message)
}

/// The address of a server with its scheme and without a slash at the end: `lab:7878` becomes `http://lab:7878`.
///
/// # Errors
/// It is no address of a server.
pub(super) fn base(url: &str) -> Result<String, ExchangeError> {
    let refused = || ExchangeError::Address { url: url.to_owned() };
    let text = url.trim();
    let (scheme, rest) = match text.split_once("://") {
        None => ("http", text),
        Some((scheme @ ("http" | "https"), rest)) => (scheme, rest),
        Some(_) => return Err(refused()),
    };
    let rest = rest.trim_end_matches('/');
    let is_host = !rest.is_empty() && !rest.starts_with([':', '/']);
    let is_plain = !rest.contains(['?', '#', '@', '\\']) && !rest.chars().any(|c| c.is_whitespace() || c.is_control());
    if is_host && is_plain { Ok(format!("{scheme}://{rest}")) } else { Err(refused()) }
}

/// Asks the server for the token of a worker; `pin` is the fingerprint of its certificate, where that is self-signed.
///
/// # Errors
/// The server is out of reach, refuses the token, or is none.
pub(super) fn exchange(
    server: &str,
    token: &str,
    request: &JoinRequest,
    pin: Option<Fingerprint>,
) -> Result<Joined, ExchangeError> {
    if !token.chars().all(|c| c.is_ascii_graphic()) {
        return Err(ExchangeError::Token);
    }
    let no_server = |source| ExchangeError::NoServer { server: server.to_owned(), source: Box::new(source) };
    let answer = agent(pin)?
        .post(format!("{server}/api/v1/join"))
        .header(AUTHORIZATION, format!("Bearer {token}"))
        .header(CONTENT_TYPE, "application/json")
        .send(serde_json::to_string(request)?)
        .map_err(no_server)?;
    let status = answer.status().as_u16();
    let text = answer.into_body().into_with_config().limit(ANSWER_BYTES).read_to_string().map_err(no_server)?;
    let is_other = || ExchangeError::NotKindling { server: server.to_owned(), status };
    match status {
        200 => serde_json::from_str(&text).map_err(|_| is_other()),
        _ => match serde_json::from_str(&text) {
            Ok(body) => Err(ExchangeError::Refused { body: Box::new(body) }),
            Err(_) => Err(is_other()),
        },
    }
}

fn agent(pin: Option<Fingerprint>) -> Result<Agent, rustls::Error> {
    // A redirection could lead the token to another host.
    let config = Agent::config_builder().timeout_global(Some(WITHIN)).http_status_as_error(false).max_redirects(0);
    worker::tls::agent(config.build(), pin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_completed_and_others_refused() {
        for (given, expected) in [
            ("lab:7878", "http://lab:7878"),
            (" https://lab.example/ ", "https://lab.example"),
            ("https://school.example/kindling/", "https://school.example/kindling"),
            ("http://[::1]:80", "http://[::1]:80"),
        ] {
            assert_eq!(base(given).unwrap(), expected);
        }
        for bad in ["", "https://", "ftp://lab", "http://:80", "http://a b", "http://lab/?token=x", "http://me@lab"] {
            assert!(base(bad).is_err(), "{bad}");
        }
    }
}
