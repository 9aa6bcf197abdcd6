//! Requests to the server of a folder, for commands that start a sweep, an experiment or a research loop there and follow it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::Agent;
use ureq::http::Response;
use ureq::http::header::{AUTHORIZATION, CONTENT_TYPE};
use wire::ApiErrorBody;

/// Time limit of a response: a plan of a large dataset takes a while.
const WITHIN: Duration = Duration::from_secs(60);
/// How often a request without an answer is repeated, and the time between two attempts: the server may be restarted meanwhile.
const AGAIN: u32 = 120;
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Largest answer, bytes: a sweep with all its trials.
const ANSWER_BYTES: u64 = 64 << 20;

/// Why a request got no answer that this program can use.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("the server at {url} did not answer: {source}")]
    Unreachable { url: String, source: Box<ureq::Error> },
    #[error("{}", in_words(body))]
    Refused { status: u16, body: Box<ApiErrorBody> },
    #[error("the server at {url} answered with status {status} and not as a Kindling server of this version does")]
    Unexpected { url: String, status: u16 },
    #[error("the request cannot be encoded: {0}")]
    Request(#[from] serde_json::Error),
}

impl ClientError {
    /// Whether the server has refused the request. After any other error the server may have carried it out.
    pub(super) const fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { status: 400..=499, .. })
    }
}

/// Field, message and hint of an error, in a sentence.
pub(super) fn in_words(body: &ApiErrorBody) -> String {
    let field = body.field.as_ref().map(|field| format!("{field}: ")).unwrap_or_default();
    let hint = body.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    format!("{field}{}{hint}", body.message)
}

/// A server, and the token that is sent to it.
pub(super) struct Client {
    agent: Agent,
    url: String,
    bearer: String,
    /// Whether the server ran in this process and has ended.
    has_ended: Arc<AtomicBool>,
}

impl Client {
    pub(super) fn new(url: String, token: &str) -> Self {
        Self::of_own_server(url, token, Arc::default())
    }

    /// A client of a server in this process. The server sets `has_ended` when it ends, and the client then awaits no answer.
    pub(super) fn of_own_server(url: String, token: &str, has_ended: Arc<AtomicBool>) -> Self {
        let config = Agent::config_builder().timeout_global(Some(WITHIN)).http_status_as_error(false);
        Self { agent: config.build().into(), url, bearer: format!("Bearer {token}"), has_ended }
    }

    /// Sends a GET request to a path of the API.
    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let request = self.agent.get(self.address(path)).header(AUTHORIZATION, &self.bearer);
        self.read(request.call())
    }

    /// As [`Self::get`], but repeats the request for some minutes if the server does not answer: the sweep or experiment continues without
    /// this program.
    pub(super) fn get_patiently<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        for _ in 0..AGAIN {
            match self.get(path) {
                Err(error) if !error.is_refusal() && !self.has_ended.load(Ordering::Relaxed) => sleep(AGAIN_AFTER),
                answered => return answered,
            }
        }
        self.get(path)
    }

    /// Posts a body to a path of the API.
    pub(super) fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        let request = self.agent.post(self.address(path)).header(AUTHORIZATION, &self.bearer);
        self.read(request.header(CONTENT_TYPE, "application/json").send(serde_json::to_string(body)?))
    }

    /// Posts a file to a path of the API.
    pub(super) fn post_file<T: DeserializeOwned>(&self, path: &str, file: &[u8]) -> Result<T, ClientError> {
        let request = self.agent.post(self.address(path)).header(AUTHORIZATION, &self.bearer);
        self.read(request.header(CONTENT_TYPE, "application/octet-stream").send(file))
    }

    fn address(&self, path: &str) -> String {
        format!("{}/api/v1{path}", self.url)
    }

    fn read<T: DeserializeOwned>(&self, answer: Result<Response<ureq::Body>, ureq::Error>) -> Result<T, ClientError> {
        let unreachable = |source| ClientError::Unreachable { url: self.url.clone(), source: Box::new(source) };
        let answer = answer.map_err(unreachable)?;
        let (status, is_success) = (answer.status().as_u16(), answer.status().is_success());
        let text = answer.into_body().into_with_config().limit(ANSWER_BYTES).read_to_string().map_err(unreachable)?;
        let unexpected = |_| ClientError::Unexpected { url: self.url.clone(), status };
        match is_success {
            true => serde_json::from_str(&text).map_err(unexpected),
            false => Err(ClientError::Refused { status, body: serde_json::from_str(&text).map_err(unexpected)? }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_request_that_is_not_answered_is_repeated_while_the_server_may_come_back() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            drop(listener.accept().unwrap());
            let (mut request, _) = listener.accept().unwrap();
            let mut head = vec![];
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                request.read_exact(&mut byte).unwrap();
                head.extend(byte);
            }
            request.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\n7").unwrap();
        });
        assert_eq!(Client::new(url.clone(), "a").get_patiently::<u64>("/sweeps").unwrap(), 7);
        server.join().unwrap();
        let own = Client::of_own_server(url, "a", Arc::new(AtomicBool::new(true)));
        assert!(matches!(own.get_patiently::<u64>("/sweeps"), Err(ClientError::Unreachable { .. })));
    }
}
