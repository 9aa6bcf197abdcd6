//! A consistent copy of a lab while it is in use.
//!
//! The files of the series can be ahead of the database by reports that are being stored, and behind it by points that the database holds. So a
//! backup first stops the storing of reports, for as long as the copy of the database takes, and notes how long each file is at that moment.
//! Files grow only at their end, so they can be read up to that length afterwards, while reports are stored again. Workers keep their reports
//! on disk meanwhile.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use wire::{CheckpointId, RunId};

use crate::database;
use crate::error::StoreError;
use crate::format::DATABASE;
use crate::readers::OpenCheckpoint;
use crate::store::Store;

/// Folders of a lab that a backup contains besides the checkpoints.
const FOLDERS: [&str; 3] = ["series", "snapshots", "corpora"];

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupFile {
    /// Path below the lab folder, with `/` between the names.
    pub name: String,
    /// Where its content is.
    pub path: PathBuf,
    /// Bytes from its beginning that belong to the backup.
    pub bytes: u64,
}

/// The files of a lab at one moment. While it lives, no file of it is removed, except datasets that somebody deletes.
#[derive(Debug)]
pub struct Backup {
    /// All files, the database first.
    pub files: Vec<BackupFile>,
    /// Folder with the copy of the database.
    scratch: PathBuf,
    _held: Vec<OpenCheckpoint>,
}

impl Backup {
    /// Size of all files, bytes.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

impl Drop for Backup {
    fn drop(&mut self) {
        // The server removes what is left here at its next start.
        let _ = crate::disk::remove_folder(&self.scratch);
    }
}

impl Store {
    /// Begins a backup; the copy of the database goes to the new folder `scratch`.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`] if the copy of the database does not fit on the disk; an IO error.
    pub async fn begin_backup(&self, scratch: &Path) -> Result<Backup, StoreError> {
        fs::create_dir_all(scratch).map_err(|source| StoreError::file(scratch, source))?;
        let mut backup = Backup { files: vec![], scratch: scratch.to_owned(), _held: vec![] };
        let copy = scratch.join(DATABASE);
        let _exclusive = self.changes().write().await;
        self.database().copy_to(&copy).await?;
        let mut folders = vec![];
        for (run, id) in self.all_checkpoints().await? {
            let Some(held) = self.open_checkpoint(&run, id).await? else { continue };
            backup._held.push(held);
            folders.push(format!("checkpoints/{run}/{id}"));
        }
        let dir = self.dir().to_owned();
        let listed = self.blocking(move || list(&dir, &folders)).await?;
        backup.files.push(file_of(&copy, DATABASE.to_owned()).map_err(|source| StoreError::file(&copy, source))?);
        backup.files.extend(listed);
        Ok(backup)
    }

    async fn all_checkpoints(&self) -> Result<Vec<(RunId, CheckpointId)>, StoreError> {
        let mut connection = self.database().read().await?;
        let mut found = vec![];
        for (name, _) in database::runs::states(&mut connection).await? {
            let Ok(run) = name.parse::<RunId>() else { continue };
            let saved = database::checkpoints::list(&mut connection, &run).await?;
            found.extend(saved.into_iter().map(|saved| (run.clone(), saved.info.id)));
        }
        Ok(found)
    }
}

/// The files besides the database.
fn list(dir: &Path, checkpoints: &[String]) -> Result<Vec<BackupFile>, StoreError> {
    let mut files = vec![];
    for name in ["format", "id"] {
        let path = dir.join(name);
        files.push(file_of(&path, name.to_owned()).map_err(|source| StoreError::file(&path, source))?);
    }
    for name in FOLDERS.iter().map(|name| (*name).to_owned()).chain(checkpoints.iter().cloned()) {
        let path = dir.join(&name);
        list_folder(&path, &name, &mut files).map_err(|source| StoreError::file(&path, source))?;
    }
    Ok(files)
}

fn list_folder(folder: &Path, name: &str, files: &mut Vec<BackupFile>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        // A checkpoint whose files are on another machine.
        Err(source) if source.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let Ok(own) = entry.file_name().into_string() else { continue };
        if !is_kept(&own) {
            continue;
        }
        let (path, name) = (entry.path(), format!("{name}/{own}"));
        match entry.file_type()?.is_dir() {
            true => list_folder(&path, &name, files)?,
            false => files.push(file_of(&path, name)?),
        }
    }
    Ok(())
}

/// Leaves out temporary files, whose names begin with a dot, and the upper levels of the series, which are computed from their points.
fn is_kept(name: &str) -> bool {
    let is_temporary = name.starts_with('.') && !name.starts_with(".mix-");
    let level = name.rsplit_once(".l").map(|(_, level)| level);
    let is_computed =
        level.is_some_and(|level| level != "0" && !level.is_empty() && level.bytes().all(|byte| byte.is_ascii_digit()));
    !is_temporary && !is_computed
}

fn file_of(path: &Path, name: String) -> io::Result<BackupFile> {
    let bytes = fs::metadata(path)?.len();
    Ok(BackupFile { name, path: path.to_owned(), bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_and_computed_files_are_left_out() {
        for (name, kept) in [
            ("loss.l0", true),
            ("loss.l1", false),
            ("loss.l12", false),
            ("notes.lua", true),
            ("file.l", true),
            (".tales-17", false),
            (".mix-7f", true),
        ] {
            assert_eq!(is_kept(name), kept, "{name}");
        }
    }
}
