//! Logs the errors of requests, each once: failures of the server as errors, refusals at the level debug.

use std::borrow::Cow;
use std::error::Error;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

use crate::error::ApiError;

/// Logs the error of a response, with its sources.
pub async fn log_errors(request: Request, next: Next) -> Response {
    let route = format!("{} {}", request.method(), without_secret(request.uri().path()));
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

/// First parts of paths whose next part is the text of a link.
const SECRET: [&str; 2] = ["share", "embed"];

/// A path without the text of a link: `/share/…`.
pub fn without_secret(path: &str) -> Cow<'_, str> {
    let mut parts = path.trim_start_matches('/').splitn(2, '/');
    match (parts.next(), parts.next()) {
        (Some(first), Some(_)) if SECRET.contains(&first) => Cow::Owned(format!("/{first}/…")),
        _ => Cow::Borrowed(path),
    }
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

#[cfg(test)]
mod tests {
    use super::without_secret;

    #[test]
    fn the_text_of_a_link_is_left_out() {
        for (path, expected) in [
            ("/share/0123abcd", "/share/…"),
            ("//share/0123abcd", "/share/…"),
            ("/embed/0123abcd/image.svg", "/embed/…"),
            ("/embed", "/embed"),
            ("/api/v1/runs/share/x", "/api/v1/runs/share/x"),
        ] {
            assert_eq!(without_secret(path), expected);
        }
    }
}
