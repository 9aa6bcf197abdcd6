//! State of the ingestion of one run between two batches of reports.

/// The state of one run's ingestion. Its lock admits one batch at a time.
#[derive(Debug, Default)]
pub(crate) struct IngestState {
    /// Number of the last stored report; `None` before the first batch and after a batch that failed half-way.
    pub(crate) stored_seq: Option<u64>,
    /// Points in the database whose series files are not synced, bytes.
    pub(crate) unsynced_bytes: usize,
    /// Snapshots in the database that have no file yet, bytes.
    pub(crate) pending_bytes: usize,
}
