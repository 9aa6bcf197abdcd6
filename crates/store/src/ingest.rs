//! How a worker's reports are kept: nothing lost, nothing doubled, wherever the process is killed and wherever the power goes.
//!
//! Reports carry numbers. Values go to the curves' files first, then one transaction moves the run's line, its journal and the
//! last number. Killed before the transaction, the worker sends the same numbers again: the journal has none of them, and the
//! curves drop the steps they have. A number is acknowledged only after both.
//!
//! The transaction is on disk when it is acknowledged, the files may not be: so it holds the new points too, until the files
//! have been synced, which is done every [`UNSYNCED_BYTES`] and, aside, when the run lets go of its device. Looks that are kept wait
//! there likewise; see `kept`.

use wire::frame::Frame;
use wire::link::{Item, Report};
use wire::series::Row;
use wire::{EventRecord, RunId, RunSummary};

use crate::database::{self, commit};
use crate::error::StoreError;
use crate::journal::Book;
use crate::kept::MOST_WAITING_BYTES;
use crate::series::Grown;
use crate::store::Store;

/// Points that may wait in the database for their files to be synced, for one run: about three million.
const UNSYNCED_BYTES: usize = 32 << 20;

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
    /// Points that wait in the database, bytes.
    unsynced_bytes: usize,
    /// Looks that wait there, bytes.
    waiting_bytes: usize,
}

/// Reports, told apart: values for the curves, and the order in which they and the happenings came.
struct Parcel {
    rows: Vec<Row>,
    order: Vec<Place>,
}

/// What came at one place of a parcel.
enum Place {
    /// The next of the rows.
    Row,
    Event(Report),
    Kept(Box<Frame>),
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
            None => {
                // The first parcel of this process, or the one after a failure: files may be ahead of the database.
                self.shelf().forget(run);
                self.stored_seq(run).await?
            }
        };
        let first_seq = first_seq.max(1);
        if first_seq > stored_seq + 1 {
            desk.stored_seq = Some(stored_seq);
            return Err(StoreError::Gap { run: run.clone(), expected: stored_seq + 1, got: first_seq });
        }
        let Parcel { rows, order } = parcel(items, (stored_seq + 1 - first_seq) as usize);
        let last_seq = stored_seq + order.len() as u64;

        let is_time_to_sync = desk.unsynced_bytes > UNSYNCED_BYTES;
        let (shelf, id) = (self.shelf().clone(), run.clone());
        let (rows, Grown { repeated, points }) = self
            .aside(move || {
                let grown = shelf.append(&id, &rows)?;
                if is_time_to_sync {
                    shelf.sync(&id)?;
                }
                Ok((rows, grown))
            })
            .await?;

        let mut transaction = self.database().write().await?;
        let mut book = Book::open(&mut transaction, run).await?;
        let (mut events, mut values, mut looks) = (vec![], rows.iter(), vec![]);
        for place in order {
            match place {
                Place::Row => values.by_ref().take(1).for_each(|row| book.standing.take_row(row)),
                Place::Event(report) => {
                    let report = book.standing.take_from_worker(report);
                    events.push(book.write(&mut transaction, report).await?);
                }
                Place::Kept(frame) => looks.push(*frame),
            }
        }
        let kept = self.keep_looks(&mut transaction, run, looks).await?;
        if is_time_to_sync {
            database::unsynced::clear(&mut transaction, run).await?;
        } else if !points.is_empty() {
            database::unsynced::insert(&mut transaction, run, last_seq, &points).await?;
        }
        let is_held = book.standing.state.is_live();
        let dropped = match last_seq > stored_seq {
            true => book.close(&mut transaction, Some(last_seq)).await?,
            false => vec![],
        };
        let summary = self.summary_in(&mut transaction, run).await?;
        commit(transaction).await?;
        desk.unsynced_bytes = if is_time_to_sync { 0 } else { desk.unsynced_bytes + points.len() };
        desk.waiting_bytes += kept.bytes;
        desk.stored_seq = Some(last_seq);
        if !is_held && desk.unsynced_bytes > 0 {
            self.settle_soon(run);
        }
        if desk.waiting_bytes > MOST_WAITING_BYTES || (!is_held && desk.waiting_bytes > 0) {
            desk.waiting_bytes = 0;
            self.settle_looks_soon(run);
        }
        self.remove_folders(dropped).await;
        self.remove_frames(run, kept.files).await;
        Ok(Ingested { stored_seq: last_seq, rows: without(rows, &repeated), events, summary })
    }

    /// Syncs a run's curves aside: a busy disk may take seconds for some hundred files, and whoever waits for the run's end is not
    /// to wait for that. Reports that come meanwhile do, so that no copy of theirs is forgotten.
    fn settle_soon(&self, run: &RunId) {
        let (store, run) = (self.clone(), run.clone());
        let task = tokio::spawn(async move {
            let desk = store.desk(&run);
            let mut desk = desk.lock().await;
            // Where it fails the copies stay, and are written again at the next start.
            if store.settle(&run).await.is_ok() {
                desk.unsynced_bytes = 0;
            }
        });
        self.watch_over(task);
    }

    /// Moves a run's looks into files, aside.
    fn settle_looks_soon(&self, run: &RunId) {
        let (store, run) = (self.clone(), run.clone());
        // Where it fails they stay where they are, and are moved with those that come.
        let task = tokio::spawn(async move { drop(store.settle_looks(&run).await) });
        self.watch_over(task);
    }

    /// Waits until a run's curves are on disk, and forgets the copies in the database.
    pub(crate) async fn settle(&self, run: &RunId) -> Result<(), StoreError> {
        let (shelf, id) = (self.shelf().clone(), run.clone());
        self.aside(move || shelf.sync(&id)).await?;
        let mut transaction = self.database().write().await?;
        database::unsynced::clear(&mut transaction, run).await?;
        commit(transaction).await
    }

    /// After a start: writes again what a power cut may have taken from the curves' files. Runs whose folder is away are left.
    pub(crate) async fn redo_unsynced(&self) -> Result<(), StoreError> {
        let runs = database::unsynced::runs(&mut *self.database().read().await?).await?;
        for run in runs {
            let points = database::unsynced::of(&mut *self.database().read().await?, &run).await?;
            let (shelf, id) = (self.shelf().clone(), run.clone());
            match self.aside(move || shelf.redo(&id, &points)).await {
                Ok(()) => self.settle(&run).await?,
                Err(StoreError::RunFolderMissing { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Sorts what is new.
fn parcel(items: Vec<Item>, known: usize) -> Parcel {
    let (mut rows, mut order) = (Vec::with_capacity(items.len()), Vec::with_capacity(items.len()));
    for item in items.into_iter().skip(known) {
        order.push(match item {
            Item::Row(row) => {
                rows.push(row);
                Place::Row
            }
            Item::Event(report) => Place::Event(report),
            Item::Kept(frame) => Place::Kept(frame),
        });
    }
    Parcel { rows, order }
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
