//! HTTP requests to a provider of OpenID Connect.

use std::time::Duration;

use openidconnect::{HttpRequest, HttpResponse};
use ureq::Agent;
use ureq::http::Method;

use super::error::HttpError;

/// Longest time of a request.
const WITHIN: Duration = Duration::from_secs(15);
/// Largest answer, bytes.
const ANSWER_BYTES: u64 = 1_000_000;

/// Connections to a provider. Redirects are not followed: the addresses of a provider are in its metadata.
pub(super) fn agent() -> Agent {
    Agent::config_builder()
        .timeout_global(Some(WITHIN))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .build()
        .into()
}

/// Sends a request and reads the answer.
pub(super) fn send(agent: &Agent, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let sent = match *request.method() {
        Method::GET => agent.run(request.map(|_| ())),
        _ => agent.run(request),
    };
    let (parts, mut body) = sent.map_err(HttpError::boxed)?.into_parts();
    let body = body.with_config().limit(ANSWER_BYTES).read_to_vec().map_err(HttpError::boxed)?;
    Ok(HttpResponse::from_parts(parts, body))
}
