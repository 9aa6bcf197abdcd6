//! The journal of each run, and its newest updates.

use std::collections::BTreeSet;

use wire::control::checkpoint::CheckpointRef;
use wire::control::saved_schedule::SavedSchedule;
use wire::inspect::update::InspectionUpdate;
use wire::run::history::History;
use wire::transport::link::Report;
use wire::{Event, EventRecord, RunId, RunSummary};

use crate::agents::note_event;
use crate::alerts::of_event;
use crate::boxed::Boxed;
use crate::checkpoint_folders::CheckpointFolders;
use crate::database::journal::EventSelection;
use crate::database::{self, Connection, commit};
use crate::error::StoreError;
use crate::origins::needed_by_forks;
use crate::retention::checkpoints_to_prune;
use crate::status::RunStatus;
use crate::store::Store;

/// The status and journal of a run, open in a transaction.
pub(crate) struct JournalWriter {
    run: RunId,
    pub(crate) status: RunStatus,
    stored_seq: u64,
    event_count: u64,
    /// The planned number of steps may have changed.
    may_change_steps: bool,
    /// A checkpoint was saved, so others may be pruned.
    has_checkpoint: bool,
    folders: CheckpointFolders,
}

impl JournalWriter {
    pub(crate) async fn open(
        connection: &mut Connection,
        folders: &CheckpointFolders,
        run: &RunId,
    ) -> Result<Self, StoreError> {
        let found = database::runs::status(connection, run).await?;
        let (status, stored_seq, event_count) = found.ok_or_else(|| StoreError::UnknownRun { run: run.clone() })?;
        let (run, folders) = (run.clone(), folders.clone());
        Ok(Self { run, status, stored_seq, event_count, may_change_steps: false, has_checkpoint: false, folders })
    }

    /// Writes a report, which was applied to the status already, as the next event.
    pub(crate) async fn write(
        &mut self,
        connection: &mut Connection,
        report: Report,
    ) -> Result<EventRecord, StoreError> {
        self.event_count += 1;
        // In the same transaction, so that no kill separates the alert from its event.
        if let Some(alert) = of_event(&self.run, self.event_count, &report, &self.status.progress) {
            database::alerts::insert(connection, &alert).await?;
        }
        let record = number(self.event_count, report);
        database::journal::insert(connection, &self.run, &record).await?;
        note_event(connection, &self.run, &record).await?;
        match &record.event {
            Event::Checkpointed { checkpoint } => {
                database::checkpoints::insert(connection, &self.run, record.number, checkpoint).await?;
                self.has_checkpoint = true;
            }
            Event::RolledBack { checkpoint, .. } => {
                let saved = database::checkpoints::list(connection, &self.run).await?;
                let target = saved.iter().find(|saved| saved.info.id == *checkpoint);
                target.into_iter().for_each(|saved| self.status.progress.restore_losses(&saved.info));
                self.may_change_steps = true;
            }
            Event::ScheduleChanged { new: SavedSchedule::LearningRate { .. }, .. } => self.may_change_steps = true,
            _ => {}
        }
        Ok(record)
    }

    /// Stores status and counts. Returns the pruned checkpoints, whose folders are to be deleted after the commit.
    pub(crate) async fn close(
        self,
        connection: &mut Connection,
        stored_seq: Option<u64>,
    ) -> Result<Vec<CheckpointRef>, StoreError> {
        let seq = stored_seq.unwrap_or(self.stored_seq);
        database::runs::save_status(connection, &self.run, &self.status, seq, self.event_count).await?;
        if self.may_change_steps
            && let Some(definition) = database::runs::definition(connection, &self.run).await?
        {
            let changes = database::journal::changes(connection, &self.run).await?;
            let steps = History::read(&definition.plan, &changes).hyperparameters().steps;
            database::runs::set_steps(connection, &self.run, steps).await?;
        }
        let mut dropped = vec![];
        if self.has_checkpoint {
            dropped.extend(prune(connection, &self.folders, &self.run).await?);
            // A fork with a checkpoint of its own no longer needs its parent's.
            if let Some(parent) = database::runs::parent(connection, &self.run).await? {
                dropped.extend(prune(connection, &self.folders, &parent).await?);
            }
        }
        Ok(dropped)
    }
}

