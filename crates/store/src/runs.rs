//! Runs as records: made, read, renamed, put away, deleted for a while, and purged for good.

use serde::{Deserialize, Serialize};
use wire::checkpoint::CheckpointInfo;
use wire::device::DeviceKind;
use wire::history::History;
use wire::link::Report;
use wire::plan::Estimate;
use wire::run::{Cursor, References};
use wire::{Author, Command, Event, EventRecord, RunId, RunPlan, RunSpec, RunState, RunSummary, RunView};

use crate::database::{self, Change, commit};
use crate::error::StoreError;
use crate::progress::Progress;
use crate::store::Store;

/// What a run is made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewRun {
    /// Its id, new in this lab.
    pub id: RunId,
    /// Name for people.
    pub name: String,
    /// Its texts, for people.
    pub corpus: String,
    /// As typed.
    pub spec: RunSpec,
    /// As resolved.
    pub plan: RunPlan,
    /// What it costs.
    pub estimate: Estimate,
    /// Lines to read the loss against.
    pub references: References,
    /// The device in words.
    pub device_name: String,
    /// When it was asked for, in milliseconds since 1970.
    pub created_ms: i64,
    /// Who asked.
    pub author: Author,
}

impl NewRun {
    /// The kind of device that is meant where the spec names no single one: `gpu` or `cpu`. A fork stays where its parent's state is.
    pub fn any_of(&self) -> Option<DeviceKind> {
        let word = self.spec.device.as_ref().filter(|_| self.plan.origin.is_none())?;
        [(DeviceKind::Gpu, "gpu"), (DeviceKind::Cpu, "cpu")]
            .into_iter()
            .find(|(_, kind)| *kind == word.as_str())
            .map(|(kind, _)| kind)
    }

    fn says(&self, step: u64, reason: Option<String>, event: Event, state: Option<RunState>) -> Report {
        let author = self.author.clone();
        Report { segment: 0, step, at_ms: self.created_ms, author, command_id: None, reason, event, state }
    }
}

impl Store {
    /// Makes a run, last in the queue of its device, with `Queued` as the first line of its journal.
    ///
    /// # Errors
    /// [`StoreError::RunExists`] where the id is taken.
    pub async fn create_run(&self, run: &NewRun) -> Result<RunSummary, StoreError> {
        let mut transaction = self.database().write().await?;
        let summary = self.create_in(&mut transaction, run, None).await?;
        commit(transaction).await?;
        Ok(summary)
    }

