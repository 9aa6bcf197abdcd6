//! The address under which browsers reach a server behind a proxy, as `--public-url` gives it.

use std::fmt;
use std::str::FromStr;

/// First parts of the server's own paths. A public path that begins like one of them could not be told from it.
const OWN: [&str; 16] = [
    ".well-known",
    "api",
    "assets",
    "compare",
    "data",
    "healthz",
    "index.html",
    "invite",
    "metrics",
    "oauth",
    "oidc",
    "playground",
    "runs",
    "settings",
    "signin",
    "start",
];

/// Scheme, host and path of a lab, as browsers call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    is_https: bool,
    /// Host in lower case, with its port unless that is the usual one of the scheme.
    authority: String,
    /// Begins and ends with a slash.
    path: String,
}

/// Why a text is not a public URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublicUrlError {
    #[error("expected an address such as https://lab.example.org/ or https://example.org/lab/")]
    Scheme,
    #[error("{authority:?} is not a host name with an optional port, such as lab.example.org or lab.example.org:8443")]
    Host { authority: String },
    #[error("{path:?} is not a path of letters, digits, `-`, `.`, `_`, `~`, `@` and `%`, such as /lab/")]
    Path { path: String },
    #[error("the path {path:?} begins like {own:?}, a path of the server itself: choose another one, such as /lab/")]
    OwnPath { path: String, own: &'static str },
}

impl PublicUrl {
    /// Whether browsers reach it by https.
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// The host without its port.
    pub fn host(&self) -> &str {
        match self.authority.rfind(':') {
            Some(at) if !self.authority.ends_with(']') => &self.authority[..at],
            _ => &self.authority,
        }
    }

    /// The path of the lab; begins and ends with a slash.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether the value of an Origin header is this address.
    pub fn is_origin(&self, origin: &str) -> bool {
        origin.split_once("://").is_some_and(|(scheme, authority)| {
            (scheme == "https") == self.is_https && plain(authority, self.is_https) == self.authority
        })
    }

    /// Whether the value of a Host header is this address.
    pub fn is_authority(&self, host: &str) -> bool {
        plain(host, self.is_https) == self.authority
    }
}

impl FromStr for PublicUrl {
    type Err = PublicUrlError;

    fn from_str(text: &str) -> Result<Self, PublicUrlError> {
        let (is_https, rest) = match text.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => return Err(PublicUrlError::Scheme),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if super::hosts::host_of(authority).is_none() {
            return Err(PublicUrlError::Host { authority: authority.to_owned() });
        }
        let path = path_of(path).ok_or_else(|| PublicUrlError::Path { path: format!("/{path}") })?;
        let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        if let Some(own) = OWN.iter().find(|own| **own == first) {
            return Err(PublicUrlError::OwnPath { path, own });
        }
        Ok(Self { is_https, authority: plain(authority, is_https), path })
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

/// A path with a slash at both ends; `None` for text that is not one.
pub fn path_of(text: &str) -> Option<String> {
    let inner = text.trim_matches('/');
    let is_plain = |part: &str| {
        !matches!(part, "" | "." | "..")
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~@%".contains(&byte))
    };
    match inner {
        "" => Some("/".to_owned()),
        _ => inner.split('/').all(is_plain).then(|| format!("/{inner}/")),
    }
}

/// `host:port` in lower case, without the usual port of the scheme.
fn plain(authority: &str, is_https: bool) -> String {
    let usual = if is_https { ":443" } else { ":80" };
    authority.strip_suffix(usual).unwrap_or(authority).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_and_without_a_path() {
        for (text, shown, host, path) in [
            ("https://lab.example.org", "https://lab.example.org/", "lab.example.org", "/"),
            ("https://Lab.Example.org:443/", "https://lab.example.org/", "lab.example.org", "/"),
            ("http://10.0.0.7:8080/lab", "http://10.0.0.7:8080/lab/", "10.0.0.7", "/lab/"),
            (
                "https://hub.example.org/user/ada@b/proxy/7878/",
                "https://hub.example.org/user/ada@b/proxy/7878/",
                "hub.example.org",
                "/user/ada@b/proxy/7878/",
            ),
            ("http://[::1]:7878/a/b", "http://[::1]:7878/a/b/", "[::1]", "/a/b/"),
            ("http://[::1]/", "http://[::1]/", "[::1]", "/"),
        ] {
            let url: PublicUrl = text.parse().unwrap();
            assert_eq!((url.to_string().as_str(), url.host(), url.path()), (shown, host, path), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused_with_what_is_expected() {
        for (text, words) in [
            ("lab.example.org", "expected an address"),
            ("ftp://lab.example.org/", "expected an address"),
            ("https://", "not a host name"),
            ("https://user@host/", "not a host name"),
            ("https://host:port/", "not a host name"),
            ("https://host/a b/", "not a path"),
            ("https://host/lab?x=1", "not a path"),
            ("https://host/lab/../etc", "not a path"),
            ("https://host/a//b", "not a path"),
            ("https://host/\"><script>", "not a path"),
            ("https://host/runs/", "a path of the server itself"),
            ("https://host/api", "a path of the server itself"),
        ] {
            let error = text.parse::<PublicUrl>().unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn an_origin_and_a_host_are_compared_with_the_usual_port_left_out() {
        let url: PublicUrl = "https://lab.example.org/x/".parse().unwrap();
        assert!(url.is_origin("https://lab.example.org") && url.is_origin("https://LAB.example.org:443"));
        assert!(!url.is_origin("http://lab.example.org") && !url.is_origin("https://lab.example.org:8443"));
        assert!(url.is_authority("lab.example.org") && !url.is_authority("lab.example.org:7878"));
    }
}
