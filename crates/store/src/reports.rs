//! Reports of a worker on their way into the database.

use std::collections::BTreeSet;

use tokio::sync::OwnedMutexGuard;
use wire::control::checkpoint::CheckpointRef;
use wire::inspect::update::InspectionUpdate;
use wire::series::Row;
use wire::transport::link::Report;
use wire::{EventRecord, RunId, RunSummary};

use crate::ingest_state::IngestState;
use crate::series::Appended;

/// Reports that are to be stored. They hold the state of their run, so that no others of it are stored meanwhile.
pub(crate) struct NewReports {
    pub(crate) run: RunId,
    pub(crate) state: OwnedMutexGuard<IngestState>,
    /// Number of the last of them.
    pub(crate) last_seq: u64,
    /// Whether there are any that are not stored yet.
    pub(crate) has_new: bool,
    pub(crate) rows: Vec<Row>,
    /// All entries in their order.
    pub(crate) order: Vec<Entry>,
    pub(crate) appended: Appended,
    /// Whether the files of the run's series are synced, so that the database needs no copy of their points.
    pub(crate) is_synced: bool,
    /// Whether the table of runs gets the newest values with them.
    pub(crate) stores_newest: bool,
}

/// One report of a batch.
pub(crate) enum Entry {
    /// The next row of the batch.
    Row,
    Event(Report),
    Snapshot(Box<InspectionUpdate>),
}

/// What reports have changed in the database.
pub(crate) struct Stored {
    pub(crate) events: Vec<EventRecord>,
    pub(crate) summary: RunSummary,
    pub(crate) snapshot_bytes: usize,
    /// Files of removed snapshots, to be deleted after the commit.
    pub(crate) snapshot_files: BTreeSet<String>,
    /// Pruned checkpoints, whose folders are to be deleted after the commit.
    pub(crate) pruned: Vec<CheckpointRef>,
}

/// Reports that are stored.
pub(crate) struct Committed {
    pub(crate) state: OwnedMutexGuard<IngestState>,
    pub(crate) rows: Vec<Row>,
    pub(crate) stored: Stored,
}

impl NewReports {
    /// Size of their points, bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.appended.points.len()
    }

    /// The state of the run after the commit.
    pub(crate) fn committed(self, stored: Stored) -> Committed {
        let Self { mut state, last_seq, rows, mut appended, is_synced, stores_newest, .. } = self;
        appended.commit();
        state.unsynced_bytes = if is_synced { 0 } else { state.unsynced_bytes + appended.points.len() };
        state.pending_bytes += stored.snapshot_bytes;
        state.stored_seq = Some(last_seq);
        if stores_newest {
            state.newest.clear();
        }
        Committed { state, rows: without(rows, &appended.repeated), stored }
    }
}

/// Removes repeated values, given as (row, value) in increasing order, and rows that become empty.
fn without(mut rows: Vec<Row>, repeated: &[(usize, usize)]) -> Vec<Row> {
    for (row, value) in repeated.iter().rev() {
        rows[*row].values.remove(*value);
    }
    if !repeated.is_empty() {
        rows.retain(|row| !row.values.is_empty());
    }
    rows
}
