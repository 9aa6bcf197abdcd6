//! Checkpoints from which forks start: they are kept as long as a fork has no other to resume from.

use wire::{CheckpointId, RunId};

use crate::checkpoint_folders::CheckpointFolders;
use crate::database::{self, Connection};
use crate::error::StoreError;

/// Checkpoints of a run that forks need, each with the fork: one whose own checkpoints are all on another machine still needs its parent's.
pub(crate) async fn needed_by_forks(
    connection: &mut Connection,
    folders: &CheckpointFolders,
    run: &RunId,
) -> Result<Vec<(CheckpointId, RunId)>, StoreError> {
    let mut needed = vec![];
    for (checkpoint, fork) in database::checkpoints::origins_of_forks(connection, run).await? {
        let own = database::checkpoints::list(connection, &fork).await?;
        let has_files = own.iter().any(|saved| folders.has(&fork, saved.info.id));
        if own.is_empty() || (!has_files && folders.has(run, checkpoint)) {
            needed.push((checkpoint, fork));
        }
    }
    Ok(needed)
}
