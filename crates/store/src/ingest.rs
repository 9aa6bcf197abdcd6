//! Storing the reports of a worker: nothing is lost and nothing stored twice, even when the process is killed or the power fails.
//!
//! Reports are numbered. One transaction updates the run, its journal and the number of the last stored report, and holds the new points. A
//! series with many new points is written before it, which fails before anything is acknowledged when the disk is full; one with few keeps
//! them in memory and is written later. After a crash before the transaction the worker sends the same reports again: the journal has none of
//! them, and the series drop the steps that they have.
//!
//! The transaction is on disk when its reports are acknowledged, but the files may not be. So the database has the points until the files are
//! synced: every [`UNSYNCED_BYTES`], and in the background when the run releases its device. New snapshots are stored in the database
//! likewise; see `snapshots`. Window losses of evaluations are rare, and their file is synced at once; see `window_losses`.

use tokio::sync::OwnedMutexGuard;
use wire::evaluation::StoredLosses;
use wire::series::Row;
use wire::transport::link::Item;
use wire::{EventRecord, RunId, RunSummary, Slot};

use crate::boxed::Boxed;
use crate::database::{self, Connection, commit};
use crate::error::StoreError;
use crate::ingest_state::IngestState;
use crate::journal::JournalWriter;
use crate::reports::{Committed, Entry, NewReports, Stored};
use crate::snapshots::MAX_PENDING_BYTES;
use crate::store::Store;
use crate::window_losses;

/// Points of one run in the database that trigger a sync of its series files, bytes: about three million points.
const UNSYNCED_BYTES: usize = 32 << 20;

/// The effect of some reports.
#[derive(Debug, Clone, PartialEq)]
pub struct Ingested {
    /// Number of the last stored report, to be acknowledged.
    pub stored_seq: u64,
    /// New values.
    pub rows: Vec<Row>,
    /// New events of the journal.
    pub events: Vec<EventRecord>,
    /// Summary of the run after the reports.
    pub summary: RunSummary,
}

/// Reports by kind: values for the series, window losses of evaluations, and all entries in their order.
struct Batch {
    rows: Vec<Row>,
    windows: Vec<StoredLosses>,
    order: Vec<Entry>,
}

impl Store {
    /// Number of the last stored report of a run; 0 for none.
    pub async fn stored_seq(&self, run: &RunId) -> Result<u64, StoreError> {
        let found = database::runs::stored_seq(&mut *self.database().read().await?, run).await?;
        self.known(found, run)
    }

    /// Stores reports of a run: item i has number `first_seq + i`. Reports that are stored already are dropped.
    ///
    /// # Errors
    /// [`StoreError::Gap`] if reports are missing; [`StoreError::DiskFull`] and [`StoreError::RunFolderMissing`]: nothing was
    /// acknowledged, and the same call can be repeated.
    pub async fn ingest(&self, run: &RunId, first_seq: u64, items: Vec<Item>) -> Result<Ingested, StoreError> {
        let _shared = self.changes().read().await;
        let state = self.ingest_state(run).lock_owned().await;
        self.ingest_in(state, run, first_seq, items).await
    }

    /// Stores reports of the process that trains the run, as [`Store::ingest`] does.
    ///
    /// # Errors
    /// Those of [`Store::ingest`]; [`StoreError::OtherDevice`] if another process trains the run now. [`Store::set_device`] takes the same lock,
    /// so no report of the process before is stored after that.
    pub async fn ingest_from(
        &self,
        run: &RunId,
        by: &Slot,
        first_seq: u64,
        items: Vec<Item>,
    ) -> Result<Ingested, StoreError> {
        let _shared = self.changes().read().await;
        let mut state = self.ingest_state(run).lock_owned().await;
        if state.trained_by.is_none() {
            let found = database::runs::trained_by(&mut *self.database().read().await?, run).await?;
            state.trained_by = Some(self.known(found, run)?);
        }
        if let Some(other) = state.trained_by.as_ref().filter(|trains| *trains != by) {
            return Err(StoreError::OtherDevice { run: run.clone(), device: other.to_string() });
        }
        self.ingest_in(state, run, first_seq, items).await
    }

