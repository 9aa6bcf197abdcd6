//! Everything that can go wrong with what the lab remembers, each with what failed and the way out.

use std::io;
use std::path::{Path, PathBuf};

use wire::{CheckpointId, RunId, RunState};

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the folder.
    #[error("{} is in use by process {pid}: stop that one, or give another folder", dir.display())]
    Locked {
        /// The folder.
        dir: PathBuf,
        /// Who holds it; 0 where that is not known.
        pid: u32,
    },
    /// No space left. Nothing of the call was acknowledged; the same call may be made again.
    #[error("the disk of {} is full: free some space, and it goes on by itself", path.display())]
    DiskFull {
        /// What was being written.
        path: PathBuf,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database refused.
    #[error("the lab's database failed: {source}")]
    Database {
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The folder was written by a newer Kindling.
    #[error("this folder has format {found}, and this program knows up to {known}: use the newer program")]
    NewerFormat {
        /// Format of the folder.
        found: i64,
        /// Newest format known here.
        known: i64,
    },
    /// Something stored cannot be read back.
    #[error("{what} in the lab's database cannot be read: {message}")]
    Unreadable {
        /// What it is.
        what: String,
        /// Why.
        message: String,
    },
    /// There is no such run.
    #[error("there is no run {run}")]
    UnknownRun {
        /// The id asked for.
        run: RunId,
    },
    /// The id is taken.
    #[error("there is a run {run} already: take another id")]
    RunExists {
        /// The id.
        run: RunId,
    },
    /// The folder with a run's curves was removed from outside.
    #[error("the curves of {run} are gone: {} was removed. Put the folder back from a backup, or delete the run", path.display())]
    RunFolderMissing {
        /// The run.
        run: RunId,
        /// The folder that should be there.
        path: PathBuf,
    },
    /// A worker holds the run, so it cannot be deleted.
    #[error("{run} is {state:?}: stop it first")]
    RunIsLive {
        /// The run.
        run: RunId,
        /// How it stands.
        state: RunState,
    },
    /// The run is not in the queue, so it has no place there.
    #[error("{run} is {state:?}, not in the queue: only queued runs can be moved")]
    NotQueued {
        /// The run.
        run: RunId,
        /// How it stands.
        state: RunState,
    },
    /// The checkpoint was never taken, or is kept no longer.
    #[error("{run} has no checkpoint {checkpoint} (any more)")]
    UnknownCheckpoint {
        /// The run.
        run: RunId,
        /// The checkpoint asked for.
        checkpoint: CheckpointId,
    },
    /// The checkpoint cannot be deleted, because something begins with it.
    #[error("checkpoint {checkpoint} of {run} is needed by {by}")]
    CheckpointNeeded {
        /// The run.
        run: RunId,
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// By whom, and why.
        by: String,
    },
    /// A run from elsewhere is not what it says it is.
    #[error("{what} cannot be taken in: {message}")]
    NotAdoptable {
        /// Which part of it.
        what: String,
        /// What is wrong, with the value.
        message: String,
    },
    /// Reports are missing between what is stored and what came.
    #[error("reports of {run} came from number {got} on, and {expected} is next: send from there")]
    Gap {
        /// The run.
        run: RunId,
        /// Number that is next.
        expected: u64,
        /// Number that came first.
        got: u64,
    },
    /// A series name that cannot be a file.
    #[error(
        "{name:?} cannot name a series: 1 to {most} bytes, counting 3 for each character other than a-z, 0-9, _, - and ."
    )]
    SeriesName {
        /// The name.
        name: String,
        /// Longest allowed.
        most: usize,
    },
    /// The system gave no random numbers for a token.
    #[error("the system gave no random numbers: {message}")]
    Random {
        /// What it said.
        message: String,
    },
    /// Work handed to another thread did not come back.
    #[error("work on {} was cut off: {message}", path.display())]
    CutOff {
        /// What it worked on.
        path: PathBuf,
        /// Why.
        message: String,
    },
}

impl StoreError {
    /// An error of the file system about `path`, with a full disk told apart.
    pub(crate) fn file(path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path: path.to_owned() },
            _ => Self::File { path: path.to_owned(), source },
        }
    }

    /// Something stored that does not decode.
    pub(crate) fn unreadable(what: impl Into<String>, source: impl std::fmt::Display) -> Self {
        Self::Unreadable { what: what.into(), message: source.to_string() }
    }
}
