//! Refuses requests under a foreign host name or from pages of other sites. Another site can make a browser send requests here, and a
//! foreign name can resolve to this machine; both are refused before any route sees the request, sockets included.

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use crate::error::ApiError;
use crate::lab::Lab;

/// Whether an Origin header names this server as its Host header does.
fn is_own_origin(origin: &str, host: &str) -> bool {
    let (scheme, authority) = match origin.split_once("://") {
        Some((scheme @ ("http" | "https"), authority)) => (scheme, authority),
        _ => return false,
    };
    let usual_port = if scheme == "https" { ":443" } else { ":80" };
    let bare = |text: &str| text.strip_suffix(usual_port).unwrap_or(text).to_ascii_lowercase();
    bare(authority) == bare(host)
}

/// Refuses requests under a foreign host name or from a page of another site.
pub async fn check_origin(State(lab): State<Lab>, request: Request, next: Next) -> Result<Response, ApiError> {
    let host = text_of(request.headers(), HOST).unwrap_or_default();
    if !lab.hosts.allows(host) {
        let message = format!("this server does not answer to the host name {host:?}");
        return Err(
            refused("host_refused", message).hint("use its IP address, or start the server with --allow-host NAME")
        );
    }
    if request.headers().contains_key(ORIGIN)
        && !text_of(request.headers(), ORIGIN).is_some_and(|origin| is_own_origin(origin, host))
    {
        return Err(refused("origin_refused", "a page of another site may not call this server")
            .hint("open the page of this server, or call the API without a browser"));
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !reads && request.headers().get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none") {
        return Err(refused("origin_refused", "a page of another site may not change this lab"));
    }
    Ok(next.run(request).await)
}

fn refused(code: &str, message: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, code, message)
}

fn text_of(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_this_server_may_call() {
        for (origin, host, expected) in [
            ("http://127.0.0.1:7878", "127.0.0.1:7878", true),
            ("http://localhost:80", "localhost", true),
            ("https://lab.example", "lab.example", true),
            ("http://localhost:3000", "localhost:7878", false),
            ("https://evil.example", "127.0.0.1:7878", false),
            ("null", "127.0.0.1:7878", false),
            ("file://", "", false),
        ] {
            assert_eq!(is_own_origin(origin, host), expected, "{origin} at {host}");
        }
    }
}
