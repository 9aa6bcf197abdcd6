//! Requests to the hub. An access token is sent to the hub itself and not to the hosts that it redirects to.

use std::io::Read;
use std::time::Duration;

use ureq::Agent;
use ureq::config::RedirectAuthHeaders;
use ureq::http::{Response, header};
use wire::data::hub::HubToken;

use super::Hub;
use super::address::Address;
use super::error::HubError;
use super::listing::{Answer, HubFile, Listing};
use crate::data::download::host_of;

/// Largest list of files, bytes.
const LISTING_BYTES: u64 = 64_000_000;

/// A connection to the hub with the token of one import.
#[derive(Clone)]
pub struct Client {
    agent: Agent,
    url: String,
    token: Option<HubToken>,
}

/// The rest of a file.
pub(super) struct Rest {
    /// Byte at which it begins.
    pub(super) from: u64,
    /// Size of the whole file, where the server says it.
    pub(super) total: Option<u64>,
    pub(super) content: Box<dyn Read>,
}

impl Client {
    /// A client with this token, or else that of the server.
    ///
    /// # Errors
    /// The token cannot be sent.
    pub fn new(hub: &Hub, token: Option<HubToken>) -> Result<Self, HubError> {
        let given = token.filter(|HubToken(token)| !token.trim().is_empty());
        let token = given.or_else(|| hub.token.clone()).map(|HubToken(token)| HubToken(token.trim().to_owned()));
        if token.iter().any(|HubToken(token)| !token.chars().all(|c| c.is_ascii_graphic())) {
            return Err(HubError::Token);
        }
        let agent = Agent::config_builder()
            .timeout_connect(Some(Duration::from_secs(15)))
            .timeout_recv_response(Some(Duration::from_secs(30)))
            .timeout_per_read(Some(Duration::from_secs(30)))
            .http_status_as_error(false)
            .https_only(hub.url.starts_with("https://"))
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            .build()
            .into();
        Ok(Self { agent, url: hub.url.trim_end_matches('/').to_owned(), token })
    }

    /// Lists the files of a repository.
    ///
    /// # Errors
    /// The hub cannot be reached, does not know the repository or the revision, or does not show it to the token.
    pub fn list(&self, address: &Address) -> Result<Listing, HubError> {
        let response = self.get(&address.listing(), &address.to_string(), None)?;
        let reader = response.into_body().into_reader().take(LISTING_BYTES);
        let answer: Answer = serde_json::from_reader(std::io::BufReader::new(reader))
            .map_err(|source| HubError::Malformed { host: host_of(&self.url), source })?;
        answer.listing(address)
    }

    /// Opens a file from a byte on. The server may send it from its beginning instead.
    ///
    /// # Errors
    /// As for [`Self::list`].
    pub(super) fn open(&self, address: &Address, commit: &str, file: &HubFile, from: u64) -> Result<Rest, HubError> {
        let what = format!("file {} of {address}", file.path);
        let response = self.get(&address.file(commit, &file.path), &what, Some(from).filter(|from| *from > 0))?;
        let is_rest = response.status().as_u16() == 206;
        let text = |name| response.headers().get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
        let length: Option<u64> = text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
        let from = if is_rest { from } else { 0 };
        let range =
            text(header::CONTENT_RANGE).filter(|_| is_rest).and_then(|range| range.rsplit('/').next()?.parse().ok());
        let total = range.or_else(|| length.map(|length| from + length));
        Ok(Rest { from, total, content: Box::new(response.into_body().into_reader()) })
    }

    fn get(&self, path: &str, what: &str, from: Option<u64>) -> Result<Response<ureq::Body>, HubError> {
        let mut request = self.agent.get(format!("{}{path}", self.url));
        if let Some(HubToken(token)) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(from) = from {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        let host = || host_of(&self.url);
        let response = request.call().map_err(|source| HubError::Offline { host: host(), source: Box::new(source) })?;
        let what = what.to_owned();
        match response.status().as_u16() {
            200 | 206 => Ok(response),
            401 if self.token.is_none() => Err(HubError::NoToken { what }),
            401 | 403 => Err(HubError::NoAccess { what }),
            404 => Err(HubError::NotFound { what }),
            status => Err(HubError::Status { host: host(), status, what }),
        }
    }
}
