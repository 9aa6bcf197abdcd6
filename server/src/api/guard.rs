//! Refuses requests under a foreign host name or from pages of other sites. Another site can make a browser send requests here, and a
//! foreign name can resolve to this machine; both are refused before any route sees the request, sockets included.
//!
//! A request is of the lab's own page where the browser says so (`Sec-Fetch-Site: same-origin`, which no page can set), or where its
//! Origin header is the Host header, the host that a trusted proxy reports, or the public URL. The files of the page have no secrets and
//! change nothing, so their Origin is not checked: a page behind a proxy can then show why its requests are refused.

use axum::extract::{Extension, Request, State};
use axum::http::header::{ACCEPT, ORIGIN};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::notice::Notice;
use super::reached::Reached;
use crate::error::ApiError;
use crate::lab::Lab;

/// Refuses requests under a foreign host name or from a page of another site. A browser that opens an address is shown the reason as a page.
pub async fn check_origin(
    State(lab): State<Lab>,
    Extension(reached): Extension<Reached>,
    request: Request,
    next: Next,
) -> Response {
    let Err(error) = check(&lab, &reached, &request) else { return next.run(request).await };
    let wants_page = text_of(request.headers(), ACCEPT).is_some_and(|accept| accept.contains("text/html"));
    if !wants_page {
        return error.into_response();
    }
    let notice = Notice::new("Request refused").sentence(&error.body.message);
    let notice = error.body.hint.iter().fold(notice, |notice, hint| notice.sentence(hint));
    let mut response = (error.status, notice).into_response();
    // For the log.
    response.extensions_mut().insert(error);
    response
}

fn check(lab: &Lab, reached: &Reached, request: &Request) -> Result<(), ApiError> {
    let (headers, host) = (request.headers(), &reached.host);
    let is_public = |origin: &str| lab.settings.public_url.as_ref().is_some_and(|url| url.is_origin(origin));
    if !lab.hosts.allows(host) {
        return Err(host_refused(reached, text_of(headers, ORIGIN)));
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let site = headers.get("sec-fetch-site").map(|site| site.to_str().unwrap_or_default());
    let is_own = |origin: &str| site == Some("same-origin") || is_own_origin(origin, host) || is_public(origin);
    let is_of_page = reads && !request.uri().path().starts_with("/api/");
    if !is_of_page && headers.contains_key(ORIGIN) && !text_of(headers, ORIGIN).is_some_and(is_own) {
        return Err(origin_refused(reached, text_of(headers, ORIGIN).unwrap_or_default()));
    }
    if !reads && site.is_some_and(|site| site != "same-origin" && site != "none") {
        return Err(origin_refused(reached, text_of(headers, ORIGIN).unwrap_or_default()));
    }
    Ok(())
}

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

fn host_refused(reached: &Reached, origin: Option<&str>) -> ApiError {
    let Reached { host, .. } = reached;
    let seen = origin.map(|origin| format!(" (the Origin header is {origin:?})")).unwrap_or_default();
    let message = format!("the Host header is {host:?}, which is not a name of this server{seen}{}", ignored(reached));
    let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
    ApiError::new(StatusCode::FORBIDDEN, "host_refused", message).hint(match name {
        "" => "send a Host header".to_owned(),
        name => format!(
            "use the IP address of the server, or start it with --allow-host {name}, or behind a proxy with --public-url and the address \
             that browsers open"
        ),
    })
}

fn origin_refused(reached: &Reached, origin: &str) -> ApiError {
    let Reached { host, .. } = reached;
    let message = format!(
        "the Origin header is {origin:?} and the Host header is {host:?}: a page of another site may not call this server{}",
        ignored(reached)
    );
    ApiError::new(StatusCode::FORBIDDEN, "origin_refused", message).hint(match origin.starts_with("http") {
        true => format!(
            "if {origin} is this lab behind a proxy, start the server with --public-url {origin}/ (and the path of the lab, if it has one), \
             or let the proxy forward the Host header"
        ),
        false => "open the page of this server, or call the API without a browser".to_owned(),
    })
}

/// A forwarded host that does not count.
fn ignored(Reached { ignored, .. }: &Reached) -> String {
    match ignored {
        Some((host, Some(proxy))) => {
            format!("; X-Forwarded-Host {host:?} was not used, because {proxy} is not a --trusted-proxy")
        }
        _ => String::new(),
    }
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
