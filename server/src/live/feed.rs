//! Changes to runs: stored first, then published to the pages, then the queue is woken if a run may now start.

use std::sync::Arc;

use store::{Store, StoreError};
use tokio::sync::Notify;
use wire::control::author::Author;
use wire::control::event::EventRecord;
use wire::transport::link::Report;
use wire::{Event, RunId, RunState, RunSummary, RunView};

use super::clock::now_ms;
use super::hub::Hub;
use crate::error::ApiError;

/// The store with the streams that follow it; cloning shares both.
#[derive(Clone)]
pub struct Feed {
    /// Runs, journals, series, checkpoints and tokens.
    pub store: Store,
    /// Streams to pages.
    pub hub: Hub,
    queue: Arc<Notify>,
    experiments: Arc<Notify>,
}

impl Feed {
    /// The feed of a server that starts now.
    pub fn new(store: Store) -> Self {
        Self { store, hub: Hub::new(now_ms() as u64), queue: Arc::default(), experiments: Arc::default() }
    }

    /// The entry of a run.
    ///
    /// # Errors
    /// 404 for a run that does not exist; an error of the store.
    pub async fn summary(&self, run: &RunId) -> Result<RunSummary, ApiError> {
        let found = self.store.summary(run).await?;
        Ok(found.ok_or_else(|| StoreError::UnknownRun { run: run.clone() })?)
    }

    /// The whole run with the cursor of its stream. The cursor is read first, so that what is published in between is sent again rather
    /// than missed.
    ///
    /// # Errors
    /// The errors of [`Self::summary`].
    pub async fn view(&self, run: &RunId) -> Result<RunView, ApiError> {
        let cursor = self.hub.cursor(run);
        let found = self.store.run(run).await?;
        let view = found.ok_or_else(|| StoreError::UnknownRun { run: run.clone() })?;
        Ok(RunView { cursor, ..view })
    }

    /// Appends an event to the journal of a run.
    ///
    /// # Errors
    /// The errors of [`Self::summary`].
    pub async fn append(&self, run: &RunId, report: Report) -> Result<EventRecord, ApiError> {
        let (record, summary) = self.store.append(run, report).await?;
        self.hub.publish(summary, vec![], vec![record.clone()], vec![]);
        Ok(record)
    }

    /// As [`Self::append`], if the event is still right for the run as it is then.
    ///
    /// # Errors
    /// The errors of [`Self::summary`].
    pub async fn append_if(
        &self,
        run: &RunId,
        is_right: impl Fn(&RunSummary) -> bool + Send,
        report: Report,
    ) -> Result<Option<EventRecord>, ApiError> {
        let Some((record, summary)) = self.store.append_if(run, is_right, report).await? else { return Ok(None) };
        self.hub.publish(summary, vec![], vec![record.clone()], vec![]);
        Ok(Some(record))
    }

    /// Sets the state of a run without an event, and the message that explains it.
    ///
    /// # Errors
    /// The errors of [`Self::summary`].
    pub async fn set_state(
        &self,
        run: &RunId,
        state: RunState,
        message: Option<String>,
    ) -> Result<RunSummary, StoreError> {
        let summary = self.store.set_state(run, state, message).await?;
        self.hub.publish(summary.clone(), vec![], vec![], vec![]);
        Ok(summary)
    }

    /// As [`Self::set_state`], if the run may change as it is then. Returns whether it did.
    ///
    /// # Errors
    /// The errors of [`Self::summary`].
    pub async fn set_state_if(
        &self,
        run: &RunId,
        may_change: impl Fn(&RunSummary) -> bool + Send,
        state: RunState,
        message: Option<String>,
    ) -> Result<bool, StoreError> {
        let changed = self.store.set_state_if(run, may_change, state, message).await?;
        let has_changed = changed.is_some();
        if let Some(summary) = changed {
            self.hub.publish(summary, vec![], vec![], vec![]);
        }
        Ok(has_changed)
    }

    /// Publishes the entry of a run as it is stored now.
    ///
    /// # Errors
    /// The errors of [`Self::summary`].
    pub async fn publish_summary(&self, run: &RunId) -> Result<RunSummary, ApiError> {
        let summary = self.summary(run).await?;
        self.hub.publish(summary.clone(), vec![], vec![], vec![]);
        Ok(summary)
    }

    /// Tells the pages that something on the Lab page has changed.
    pub fn lab_changed(&self) {
        self.hub.lab_changed();
    }

    /// Wakes the queue, and the experiments that wait for their runs: runs, devices or datasets changed such that a run may now start, or a
    /// run has ended.
    pub fn wake_queue(&self) {
        self.queue.notify_one();
        self.experiments.notify_one();
        self.hub.lab_changed();
    }

    /// Waits for [`Self::wake_queue`].
    pub async fn queue_woken(&self) {
        self.queue.notified().await;
    }

    /// Waits for [`Self::wake_queue`], as the task that leads the experiments.
    pub async fn experiments_woken(&self) {
        self.experiments.notified().await;
    }
}

/// A report of the server itself, as of now.
pub fn report(author: Author, step: u64, event: Event, state: Option<RunState>) -> Report {
    Report { segment: 0, step, at_ms: now_ms(), author, command_id: None, reason: None, event, state }
}
