//! Saved states: which are kept, where they lie, and when one may go. What is in them is the engine's; here they are names and folders.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use wire::checkpoint::{CheckpointRef, CheckpointView};
use wire::history::{History, Origin};
use wire::{CheckpointId, Event, EventRecord, RunId};

use crate::database::{self, Connection, commit};
use crate::error::StoreError;
use crate::journal::prune;
use crate::retention::{Saved, best};
use crate::store::Store;

/// Checkpoints that someone is about to read. Their folders stay until the last who needs one is done.
#[derive(Debug, Clone, Default)]
pub(crate) struct Borrowed(Arc<Mutex<HashMap<CheckpointRef, Loan>>>);

#[derive(Debug, Default)]
struct Loan {
    readers: usize,
    /// Kept no longer: the folder goes with the last reader.
    folder: Option<PathBuf>,
}

/// A checkpoint whose folder stays where it is for as long as this lives.
#[derive(Debug)]
pub struct HeldCheckpoint {
    at: CheckpointRef,
    borrowed: Borrowed,
}

impl Borrowed {
    fn borrow(&self, at: CheckpointRef) -> HeldCheckpoint {
        self.with(|loans| loans.entry(at.clone()).or_default().readers += 1);
        HeldCheckpoint { at, borrowed: self.clone() }
    }

    /// Whether nobody reads it; else its folder is left to the last who does.
    fn may_go(&self, at: &CheckpointRef, folder: &std::path::Path) -> bool {
        self.with(|loans| match loans.get_mut(at) {
            Some(loan) => {
                loan.folder = Some(folder.to_owned());
                false
            }
            None => true,
        })
    }

