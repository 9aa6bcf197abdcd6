//! After a start: folders of checkpoints that nobody keeps are removed. They are left by a kill between a commit and the removal.
//!
//! A folder that the journal does not know may be one whose worker has yet to report it: it stays while the run can still be at
//! work. So does a half-written one, which its worker will see to.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use wire::{CheckpointId, Event, RunId, RunState};

use crate::database;
use crate::error::StoreError;
use crate::store::Store;

impl Store {
    pub(crate) async fn sweep_checkpoints(&self) -> Result<(), StoreError> {
        let root = self.dir().join("checkpoints");
        let runs: HashMap<String, RunState> =
            database::runs::states(&mut *self.database().read().await?).await?.into_iter().collect();
        let mut needless = vec![];
        for (name, folder) in folders_in(&root)? {
            let run: Option<RunId> = name.parse().ok();
            match (run, runs.get(&name)) {
                (Some(run), Some(state)) => needless.extend(self.needless(&run, *state, &folder).await?),
                (Some(_), None) => needless.push(folder),
                // No folder of ours.
                (None, _) => {}
            }
        }
        self.aside(move || needless.iter().try_for_each(|folder| crate::disk::remove_folder(folder))).await
    }

    async fn needless(&self, run: &RunId, state: RunState, folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
        let found = folders_in(folder)?;
        if found.is_empty() {
            return Ok(vec![]);
        }
        let kept: BTreeSet<CheckpointId> = self.kept(run).await?.into_iter().collect();
        let changes = database::journal::changes(&mut *self.database().read().await?, run).await?;
        let told: BTreeSet<CheckpointId> = changes
            .iter()
            .filter_map(|record| match &record.event {
                Event::Checkpointed { checkpoint } => Some(checkpoint.id),
                _ => None,
            })
            .collect();
        // The worker of a lost run may be alive, and have more to say.
        let is_at_rest = matches!(state, RunState::Finished | RunState::Stopped | RunState::Failed | RunState::Parked);
        let is_needless = |name: &str| match name.parse::<CheckpointId>() {
            Ok(id) => !kept.contains(&id) && (is_at_rest || told.contains(&id)),
            Err(_) => is_at_rest && name.ends_with(".partial"),
        };
        Ok(found.into_iter().filter(|(name, _)| is_needless(name)).map(|(_, folder)| folder).collect())
    }
}

/// Folders in a folder, by name; none where it is not there.
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
