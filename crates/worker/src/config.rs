//! What a worker is told at its start, and the names it goes by.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use wire::device::DeviceInfo;
use wire::{DeviceId, WorkerId};

use crate::error::WorkerError;

/// Everything a worker is told.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// The server's address; `None` for a worker of the same machine and folder, which reads it from `workers/server.json`
    /// before each attempt, because a server that starts again may listen elsewhere.
    pub server_url: Option<String>,
    /// The lab's folder on this machine: corpora, spool, locks.
    pub data: PathBuf,
    /// The device to train on, by its name on this machine.
    pub device: DeviceId,
    /// Token of the role worker, sent as `Authorization: Bearer`.
    pub token: String,
    /// How long it waits for a server that is gone.
    pub patience: Patience,
}

/// How long a worker without a link stays, once it trains nothing. `None`: as long as it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// With nothing to deliver.
    pub idle: Option<Duration>,
    /// With reports that nobody has acknowledged; they stay on disk for the next worker.
    pub unsent: Option<Duration>,
}

impl Patience {
    /// A local worker goes when its lab has gone: a minute idle, ten minutes with reports to deliver.
    pub const LOCAL: Self = Self { idle: Some(Duration::from_secs(60)), unsent: Some(Duration::from_secs(600)) };
    /// A worker that someone started on another machine stays until it is told to go.
    pub const REMOTE: Self = Self { idle: None, unsent: None };
}

impl WorkerConfig {
    /// With the patience that fits the place.
    pub fn new(server_url: Option<String>, data: PathBuf, device: DeviceId, token: String) -> Self {
        let patience = if server_url.is_some() { Patience::REMOTE } else { Patience::LOCAL };
        Self { server_url, data, device, token, patience }
    }

    /// Whether the server stands on the same machine and folder.
    pub fn is_local(&self) -> bool {
        self.server_url.is_none()
    }

    /// Where unacknowledged reports are kept.
    pub fn spool(&self) -> PathBuf {
        self.data.join("spool")
    }

    /// Where texts are, and where checkpoints are kept.
    pub fn folders(&self) -> engine::train::Folders {
        engine::train::Folders { corpora: self.data.join("corpora"), checkpoints: Some(self.data.join("checkpoints")) }
    }

    /// The address of the server's link, as it is now: `ws://127.0.0.1:8000/api/v1/link`.
    ///
    /// # Errors
    /// No server has written its address here yet, or what is given is no address.
    pub fn link_url(&self) -> Result<String, WorkerError> {
        match &self.server_url {
            Some(url) => socket_url(url),
            None => socket_url(&local_url(&self.data)?),
        }
    }

    /// The name this process goes by, different for each process of a lab.
    ///
    /// # Errors
    /// Never for a device that has an id; the name is made of it.
    pub(crate) fn worker_id(&self, host: &str) -> Result<WorkerId, WorkerError> {
        let name = format!("{}-{}", slug(&format!("{}-{}", slug(host, 30), self.device), 50), std::process::id());
        name.parse().map_err(|source: wire::id::IdError| WorkerError::Device {
            device: self.device.clone(),
            message: source.to_string(),
        })
    }

    /// The device under the name by which the whole lab knows it: machines other than the server's put their own in front.
    pub(crate) fn in_the_lab(&self, host: &str, info: DeviceInfo) -> DeviceInfo {
        if self.is_local() {
            return info;
        }
        let id = slug(&format!("{}-{}", slug(host, 30), info.id), 64).parse().unwrap_or_else(|_| info.id.clone());
        DeviceInfo { id, ..info }
    }
}

#[derive(Deserialize)]
struct ServerFile {
    url: String,
}

fn local_url(data: &Path) -> Result<String, WorkerError> {
    let path = data.join("workers").join("server.json");
    let text = fs::read_to_string(&path).map_err(|source| WorkerError::Folder { path: path.clone(), source })?;
    let file: ServerFile =
        serde_json::from_str(&text).map_err(|source| WorkerError::Folder { path, source: source.into() })?;
    Ok(file.url)
}

