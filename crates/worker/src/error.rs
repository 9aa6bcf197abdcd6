//! The errors of a worker; [`transfer`] has those of files from and to the server.

pub mod transfer;

use std::io;
use std::path::PathBuf;

use wire::{CorpusId, DeviceId, RunId};

use crate::spool::SpoolError;
use transfer::TransferError;

/// A source of any type.
type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a worker ends early or does not start.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// Another process trains on this device.
    #[error("another worker uses {device} and holds the lock {}: end that worker first, or choose another device", path.display())]
    DeviceTaken {
        /// Its id, or the name of one of its slots.
        device: String,
        /// The lock file.
        path: PathBuf,
    },
    /// A file of the lab folder cannot be used.
    #[error("cannot use {}: {source}", path.display())]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The device cannot be opened.
    #[error("cannot train on {device}: {source}")]
    Device { device: DeviceId, source: Source },
    /// The address of the server is invalid.
    #[error("{url:?} is not the address of a server: {message}; for example http://lab.example:8000")]
    Address {
        /// The address.
        url: String,
        /// The problem with it.
        message: String,
    },
    /// The server refuses this worker.
    #[error("the server refused this worker: {message}")]
    Refused {
        /// The reason.
        message: String,
    },
    /// The connection cannot be made, or broke.
    #[error("no connection to {url}: {source}")]
    Link {
        /// The server's address.
        url: String,
        source: Source,
    },
    /// The engine panicked. The device can be trusted again only by a new process.
    #[error(
        "the engine panicked in {run}: {message}; the run is marked as failed, start the worker again for the next run"
    )]
    Panicked {
        run: RunId,
        /// The message of the panic.
        message: String,
    },
    /// The spool of a run cannot be read.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// Why a training failed; the message becomes an event of the run's journal.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A dataset was deleted after the run was planned.
    #[error("the dataset {corpus} is not in {}; import it again under this name, then resume the run", folder.display())]
    DatasetMissing {
        /// The dataset.
        corpus: CorpusId,
        /// The folder with the datasets.
        folder: PathBuf,
    },
    /// The dataset or the checkpoint could not be fetched from the server.
    #[error("the run cannot start on this machine: {0}")]
    Transfer(#[from] TransferError),
    /// The engine failed.
    #[error(transparent)]
    Engine(Source),
}

impl TrainError {
    /// A failure of the engine.
    pub fn engine(source: impl Into<Source>) -> Self {
        Self::Engine(source.into())
    }
}
