//! Folders: syncing new names, so that they survive a power cut, and removal of folders that may not exist.

use std::io::ErrorKind;
use std::path::Path;

use crate::error::StoreError;

/// Syncs the names in a folder. Only Unix can do this; on other systems the file system does it by itself.
pub(crate) fn sync_folder(path: &Path) -> Result<(), StoreError> {
    if cfg!(unix) {
        let synced = std::fs::File::open(path).and_then(|folder| folder.sync_all());
        return synced.map_err(|source| StoreError::file(path, source));
    }
    Ok(())
}

/// Removes a folder with its contents; a missing one is no error.
pub(crate) fn remove_folder(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_dir_all(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(StoreError::file(path, source)),
        _ => Ok(()),
    }
}
