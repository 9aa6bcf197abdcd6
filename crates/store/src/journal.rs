//! The journal of each run, and its latest looks.

use std::collections::BTreeSet;

use wire::checkpoint::CheckpointRef;
use wire::dials::Drawn;
use wire::frame::Frame;
use wire::history::History;
use wire::link::Report;
use wire::{Event, EventRecord, RunId, RunSummary};

use crate::database::{self, Connection, commit};
use crate::error::StoreError;
use crate::progress::Standing;
use crate::retention::superfluous;
use crate::store::Store;

/// A run's line and journal, open in a transaction.
pub(crate) struct Book {
    run: RunId,
    pub(crate) standing: Standing,
    stored_seq: u64,
    event_count: u64,
    /// Where the run ends may have changed.
    has_other_end: bool,
    /// A checkpoint has come, and others may go.
    has_checkpoint: bool,
}

impl Book {
    pub(crate) async fn open(connection: &mut Connection, run: &RunId) -> Result<Self, StoreError> {
        let found = database::runs::standing(connection, run).await?;
        let (standing, stored_seq, event_count) = found.ok_or_else(|| StoreError::UnknownRun { run: run.clone() })?;
        let run = run.clone();
        Ok(Self { run, standing, stored_seq, event_count, has_other_end: false, has_checkpoint: false })
    }

    /// Writes what the standing has taken already as the next line.
    pub(crate) async fn write(
        &mut self,
        connection: &mut Connection,
        report: Report,
    ) -> Result<EventRecord, StoreError> {
        self.event_count += 1;
        let record = number(self.event_count, report);
        database::journal::insert(connection, &self.run, &record).await?;
        match &record.event {
            Event::Checkpointed { checkpoint } => {
                database::checkpoints::insert(connection, &self.run, record.number, checkpoint).await?;
                self.has_checkpoint = true;
            }
            Event::RolledBack { checkpoint, .. } => {
                let saved = database::checkpoints::list(connection, &self.run).await?;
                let target = saved.iter().find(|saved| saved.info.id == *checkpoint);
                target.into_iter().for_each(|saved| self.standing.progress.recall(&saved.info));
                self.has_other_end = true;
            }
            Event::Redrawn { new: Drawn::Rate { .. }, .. } => self.has_other_end = true,
            _ => {}
        }
        Ok(record)
    }

    /// Keeps it all; gives the checkpoints that are kept no longer, whose folders may go once this is committed.
    pub(crate) async fn close(
        self,
        connection: &mut Connection,
        stored_seq: Option<u64>,
    ) -> Result<Vec<CheckpointRef>, StoreError> {
        let seq = stored_seq.unwrap_or(self.stored_seq);
        database::runs::save_standing(connection, &self.run, &self.standing, seq, self.event_count).await?;
        if self.has_other_end
            && let Some(papers) = database::runs::papers(connection, &self.run).await?
        {
            let changes = database::journal::changes(connection, &self.run).await?;
            let steps = History::read(&papers.plan, &changes).dials().steps;
            database::runs::set_steps(connection, &self.run, steps).await?;
        }
        let mut dropped = vec![];
        if self.has_checkpoint {
            dropped.extend(prune(connection, &self.run).await?);
            // With one of its own, a fork leans on its parent no longer.
            if let Some(parent) = database::runs::parent(connection, &self.run).await? {
                dropped.extend(prune(connection, &parent).await?);
            }
        }
        Ok(dropped)
    }
}

/// Forgets the checkpoints that a run need not keep; gives them. A run that is not there has none.
pub(crate) async fn prune(connection: &mut Connection, run: &RunId) -> Result<Vec<CheckpointRef>, StoreError> {
    let Some(papers) = database::runs::papers(connection, run).await? else { return Ok(vec![]) };
    let saved = database::checkpoints::list(connection, run).await?;
    let kept: Vec<_> = saved.iter().map(|saved| saved.info.id).collect();
    let history = History::read(&papers.plan, &database::journal::changes(connection, run).await?);
    let path: Vec<_> = history.path_checkpoints(run, &kept).into_iter().map(|found| found.at.checkpoint).collect();
    let in_use: BTreeSet<_> =
        database::checkpoints::leaned_on(connection, run).await?.into_iter().map(|(id, _)| id).collect();
    let gone = superfluous(&saved, &papers.plan.recipe.keep, &path, &in_use);
    for id in &gone {
        database::checkpoints::remove(connection, run, *id).await?;
    }
    Ok(gone.into_iter().map(|checkpoint| CheckpointRef { run: run.clone(), checkpoint }).collect())
}

impl Store {
    /// Adds what the lab itself has to say of a run: puts it into the run's present segment, numbers it, and moves its one line.
    pub async fn append(&self, run: &RunId, report: Report) -> Result<(EventRecord, RunSummary), StoreError> {
        let mut transaction = self.database().write().await?;
        let (record, summary, dropped) = self.journal(&mut transaction, run, report).await?;
        commit(transaction).await?;
        self.remove_folders(dropped).await;
        Ok((record, summary))
    }

    /// [`Store::append`] inside a transaction; gives the checkpoints too that are kept no longer.
    pub(crate) async fn journal(
        &self,
        connection: &mut Connection,
        run: &RunId,
        report: Report,
    ) -> Result<(EventRecord, RunSummary, Vec<CheckpointRef>), StoreError> {
        let mut book = Book::open(connection, run).await?;
        let segment = report.segment.max(book.standing.progress.segment);
        let report = Report { segment, ..report };
        book.standing.take_report(&report);
        let record = book.write(connection, report).await?;
        let dropped = book.close(connection, None).await?;
        Ok((record, self.summary_in(connection, run).await?, dropped))
    }

    /// Journal lines after `since_number` (0 for all), in order, at most `limit`.
    pub async fn events(&self, run: &RunId, since_number: u64, limit: u32) -> Result<Vec<EventRecord>, StoreError> {
        database::journal::after(&mut *self.database().read().await?, run, since_number, limit).await
    }

    /// Keeps a look that a run shows by itself in place of the one of its kind before. What somebody asked to see is not kept here.
    pub async fn put_frame(&self, run: &RunId, frame: &Frame) -> Result<(), StoreError> {
        if !matches!(frame, Frame::Tensors { .. }) {
            return Ok(());
        }
        let mut transaction = self.database().write().await?;
        self.known(database::runs::stored_seq(&mut transaction, run).await?, run)?;
        database::journal::put_frame(&mut transaction, run, frame).await?;
        commit(transaction).await
    }

    /// The latest looks of a run: of one kind, or one of each.
    pub async fn frames(&self, run: &RunId, kind: Option<&str>) -> Result<Vec<Frame>, StoreError> {
        database::journal::frames(&mut *self.database().read().await?, run, kind).await
    }
}

/// A report as a line of the journal.
fn number(number: u64, report: Report) -> EventRecord {
    let Report { segment, step, at_ms, author, command_id, reason, event, state: _ } = report;
    EventRecord { number, segment, step, at_ms, author, command_id, reason, event }
}
