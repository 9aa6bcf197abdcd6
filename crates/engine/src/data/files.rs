//! Files of the data folder: written to a temporary path, synced and renamed; never changed afterwards, so that they can be mapped into memory.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use memmap2::Mmap;

use crate::error::DataError;

/// A file mapped into memory. Files of the data folder never change once they are renamed into place.
pub(crate) struct Mapped {
    pub(crate) path: PathBuf,
    map: Option<Mmap>,
}

impl Mapped {
    /// Maps a file. An empty file cannot be mapped; its bytes are empty.
    #[allow(unsafe_code)]
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        let open = || {
            let file = fs::File::open(path)?;
            // SAFETY: the map is read-only, and the file is written completely before its rename;
            // truncating it while a run trains would end the worker process, which the server notices.
            if file.metadata()?.len() == 0 { Ok(None) } else { unsafe { Mmap::map(&file) }.map(Some) }
        };
        let map = open().map_err(DataError::disk("could not read", path))?;
        Ok(Self { path: path.to_owned(), map })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.map.as_deref().unwrap_or_default()
    }
}

/// A unique temporary path in `parent`. Its leading dot makes it an invalid id.
pub(crate) fn temporary_path(parent: &Path, name: &str) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    parent.join(format!(".new-{name}-{}-{count}", std::process::id()))
}

/// Removes temporary files of crashed writers that are older than a day.
pub(crate) fn sweep(parent: &Path) {
    let is_old = |entry: &fs::DirEntry| {
        let age = entry.metadata().and_then(|meta| meta.modified()).ok().and_then(|at| at.elapsed().ok());
        entry.file_name().to_string_lossy().starts_with(".new-")
            && age.is_some_and(|age| age > Duration::from_secs(24 * 3600))
    };
    for entry in fs::read_dir(parent).into_iter().flatten().flatten().filter(is_old) {
        let _ = fs::remove_dir_all(entry.path()); // a later call tries again
    }
}

/// Writes a small file and syncs it.
pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), DataError> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(DataError::disk("could not write", path))
}

/// Writes a value as JSON and syncs it.
pub(crate) fn write_json<T: serde::Serialize>(path: &Path, value: &T) -> Result<(), DataError> {
    let json = serde_json::to_vec_pretty(value).map_err(|source| DataError::altered(path, source))?;
    write_synced(path, &json)
}
