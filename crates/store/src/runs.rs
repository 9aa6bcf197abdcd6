//! Runs as records: created, read, renamed, archived, deleted until they are restored or purged.

use wire::control::checkpoint::CheckpointInfo;
use wire::device::DeviceKind;
use wire::run::history::History;
use wire::run::{Cursor, References, RunChange};
use wire::transport::link::Report;
use wire::{Command, Event, EventRecord, RunId, RunState, RunSummary, RunView};

use crate::access::check_project;
use crate::agents::{AgentTraining, count_created, count_training};
use crate::boxed::Boxed;
use crate::database::{self, Change, Connection, commit};
use crate::error::StoreError;
use crate::experiments::settle_in;
use crate::new_run::NewRun;
use crate::origins::needed_by_forks;
use crate::queue::move_in;
use crate::status::Progress;
use crate::store::Store;
use crate::trials::run_resumed;

/// The devices that may continue the run of a lost worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Successor {
    Pool(String),
    Kind(DeviceKind),
}

impl Successor {
    fn columns(&self) -> (Option<&str>, Option<DeviceKind>) {
        match self {
            Self::Pool(pool) => (Some(pool), None),
            Self::Kind(kind) => (None, Some(*kind)),
        }
    }
}

impl Store {
    /// Creates a run, last in the queue of its device, with `Queued` as the first event of its journal.
    ///
    /// # Errors
    /// [`StoreError::RunExists`], [`StoreError::UnknownProject`].
    pub async fn create_run(&self, run: &NewRun) -> Result<RunSummary, StoreError> {
        let mut transaction = self.database().write().await?;
        let summary = self.create_in(&mut transaction, run, None).await?;
        commit(transaction).await?;
        Ok(summary)
    }

    /// Creates a fork: a run that starts from the checkpoint of its plan's origin; `changes` apply before its first step. That checkpoint
    /// is kept until the fork has one of its own.
    ///
    /// # Errors
    /// [`StoreError::UnknownCheckpoint`], [`StoreError::UnknownProject`]: then nothing is created.
    pub async fn create_fork(&self, run: &NewRun, changes: &[(Command, Event)]) -> Result<RunSummary, StoreError> {
        let Some(origin) = run.plan.origin.as_ref().map(|origin| origin.from.clone()) else {
            return self.create_run(run).await;
        };
        let mut transaction = self.database().write().await?;
        let saved = database::checkpoints::list(&mut transaction, &origin.run).await?;
        let Some(begins_with) = saved.into_iter().find(|saved| saved.info.id == origin.checkpoint) else {
            return Err(StoreError::UnknownCheckpoint { run: origin.run, checkpoint: origin.checkpoint });
        };
        let mut summary = self.create_in(&mut transaction, run, Some(&begins_with.info)).await?;
        let forked = (None, Event::Forked { from: origin.clone() });
        let changed = changes.iter().map(|(command, event)| (command.reason().map(str::to_owned), event.clone()));
        for (reason, event) in std::iter::once(forked).chain(changed) {
            let report = run.report(origin.checkpoint.step, reason, event, None);
            summary = self.journal(&mut transaction, &run.id, report).await?.1;
        }
        commit(transaction).await?;
        Ok(summary)
    }

