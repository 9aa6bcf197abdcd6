//! The settings of a server, which `crate::cli::serve` reads once from the command line and the environment.

use std::net::{AddrParseError, IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::certificate::CertificateSource;
use super::evaluator::Evaluator;
use super::network::Network;
use super::public_url::PublicUrl;
use crate::data::hub::Hub;
use crate::lab::alerting::AlertSettings;
use crate::lab::model_provider::ModelProvider;
use crate::lab::oidc::ProviderSettings;

/// Default address: this machine only.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:7878";
/// Largest upload, bytes.
pub const UPLOAD_BYTES: u64 = 2_000_000_000;

/// Largest import of a run or model, bytes: about ten checkpoints, with moments, of a model of 1.5 billion parameters.
pub const IMPORT_BYTES: u64 = 200_000_000_000;

/// Runs that may wait for one device.
pub const QUEUE_LIMIT: u64 = 100;

/// How long a worker on another machine may be out of reach, seconds: longer than the restart of a network takes.
pub const WORKER_TIMEOUT_SECS: u64 = 180;

/// Settings of a server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Folder of the lab.
    pub data: PathBuf,
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Certificate of a server that speaks TLS itself; `None` for plain HTTP.
    pub certificate: Option<CertificateSource>,
    /// Names, besides this machine's own, by which browsers may call the server.
    pub allowed_hosts: Vec<String>,
    /// The address that browsers open, where it is another one than the server listens on.
    pub public_url: Option<PublicUrl>,
    /// Proxies whose `X-Forwarded-*` headers count.
    pub trusted_proxies: Vec<Network>,
    /// Largest upload, bytes.
    pub upload_bytes: u64,
    /// Largest import of a run or model, bytes.
    pub import_bytes: u64,
    /// The hub that models and datasets are imported from.
    pub hub: Hub,
    /// The provider of OpenID Connect that people sign in with.
    pub provider: Option<ProviderSettings>,
    /// The provider of the model behind the assistant.
    pub assistant: Option<ModelProvider>,
    /// Mail server and ntfy server of alert channels.
    pub alerts: AlertSettings,
    /// Programs that score exported checkpoints.
    pub evaluators: Vec<Evaluator>,
    /// Start one worker for each device of this machine.
    pub starts_workers: bool,
    /// Maximum number of queued runs per device.
    pub queue_limit: u64,
    /// How long a worker on another machine may be out of reach before its run continues on another device.
    pub worker_timeout: Duration,
}

/// Why a text is not an address to listen on.
#[derive(Debug, thiserror::Error)]
#[error("expected an address such as 127.0.0.1:7878, or a port such as 7878")]
pub struct AddressError {
    source: AddrParseError,
}

impl Settings {
    /// Settings of a folder and an address; the rest are the defaults.
    pub fn new(data: PathBuf, listen: SocketAddr) -> Self {
        Self {
            data,
            listen,
            certificate: None,
            allowed_hosts: vec![],
            public_url: None,
            trusted_proxies: vec![],
            upload_bytes: UPLOAD_BYTES,
            import_bytes: IMPORT_BYTES,
            hub: Hub::default(),
            provider: None,
            assistant: None,
            alerts: AlertSettings::default(),
            evaluators: vec![],
            starts_workers: true,
            queue_limit: QUEUE_LIMIT,
            worker_timeout: Duration::from_secs(WORKER_TIMEOUT_SECS),
        }
    }

    /// Folder of the datasets.
    pub fn corpora(&self) -> PathBuf {
        self.data.join("corpora")
    }

    /// Folder of downloads and uploads under way.
    pub fn incoming(&self) -> PathBuf {
        self.data.join("incoming")
    }

    /// Names, besides this machine's own, by which browsers may call the server.
    pub fn host_names(&self) -> impl Iterator<Item = &str> {
        self.allowed_hosts.iter().map(String::as_str).chain(self.public_url.iter().map(PublicUrl::host))
    }

    /// Names in a self-signed certificate: those of this machine and the allowed ones.
    pub fn certificate_names(&self) -> Vec<String> {
        let own = ["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned(), worker::host_name()];
        let listen = (!self.listen.ip().is_unspecified()).then(|| self.listen.ip().to_string());
        let mut names: Vec<String> =
            own.into_iter().chain(listen).chain(self.host_names().map(str::to_owned)).collect();
        names.sort();
        names.dedup();
        names
    }

    /// The address that browsers open, without a slash at the end.
    pub fn browser_url(&self, port: u16) -> String {
        self.public_url.as_ref().map_or_else(|| self.url(port), |url| url.to_string().trim_end_matches('/').to_owned())
    }

    /// The address to call the server by, on this machine.
    pub fn url(&self, port: u16) -> String {
        let host = match self.listen.ip() {
            ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
            IpAddr::V6(ip) => format!("[{ip}]"),
            IpAddr::V4(ip) => ip.to_string(),
        };
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        format!("{scheme}://{host}:{port}")
    }
}

/// Reads an address to listen on. A port alone stands for this machine.
///
/// # Errors
/// The text is neither an address with a port nor a port.
pub fn parse_listen(text: &str) -> Result<SocketAddr, AddressError> {
    let spelled = match text.parse::<u16>() {
        Ok(port) => format!("127.0.0.1:{port}"),
        Err(_) => text.replacen("localhost:", "127.0.0.1:", 1),
    };
    spelled.parse().map_err(|source| AddressError { source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (text, expected) in [
            ("8090", "127.0.0.1:8090"),
            ("localhost:80", "127.0.0.1:80"),
            ("0.0.0.0:1", "0.0.0.0:1"),
            ("[::1]:9", "[::1]:9"),
        ] {
            assert_eq!(parse_listen(text).unwrap(), expected.parse::<SocketAddr>().unwrap());
        }
        assert!(parse_listen("nowhere").is_err());
    }
}
