//! Checkpoints as ids and folders: which are kept, and when one may be deleted. The engine reads and writes their
//! contents.

use std::path::PathBuf;

use wire::control::checkpoint::{CheckpointInfo, CheckpointRef, CheckpointView};
use wire::run::history::History;
use wire::run::plan::Origin;
use wire::{CheckpointId, Event, EventRecord, RunId};

use crate::database::journal::Evaluation;
use crate::database::{self, Connection, commit};
use crate::error::StoreError;
use crate::journal::prune;
use crate::origins::needed_by_forks;
use crate::readers::OpenCheckpoint;
use crate::retention::{Saved, best};
use crate::store::Store;

impl Store {
    /// The folder of a checkpoint, whether it exists or not.
    pub fn checkpoint_dir(&self, run: &RunId, id: CheckpointId) -> PathBuf {
        self.checkpoint_folders().folder(run, id)
    }

    /// The checkpoints of a run, in the order in which they were saved.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`].
    pub async fn checkpoints(&self, run: &RunId) -> Result<Vec<CheckpointView>, StoreError> {
        let mut connection = self.database().read().await?;
        let saved = database::checkpoints::list(&mut connection, run).await?;
        let history = self.history_in(&mut connection, run).await?;
        let samples = database::journal::samples(&mut connection, run).await?;
        let evaluations = database::journal::evaluations(&mut connection, run).await?;
        let best = best(&saved, &path(&history, run, &saved));
        Ok(saved
            .into_iter()
            .map(|Saved { info, is_pinned, .. }| CheckpointView {
                // The best stored one can be worse than a loss whose checkpoint was not kept.
                is_best: Some(info.id) == best && info.best_valid.is_none_or(|lowest| info.loss_valid <= Some(lowest)),
                sample: sample_up_to(&samples, &history, info.id),
                evaluated: evaluated_up_to(&evaluations, &history, &info),
                is_available: self.has_checkpoint_files(run, info.id),
                uploaded_bytes: self.checkpoint_folders().uploaded_bytes(run, info.id),
                info,
                is_pinned,
            })
            .collect())
    }

    /// Ids of the checkpoints of a run, in the order in which they were saved.
    pub async fn checkpoint_ids(&self, run: &RunId) -> Result<Vec<CheckpointId>, StoreError> {
        let saved = database::checkpoints::list(&mut *self.database().read().await?, run).await?;
        Ok(saved.into_iter().map(|saved| saved.info.id).collect())
    }

    /// Opens a checkpoint for reading: its folder stays until the returned value is dropped, even if the checkpoint is pruned or deleted
    /// meanwhile. `None` if there is no such checkpoint.
    pub async fn open_checkpoint(&self, run: &RunId, id: CheckpointId) -> Result<Option<OpenCheckpoint>, StoreError> {
        // Opened before the check: if it is pruned in between, the check finds it missing and the value is dropped.
        let open = self.checkpoint_readers().open(CheckpointRef { run: run.clone(), checkpoint: id });
        Ok(self.checkpoint_ids(run).await?.contains(&id).then_some(open))
    }

    /// The origin of a fork from this checkpoint; `None` if there is no such checkpoint.
    pub async fn origin(&self, run: &RunId, id: CheckpointId) -> Result<Option<Origin>, StoreError> {
        let mut connection = self.database().read().await?;
        let saved = database::checkpoints::list(&mut connection, run).await?;
        let Some(saved) = saved.into_iter().find(|saved| saved.info.id == id) else { return Ok(None) };
        let hyperparameters = self.history_in(&mut connection, run).await?.hyperparameters_at(id);
        let from = CheckpointRef { run: run.clone(), checkpoint: id };
        Ok(Some(Origin { from, hyperparameters, best_valid: saved.info.best_valid }))
    }

    /// Pins a checkpoint, so that it is never pruned, or unpins it.
    ///
    /// # Errors
    /// [`StoreError::UnknownCheckpoint`].
    pub async fn pin_checkpoint(
        &self,
        run: &RunId,
        id: CheckpointId,
        is_pinned: bool,
    ) -> Result<CheckpointView, StoreError> {
        let mut transaction = self.database().write().await?;
        if !database::checkpoints::set_pinned(&mut transaction, run, id, is_pinned).await? {
            return Err(self.unknown_checkpoint(run, id));
        }
        commit(transaction).await?;
        let views = self.checkpoints(run).await?;
        views.into_iter().find(|view| view.info.id == id).ok_or_else(|| self.unknown_checkpoint(run, id))
    }

