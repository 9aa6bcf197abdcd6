//! Folders and the disk: what it takes for a new name to outlive a power cut, and removal of what may be gone already.

use std::io::ErrorKind;
use std::path::Path;

use crate::error::StoreError;

/// Waits until the names in a folder are on disk. Only Unix can say so; elsewhere the file system sees to it.
pub(crate) fn sync_folder(path: &Path) -> Result<(), StoreError> {
    if cfg!(unix) {
        let synced = std::fs::File::open(path).and_then(|folder| folder.sync_all());
        return synced.map_err(|source| StoreError::file(path, source));
    }
    Ok(())
}

/// Removes a folder with all in it; none is well too.
pub(crate) fn remove_folder(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_dir_all(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(StoreError::file(path, source)),
        _ => Ok(()),
    }
}
