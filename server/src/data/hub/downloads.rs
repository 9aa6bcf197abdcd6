//! The folders of downloads from the hub. One is kept when its download is interrupted, so that a later attempt continues it, and deleted
//! when its files are imported or the import is cancelled.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::address::Address;
use super::error::HubError;

/// Beginning of the names of these folders.
const PREFIX: &str = "hub-";
/// How long an interrupted download is kept.
const KEPT_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// The downloads under way; cloning shares them.
#[derive(Clone, Default)]
pub struct Downloads(Arc<Mutex<BTreeSet<PathBuf>>>);

/// The folder of one download, which no other uses until this is dropped.
pub struct DownloadFolder {
    downloads: Downloads,
    path: PathBuf,
}

impl Downloads {
    /// The folder of a repository at a commit.
    ///
    /// # Errors
    /// Another job downloads the same; the folder cannot be made.
    pub fn begin(&self, incoming: &Path, address: &Address, commit: &str) -> Result<DownloadFolder, HubError> {
        let hash = blake3::hash(address.file(commit, "").as_bytes()).to_hex();
        let path = incoming.join(format!("{PREFIX}{}", &hash[..32]));
        if !self.lock().insert(path.clone()) {
            return Err(HubError::Busy { repo: address.repo.clone() });
        }
        let folder = DownloadFolder { downloads: self.clone(), path };
        fs::create_dir_all(folder.path()).map_err(|source| HubError::Disk { path: folder.path.clone(), source })?;
        Ok(folder)
    }

    // A set of plain values is consistent also after a panic.
    fn lock(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DownloadFolder {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where a file of the repository is kept: no name of the hub becomes a path.
    pub(super) fn place(&self, path: &str) -> PathBuf {
        self.path.join(&blake3::hash(path.as_bytes()).to_hex()[..32])
    }

    /// Deletes the files unless a later attempt can use them. A refused import can be tried again with other options.
    pub fn end<T>(self, ended: &Result<T, HubError>) {
        if matches!(ended, Ok(_) | Err(HubError::Cancelled)) {
            self.discard();
        }
    }

    /// Deletes the files.
    pub fn discard(self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!("{} could not be removed: {error}", self.path.display());
        }
    }
}

impl Drop for DownloadFolder {
    fn drop(&mut self) {
        // Only an empty folder can be removed so: one with files is continued later.
        let _ = fs::remove_dir(&self.path);
        self.downloads.lock().remove(&self.path);
    }
}

/// Whether a folder of an earlier server is a download that can be continued.
pub fn is_kept(path: &Path) -> bool {
    let is_download = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
    let age = path.metadata().and_then(|data| data.modified()).ok().and_then(|time| time.elapsed().ok());
    is_download && age.is_none_or(|age| age < KEPT_FOR)
}