/// Prunes the checkpoints of a run by the retention of its plan. Returns the pruned ones; none for an unknown run.
///
/// Some files may be on another machine, which can be lost with them: the newest checkpoint on the path whose files are here is kept too, and
/// those that are being uploaded.
pub(crate) async fn prune(
    connection: &mut Connection,
    folders: &CheckpointFolders,
    run: &RunId,
) -> Result<Vec<CheckpointRef>, StoreError> {
    let Some(definition) = database::runs::definition(connection, run).await? else { return Ok(vec![]) };
    let saved = database::checkpoints::list(connection, run).await?;
    let kept: Vec<_> = saved.iter().map(|saved| saved.info.id).collect();
    let history = History::read(&definition.plan, &database::journal::changes(connection, run).await?);
    let path: Vec<_> = history.path_checkpoints(run, &kept).into_iter().map(|found| found.at.checkpoint).collect();
    let mut in_use: BTreeSet<_> =
        needed_by_forks(connection, folders, run).await?.into_iter().map(|(id, _)| id).collect();
    in_use.extend(path.iter().find(|id| folders.has(run, **id)));
    in_use.extend(kept.iter().filter(|id| folders.is_arriving(run, **id)));
    let gone = checkpoints_to_prune(&saved, &definition.plan.recipe.retention, &path, &in_use);
    for id in &gone {
        database::checkpoints::remove(connection, run, *id).await?;
    }
    Ok(gone.into_iter().map(|checkpoint| CheckpointRef { run: run.clone(), checkpoint }).collect())
}

impl Store {
    /// Appends an event of the server to the journal: numbers it, puts it into the run's newest segment, and updates the summary.
    pub async fn append(&self, run: &RunId, report: Report) -> Result<(EventRecord, RunSummary), StoreError> {
        let appended = self.append_if(run, |_| true, report).await?;
        self.known(appended, run)
    }

    /// As [`Store::append`], if the event is still right for the run as it is then; otherwise `None`, and nothing changes.
    pub async fn append_if(
        &self,
        run: &RunId,
        is_right: impl Fn(&RunSummary) -> bool + Send,
        report: Report,
    ) -> Result<Option<(EventRecord, RunSummary)>, StoreError> {
        let mut transaction = self.database().write().await?;
        if !is_right(&self.summary_in(&mut transaction, run).await?) {
            return Ok(None);
        }
        let (record, summary, dropped) = self.journal(&mut transaction, run, report).await?;
        commit(transaction).await?;
        self.remove_folders(dropped).await;
        Ok(Some((record, summary)))
    }

    /// [`Store::append`] inside a transaction. Also returns the pruned checkpoints.
    #[inline(never)]
    pub(crate) fn journal<'a>(
        &'a self,
        connection: &'a mut Connection,
        run: &'a RunId,
        report: Report,
    ) -> Boxed<'a, Result<(EventRecord, RunSummary, Vec<CheckpointRef>), StoreError>> {
        Box::pin(self.journal_in(connection, run, report))
    }

    async fn journal_in(
        &self,
        connection: &mut Connection,
        run: &RunId,
        report: Report,
    ) -> Result<(EventRecord, RunSummary, Vec<CheckpointRef>), StoreError> {
        let mut journal = JournalWriter::open(connection, self.checkpoint_folders(), run).await?;
        let segment = report.segment.max(journal.status.progress.segment);
        let report = Report { segment, ..report };
        journal.status.apply_report(&report);
        let record = journal.write(connection, report).await?;
        let dropped = journal.close(connection, None).await?;
        Ok((record, self.summary_in(connection, run).await?, dropped))
    }

    /// Events after number `since_number` (0 for all), in order, at most `limit`.
    pub async fn events(&self, run: &RunId, since_number: u64, limit: u32) -> Result<Vec<EventRecord>, StoreError> {
        database::journal::after(&mut *self.database().read().await?, run, since_number, limit).await
    }

    /// The selected events, in order, and the number of the newest event of the run when the reading began; 0 without events.
    pub async fn select_events(
        &self,
        run: &RunId,
        selection: &EventSelection,
    ) -> Result<(Vec<EventRecord>, u64), StoreError> {
        let mut connection = self.database().read().await?;
        // First, so that every selected kind of event up to this number is among the records.
        let last = database::journal::last_number(&mut connection, run).await?;
        Ok((database::journal::select(&mut connection, run, selection).await?, last))
    }

    /// Stores parameter statistics in place of the previous ones. Results of requested inspections are not stored.
    pub async fn put_update(&self, run: &RunId, update: &InspectionUpdate) -> Result<(), StoreError> {
        if !matches!(update, InspectionUpdate::ParameterStats { .. }) {
            return Ok(());
        }
        let mut transaction = self.database().write().await?;
        self.known(database::runs::stored_seq(&mut transaction, run).await?, run)?;
        database::updates::put(&mut transaction, run, update).await?;
        commit(transaction).await
    }

    /// The newest updates of a run: of one kind, or one of each.
    pub async fn updates(&self, run: &RunId, kind: Option<&str>) -> Result<Vec<InspectionUpdate>, StoreError> {
        database::updates::list(&mut *self.database().read().await?, run, kind).await
    }
}

/// A report as an event of the journal.
fn number(number: u64, report: Report) -> EventRecord {
    let Report { segment, step, at_ms, author, command_id, reason, event, state: _ } = report;
    EventRecord { number, segment, step, at_ms, author, command_id, reason, event }
}