    /// Makes a run that begins with the checkpoint its plan's origin names; `changes` are made before its first step. From here on
    /// that checkpoint is kept, until the fork has one of its own.
    ///
    /// # Errors
    /// [`StoreError::UnknownCheckpoint`] where it is not kept (any more): then nothing is made.
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
        let told = changes.iter().map(|(command, event)| (command.reason().map(str::to_owned), event.clone()));
        for (reason, event) in std::iter::once(forked).chain(told) {
            let report = run.says(origin.checkpoint.step, reason, event, None);
            summary = self.journal(&mut transaction, &run.id, report).await?.1;
        }
        commit(transaction).await?;
        Ok(summary)
    }

    async fn create_in(
        &self,
        transaction: &mut Change,
        run: &NewRun,
        begins_with: Option<&CheckpointInfo>,
    ) -> Result<RunSummary, StoreError> {
        let progress = Progress::new(&run.plan, begins_with);
        if !database::runs::insert(transaction, run, &progress).await? {
            return Err(StoreError::RunExists { run: run.id.clone() });
        }
        // The folder comes first: a run without one is a run whose curves were removed.
        let (shelf, id) = (self.shelf().clone(), run.id.clone());
        self.aside(move || shelf.create(&id)).await?;
        let queued = run.says(progress.step, None, Event::Queued, Some(RunState::Queued));
        Ok(self.journal(transaction, &run.id, queued).await?.1)
    }

    /// Puts a run whose worker died back into the queue, at the place it had, and counts that. `report` says so in its journal.
    pub async fn restart_run(&self, run: &RunId, report: Report) -> Result<(EventRecord, RunSummary), StoreError> {
        let mut transaction = self.database().write().await?;
        let before = self.summary_in(&mut transaction, run).await?;
        database::runs::set_restarts(&mut transaction, run, before.restarts + 1).await?;
        self.requeue_in(transaction, run, report).await
    }

    /// Puts a run into the queue again, last of its priority, because someone asked. It may again be restarted as often as planned.
    pub async fn resume_run(&self, run: &RunId, report: Report) -> Result<(EventRecord, RunSummary), StoreError> {
        let mut transaction = self.database().write().await?;
        database::runs::set_restarts(&mut transaction, run, 0).await?;
        database::queue::set_last(&mut transaction, run).await?;
        self.requeue_in(transaction, run, report).await
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

    /// All runs in one line each, newest first.
    pub async fn runs(&self, include_deleted: bool) -> Result<Vec<RunSummary>, StoreError> {
        database::runs::list(&mut *self.database().read().await?, include_deleted).await
    }

    /// One run in one line.
    pub async fn summary(&self, run: &RunId) -> Result<Option<RunSummary>, StoreError> {
        database::runs::summary(&mut *self.database().read().await?, run).await
    }

    /// A whole run, its dials replayed from the journal; the cursor is the live stream's to set.
    pub async fn run(&self, run: &RunId) -> Result<Option<RunView>, StoreError> {
        let mut connection = self.database().read().await?;
        let (Some(summary), Some(papers)) =
            (database::runs::summary(&mut connection, run).await?, database::runs::papers(&mut connection, run).await?)
        else {
            return Ok(None);
        };
        let history = History::read(&papers.plan, &database::journal::changes(&mut connection, run).await?);
        let lineage = self.lineage_in(&mut connection, run, &history).await?;
        let database::runs::Papers { spec, plan, estimate, references, device_name } = papers;
        Ok(Some(RunView {
            summary,
            spec,
            plan,
            estimate,
            dials: history.dials(),
            references,
            device_name,
            segments: history.segments().to_vec(),
            lineage,
            cursor: Cursor::default(),
        }))
    }

    /// Gives a run another name.
    pub async fn rename(&self, run: &RunId, name: &str) -> Result<RunSummary, StoreError> {
        let mut transaction = self.database().write().await?;
        let found = database::runs::rename(&mut transaction, run, name).await?;
        self.changed(transaction, run, found).await
    }

    /// Puts a run away, or takes it out again.
    pub async fn set_archived(&self, run: &RunId, is_archived: bool) -> Result<RunSummary, StoreError> {
        let mut transaction = self.database().write().await?;
        let found = database::runs::set_archived(&mut transaction, run, is_archived).await?;
        self.changed(transaction, run, found).await
    }

    /// Sets the lines a loss is read against, once its text has been cut into tokens.
    pub async fn set_references(&self, run: &RunId, references: &References) -> Result<RunSummary, StoreError> {
        let mut transaction = self.database().write().await?;
        let found = database::runs::set_references(&mut transaction, run, references).await?;
        self.changed(transaction, run, found).await
    }

    /// Deletes a run, in a way that [`Store::restore_run`] undoes until it is purged.
    ///
    /// # Errors
    /// [`StoreError::RunIsLive`] while a worker holds it.
    pub async fn delete_run(&self, run: &RunId, deleted_ms: i64) -> Result<RunSummary, StoreError> {
        let mut transaction = self.database().write().await?;
        match database::runs::state_and_device(&mut transaction, run).await? {
            Some((state, _)) if state.is_live() => return Err(StoreError::RunIsLive { run: run.clone(), state }),
            _ => {}
        }
        let found = database::runs::set_deleted(&mut transaction, run, Some(deleted_ms)).await?;
        self.changed(transaction, run, found).await
    }

    /// Takes a deletion back. A run that was queued has its place in the queue again.
    pub async fn restore_run(&self, run: &RunId) -> Result<RunSummary, StoreError> {
        let mut transaction = self.database().write().await?;
        let found = database::runs::set_deleted(&mut transaction, run, None).await?;
        self.changed(transaction, run, found).await
    }

    /// Removes for good, with their files, the runs that were deleted before then, and says which. One whose checkpoint a fork
    /// begins with waits until that fork has one of its own, or is gone too.
    pub async fn purge_deleted(&self, before_ms: i64) -> Result<Vec<RunId>, StoreError> {
        let mut transaction = self.database().write().await?;
        let mut gone = vec![];
        for run in database::runs::deleted_before(&mut transaction, before_ms).await? {
            if !database::checkpoints::leaned_on(&mut transaction, &run).await?.is_empty() {
                continue;
            }
            // Files first: cut off in between, the run is still marked and the next purge goes on from here.
            let (shelf, id) = (self.shelf().clone(), run.clone());
            let folders = [self.dir().join("checkpoints").join(run.as_str()), self.frames_dir(run.as_str())];
            let remove = move || {
                folders
                    .iter()
                    .try_for_each(|folder| crate::disk::remove_folder(folder))
                    .and_then(|()| shelf.remove(&id))
            };
            self.aside(remove).await?;
            database::runs::remove(&mut transaction, &run).await?;
            self.forget_desk(&run);
            gone.push(run);
        }
        commit(transaction).await?;
        Ok(gone)
    }

    /// Sets how a run stands without a line in its journal, for what the lab does by itself; `message` says why.
    pub async fn set_state(
        &self,
        run: &RunId,
        state: RunState,
        message: Option<String>,
    ) -> Result<RunSummary, StoreError> {
        let mut transaction = self.database().write().await?;
        let found = database::runs::standing(&mut transaction, run).await?;
        let Some((mut standing, stored_seq, event_count)) = found else {
            return Err(StoreError::UnknownRun { run: run.clone() });
        };
        standing.turn(state, message, crate::access::now_ms());
        database::runs::save_standing(&mut transaction, run, &standing, stored_seq, event_count).await?;
        self.changed(transaction, run, true).await
    }
}
