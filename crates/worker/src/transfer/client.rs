//! Requests to the server's routes below `/api/v1/transfer`, with the token of the worker. Calls block.

use std::io::Read;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::Agent;
use ureq::http::{Response, header};
use wire::ApiErrorBody;
use wire::fingerprint::Fingerprint;
use wire::transport::transfer::ReceivedBytes;

use crate::error::transfer::TransferError;
use crate::tls;

/// How long the server may take to check an uploaded checkpoint: it reads every byte.
const COMMIT_WITHIN: Duration = Duration::from_secs(600);
/// Largest answer that is not a file, bytes.
const ANSWER_BYTES: u64 = 64 << 20;

/// A connection to the server.
pub(crate) struct Client {
    agent: Agent,
    /// `http://lab.example/api/v1/transfer`.
    base: String,
    token: String,
}

impl Client {
    /// A client of the server with this link: `wss://lab.example/prefix/api/v1/link`; `pin` is the fingerprint of its certificate, where that is
    /// self-signed.
    ///
    /// # Errors
    /// TLS cannot be used.
    pub(crate) fn new(link_url: &str, token: &str, pin: Option<Fingerprint>) -> Result<Self, rustls::Error> {
        let config = Agent::config_builder()
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_send_body(Some(Duration::from_secs(60)))
            .timeout_recv_response(Some(Duration::from_secs(30)))
            .timeout_per_read(Some(Duration::from_secs(30)))
            .http_status_as_error(false)
            // A redirect would carry the token elsewhere.
            .max_redirects(0)
            .build();
        Ok(Self { agent: tls::agent(config, pin)?, base: base_of(link_url), token: token.to_owned() })
    }

    /// GET of JSON.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, TransferError> {
        let url = self.url(path);
        let sent = self.agent.get(&url).header(header::AUTHORIZATION, self.bearer()).call();
        read_json(&url, answered(&url, sent)?)
    }

    /// POST of JSON, answered with JSON.
    pub(crate) fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, TransferError> {
        let url = self.url(path);
        let body = serde_json::to_vec(body).map_err(|source| TransferError::Malformed { url: url.clone(), source })?;
        let request = self.agent.post(&url).header(header::AUTHORIZATION, self.bearer());
        let sent = request.header(header::CONTENT_TYPE, "application/json").send(&body[..]);
        read_json(&url, answered(&url, sent)?)
    }

    /// Opens a file from a byte on. Returns the byte at which the answer begins: the first, where the server sends the whole file.
    pub(crate) fn open(&self, path: &str, from: u64) -> Result<(u64, impl Read + use<>), TransferError> {
        let url = self.url(path);
        let mut request = self.agent.get(&url).header(header::AUTHORIZATION, self.bearer());
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        let response = answered(&url, request.call())?;
        let from = if response.status().as_u16() == 206 { from } else { 0 };
        Ok((from, response.into_body().into_reader()))
    }

    /// Sends a part of a file. Returns the bytes that the server has then.
    pub(crate) fn put(&self, path: &str, offset: u64, part: &[u8]) -> Result<u64, TransferError> {
        let url = format!("{}?offset={offset}", self.url(path));
        let request = self.agent.put(&url).header(header::AUTHORIZATION, self.bearer());
        let sent = request.header(header::CONTENT_TYPE, "application/octet-stream").send(part);
        read_json::<ReceivedBytes>(&url, answered(&url, sent)?).map(|received| received.bytes)
    }

    /// Ends an upload.
    pub(crate) fn commit(&self, path: &str) -> Result<(), TransferError> {
        let url = self.url(path);
        let request = self.agent.post(&url).header(header::AUTHORIZATION, self.bearer());
        let sent = request.config().timeout_recv_response(Some(COMMIT_WITHIN)).build().send_empty();
        answered(&url, sent).map(drop)
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }
}

/// The address of the routes, from that of the link.
fn base_of(link_url: &str) -> String {
    let http = match link_url.strip_prefix("ws") {
        Some(rest) => format!("http{rest}"),
        None => link_url.to_owned(),
    };
    format!("{}/transfer", http.strip_suffix("/link").unwrap_or(&http))
}

fn answered(url: &str, sent: Result<Response<ureq::Body>, ureq::Error>) -> Result<Response<ureq::Body>, TransferError> {
    let response = sent.map_err(|source| TransferError::Offline { url: url.to_owned(), source: Box::new(source) })?;
    let status = response.status().as_u16();
    if (200..300).contains(&status) {
        return Ok(response);
    }
    let body: Option<ApiErrorBody> =
        serde_json::from_reader(response.into_body().into_reader().take(ANSWER_BYTES)).ok();
    let (code, message) = match body {
        Some(ApiErrorBody { code, message, hint: Some(hint), .. }) => (code, format!("{message}; {hint}")),
        Some(ApiErrorBody { code, message, .. }) => (code, message),
        None => (String::new(), format!("{url} answered without a reason")),
    };
    Err(TransferError::Refused { status, code, message })
}

fn read_json<T: DeserializeOwned>(url: &str, response: Response<ureq::Body>) -> Result<T, TransferError> {
    let mut bytes = vec![];
    let read = response.into_body().into_reader().take(ANSWER_BYTES).read_to_end(&mut bytes);
    read.map_err(|source| TransferError::Interrupted { name: format!("the answer of {url}"), source })?;
    serde_json::from_slice(&bytes).map_err(|source| match source.is_eof() {
        true => TransferError::Interrupted { name: format!("the answer of {url}"), source: source.into() },
        false => TransferError::Malformed { url: url.to_owned(), source },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_below_the_path_of_the_link() {
        for (link, base) in [
            ("ws://127.0.0.1:8000/api/v1/link", "http://127.0.0.1:8000/api/v1/transfer"),
            ("wss://school.example/kindling/api/v1/link", "https://school.example/kindling/api/v1/transfer"),
        ] {
            assert_eq!(base_of(link), base, "{link}");
        }
    }
}
