//! Runs as records: made, read, renamed, put away, deleted for a while, and purged for good.

use serde::{Deserialize, Serialize};
use wire::history::{History, Span};
use wire::link::Report;
use wire::plan::Estimate;
use wire::run::{Cursor, References};
use wire::{Author, Event, RunId, RunPlan, RunSpec, RunState, RunSummary, RunView};

use crate::database::{self, commit};
use crate::error::StoreError;
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

impl Store {
    /// Makes a run, last in the queue of its device, with `Queued` as the first line of its journal.
    ///
    /// # Errors
    /// [`StoreError::RunExists`] where the id is taken.
    pub async fn create_run(&self, run: &NewRun) -> Result<RunSummary, StoreError> {
        let mut transaction = self.database().write().await?;
        if !database::runs::insert(&mut transaction, run).await? {
            return Err(StoreError::RunExists { run: run.id.clone() });
        }
        // The folder comes first: a run without one is a run whose curves were removed.
        let (shelf, id) = (self.shelf().clone(), run.id.clone());
        self.aside(move || shelf.create(&id)).await?;
        let queued = Report {
            segment: 0,
            step: 0,
            at_ms: run.created_ms,
            author: run.author.clone(),
            command_id: None,
            reason: None,
            event: Event::Queued,
            state: Some(RunState::Queued),
        };
        let (_, summary) = self.journal(&mut transaction, &run.id, queued).await?;
        commit(transaction).await?;
        Ok(summary)
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
        let lineage = history.spans().into_iter().map(|(segment, from_step, to_step)| Span {
            run: run.clone(),
            segment,
            from_step,
            to_step,
        });
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
            lineage: lineage.collect(),
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

    /// Removes for good, with their files, the runs that were deleted before then, and says which.
    pub async fn purge_deleted(&self, before_ms: i64) -> Result<Vec<RunId>, StoreError> {
        let mut transaction = self.database().write().await?;
        let gone = database::runs::deleted_before(&mut transaction, before_ms).await?;
        for run in &gone {
            // Files first: cut off in between, the run is still marked and the next purge goes on from here.
            let (shelf, id) = (self.shelf().clone(), run.clone());
            self.aside(move || shelf.remove(&id)).await?;
            database::runs::remove(&mut transaction, run).await?;
            self.forget_desk(run);
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
