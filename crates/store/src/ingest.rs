//! How a worker's reports are kept: nothing lost, nothing doubled, wherever the process is killed.
//!
//! Reports carry numbers. Values go to the curves' files first, then one transaction moves the run's line, its journal and the
//! last number. Killed before the transaction, the worker sends the same numbers again: the journal has none of them, and the
//! curves drop the steps they have. A number is acknowledged only after both.

use wire::link::{Item, Report};
use wire::series::Row;
use wire::{EventRecord, RunId, RunSummary};

use crate::database::{self, commit};
use crate::error::StoreError;
use crate::journal::number;
use crate::store::Store;

/// What came of some reports.
#[derive(Debug, Clone, PartialEq)]
pub struct Ingested {
    /// Everything up to this number is stored: acknowledge it.
    pub stored_seq: u64,
    /// Values that were new.
    pub rows: Vec<Row>,
    /// Journal lines that were new.
    pub events: Vec<EventRecord>,
    /// The run in one line, after them.
    pub summary: RunSummary,
}

/// Where one run's reports come in, one parcel at a time.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    /// Last number stored, where it is known; unknown again when a parcel fails half-way.
    stored_seq: Option<u64>,
}

impl Store {
    /// The last number stored of a run, 0 for none.
    pub async fn stored_seq(&self, run: &RunId) -> Result<u64, StoreError> {
        let found = database::runs::stored_seq(&mut *self.database().read().await?, run).await?;
        self.known(found, run)
    }

    /// Keeps reports of a run: item i has number `first_seq + i`; numbers already stored are dropped.
    ///
    /// # Errors
    /// [`StoreError::Gap`] where numbers are missing in between, [`StoreError::DiskFull`] and [`StoreError::RunFolderMissing`]:
    /// nothing was acknowledged, and the same call may be made again.
    pub async fn ingest(&self, run: &RunId, first_seq: u64, items: Vec<Item>) -> Result<Ingested, StoreError> {
        let desk = self.desk(run);
        let mut desk = desk.lock().await;
        let stored_seq = match desk.stored_seq.take() {
            Some(seq) => seq,
            None => self.stored_seq(run).await?,
        };
        let first_seq = first_seq.max(1);
        if first_seq > stored_seq + 1 {
            desk.stored_seq = Some(stored_seq);
            return Err(StoreError::Gap { run: run.clone(), expected: stored_seq + 1, got: first_seq });
        }
        let (rows, reports) = parcel(items, (stored_seq + 1 - first_seq) as usize);
        let last_seq = stored_seq + (rows.len() + reports.len()) as u64;

        let (shelf, id) = (self.shelf().clone(), run.clone());
        let (rows, repeated) = self.aside(move || shelf.append(&id, &rows).map(|repeated| (rows, repeated))).await?;

        let mut transaction = self.database().write().await?;
        let found = database::runs::standing(&mut transaction, run).await?;
        let Some((mut standing, _, mut event_count)) = found else {
            return Err(StoreError::UnknownRun { run: run.clone() });
        };
        rows.iter().for_each(|row| standing.take_row(row));
        let mut events = Vec::with_capacity(reports.len());
        for report in reports {
            standing.take_report(&report);
            event_count += 1;
            let record = number(event_count, report);
            database::journal::insert(&mut transaction, run, &record).await?;
            events.push(record);
        }
        if last_seq > stored_seq {
            database::runs::save_standing(&mut transaction, run, &standing, last_seq, event_count).await?;
        }
        let summary = self.summary_in(&mut transaction, run).await?;
        commit(transaction).await?;
        desk.stored_seq = Some(last_seq);
        Ok(Ingested { stored_seq: last_seq, rows: without(rows, &repeated), events, summary })
    }
}

/// Sorts what is new into values and happenings; neither depends on the order in which they mix.
fn parcel(items: Vec<Item>, known: usize) -> (Vec<Row>, Vec<Report>) {
    let (mut rows, mut reports) = (Vec::with_capacity(items.len()), vec![]);
    for item in items.into_iter().skip(known) {
        match item {
            Item::Row(row) => rows.push(row),
            Item::Event(report) => reports.push(report),
        }
    }
    (rows, reports)
}

/// Leaves out the values that the curves had, given as (row, value) in rising order; rows left empty go too.
fn without(mut rows: Vec<Row>, repeated: &[(usize, usize)]) -> Vec<Row> {
    for (row, value) in repeated.iter().rev() {
        rows[*row].values.remove(*value);
    }
    if !repeated.is_empty() {
        rows.retain(|row| !row.values.is_empty());
    }
    rows
}
