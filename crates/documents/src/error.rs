//! What ends an import. A fault of one file or record ends nothing: it becomes an [`Issue`](wire::data::import::Issue).

use std::io;

/// The receiver of documents wants no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the receiver stopped the reading")]
pub struct Stopped;

/// Why the reading of files ended.
#[derive(Debug, thiserror::Error)]
pub enum DocumentsError {
    /// A file on this machine could not be read.
    #[error("{name} could not be read: {source}")]
    Read {
        /// Name of the file as given.
        name: String,
        /// The system's error.
        source: io::Error,
    },
    /// The receiver wants no more.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// No encoding has this name.
    #[error("unknown encoding {name:?}")]
    NoEncoding {
        /// Name as given.
        name: String,
    },
}