/// The socket's address for what a person types: `lab:8000`, `https://lab.example/`, or the full one.
fn socket_url(url: &str) -> Result<String, WorkerError> {
    let text = url.trim();
    let (scheme, rest) = match text.split_once("://") {
        None => ("ws", text),
        Some(("http" | "ws", rest)) => ("ws", rest),
        Some(("https" | "wss", rest)) => ("wss", rest),
        Some((scheme, _)) => {
            return Err(WorkerError::Address {
                url: url.to_owned(),
                message: format!("{scheme} is not http, https, ws or wss"),
            });
        }
    };
    let rest = rest.trim_end_matches('/');
    if rest.is_empty() || rest.starts_with(['/', ':']) {
        return Err(WorkerError::Address { url: url.to_owned(), message: "the machine is missing".to_owned() });
    }
    let path = if rest.ends_with("/api/v1/link") { "" } else { "/api/v1/link" };
    Ok(format!("{scheme}://{rest}{path}"))
}

/// This machine's name.
pub(crate) fn host_name() -> String {
    let file = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = file.or_else(|| std::env::var("HOSTNAME").ok()).or_else(|| std::env::var("COMPUTERNAME").ok());
    name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).unwrap_or_else(|| "machine".to_owned())
}

/// A text made fit to be an id: small letters, digits and single dashes.
fn slug(text: &str, most: usize) -> String {
    let mut made = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' | '0'..='9' => made.push(c),
            _ if made.ends_with('-') || made.is_empty() => {}
            _ => made.push('-'),
        }
    }
    made.truncate(most);
    made.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_people_type_them() {
        for (typed, url) in [
            ("http://127.0.0.1:8000", "ws://127.0.0.1:8000/api/v1/link"),
            ("https://lab.example/", "wss://lab.example/api/v1/link"),
            ("lab:8000", "ws://lab:8000/api/v1/link"),
            ("wss://lab/api/v1/link", "wss://lab/api/v1/link"),
            ("https://school.example/kindling", "wss://school.example/kindling/api/v1/link"),
        ] {
            assert_eq!(socket_url(typed).unwrap(), url, "{typed}");
        }
        for bad in ["", "ftp://lab", "http://", "http://:80"] {
            assert!(socket_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_local_address_is_read_anew_each_time() {
        let data = tempfile::tempdir().unwrap();
        let config = WorkerConfig::new(None, data.path().to_owned(), "cpu".parse().unwrap(), "t".into());
        assert!(matches!(config.link_url(), Err(WorkerError::Folder { .. })));
        fs::create_dir(data.path().join("workers")).unwrap();
        for port in [1, 2] {
            fs::write(data.path().join("workers/server.json"), format!(r#"{{"url": "http://127.0.0.1:{port}"}}"#))
                .unwrap();
            assert_eq!(config.link_url().unwrap(), format!("ws://127.0.0.1:{port}/api/v1/link"));
        }
    }

    #[test]
    fn every_machine_gives_ids() {
        for host in ["lab-1", "Ada's Laptop.local", "", "--", "münchen", &"x".repeat(300)] {
            let config =
                WorkerConfig::new(Some("lab:1".into()), PathBuf::new(), "vulkan-0".parse().unwrap(), String::new());
            let info = DeviceInfo {
                id: "vulkan-0".parse().unwrap(),
                name: String::new(),
                kind: wire::device::DeviceKind::Cpu,
                backend: String::new(),
                cores: 1,
                memory_bytes: 0,
                flops_per_sec: 0.0,
            };
            assert!(config.worker_id(host).unwrap().as_str().ends_with(&std::process::id().to_string()), "{host}");
            assert!(config.in_the_lab(host, info).id.as_str().len() <= 64);
        }
    }
}
