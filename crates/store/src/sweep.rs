//! Removes, when the store opens, checkpoint folders that a crash between a commit and their removal left behind.
//!
//! A folder that the journal does not mention may be one that its worker has not reported yet: it stays while a worker may train the run.
//! So does a half-written folder, which its worker removes.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use wire::{CheckpointId, Event, RunId, RunState};

use crate::checkpoint_folders::id_of_upload;
use crate::database;
use crate::error::StoreError;
use crate::store::Store;

impl Store {
    pub(crate) async fn sweep_checkpoints(&self) -> Result<(), StoreError> {
        let root = self.dir().join("checkpoints");
        let runs: HashMap<String, RunState> =
            database::runs::states(&mut *self.database().read().await?).await?.into_iter().collect();
        let mut unused = vec![];
        for (name, folder) in folders_in(&root)? {
            let run: Option<RunId> = name.parse().ok();
            match (run, runs.get(&name)) {
                (Some(run), Some(state)) => unused.extend(self.unused(&run, *state, &folder).await?),
                (Some(_), None) => unused.push(folder),
                // Not a folder of the store.
                (None, _) => {}
            }
        }
        self.blocking(move || unused.iter().try_for_each(|folder| crate::disk::remove_folder(folder))).await
    }

    async fn unused(&self, run: &RunId, state: RunState, folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
        let found = folders_in(folder)?;
        if found.is_empty() {
            return Ok(vec![]);
        }
        let stored: BTreeSet<CheckpointId> = self.checkpoint_ids(run).await?.into_iter().collect();
        let changes = database::journal::changes(&mut *self.database().read().await?, run).await?;
        let reported: BTreeSet<CheckpointId> = changes
            .iter()
            .filter_map(|record| match &record.event {
                Event::Checkpointed { checkpoint } => Some(checkpoint.id),
                _ => None,
            })
            .collect();
        // The worker of a lost run may still live, and report more.
        let is_at_rest =
            matches!(state, RunState::Finished | RunState::Stopped | RunState::Failed | RunState::Suspended);
        let is_unused = |name: &str| match name.parse::<CheckpointId>() {
            Ok(id) => !stored.contains(&id) && (is_at_rest || reported.contains(&id)),
            Err(_) => match id_of_upload(name) {
                // The worker continues the upload of one that is kept.
                Some(id) => !stored.contains(&id),
                None => is_at_rest && name.ends_with(".partial"),
            },
        };
        Ok(found.into_iter().filter(|(name, _)| is_unused(name)).map(|(_, folder)| folder).collect())
    }
}

/// Folders in a folder, by name; none if the folder does not exist.
fn folders_in(path: &Path) -> Result<Vec<(String, PathBuf)>, StoreError> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
        Err(source) => return Err(StoreError::file(path, source)),
    };
    let mut folders = vec![];
    for entry in entries {
        let path = entry.map_err(|source| StoreError::file(path, source))?.path();
        if path.is_dir()
            && let Some(name) = path.file_name()
        {
            folders.push((name.to_string_lossy().into_owned(), path));
        }
    }
    Ok(folders)
}
