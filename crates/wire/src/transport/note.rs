//! Notes of a worker to the server: JSON in text messages of the link, beside its binary protocol. Only the newest matters, a lost one is
//! not sent again, and a server of another version ignores what it does not know, so a new field is no new version of the protocol.

use serde::{Deserialize, Serialize};

use crate::id::RunId;
use crate::telemetry::Telemetry;

/// Lines of a worker's log that it and the server keep.
pub const LOG_LINES: usize = 200;

/// Largest part of the log in a note, bytes.
pub const LOG_BYTES: usize = 8192;

/// A note, sent before Hello and then each second.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerNote {
    /// The worker's clock, ms since 1970. The server converts the times of its reports by the difference to its own.
    pub clock_ms: Option<i64>,
    /// The run that it trains, and what has kept it from training for some time.
    pub activity: Option<Activity>,
    /// Lines of the worker's log since the note before, at most [`LOG_BYTES`] of them. The first notes of a connection hold the last
    /// [`LOG_LINES`] lines.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
    /// The newest measurement of its device and machine; each one is sent once.
    pub telemetry: Option<Telemetry>,
}

/// Work of a run between two steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    pub run: RunId,
    /// What is done and how far it is: `evaluating: batch 3 of 64`.
    pub what: String,
}
