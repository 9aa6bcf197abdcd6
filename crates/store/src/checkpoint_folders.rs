//! Where the files of checkpoints are. A checkpoint of a run on another machine is in the journal before its files are here: they are
//! uploaded into a temporary folder, which is renamed when it is complete and checked.
//!
//! Whether the files of a checkpoint are here is decided by its folder, not by a column of the database: the folder gets its name in one
//! step, so it cannot contradict the disk after a crash, a restored backup or a folder deleted by a person.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use wire::{CheckpointId, RunId};

/// An upload that received nothing for so long is given up: its checkpoint is no longer kept for its sake.
const ARRIVES_WITHIN: Duration = Duration::from_secs(600);

/// The folders of the checkpoints of a lab.
#[derive(Debug, Clone)]
pub(crate) struct CheckpointFolders {
    root: PathBuf,
}

impl CheckpointFolders {
    /// The folders in the folder of a lab.
    pub(crate) fn of_lab(dir: &Path) -> Self {
        Self { root: dir.join("checkpoints") }
    }

    /// The folder of a checkpoint, whether it exists or not.
    pub(crate) fn folder(&self, run: &RunId, id: CheckpointId) -> PathBuf {
        self.root.join(run.as_str()).join(id.to_string())
    }

    /// The folder into which a checkpoint is uploaded, whether it exists or not.
    pub(crate) fn upload(&self, run: &RunId, id: CheckpointId) -> PathBuf {
        self.root.join(run.as_str()).join(format!(".{id}.upload"))
    }

    /// Whether the files of a checkpoint are here.
    pub(crate) fn has(&self, run: &RunId, id: CheckpointId) -> bool {
        self.folder(run, id).is_dir()
    }

    /// Bytes of a checkpoint that have been uploaded so far.
    pub(crate) fn uploaded_bytes(&self, run: &RunId, id: CheckpointId) -> u64 {
        files_in(&self.upload(run, id)).map(|data| data.len()).sum()
    }

    /// Whether a checkpoint is being uploaded.
    pub(crate) fn is_arriving(&self, run: &RunId, id: CheckpointId) -> bool {
        let age = |data: fs::Metadata| data.modified().ok()?.elapsed().ok();
        // A file from the future is one of a clock that was set.
        files_in(&self.upload(run, id)).any(|data| age(data).is_none_or(|age| age < ARRIVES_WITHIN))
    }
}

/// The id of an upload's folder: `.0-300.upload`.
pub(crate) fn id_of_upload(name: &str) -> Option<CheckpointId> {
    name.strip_prefix('.')?.strip_suffix(".upload")?.parse().ok()
}

fn files_in(folder: &Path) -> impl Iterator<Item = fs::Metadata> {
    fs::read_dir(folder).into_iter().flatten().flatten().filter_map(|entry| entry.metadata().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_here_once_their_folder_has_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let (folders, run) = (CheckpointFolders::of_lab(dir.path()), "amber-fox".parse().unwrap());
        let id = CheckpointId { segment: 0, step: 300 };
        let state = || (folders.has(&run, id), folders.is_arriving(&run, id), folders.uploaded_bytes(&run, id));
        assert_eq!(state(), (false, false, 0));
        let upload = folders.upload(&run, id);
        fs::create_dir_all(&upload).unwrap();
        fs::write(upload.join("state.safetensors"), [0; 7]).unwrap();
        assert_eq!(state(), (false, true, 7));
        assert_eq!(id_of_upload(&upload.file_name().unwrap().to_string_lossy()), Some(id));
        fs::rename(&upload, folders.folder(&run, id)).unwrap();
        assert_eq!(state(), (true, false, 0));
        for other in ["0-300", ".0-300.partial", ".x.upload", ".0-300.old"] {
            assert_eq!(id_of_upload(other), None, "{other}");
        }
    }
}
