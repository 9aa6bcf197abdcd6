//! A result of an inspection and its status.

use std::ops::Deref;
use std::sync::Arc;

use wire::inspect::result::InspectionResult;
use wire::inspect::update::{InspectionOverhead, InspectionUpdate};

/// The origin of a result.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Source {
    /// The worker that trains.
    Live(InspectionOverhead),
    Snapshot,
    /// A checkpoint, on request.
    Checkpoint,
}

/// A result.
#[derive(Debug)]
pub(crate) struct Record {
    /// Steps done when it was computed.
    pub(crate) step: u64,
    pub(crate) result: InspectionResult,
    pub(crate) source: Source,
}

/// A shared result. Two are equal when they are the same record: results are large, and comparing their content would
/// cost more than drawing them.
#[derive(Debug, Clone)]
pub(crate) struct Inspected(Arc<Record>);

impl PartialEq for Inspected {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Deref for Inspected {
    type Target = Record;
    fn deref(&self) -> &Record {
        &self.0
    }
}

/// The status of an inspection at a step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Status {
    /// Requested; no result yet.
    Loading,
    Ready(Inspected),
    /// It failed: why, and what to do.
    Failed(String),
    /// It has no snapshot at this step; it can be computed from a checkpoint.
    NoSnapshot,
}

/// The status that an update brings. Statistics that the worker sends without a request are not inspection results.
pub(super) fn status(update: InspectionUpdate, source: impl Fn(InspectionOverhead) -> Source) -> Status {
    match update {
        InspectionUpdate::Result { step, result, overhead, .. } => {
            Status::Ready(Inspected(Arc::new(Record { step, result, source: source(overhead) })))
        }
        InspectionUpdate::Failed { message, .. } => Status::Failed(message),
        InspectionUpdate::ParameterStats { .. } => Status::Loading,
    }
}