    #[inline(never)]
    fn ingest_in<'a>(
        &'a self,
        state: OwnedMutexGuard<IngestState>,
        run: &'a RunId,
        first_seq: u64,
        items: Vec<Item>,
    ) -> Boxed<'a, Result<Ingested, StoreError>> {
        Box::pin(self.ingest_locked(state, run, first_seq, items))
    }

    async fn ingest_locked(
        &self,
        mut state: OwnedMutexGuard<IngestState>,
        run: &RunId,
        first_seq: u64,
        items: Vec<Item>,
    ) -> Result<Ingested, StoreError> {
        let known_seq = state.stored_seq.take();
        let stored_seq = match known_seq {
            Some(seq) => seq,
            None => {
                // The first batch of this process, or the first after a failure: files may be ahead of the database.
                let (series_files, id) = (self.series_files().clone(), run.clone());
                // The lock of the run's ingestion goes with it: a caller that stops waiting must not let others in before it is done.
                state = self.blocking(move || series_files.close(&id).map(|()| state)).await?;
                if state.unsynced_bytes == 0 {
                    // What the database has then is of an earlier process: the folder was missing at the start.
                    self.redo(run).await?;
                }
                self.stored_seq(run).await?
            }
        };
        let first_seq = first_seq.max(1);
        if first_seq > stored_seq + 1 {
            state.stored_seq = known_seq;
            return Err(StoreError::Gap { run: run.clone(), expected: stored_seq + 1, got: first_seq });
        }
        let Batch { rows, windows, order } = to_batch(items, (stored_seq + 1 - first_seq) as usize);
        let last_seq = stored_seq + order.len() as u64;

        // After a failure files may have points that the database lacks. When they come again they are not new, so the next start would write
        // the points of the database over them: the files are synced instead, and the database needs its points no longer.
        let is_after_failure = known_seq.is_none() && state.unsynced_bytes > 0;
        let is_synced = is_after_failure || state.unsynced_bytes > UNSYNCED_BYTES;
        let (series_files, id, windows_path) = (self.series_files().clone(), run.clone(), self.windows_path(run));
        let (mut state, rows, appended, in_files) = self
            .blocking(move || {
                let appended = match is_synced {
                    true => series_files.append(&id, &rows)?,
                    false => series_files.prepare(&id, &rows)?,
                };
                window_losses::append(&id, &windows_path, &windows, known_seq.is_some())?;
                if is_synced {
                    series_files.sync(&id)?;
                }
                // Those of an interrupted batch are in the files and not in the table of runs.
                let is_resumed = known_seq.is_none() && !appended.repeated.is_empty();
                let in_files = if is_resumed { series_files.newest(&id)? } else { vec![] };
                Ok((state, rows, appended, in_files))
            })
            .await?;
        state.newest.values.extend(in_files);
        state.newest.add(&rows, &appended.repeated);
        let has_events = order.iter().any(|entry| matches!(entry, Entry::Event(_)));
        let stores_newest = !state.newest.values.is_empty() && (has_events || is_synced || state.newest.are_due());
        let (run_id, has_new) = (run.clone(), last_seq > stored_seq);
        let reports =
            NewReports { run: run_id, state, last_seq, has_new, rows, order, appended, is_synced, stores_newest };
        let committed = self.commit_reports(reports).await?;
        Ok(self.finish(run, last_seq, committed).await)
    }

    /// Stores reports in a transaction.
    pub(crate) async fn store_reports(
        &self,
        connection: &mut Connection,
        reports: &NewReports,
    ) -> Result<Stored, StoreError> {
        let NewReports { run, state, last_seq, has_new, rows, order, appended, is_synced, stores_newest } = reports;
        let mut journal = JournalWriter::open(connection, self.checkpoint_folders(), run).await?;
        let (mut events, mut values, mut snapshots) = (vec![], rows.iter(), vec![]);
        for entry in order {
            match entry {
                Entry::Row => values.by_ref().take(1).for_each(|row| journal.status.apply_row(row)),
                Entry::Event(report) => {
                    let report = journal.status.apply_worker_report(report.clone());
                    events.push(journal.write(connection, report).await?);
                }
                Entry::Snapshot(update) => snapshots.push(update.as_ref()),
            }
        }
        self.check_conditions(connection, run, rows).await?;
        if *stores_newest {
            database::run_table::merge_metrics(connection, run, &state.newest.values).await?;
        }
        let kept = self.keep_snapshots(connection, run, &snapshots).await?;
        if *is_synced {
            database::unsynced::clear(connection, run).await?;
        } else if !appended.points.is_empty() {
            database::unsynced::insert(connection, run, *last_seq, &appended.points).await?;
        }
        let pruned = match has_new {
            true => journal.close(connection, Some(*last_seq)).await?,
            false => vec![],
        };
        let summary = self.summary_in(connection, run).await?;
        Ok(Stored { events, summary, snapshot_bytes: kept.bytes, snapshot_files: kept.files, pruned })
    }

    /// After the commit: moves what has grown large into files, and removes the files that are no longer needed.
    async fn finish(&self, run: &RunId, stored_seq: u64, committed: Committed) -> Ingested {
        let Committed { mut state, rows, stored: Stored { events, summary, snapshot_files, pruned, .. } } = committed;
        let is_live = summary.state.is_live();
        if !is_live && state.unsynced_bytes > 0 {
            self.sync_curves_soon(run);
        }
        if state.pending_bytes > MAX_PENDING_BYTES || (!is_live && state.pending_bytes > 0) {
            state.pending_bytes = 0;
            self.write_snapshots_soon(run);
        }
        if !state.newest.values.is_empty() && !state.newest.has_task {
            state.newest.has_task = true;
            self.store_newest_soon(run);
        }
        self.remove_folders(pruned).await;
        self.remove_snapshot_files(run, snapshot_files).await;
        Ingested { stored_seq, rows, events, summary }
    }

    /// Syncs a run's series in the background: a busy disk takes seconds for some hundred files, and the end of a run is reported without
    /// waiting for them. Reports that arrive meanwhile wait, so that their points are not deleted from the database too early.
    fn sync_curves_soon(&self, run: &RunId) {
        let (store, run) = (self.clone(), run.clone());
        let task = tokio::spawn(async move {
            let state = store.ingest_state(&run);
            let mut state = state.lock().await;
            // After a failure the points stay in the database and are written again at the next start.
            if store.sync_curves(&run).await.is_ok() {
                state.unsynced_bytes = 0;
            }
        });
        self.track(task);
    }

    /// Moves a run's snapshots into files, in the background.
    fn write_snapshots_soon(&self, run: &RunId) {
        let (store, run) = (self.clone(), run.clone());
        // After a failure they stay in the database and move together with later ones.
        let task = tokio::spawn(async move { drop(store.write_snapshots(&run).await) });
        self.track(task);
    }

    /// Syncs a run's series and deletes the copies in the database.
    pub(crate) async fn sync_curves(&self, run: &RunId) -> Result<(), StoreError> {
        let (series_files, id) = (self.series_files().clone(), run.clone());
        self.blocking(move || series_files.sync(&id)).await?;
        let mut transaction = self.database().write().await?;
        database::unsynced::clear(&mut transaction, run).await?;
        commit(transaction).await
    }

    /// At the start: writes the points again that a power cut may have removed from the files.
    pub(crate) async fn redo_unsynced(&self) -> Result<(), StoreError> {
        let runs = database::unsynced::runs(&mut *self.database().read().await?).await?;
        for run in runs {
            self.redo(&run).await?;
        }
        Ok(())
    }

    /// Writes the points of a run again that an earlier process has left in the database. Where the run's folder is missing they stay there.
    async fn redo(&self, run: &RunId) -> Result<(), StoreError> {
        let points = database::unsynced::of(&mut *self.database().read().await?, run).await?;
        if points.is_empty() {
            return Ok(());
        }
        let (series_files, id) = (self.series_files().clone(), run.clone());
        match self.blocking(move || series_files.redo(&id, &points)).await {
            Ok(()) => {
                self.sync_curves(run).await?;
                self.read_newest_metrics(run).await
            }
            Err(StoreError::RunFolderMissing { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Sorts the new reports; the first `known` are stored already.
fn to_batch(items: Vec<Item>, known: usize) -> Batch {
    let (mut rows, mut order) = (Vec::with_capacity(items.len()), Vec::with_capacity(items.len()));
    let mut windows = vec![];
    for item in items.into_iter().skip(known) {
        order.push(match item {
            Item::Row(row) => {
                rows.push(row);
                Entry::Row
            }
            Item::Event(mut report) => {
                windows.extend(window_losses::take(&mut report));
                Entry::Event(report)
            }
            Item::Snapshot(update) => Entry::Snapshot(update),
        });
    }
    Batch { rows, windows, order }
}
