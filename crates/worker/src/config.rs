//! The configuration of a worker, and its names.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use wire::fingerprint::Fingerprint;
use wire::{DeviceId, Slot, WorkerId};

use crate::credentials::Credentials;
use crate::error::WorkerError;
use crate::log::WorkerLog;

/// The configuration of a worker.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// The server's address; `None` for a worker of the same machine and folder, which reads it from `workers/server.json` before each
    /// attempt, because a restarted server may listen at another address.
    pub server_url: Option<String>,
    /// The lab folder on this machine: datasets, spool, locks.
    pub data: PathBuf,
    /// The device to train on, by its id on this machine.
    pub device: DeviceId,
    /// Token of the role `worker`, sent as `Authorization: Bearer`.
    pub token: String,
    /// Fingerprint of the server's certificate; `None` where the authorities of the system verify it.
    pub fingerprint: Option<Fingerprint>,
    /// Timeouts while no server is reachable.
    pub idle_timeouts: IdleTimeouts,
    /// Id of the device in the lab, where it is another one than on this machine.
    pub lab_device: Option<DeviceId>,
    /// Which of the processes of the device this is, from 1; more than one where its pool trains several runs on a device at once.
    pub slot: u32,
    /// How the further processes are started, for the first one of a machine that has joined; `None` where the server starts them.
    pub slots: Option<SlotProgram>,
    /// The log of this process, whose end the server shows.
    pub log: WorkerLog,
}

/// How the further processes are started: the program and its arguments, after which the number of the slot is given.
#[derive(Debug, Clone)]
pub struct SlotProgram {
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
}

/// Time after which a worker without a connection ends. `None`: never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdleTimeouts {
    /// Without reports to deliver.
    pub idle: Option<Duration>,
    /// With unacknowledged reports; they stay on disk for the next worker.
    pub unsent: Option<Duration>,
    /// With a run, which is then suspended with a checkpoint.
    pub training: Option<Duration>,
}

impl IdleTimeouts {
    /// A local worker: one minute idle, ten minutes with reports to deliver, a day with a run.
    pub const LOCAL: Self = Self {
        idle: Some(Duration::from_secs(60)),
        unsent: Some(Duration::from_secs(600)),
        training: Some(Duration::from_secs(24 * 3600)),
    };
    /// A worker on another machine: it stays until the server shuts it down.
    pub const REMOTE: Self = Self { idle: None, unsent: None, training: None };
}

impl WorkerConfig {
    /// A configuration with the idle timeouts of a local worker (no address) or a remote one.
    pub fn new(server_url: Option<String>, data: PathBuf, device: DeviceId, token: String) -> Self {
        let idle_timeouts = if server_url.is_some() { IdleTimeouts::REMOTE } else { IdleTimeouts::LOCAL };
        let (fingerprint, lab_device, log) = (None, None, WorkerLog::default());
        let (slot, slots) = (1, None);
        Self { server_url, data, device, token, fingerprint, idle_timeouts, lab_device, slot, slots, log }
    }

    /// The configuration of a worker that has joined a lab.
    pub fn joined(credentials: Credentials, data: PathBuf, device: DeviceId) -> Self {
        let Credentials { server, fingerprint, device: lab_device, token, .. } = credentials;
        Self { fingerprint, lab_device: Some(lab_device), ..Self::new(Some(server), data, device, token) }
    }

    /// Whether the server runs on the same machine and folder.
    pub fn is_local(&self) -> bool {
        self.server_url.is_none()
    }

    /// The slot of this process on its machine, which names its lock.
    pub fn own_slot(&self) -> Slot {
        Slot { device: self.device.clone(), number: self.slot }
    }

    /// The folder of unacknowledged reports. Each process has its own: it sends what it finds there, and removes what the server has stored.
    pub fn spool(&self) -> PathBuf {
        match self.slot {
            1 => self.data.join("spool"),
            _ => self.data.join("slots").join(self.own_slot().to_string()),
        }
    }

    /// The folders of datasets and checkpoints.
    pub fn folders(&self) -> engine::train::Folders {
        engine::train::Folders { corpora: self.data.join("corpora"), checkpoints: Some(self.data.join("checkpoints")) }
    }

    /// The current address of the server's link: `ws://127.0.0.1:8000/api/v1/link`.
    ///
    /// # Errors
    /// No server has written its address yet, or the given address is invalid.
    pub fn link_url(&self) -> Result<String, WorkerError> {
        match &self.server_url {
            Some(url) => socket_url(url),
            None => socket_url(&local_url(&self.data)?),
        }
    }