    // Nothing panics under this lock.
    fn with<T>(&self, change: impl FnOnce(&mut HashMap<CheckpointRef, Loan>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for HeldCheckpoint {
    fn drop(&mut self) {
        let folder = self.borrowed.with(|loans| {
            let loan = loans.get_mut(&self.at)?;
            loan.readers -= 1;
            if loan.readers > 0 {
                return None;
            }
            loans.remove(&self.at).and_then(|loan| loan.folder)
        });
        // What cannot be removed now is swept at the next start.
        let _ = folder.map(|folder| crate::disk::remove_folder(&folder));
    }
}

impl Store {
    /// Where a checkpoint lies, or would lie.
    pub fn checkpoint_dir(&self, run: &RunId, id: CheckpointId) -> PathBuf {
        self.dir().join("checkpoints").join(run.as_str()).join(id.to_string())
    }

    /// The checkpoints that are kept of a run, in the order in which they were taken.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`].
    pub async fn checkpoints(&self, run: &RunId) -> Result<Vec<CheckpointView>, StoreError> {
        let mut connection = self.database().read().await?;
        let saved = database::checkpoints::list(&mut connection, run).await?;
        let history = self.history_in(&mut connection, run).await?;
        let samples = database::journal::samples(&mut connection, run).await?;
        let best = best(&saved, &path(&history, run, &saved));
        Ok(saved
            .into_iter()
            .map(|Saved { info, is_pinned, .. }| CheckpointView {
                is_best: Some(info.id) == best,
                sample: sample_up_to(&samples, &history, info.id),
                info,
                is_pinned,
            })
            .collect())
    }

    /// Their names alone.
    pub async fn kept(&self, run: &RunId) -> Result<Vec<CheckpointId>, StoreError> {
        let saved = database::checkpoints::list(&mut *self.database().read().await?, run).await?;
        Ok(saved.into_iter().map(|saved| saved.info.id).collect())
    }

    /// Keeps a checkpoint's folder in place while it is read, whatever the plan or people say meanwhile; `None` where it is not kept.
    pub async fn hold_checkpoint(
        &self,
        run: &RunId,
        id: CheckpointId,
    ) -> Result<Option<HeldCheckpoint>, StoreError> {
        // Borrowed first: pruned in between, it is found missing and given back.
        let held = self.borrowed().borrow(CheckpointRef { run: run.clone(), checkpoint: id });
        Ok(self.kept(run).await?.contains(&id).then_some(held))
    }

    /// What a fork from this checkpoint begins with; `None` where it is not kept.
    pub async fn origin(&self, run: &RunId, id: CheckpointId) -> Result<Option<Origin>, StoreError> {
        let mut connection = self.database().read().await?;
        let saved = database::checkpoints::list(&mut connection, run).await?;
        let Some(saved) = saved.into_iter().find(|saved| saved.info.id == id) else { return Ok(None) };
        let dials = self.history_in(&mut connection, run).await?.dials_at(id);
        let from = CheckpointRef { run: run.clone(), checkpoint: id };
        Ok(Some(Origin { from, dials, best_valid: saved.info.best_valid }))
    }

    /// Pins a checkpoint, so that it is never pruned, or lets go of it again.
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
    /// [`StoreError::CheckpointNeeded`] where a fork begins with it, or an unfinished run could not go on without it.
    pub async fn delete_checkpoint(&self, run: &RunId, id: CheckpointId) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        let saved = database::checkpoints::list(&mut transaction, run).await?;
        if !saved.iter().any(|saved| saved.info.id == id) {
            return Err(self.unknown_checkpoint(run, id));
        }
        let forks = database::checkpoints::leaned_on(&mut transaction, run).await?;
        if let Some((_, fork)) = forks.into_iter().find(|(needed, _)| *needed == id) {
            let by = format!("the fork {fork}, which has none of its own yet");
            return Err(StoreError::CheckpointNeeded { run: run.clone(), checkpoint: id, by });
        }
        let history = self.history_in(&mut transaction, run).await?;
        let state = database::runs::state_and_device(&mut transaction, run).await?.map(|(state, _)| state);
        if state.is_some_and(|state| !state.is_over()) && path(&history, run, &saved) == [id] {
            let by = "the run itself: it is the only one that it can go on from".to_owned();
            return Err(StoreError::CheckpointNeeded { run: run.clone(), checkpoint: id, by });
        }
        database::checkpoints::remove(&mut transaction, run, id).await?;
        commit(transaction).await?;
        self.remove_folders(vec![CheckpointRef { run: run.clone(), checkpoint: id }]).await;
        Ok(())
    }

    /// Prunes by the plan, for when something other than a new checkpoint has made one needless.
    pub async fn prune_checkpoints(&self, run: &RunId) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        let dropped = prune(&mut transaction, run).await?;
        commit(transaction).await?;
        self.remove_folders(dropped).await;
        Ok(())
    }

    /// Removes the folders of checkpoints that are kept no longer, but for those being read. One that resists is swept at the
    /// next start: what the database says is done already.
    pub(crate) async fn remove_folders(&self, dropped: Vec<CheckpointRef>) {
        let folders: Vec<PathBuf> = dropped
            .into_iter()
            .map(|at| (self.checkpoint_dir(&at.run, at.checkpoint), at))
            .filter_map(|(folder, at)| self.borrowed().may_go(&at, &folder).then_some(folder))
            .collect();
        if !folders.is_empty() {
            let _ = self.aside(move || folders.iter().try_for_each(|folder| crate::disk::remove_folder(folder))).await;
        }
    }

    pub(crate) async fn history_in(&self, connection: &mut Connection, run: &RunId) -> Result<History, StoreError> {
        let papers = database::runs::papers(connection, run).await?;
        let plan = self.known(papers, run)?.plan;
        Ok(History::read(&plan, &database::journal::changes(connection, run).await?))
    }

    fn unknown_checkpoint(&self, run: &RunId, checkpoint: CheckpointId) -> StoreError {
        StoreError::UnknownCheckpoint { run: run.clone(), checkpoint }
    }
}

/// Those on the run's path, newest first.
fn path(history: &History, run: &RunId, saved: &[Saved]) -> Vec<CheckpointId> {
    let kept: Vec<CheckpointId> = saved.iter().map(|saved| saved.info.id).collect();
    history.path_checkpoints(run, &kept).into_iter().map(|found| found.at.checkpoint).collect()
}

/// The newest text that was sampled on the way to a checkpoint.
fn sample_up_to(samples: &[EventRecord], history: &History, id: CheckpointId) -> Option<String> {
    let spans = history.spans_to(id);
    let is_on_the_way = |record: &&EventRecord| {
        spans.iter().any(|(segment, from, to)| {
            *segment == record.segment && record.step >= *from && to.is_none_or(|to| record.step <= to)
        })
    };
    let newest = samples.iter().filter(is_on_the_way).max_by_key(|record| (record.step, record.number))?;
    match &newest.event {
        Event::Sampled { prompt, text, .. } => Some(format!("{prompt}{text}")),
        _ => None,
    }
}
