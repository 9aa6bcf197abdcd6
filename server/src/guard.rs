//! Which names the server answers to, and which pages may call it. A page of another site can make a browser send
//! requests here, and a name that someone else controls can be pointed at this machine; both are turned away before
//! anything else looks at the request, sockets included.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use crate::api_error::ApiError;
use crate::app_state::AppState;

/// Names by which the server may be called.
#[derive(Debug, Clone)]
pub struct Hosts {
    listen: IpAddr,
    names: Vec<String>,
}

impl Hosts {
    /// This machine's own names, the address it listens on, and those allowed besides.
    pub fn new(listen: IpAddr, allowed: &[String]) -> Self {
        Self { listen, names: allowed.iter().map(|name| name.to_ascii_lowercase()).collect() }
    }

    /// Whether a Host header's value names this server. Its port is free, since tunnels change it.
    pub fn allows(&self, authority: &str) -> bool {
        let Some(host) = host_of(authority) else { return false };
        if host == "localhost" || self.names.contains(&host) {
            return true;
        }
        match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            // Addresses cannot be pointed elsewhere by their owner as names can, so on all addresses any will do.
            Ok(ip) => ip.is_loopback() || ip == self.listen || self.listen.is_unspecified(),
            Err(_) => false,
        }
    }
}

/// The host of `host:port`, in lower case; nothing where it is no such thing.
fn host_of(authority: &str) -> Option<String> {
    let (host, port) = match authority.rfind(':') {
        Some(at) if !authority.ends_with(']') => (&authority[..at], Some(&authority[at + 1..])),
        _ => (authority, None),
    };
    let is_plain = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._[]:".contains(&b));
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok());
    (is_plain && is_port).then(|| host.to_ascii_lowercase())
}

/// Whether an Origin is this very server, as the Host header names it.
fn is_own_origin(origin: &str, host: &str) -> bool {
    let (scheme, authority) = match origin.split_once("://") {
        Some((scheme @ ("http" | "https"), authority)) => (scheme, authority),
        _ => return false,
    };
    let usual_port = if scheme == "https" { ":443" } else { ":80" };
    let bare = |text: &str| text.strip_suffix(usual_port).unwrap_or(text).to_ascii_lowercase();
    bare(authority) == bare(host)
}

/// Refuses requests by a foreign name or from a foreign page.
pub async fn check_origin(State(state): State<AppState>, request: Request, next: Next) -> Result<Response, ApiError> {
    let host = text_of(request.headers(), HOST).unwrap_or_default();
    if !state.hosts.allows(host) {
        let message = format!("this lab does not answer to the name {host:?}");
        return Err(refused("host_refused", message).hint("call it by its address, or start it with --allow-host NAME"));
    }
    if request.headers().contains_key(ORIGIN)
        && !text_of(request.headers(), ORIGIN).is_some_and(|origin| is_own_origin(origin, host))
    {
        return Err(refused("origin_refused", "a page of another site may not call this lab")
            .hint("open the lab's own page, or call the API without a browser"));
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
    fn only_own_names_are_answered_to() {
        let hosts = Hosts::new("127.0.0.1".parse().unwrap(), &["Lab.Example".into()]);
        for good in ["127.0.0.1:7878", "localhost", "LOCALHOST:9", "[::1]:7878", "lab.example", "lab.example:443"] {
            assert!(hosts.allows(good), "{good}");
        }
        for bad in [
            "",
            "evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.7:7878",
            "localhost.evil:1",
            "local host",
            "localhost:x",
            "lab.example@evil",
            ":80",
        ] {
            assert!(!hosts.allows(bad), "{bad}");
        }
        let open = Hosts::new("0.0.0.0".parse().unwrap(), &[]);
        assert!(open.allows("10.0.0.7:7878") && !open.allows("evil.example"));
    }

    #[test]
    fn only_the_own_page_may_call() {
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
