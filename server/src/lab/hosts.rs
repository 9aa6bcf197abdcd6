//! The host names that the server answers to. [`crate::api::guard`] checks them.

use std::net::IpAddr;

/// The host names that the server answers to.
#[derive(Debug, Clone)]
pub struct Hosts {
    listen: IpAddr,
    names: Vec<String>,
}

impl Hosts {
    /// The names of this machine, the address that the server listens on, and the allowed names.
    pub fn new<'a>(listen: IpAddr, allowed: impl Iterator<Item = &'a str>) -> Self {
        Self { listen, names: allowed.map(str::to_ascii_lowercase).collect() }
    }

    /// Whether the value of a Host header names this server. Its port is not compared, because tunnels change it.
    pub fn allows(&self, authority: &str) -> bool {
        let Some(host) = host_of(authority) else { return false };
        // Unlike a name, an address cannot be made to resolve to this machine, so a server on all addresses accepts any.
        let is_own = |ip: IpAddr| ip == self.listen || self.listen.is_unspecified();
        is_loopback(authority) || self.names.contains(&host) || address_in(&host).is_some_and(is_own)
    }
}

/// Whether the value of a Host header names the machine of the browser itself.
pub fn is_loopback(authority: &str) -> bool {
    let host = host_of(authority);
    host.is_some_and(|host| host == "localhost" || address_in(&host).is_some_and(|ip| ip.is_loopback()))
}

fn address_in(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// The host of `host:port` in lower case; `None` for other text.
pub(super) fn host_of(authority: &str) -> Option<String> {
    let (host, port) = match authority.rfind(':') {
        Some(at) if !authority.ends_with(']') => (&authority[..at], Some(&authority[at + 1..])),
        _ => (authority, None),
    };
    let is_plain = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._[]:".contains(&b));
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok());
    (is_plain && is_port).then(|| host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_server_are_allowed() {
        let hosts = Hosts::new("127.0.0.1".parse().unwrap(), ["Lab.Example"].into_iter());
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
        let open = Hosts::new("0.0.0.0".parse().unwrap(), std::iter::empty());
        assert!(open.allows("10.0.0.7:7878") && !open.allows("evil.example"));
    }
}