    /// Creates a run in a transaction; `begins_with` is the checkpoint of a fork.
    #[inline(never)]
    pub(crate) fn create_in<'a>(
        &'a self,
        transaction: &'a mut Change,
        run: &'a NewRun,
        begins_with: Option<&'a CheckpointInfo>,
    ) -> Boxed<'a, Result<RunSummary, StoreError>> {
        Box::pin(self.create_queued(transaction, run, begins_with))
    }

    async fn create_queued(
        &self,
        transaction: &mut Change,
        run: &NewRun,
        begins_with: Option<&CheckpointInfo>,
    ) -> Result<RunSummary, StoreError> {
        check_project(transaction, run.project()).await?;
        let progress = Progress::new(&run.plan, begins_with);
        if !database::runs::insert(transaction, run, &progress).await? {
            return Err(StoreError::RunExists { run: run.id.clone() });
        }
        count_created(transaction, run).await?;
        database::tasks::set_schedules(transaction, &run.id, &run.spec.tasks).await?;
        // The folder is created first: a run without a folder counts as one whose series were removed.
        let (series_files, id) = (self.series_files().clone(), run.id.clone());
        self.blocking(move || series_files.create(&id)).await?;
        let queued = run.report(progress.step, None, Event::Queued, Some(RunState::Queued));
        Ok(self.journal(transaction, &run.id, queued).await?.1)
    }

    /// Queues a run again whose worker died, at the place it had, and counts the restart. `report` becomes an event of its journal.
    ///
    /// # Errors
    /// [`StoreError::NotLive`]: the run has ended or was queued meanwhile.
    pub async fn restart_run(&self, run: &RunId, report: Report) -> Result<(EventRecord, RunSummary), StoreError> {
        let mut transaction = self.database().write().await?;
        let before = self.live_in(&mut transaction, run).await?;
        database::runs::set_restarts(&mut transaction, run, before.restarts + 1).await?;
        self.requeue_in(transaction, run, report).await
    }

    /// As [`Store::restart_run`], for a run whose worker is on another machine: other devices may continue it, not only the one that it had.
    ///
    /// # Errors
    /// Those of [`Store::restart_run`].
    pub async fn restart_elsewhere(
        &self,
        run: &RunId,
        report: Report,
        to: &Successor,
    ) -> Result<(EventRecord, RunSummary), StoreError> {
        let mut transaction = self.database().write().await?;
        let before = self.live_in(&mut transaction, run).await?;
        database::runs::set_restarts(&mut transaction, run, before.restarts + 1).await?;
        let (pool, any_of) = to.columns();
        database::queue::set_successor(&mut transaction, run, pool, any_of).await?;
        self.requeue_in(transaction, run, report).await
    }

    /// Sets the devices that may train a queued run.
    pub async fn set_successor(&self, run: &RunId, to: &Successor) -> Result<RunSummary, StoreError> {
        let mut transaction = self.database().write().await?;
        let (pool, any_of) = to.columns();
        database::queue::set_successor(&mut transaction, run, pool, any_of).await?;
        self.changed(transaction, run, true).await
    }

    /// Queues a run again on request, last of its priority, and resets its count of restarts. `None`, and nothing changes, if the run is no longer
    /// in the state `from`; without it, any run is queued. If the author of the report is an agent, the run counts for it.
    ///
    /// # Errors
    /// [`StoreError::AgentBudget`], [`StoreError::AgentEnded`].
    pub async fn resume_run(
        &self,
        run: &RunId,
        from: Option<RunState>,
        report: Report,
    ) -> Result<Option<(EventRecord, RunSummary)>, StoreError> {
        let mut transaction = self.database().write().await?;
        let before = self.summary_in(&mut transaction, run).await?;
        if from.is_some_and(|from| before.state != from || before.deleted_ms.is_some()) {
            return Ok(None);
        }
        // In this transaction, so that runs which an agent resumes at the same time do not exceed its budgets.
        count_training(&mut transaction, &report.author, &before, AgentTraining::default()).await?;
        database::runs::set_restarts(&mut transaction, run, 0).await?;
        database::queue::set_last(&mut transaction, run).await?;
        run_resumed(&mut transaction, run, before.state.is_over()).await?;
        self.requeue_in(transaction, run, report).await.map(Some)
    }

    async fn live_in(&self, connection: &mut Connection, run: &RunId) -> Result<RunSummary, StoreError> {
        let summary = self.summary_in(connection, run).await?;
        match summary.state {
            state if state.is_live() => Ok(summary),
            state => Err(StoreError::NotLive { run: run.clone(), state }),
        }
    }

    async fn requeue_in(
        &self,
        mut transaction: Change,
        run: &RunId,
        report: Report,
    ) -> Result<(EventRecord, RunSummary), StoreError> {
        let report = Report { state: Some(RunState::Queued), ..report };
        let (record, summary, _) = self.journal(&mut transaction, run, report).await?;
        commit(transaction).await?;
        Ok((record, summary))
    }

    /// Summaries of all runs, newest first.
    pub async fn runs(&self, include_deleted: bool) -> Result<Vec<RunSummary>, StoreError> {
        database::runs::list(&mut *self.database().read().await?, include_deleted).await
    }

    /// Summary of a run.
    pub async fn summary(&self, run: &RunId) -> Result<Option<RunSummary>, StoreError> {
        database::runs::summary(&mut *self.database().read().await?, run).await
    }

    /// A run in full, its live hyperparameters replayed from the journal. The cursor is 0: the live stream sets it.
    pub async fn run(&self, run: &RunId) -> Result<Option<RunView>, StoreError> {
        let mut connection = self.database().read().await?;
        let (Some(summary), Some(definition)) = (
            database::runs::summary(&mut connection, run).await?,
            database::runs::definition(&mut connection, run).await?,
        ) else {
            return Ok(None);
        };
        let history = History::read(&definition.plan, &database::journal::changes(&mut connection, run).await?);
        let lineage = self.lineage_in(&mut connection, run, &history).await?;
        let database::runs::RunDefinition { spec, plan, estimate, references, device_name } = definition;
        Ok(Some(RunView {
            summary,
            spec,
            plan,
            estimate,
            hyperparameters: history.hyperparameters(),
            references,
            device_name,
            segments: history.segments().to_vec(),
            lineage,
            cursor: Cursor::default(),
        }))
    }

    /// Renames a run.
    pub async fn rename(&self, run: &RunId, name: &str) -> Result<RunSummary, StoreError> {
        let mut transaction = self.database().write().await?;
        let found = database::runs::rename(&mut transaction, run, name).await?;
        self.changed(transaction, run, found).await
    }

    /// Changes the entry of a run: all that is given, or nothing.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`]; [`StoreError::UnknownProject`]; [`StoreError::NotQueued`] for a place in the queue.
    pub async fn change_run(&self, run: &RunId, change: &RunChange) -> Result<RunSummary, StoreError> {
        let RunChange { name, archived, queue_place, priority, tags, project } = change;
        let mut transaction = self.database().write().await?;
        self.summary_in(&mut transaction, run).await?;
        if let Some(name) = name {
            database::runs::rename(&mut transaction, run, name).await?;
        }
        if let Some(project) = project {
            check_project(&mut transaction, project).await?;
            database::runs::set_project(&mut transaction, run, project).await?;
        }
        if let Some(archived) = archived {
            database::runs::set_archived(&mut transaction, run, *archived).await?;
        }
        if let Some(tags) = tags {
            database::run_table::set_tags(&mut transaction, run, tags).await?;
        }
        if let Some(priority) = priority {
            database::queue::set_priority(&mut transaction, run, *priority).await?;
        }
        if let Some(position) = queue_place {
            move_in(&mut transaction, run, *position).await?;
        }
        self.changed(transaction, run, true).await
    }

    /// Archives a run, or takes it out of the archive.
    pub async fn set_archived(&self, run: &RunId, is_archived: bool) -> Result<RunSummary, StoreError> {
        let mut transaction = self.database().write().await?;
        let found = database::runs::set_archived(&mut transaction, run, is_archived).await?;
        self.changed(transaction, run, found).await
    }

    /// Sets the reference losses of a run, once its datasets are tokenized.
    pub async fn set_references(&self, run: &RunId, references: &References) -> Result<RunSummary, StoreError> {
        let mut transaction = self.database().write().await?;
        let found = database::runs::set_references(&mut transaction, run, references).await?;
        self.changed(transaction, run, found).await
    }

    /// Deletes a run; [`Store::restore_run`] undoes it until the run is purged.
    ///
    /// # Errors
    /// [`StoreError::RunIsLive`] while a worker trains it.
    pub async fn delete_run(&self, run: &RunId, deleted_ms: i64) -> Result<RunSummary, StoreError> {
        let mut transaction = self.database().write().await?;
        match database::runs::state_and_device(&mut transaction, run).await? {
            Some((state, _)) if state.is_live() => return Err(StoreError::RunIsLive { run: run.clone(), state }),
            _ => {}
        }
        let found = database::runs::set_deleted(&mut transaction, run, Some(deleted_ms)).await?;
        self.changed(transaction, run, found).await
    }

    /// Restores a deleted run. A queued one has its place in the queue again.
    pub async fn restore_run(&self, run: &RunId) -> Result<RunSummary, StoreError> {
        let mut transaction = self.database().write().await?;
        let found = database::runs::set_deleted(&mut transaction, run, None).await?;
        self.changed(transaction, run, found).await
    }

    /// Purges the runs that were deleted before `before_ms`, with their files. Returns their ids. A run with a checkpoint from which
    /// a fork starts stays until that fork has one of its own or is purged too.
    pub async fn purge_deleted(&self, before_ms: i64) -> Result<Vec<RunId>, StoreError> {
        let _shared = self.changes().read().await;
        let mut transaction = self.database().write().await?;
        let mut purged = vec![];
        for run in database::runs::deleted_before(&mut transaction, before_ms).await? {
            if !needed_by_forks(&mut transaction, self.checkpoint_folders(), &run).await?.is_empty() {
                continue;
            }
            // Files first: after a crash in between the run is still marked as deleted, and the next purge removes the rest.
            let (series_files, id) = (self.series_files().clone(), run.clone());
            let folders = [self.dir().join("checkpoints").join(run.as_str()), self.snapshots_dir(run.as_str())];
            let remove = move || {
                folders
                    .iter()
                    .try_for_each(|folder| crate::disk::remove_folder(folder))
                    .and_then(|()| series_files.remove(&id))
            };
            self.blocking(remove).await?;
            // Its experiment could not read its training time any more.
            let secs = self.summary_in(&mut transaction, &run).await?.elapsed_secs;
            settle_in(&mut transaction, &run, Err("was deleted for good"), secs).await?;
            database::agents::settle(&mut transaction, &run, None).await?;
            database::runs::remove(&mut transaction, &run).await?;
            self.forget_ingest_state(&run);
            purged.push(run);
        }
        commit(transaction).await?;
        Ok(purged)
    }

    /// Sets the state of a run without an event in its journal; `message` says why.
    pub async fn set_state(
        &self,
        run: &RunId,
        state: RunState,
        message: Option<String>,
    ) -> Result<RunSummary, StoreError> {
        let changed = self.set_state_if(run, |_| true, state, message).await?;
        self.known(changed, run)
    }

    /// As [`Self::set_state`], if the run may change as it is then; otherwise `None`, and it stays.
    pub async fn set_state_if(
        &self,
        run: &RunId,
        may_change: impl Fn(&RunSummary) -> bool + Send,
        state: RunState,
        message: Option<String>,
    ) -> Result<Option<RunSummary>, StoreError> {
        let mut transaction = self.database().write().await?;
        let found = database::runs::status(&mut transaction, run).await?;
        let Some((mut status, stored_seq, event_count)) = found else {
            return Err(StoreError::UnknownRun { run: run.clone() });
        };
        if !may_change(&self.summary_in(&mut transaction, run).await?) {
            return Ok(None);
        }
        status.set_state(state, message, crate::clock::now_ms());
        database::runs::save_status(&mut transaction, run, &status, stored_seq, event_count).await?;
        self.changed(transaction, run, true).await.map(Some)
    }

    /// Replaces the message of a run that is live, if it is still `before`. Returns the summary if it changed.
    pub async fn replace_message(
        &self,
        run: &RunId,
        before: Option<&str>,
        after: Option<String>,
    ) -> Result<Option<RunSummary>, StoreError> {
        let mut transaction = self.database().write().await?;
        let found = database::runs::status(&mut transaction, run).await?;
        let Some((mut status, stored_seq, event_count)) = found else {
            return Err(StoreError::UnknownRun { run: run.clone() });
        };
        if !status.state.is_live() || status.message.as_deref() != before || status.message == after {
            return Ok(None);
        }
        status.message = after;
        database::runs::save_status(&mut transaction, run, &status, stored_seq, event_count).await?;
        self.changed(transaction, run, true).await.map(Some)
    }
}
