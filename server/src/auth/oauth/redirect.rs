//! Addresses to which codes are sent: https, or http on the machine of the browser.

use axum::http::Uri;

use crate::lab::hosts::is_loopback;

/// Longest address, bytes.
const MOST_BYTES: usize = 500;

/// Whether a program may register an address.
pub fn is_valid(address: &str) -> bool {
    let is_plain = address.len() <= MOST_BYTES && address.bytes().all(|byte| byte.is_ascii_graphic());
    // Neither a fragment nor a user name may be in it; `Uri` would drop the former. Browsers read a backslash as a slash.
    if !is_plain || address.contains(['#', '@', '\\', '"', '<', '>']) {
        return false;
    }
    let Ok(uri) = address.parse::<Uri>() else { return false };
    match (uri.scheme_str(), uri.authority()) {
        (Some("https"), Some(authority)) => !authority.host().is_empty(),
        (Some("http"), Some(authority)) => is_loopback(authority.as_str()),
        _ => false,
    }
}

/// Whether a code may be sent to an address that a client has registered as `registered`. They are equal, except for the port on the
/// machine of the browser: a program there listens on any free one (RFC 8252, section 7.3).
pub fn is_registered(registered: &str, given: &str) -> bool {
    registered == given || without_port(registered).is_some_and(|parts| without_port(given) == Some(parts))
}

/// Host and path of an http address on the machine of the browser.
fn without_port(address: &str) -> Option<(String, String)> {
    let uri: Uri = Some(address).filter(|address| is_valid(address))?.parse().ok()?;
    let host = uri.host().filter(|_| uri.scheme_str() == Some("http"))?.to_owned();
    Some((host, uri.path_and_query().map(ToString::to_string).unwrap_or_default()))
}

/// The host of an address with its port, for people.
pub fn host(address: &str) -> String {
    let uri = address.parse::<Uri>().ok();
    uri.and_then(|uri| uri.authority().map(ToString::to_string)).unwrap_or_else(|| address.to_owned())
}

/// Whether an address is on the machine of the browser.
pub fn is_local(address: &str) -> bool {
    is_loopback(&host(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_the_own_machine_are_valid() {
        for good in [
            "https://claude.ai/api/mcp/auth_callback",
            "http://localhost:33418/callback",
            "http://127.0.0.1/callback?x=1",
            "http://[::1]:9000/",
        ] {
            assert!(is_valid(good), "{good}");
        }
        for bad in [
            "",
            "http://claude.ai/callback",
            "http://localhost.evil.example/callback",
            "https://",
            "https://user@claude.ai/callback",
            "https://claude.ai\\@evil.example/",
            "https://claude.ai/callback#part",
            "https://claude.ai/a b",
            "cursor://callback",
            "javascript:alert(1)",
            "/callback",
        ] {
            assert!(!is_valid(bad), "{bad}");
        }
    }

    #[test]
    fn an_address_is_the_registered_one_but_for_a_local_port() {
        let check = |registered: &str, given: &str, expected: bool| {
            assert_eq!(is_registered(registered, given), expected, "{registered} and {given}");
        };
        check("https://a.example/cb", "https://a.example/cb", true);
        check("https://a.example/cb", "https://a.example/cb/", false);
        check("https://a.example/cb", "https://a.example:8443/cb", false);
        check("http://localhost:1000/cb", "http://localhost:2000/cb", true);
        check("http://localhost/cb", "http://localhost:2000/cb", true);
        check("http://localhost:1000/cb", "http://127.0.0.1:1000/cb", false);
        check("http://localhost:1000/cb", "http://localhost:1000/other", false);
        check("http://localhost:1000/cb", "https://localhost:1000/cb", false);
    }
}
