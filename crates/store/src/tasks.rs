//! Evaluation tasks of the lab, the runs that are scored on them, and the scores.
//!
//! A score is stored in the database together with its event, and its values are then written to the series of the run. After a kill in
//! between they are written at the next start.

use wire::series::Row;
use wire::task::lab::{StoredResult, TaskInfo, TaskSchedule};
use wire::task::result::TaskResult;
use wire::task::{Task, TaskName};
use wire::transport::link::Report;
use wire::{CheckpointId, EventRecord, RunId, RunSummary};

use crate::clock::now_ms;
use crate::database::{self, commit};
use crate::error::StoreError;
use crate::store::Store;

/// Maximum number of tasks of a lab.
const MAX_TASKS: u64 = 500;
/// Maximum size of all tasks of a lab, bytes.
const MAX_BYTES: u64 = 200_000_000;

/// A stored score.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    pub event: EventRecord,
    /// Summary of the run after the event.
    pub summary: RunSummary,
    /// The values that are the newest of their series.
    pub row: Row,
}

impl Store {
    /// Adds a task.
    ///
    /// # Errors
    /// [`StoreError::TaskExists`]; [`StoreError::TooManyTasks`].
    pub async fn add_task(&self, task: &Task) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        let (tasks, bytes) = database::tasks::size(&mut transaction).await?;
        if tasks >= MAX_TASKS || bytes >= MAX_BYTES {
            return Err(StoreError::TooManyTasks { tasks, bytes });
        }
        if !database::tasks::insert(&mut transaction, task, now_ms()).await? {
            return Err(StoreError::TaskExists { task: task.name.to_string() });
        }
        commit(transaction).await
    }

    /// Deletes a task; scores of runs stay. Returns whether it existed.
    pub async fn remove_task(&self, name: &TaskName) -> Result<bool, StoreError> {
        let mut transaction = self.database().write().await?;
        let existed = database::tasks::remove(&mut transaction, name).await?;
        commit(transaction).await?;
        Ok(existed)
    }

    /// A task that was added; `None` if it does not exist.
    pub async fn task(&self, name: &TaskName) -> Result<Option<Task>, StoreError> {
        database::tasks::get(&mut *self.database().read().await?, name).await
    }

    /// The tasks that were added, by name.
    pub async fn tasks(&self) -> Result<Vec<TaskInfo>, StoreError> {
        database::tasks::list(&mut *self.database().read().await?).await
    }

    /// Replaces the tasks on which the checkpoints of a run are scored.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`].
    pub async fn set_task_schedules(&self, run: &RunId, schedules: &[TaskSchedule]) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        self.known(database::runs::stored_seq(&mut transaction, run).await?, run)?;
        database::tasks::set_schedules(&mut transaction, run, schedules).await?;
        commit(transaction).await
    }

    /// The tasks on which the checkpoints of a run are scored, by name.
    pub async fn task_schedules(&self, run: &RunId) -> Result<Vec<TaskSchedule>, StoreError> {
        database::tasks::schedules(&mut *self.database().read().await?, run).await
    }

    /// Checkpoints that are to be scored by the schedules of their runs, and were not, oldest first in each run.
    pub async fn due_scores(&self) -> Result<Vec<(RunId, TaskName, CheckpointId)>, StoreError> {
        database::tasks::due(&mut *self.database().read().await?).await
    }

    /// The scores of a run, by task, segment and step.
    pub async fn task_results(&self, run: &RunId) -> Result<Vec<StoredResult>, StoreError> {
        database::tasks::results(&mut *self.database().read().await?, run).await
    }

    /// Stores the score of a checkpoint with its event, and writes its values to the series of the run. A repeated score replaces the one
    /// before.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`], [`StoreError::RunFolderMissing`], [`StoreError::DiskFull`].
    pub async fn put_task_result(
        &self,
        run: &RunId,
        checkpoint: CheckpointId,
        result: &TaskResult,
        report: Report,
    ) -> Result<Scored, StoreError> {
        let _shared = self.changes().read().await;
        let mut transaction = self.database().write().await?;
        let (event, summary, dropped) = self.journal(&mut transaction, run, report).await?;
        database::tasks::put_result(&mut transaction, run, checkpoint, event.at_ms, result).await?;
        commit(transaction).await?;
        self.remove_folders(dropped).await;
        let row = self.write_score(run, checkpoint, result).await?;
        Ok(Scored { event, summary, row })
    }

    /// At the start: writes the scores that an earlier process has stored and not written. Those that
    /// cannot be written wait for the next start.
    pub(crate) async fn write_scores(&self) -> Result<(), StoreError> {
        let found = database::tasks::to_write(&mut *self.database().read().await?).await?;
        for (run, StoredResult { checkpoint, result, .. }) in found {
            // What cannot be written, for example because the disk is full, stays stored for the next start.
            let _ = self.write_score(&run, checkpoint, &result).await;
        }
        Ok(())
    }

    /// Writes the values of a score to the series, and raises the alerts of conditions. Returns the values that are the newest of their series:
    /// the score of an earlier checkpoint says nothing about the present state of the run, and raises no alert.
    async fn write_score(&self, run: &RunId, checkpoint: CheckpointId, result: &TaskResult) -> Result<Row, StoreError> {
        let (series_files, id, row) = (self.series_files().clone(), run.clone(), result.row(checkpoint));
        let newest = self.blocking(move || series_files.put(&id, row)).await?;
        let values = newest.values.iter().cloned().collect();
        let mut transaction = self.database().write().await?;
        database::tasks::written(&mut transaction, run, &result.task, checkpoint).await?;
        self.check_conditions(&mut transaction, run, std::slice::from_ref(&newest)).await?;
        database::run_table::merge_metrics(&mut transaction, run, &values).await?;
        commit(transaction).await?;
        Ok(newest)
    }
}
