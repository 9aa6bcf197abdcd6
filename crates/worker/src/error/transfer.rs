//! Why a file could not be fetched or sent.

use std::io;
use std::path::PathBuf;

use engine::{DataError, EngineError};

/// Why a file could not be fetched or sent.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// There was no connection, or it broke.
    #[error("no connection to {url}: {source}")]
    Offline { url: String, source: Box<ureq::Error> },
    /// The connection broke while a file was received.
    #[error("{name} was interrupted: {source}")]
    Interrupted { name: String, source: io::Error },
    /// The server answered with an error.
    #[error("the server refused it ({status}): {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Stable code of the error; empty if a proxy answered.
        code: String,
        message: String,
    },
    /// The server answered with something else than this version expects.
    #[error("the answer of {url} cannot be read: {source}; run the same version of kindling on both machines")]
    Malformed { url: String, source: serde_json::Error },
    /// The disk of this machine is full.
    #[error("the disk of {} is full: {name} needs {megabytes} MB there; free some space, then resume the run", path.display())]
    DiskFull {
        path: PathBuf,
        /// The dataset or checkpoint.
        name: String,
        /// Size of all of its files, MB.
        megabytes: u64,
    },
    /// A file of this machine could not be read or written.
    #[error("{}: {source}", path.display())]
    Disk { path: PathBuf, source: io::Error },
    /// A received file has another hash than the server named, several times.
    #[error(
        "{name} arrived damaged {times} times: check the network and the memory of this machine, then resume the run"
    )]
    Damaged { name: String, times: u32 },
    /// The server lists no file of this name.
    #[error("the server has no {name} of the dataset")]
    Missing { name: String },
    /// The received dataset cannot be used.
    #[error(transparent)]
    Dataset(#[from] DataError),
    /// The received checkpoint cannot be used.
    #[error(transparent)]
    Checkpoint(#[from] EngineError),
    /// The system cannot start a thread.
    #[error("a thread for the transfer cannot be started: {source}")]
    Thread { source: io::Error },
    /// The run was stopped meanwhile.
    #[error("the transfer was cancelled")]
    Cancelled,
}

impl TransferError {
    /// Whether another attempt may succeed: the network is down, the server restarts, or it does not know yet that this worker is connected.
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            Self::Offline { .. } | Self::Interrupted { .. } => true,
            Self::Refused { status, code, .. } => {
                matches!(status, 408 | 429 | 500 | 502 | 503 | 504) || code == "not_assigned"
            }
            _ => false,
        }
    }

    /// Whether the server keeps no such checkpoint.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Refused { status: 404 | 410, .. })
    }
}
