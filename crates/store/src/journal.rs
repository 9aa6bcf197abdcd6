//! The journal of each run, and its latest looks.

use wire::frame::Frame;
use wire::link::Report;
use wire::{EventRecord, RunId, RunSummary};

use crate::database::{self, Connection, commit};
use crate::error::StoreError;
use crate::store::Store;

impl Store {
    /// Adds what the lab itself has to say of a run: numbers it, and moves the run's one line.
    pub async fn append(&self, run: &RunId, report: Report) -> Result<(EventRecord, RunSummary), StoreError> {
        let mut transaction = self.database().write().await?;
        let written = self.journal(&mut transaction, run, report).await?;
        commit(transaction).await?;
        Ok(written)
    }

    /// [`Store::append`] inside a transaction.
    pub(crate) async fn journal(
        &self,
        connection: &mut Connection,
        run: &RunId,
        report: Report,
    ) -> Result<(EventRecord, RunSummary), StoreError> {
        let found = database::runs::standing(connection, run).await?;
        let Some((mut standing, stored_seq, event_count)) = found else {
            return Err(StoreError::UnknownRun { run: run.clone() });
        };
        standing.take_report(&report);
        let record = number(event_count + 1, report);
        database::journal::insert(connection, run, &record).await?;
        database::runs::save_standing(connection, run, &standing, stored_seq, event_count + 1).await?;
        Ok((record, self.summary_in(connection, run).await?))
    }

    /// Journal lines after `since_number` (0 for all), in order, at most `limit`.
    pub async fn events(&self, run: &RunId, since_number: u64, limit: u32) -> Result<Vec<EventRecord>, StoreError> {
        database::journal::after(&mut *self.database().read().await?, run, since_number, limit).await
    }

    /// Keeps a look in place of the one of its kind before.
    pub async fn put_frame(&self, run: &RunId, frame: &Frame) -> Result<(), StoreError> {
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
pub(crate) fn number(number: u64, report: Report) -> EventRecord {
    let Report { segment, step, at_ms, author, command_id, reason, event, state: _ } = report;
    EventRecord { number, segment, step, at_ms, author, command_id, reason, event }
}
