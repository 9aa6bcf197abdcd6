//! Checkpoints that are being read. Their folders stay until the last reader is done.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use wire::control::checkpoint::CheckpointRef;

/// Open checkpoints with the number of their readers.
#[derive(Debug, Clone, Default)]
pub(crate) struct CheckpointReaders(Arc<Mutex<HashMap<CheckpointRef, Readers>>>);

#[derive(Debug, Default)]
struct Readers {
    count: usize,
    /// The folder, once the checkpoint was pruned: the last reader removes it.
    removed_folder: Option<PathBuf>,
}

/// A checkpoint whose folder is not removed while this value lives.
#[derive(Debug)]
pub struct OpenCheckpoint {
    at: CheckpointRef,
    readers: CheckpointReaders,
}

impl CheckpointReaders {
    pub(crate) fn open(&self, at: CheckpointRef) -> OpenCheckpoint {
        self.with(|open| open.entry(at.clone()).or_default().count += 1);
        OpenCheckpoint { at, readers: self.clone() }
    }

    /// Whether a checkpoint has no reader, so that its folder can be removed now. Otherwise the last reader removes it.
    pub(crate) fn can_remove(&self, at: &CheckpointRef, folder: &Path) -> bool {
        self.with(|open| match open.get_mut(at) {
            Some(readers) => {
                readers.removed_folder = Some(folder.to_owned());
                false
            }
            None => true,
        })
    }

    // Nothing panics under this lock.
    fn with<T>(&self, change: impl FnOnce(&mut HashMap<CheckpointRef, Readers>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for OpenCheckpoint {
    fn drop(&mut self) {
        let folder = self.readers.with(|open| {
            let readers = open.get_mut(&self.at)?;
            readers.count -= 1;
            if readers.count > 0 {
                return None;
            }
            open.remove(&self.at).and_then(|readers| readers.removed_folder)
        });
        // A folder that cannot be removed now is swept at the next start.
        let _ = folder.map(|folder| crate::disk::remove_folder(&folder));
    }
}