    /// Deletes a checkpoint and its folder.
    ///
    /// # Errors
    /// [`StoreError::CheckpointNeeded`] if a fork starts from it, or if an unfinished run has no other to resume from.
    pub async fn delete_checkpoint(&self, run: &RunId, id: CheckpointId) -> Result<(), StoreError> {
        let _shared = self.changes().read().await;
        let mut transaction = self.database().write().await?;
        let saved = database::checkpoints::list(&mut transaction, run).await?;
        if !saved.iter().any(|saved| saved.info.id == id) {
            return Err(self.unknown_checkpoint(run, id));
        }
        let forks = needed_by_forks(&mut transaction, self.checkpoint_folders(), run).await?;
        if let Some((_, fork)) = forks.into_iter().find(|(needed, _)| *needed == id) {
            let by = format!("the fork {fork}, which has no checkpoint of its own yet");
            return Err(StoreError::CheckpointNeeded { run: run.clone(), checkpoint: id, by });
        }
        let history = self.history_in(&mut transaction, run).await?;
        let state = database::runs::state_and_device(&mut transaction, run).await?.map(|(state, _)| state);
        if state.is_some_and(|state| !state.is_over()) && path(&history, run, &saved) == [id] {
            let by = "the run itself: it is the only one that it can resume from".to_owned();
            return Err(StoreError::CheckpointNeeded { run: run.clone(), checkpoint: id, by });
        }
        database::checkpoints::remove(&mut transaction, run, id).await?;
        commit(transaction).await?;
        self.remove_folders(vec![CheckpointRef { run: run.clone(), checkpoint: id }]).await;
        Ok(())
    }

    /// Prunes the checkpoints of a run by the retention of its plan, after a change other than a new checkpoint, such as an unpin.
    pub async fn prune_checkpoints(&self, run: &RunId) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        let dropped = prune(&mut transaction, self.checkpoint_folders(), run).await?;
        commit(transaction).await?;
        self.remove_folders(dropped).await;
        Ok(())
    }

    /// Deletes the folders of pruned checkpoints, except those being read. A folder that cannot be deleted is swept at the next start:
    /// the database has forgotten it already.
    pub(crate) async fn remove_folders(&self, dropped: Vec<CheckpointRef>) {
        let uploads = dropped.iter().map(|at| self.checkpoint_folders().upload(&at.run, at.checkpoint));
        let mut folders: Vec<PathBuf> = uploads.filter(|upload| upload.exists()).collect();
        folders.extend(
            dropped
                .into_iter()
                .map(|at| (self.checkpoint_dir(&at.run, at.checkpoint), at))
                .filter_map(|(folder, at)| self.checkpoint_readers().can_remove(&at, &folder).then_some(folder)),
        );
        if !folders.is_empty() {
            let _ =
                self.blocking(move || folders.iter().try_for_each(|folder| crate::disk::remove_folder(folder))).await;
        }
    }

    pub(crate) async fn history_in(&self, connection: &mut Connection, run: &RunId) -> Result<History, StoreError> {
        let definition = database::runs::definition(connection, run).await?;
        let plan = self.known(definition, run)?.plan;
        Ok(History::read(&plan, &database::journal::changes(connection, run).await?))
    }

    fn unknown_checkpoint(&self, run: &RunId, checkpoint: CheckpointId) -> StoreError {
        StoreError::UnknownCheckpoint { run: run.clone(), checkpoint }
    }
}

/// Checkpoints on the run's path, newest first.
fn path(history: &History, run: &RunId, saved: &[Saved]) -> Vec<CheckpointId> {
    let kept: Vec<CheckpointId> = saved.iter().map(|saved| saved.info.id).collect();
    history.path_checkpoints(run, &kept).into_iter().map(|found| found.at.checkpoint).collect()
}

/// The step of the newest evaluation on the path to a checkpoint that found the loss of the checkpoint. An evaluation at its step may have
/// come after its state was saved; the journal does not tell, because a checkpoint is reported when its files are written.
fn evaluated_up_to(evaluations: &[Evaluation], history: &History, info: &CheckpointInfo) -> Option<u64> {
    let is_on_path = history.on_path_to(info.id);
    let loss = info.loss_valid?;
    // Readers of JSON may differ in the last bit.
    let is_of =
        |one: &&Evaluation| is_on_path(one.segment, one.step) && (one.loss_nats - loss).abs() <= 1e-12 * loss.abs();
    evaluations.iter().filter(is_of).map(|one| one.step).max()
}

/// The newest generated sample on the path to a checkpoint.
fn sample_up_to(samples: &[EventRecord], history: &History, id: CheckpointId) -> Option<String> {
    let is_on_path = history.on_path_to(id);
    let is_on_path = |record: &&EventRecord| is_on_path(record.segment, record.step);
    let newest = samples.iter().filter(is_on_path).max_by_key(|record| (record.step, record.number))?;
    match &newest.event {
        Event::Sampled { prompt, text, .. } => Some(format!("{prompt}{text}")),
        _ => None,
    }
}
