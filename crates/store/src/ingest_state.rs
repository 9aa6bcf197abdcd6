//! State of the ingestion of one run between two batches of reports.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use wire::Slot;
use wire::series::Row;

/// Time between two updates of a run's metrics in the table of runs: they are some kilobytes of JSON, which each update parses and writes.
pub(crate) const NEWEST_EVERY: Duration = Duration::from_secs(1);

/// The state of one run's ingestion. Its lock admits one batch at a time.
#[derive(Debug, Default)]
pub(crate) struct IngestState {
    /// Number of the last stored report; `None` before the first batch and after a batch that failed half-way.
    pub(crate) stored_seq: Option<u64>,
    /// The process that trains the run; `None` until it is read from the database.
    pub(crate) trained_by: Option<Slot>,
    /// Points in the database whose series files are not synced, bytes.
    pub(crate) unsynced_bytes: usize,
    /// Snapshots in the database that have no file yet, bytes.
    pub(crate) pending_bytes: usize,
    pub(crate) newest: NewestValues,
}

/// The last values of metrics that the table of runs does not have yet.
#[derive(Debug, Default)]
pub(crate) struct NewestValues {
    pub(crate) values: HashMap<String, f64>,
    /// Segment of the last row: values of older segments are abandoned.
    segment: u32,
    stored_at: Option<Instant>,
    /// Whether a task stores those after which no report follows.
    pub(crate) has_task: bool,
}

impl NewestValues {
    /// Adds the values of rows but the repeated ones, given as (row, value) in increasing order: those of a run that trains some steps again on
    /// another machine are older than what the table has.
    pub(crate) fn add(&mut self, rows: &[Row], repeated: &[(usize, usize)]) {
        for (row_at, row) in rows.iter().enumerate() {
            if row.segment < self.segment {
                continue;
            }
            self.segment = row.segment;
            for (value_at, (name, value)) in row.values.iter().enumerate() {
                if repeated.binary_search(&(row_at, value_at)).is_ok() {
                    continue;
                }
                match self.values.get_mut(name) {
                    Some(known) => *known = *value,
                    None => drop(self.values.insert(name.clone(), *value)),
                }
            }
        }
    }

    /// Whether there are values, and the last were stored some time ago.
    pub(crate) fn are_due(&self) -> bool {
        !self.values.is_empty() && self.stored_at.is_none_or(|at| at.elapsed() >= NEWEST_EVERY)
    }

    /// All values are stored.
    pub(crate) fn clear(&mut self) {
        self.values.clear();
        self.stored_at = Some(Instant::now());
    }
}