    /// The id of this process, unique in the lab: host, device and process number.
    ///
    /// # Errors
    /// Never for a valid device id, from which it is made.
    pub(crate) fn worker_id(&self, host: &str) -> Result<WorkerId, WorkerError> {
        let device = self.lab_slot();
        let name = format!("{}-{}", slug(&format!("{}-{device}", slug(host, 30)), 50), std::process::id());
        name.parse().map_err(|source: wire::id::IdError| WorkerError::Device {
            device: self.device.clone(),
            source: source.into(),
        })
    }

    /// The slot of this process in the lab.
    fn lab_slot(&self) -> Slot {
        let device = self.lab_device.as_ref().unwrap_or(&self.device).clone();
        Slot { device, number: self.slot }
    }

    /// The name of this process in the lab, by which it greets the server: the id of its device, with the number of a further slot.
    ///
    /// # Errors
    /// The id of the device is so long that the number does not fit.
    pub(crate) fn lab_name(&self) -> Result<DeviceId, WorkerError> {
        self.lab_slot()
            .name()
            .map_err(|source| WorkerError::Device { device: self.device.clone(), source: source.into() })
    }
}

/// The id in the lab of a device that joins it: made of a name that a person chose, or else of the machine's name and the device's id.
///
/// # Errors
/// The name holds no letter and no digit.
pub fn lab_device_id(host: &str, device: &DeviceId, name: Option<&str>) -> Result<DeviceId, wire::id::IdError> {
    match name {
        Some(name) => slug(name, 64),
        None => slug(&format!("{}-{device}", slug(host, 30)), 64),
    }
    .parse()
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

/// The WebSocket address for a server address: `lab:8000`, `https://lab.example/`, or the complete one.
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
        return Err(WorkerError::Address { url: url.to_owned(), message: "the host is missing".to_owned() });
    }
    let path = if rest.ends_with("/api/v1/link") { "" } else { "/api/v1/link" };
    Ok(format!("{scheme}://{rest}{path}"))
}

/// The host name of this machine.
pub fn host_name() -> String {
    let file = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = file.or_else(|| std::env::var("HOSTNAME").ok()).or_else(|| std::env::var("COMPUTERNAME").ok());
    name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).unwrap_or_else(|| "machine".to_owned())
}

/// Turns a text into an id: lower-case letters, digits and single dashes, at most `most` characters.
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
    fn server_addresses_are_completed() {
        for (given, url) in [
            ("http://127.0.0.1:8000", "ws://127.0.0.1:8000/api/v1/link"),
            ("https://lab.example/", "wss://lab.example/api/v1/link"),
            ("lab:8000", "ws://lab:8000/api/v1/link"),
            ("wss://lab/api/v1/link", "wss://lab/api/v1/link"),
            ("https://school.example/kindling", "wss://school.example/kindling/api/v1/link"),
        ] {
            assert_eq!(socket_url(given).unwrap(), url, "{given}");
        }
        for bad in ["", "ftp://lab", "http://", "http://:80"] {
            assert!(socket_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_local_address_is_read_again_at_each_attempt() {
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
    fn every_host_name_gives_valid_ids() {
        for host in ["lab-1", "Ada's Laptop.local", "", "--", "münchen", &"x".repeat(300)] {
            let device: DeviceId = "gpu-0".parse().unwrap();
            let config = WorkerConfig::new(Some("lab:1".into()), PathBuf::new(), device.clone(), String::new());
            assert!(config.worker_id(host).unwrap().as_str().ends_with(&std::process::id().to_string()), "{host}");
            assert!(lab_device_id(host, &device, None).unwrap().as_str().ends_with("gpu-0"), "{host}");
        }
        let named = |name: &str| lab_device_id("box", &"cpu".parse().unwrap(), Some(name));
        assert_eq!(named("Ada's GPU box").unwrap().as_str(), "ada-s-gpu-box");
        assert!(named("--").is_err());
    }

    #[test]
    fn further_processes_have_names_and_folders_of_their_own() {
        let first = WorkerConfig::new(None, PathBuf::from("/lab"), "cpu".parse().unwrap(), String::new());
        let third = WorkerConfig { slot: 3, lab_device: Some("box".parse().unwrap()), ..first.clone() };
        assert_eq!((first.lab_name().unwrap().as_str(), third.lab_name().unwrap().as_str()), ("cpu", "box-slot-3"));
        assert_eq!((first.spool(), third.spool()), ("/lab/spool".into(), "/lab/slots/cpu-slot-3".into()));
        let long = WorkerConfig { lab_device: Some("x".repeat(60).parse().unwrap()), ..third };
        assert!(long.lab_name().is_err());
    }
}
