//! Checkpoints that workers of other machines upload: which are wanted, and what changes once the files of one are here.

use std::collections::BTreeSet;

use wire::control::checkpoint::CheckpointInfo;
use wire::transport::transfer::{SavedCheckpoint, UploadVerdict};
use wire::{CheckpointId, Event, RunId, RunSummary};

use crate::database::{self, commit};
use crate::error::StoreError;
use crate::journal::prune;
use crate::store::Store;

impl Store {
    /// The folder into which a checkpoint is uploaded, whether it exists or not.
    pub fn upload_dir(&self, run: &RunId, id: CheckpointId) -> std::path::PathBuf {
        self.checkpoint_folders().upload(run, id)
    }

    /// Whether the files of a checkpoint are on this machine.
    pub fn has_checkpoint_files(&self, run: &RunId, id: CheckpointId) -> bool {
        self.checkpoint_folders().has(run, id)
    }

    /// Bytes of a checkpoint that have been uploaded, while its files are not complete.
    pub fn uploaded_bytes(&self, run: &RunId, id: CheckpointId) -> u64 {
        self.checkpoint_folders().uploaded_bytes(run, id)
    }

    /// The description of a checkpoint that is kept; `None` if there is no such checkpoint.
    pub async fn checkpoint_info(&self, run: &RunId, id: CheckpointId) -> Result<Option<CheckpointInfo>, StoreError> {
        let saved = database::checkpoints::list(&mut *self.database().read().await?, run).await?;
        Ok(saved.into_iter().map(|saved| saved.info).find(|info| info.id == id))
    }

    /// What a worker does with each of the checkpoints on its disk.
    pub async fn upload_verdicts(
        &self,
        run: &RunId,
        saved: &[SavedCheckpoint],
    ) -> Result<Vec<UploadVerdict>, StoreError> {
        let mut connection = self.database().read().await?;
        let kept = database::checkpoints::list(&mut connection, run).await?;
        let changes = database::journal::changes(&mut connection, run).await?;
        let reported: BTreeSet<CheckpointId> = changes
            .iter()
            .filter_map(|record| match &record.event {
                Event::Checkpointed { checkpoint } => Some(checkpoint.id),
                _ => None,
            })
            .collect();
        let verdict = |saved: &SavedCheckpoint| match kept.iter().find(|kept| kept.info.id == saved.id) {
            Some(kept) if kept.info.hash == saved.hash && self.has_checkpoint_files(run, saved.id) => {
                UploadVerdict::Stored
            }
            Some(_) => UploadVerdict::Send,
            None if reported.contains(&saved.id) => UploadVerdict::Dropped,
            None => UploadVerdict::Unreported,
        };
        Ok(saved.iter().map(verdict).collect())
    }

    /// The files of a checkpoint have been put into its folder. A run that was resumed on another machine saves a checkpoint again, and on a
    /// GPU with other last bits, so size and hash are those of the files. `None` if the checkpoint is not kept any more; its folder is then
    /// removed.
    pub async fn checkpoint_arrived(
        &self,
        run: &RunId,
        arrived: &CheckpointInfo,
    ) -> Result<Option<RunSummary>, StoreError> {
        let mut transaction = self.database().write().await?;
        let saved = database::checkpoints::list(&mut transaction, run).await?;
        let Some(saved) = saved.into_iter().find(|saved| saved.info.id == arrived.id) else {
            let folder = self.checkpoint_dir(run, arrived.id);
            self.blocking(move || crate::disk::remove_folder(&folder)).await?;
            return Ok(None);
        };
        let info = CheckpointInfo { bytes: arrived.bytes, hash: arrived.hash.clone(), ..saved.info };
        database::checkpoints::set_info(&mut transaction, run, &info).await?;
        // The newest one that was here before may have been kept only because this one was not.
        let mut dropped = prune(&mut transaction, self.checkpoint_folders(), run).await?;
        if let Some(parent) = database::runs::parent(&mut transaction, run).await? {
            dropped.extend(prune(&mut transaction, self.checkpoint_folders(), &parent).await?);
        }
        let summary = self.summary_in(&mut transaction, run).await?;
        commit(transaction).await?;
        self.remove_folders(dropped).await;
        Ok(Some(summary))
    }
}
