//! How a machine that has joined a lab identifies itself at its next start: a file in its data folder that only its owner can read.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wire::DeviceId;
use wire::fingerprint::Fingerprint;

use crate::error::WorkerError;

/// A worker's place in a lab, and its token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// Address of the server.
    pub server: String,
    /// Fingerprint of the server's certificate, where it is self-signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    pub pool: String,
    /// Id of the worker.
    pub worker: i64,
    /// Id of the device in the lab.
    pub device: DeviceId,
    /// The worker's token, which opens the link for its device alone.
    pub token: String,
}

impl Credentials {
    /// The file of a device of this machine.
    pub fn path(data: &Path, device: &DeviceId) -> PathBuf {
        data.join("workers").join(format!("{device}.join.json"))
    }

    /// Reads the file of a device; `None` if it has not joined.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn load(data: &Path, device: &DeviceId) -> Result<Option<Self>, WorkerError> {
        let path = Self::path(data, device);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(WorkerError::Folder { path, source }),
        };
        let read = serde_json::from_str(&text);
        read.map(Some).map_err(|source| WorkerError::Folder { path, source: source.into() })
    }

    /// Writes the file of a device, so that only its owner can read it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, data: &Path, device: &DeviceId) -> Result<(), WorkerError> {
        let path = Self::path(data, device);
        let text = serde_json::to_vec_pretty(self);
        let written = text.map_err(io::Error::from).and_then(|text| write_private(&path, &text));
        written.map_err(|source| WorkerError::Folder { path, source })
    }
}

/// Without the token.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { server, pool, worker, device, .. } = self;
        f.debug_struct("Credentials")
            .field("server", server)
            .field("pool", pool)
            .field("worker", worker)
            .field("device", device)
            .finish_non_exhaustive()
    }
}

/// Replaces a file by one that only its owner can read, from the moment of its creation.
fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    let temporary = path.with_extension("new");
    // One that an earlier process left may have other permissions.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_back_and_only_their_owner_can_read_them() {
        let data = tempfile::tempdir().unwrap();
        let device: DeviceId = "cpu".parse().unwrap();
        assert_eq!(Credentials::load(data.path(), &device).unwrap(), None);
        let mut saved = Credentials {
            server: "http://lab:7878".into(),
            fingerprint: Some(Fingerprint([7; 32])),
            pool: "gpu-lab".into(),
            worker: 3,
            device: "box-cpu".parse().unwrap(),
            token: "secret".into(),
        };
        for token in ["secret", "next"] {
            saved.token = token.to_owned();
            saved.save(data.path(), &device).unwrap();
            assert_eq!(Credentials::load(data.path(), &device).unwrap().as_ref(), Some(&saved));
        }
        assert!(!format!("{saved:?}").contains("next"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(Credentials::path(data.path(), &device)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        fs::write(Credentials::path(data.path(), &device), "{").unwrap();
        assert!(Credentials::load(data.path(), &device).is_err());
    }
}
