//! Logs the errors of requests, each once: failures of the server as errors, refusals at the level debug.

use std::error::Error;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

use crate::error::ApiError;

/// Logs the error of a response, with its sources.
pub async fn log_errors(request: Request, next: Next) -> Response {
    let route = format!("{} {}", request.method(), request.uri().path());
    let response = next.run(request).await;
    if let Some(error) = response.extensions().get::<ApiError>() {
        let ApiError { status, body, .. } = error;
        let (code, sources) = (&body.code, sources(error));
        if status.is_server_error() {
            tracing::error!("{route}: {status}, {code}: {}{sources}", body.message);
        } else {
            tracing::debug!("{route}: {status}, {code}: {}{sources}", body.message);
        }
    }
    response
}

/// The sources of an error that its message does not contain already.
fn sources(error: &ApiError) -> String {
    let mut text = String::new();
    let mut next = error.source();
    while let Some(source) = next {
        let said = source.to_string();
        if !error.body.message.contains(&said) && !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        next = source.source();
    }
    text
}
