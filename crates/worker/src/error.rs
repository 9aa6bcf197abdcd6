//! Why a worker ends otherwise than by being told to.

use std::io;
use std::path::PathBuf;

use wire::DeviceId;

/// Everything that ends a worker early, or keeps it from starting.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// Another process trains on this device already.
    #[error("{device} is taken: another worker holds {path}; end that one first, or choose another device")]
    DeviceTaken {
        /// The device.
        device: DeviceId,
        /// The lock it holds.
        path: PathBuf,
    },
    /// A file of the worker's folder cannot be used.
    #[error("cannot use {path}: {source}")]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The device cannot be opened.
    #[error("cannot train on {device}: {message}")]
    Device {
        /// The device.
        device: DeviceId,
        /// Why, and the way out.
        message: String,
    },
    /// The address of the server cannot be understood.
    #[error("{url:?} is no address of a server: {message}; for example http://lab.example:8000")]
    Address {
        /// As given.
        url: String,
        /// What is wrong with it.
        message: String,
    },
    /// The server will not have this worker.
    #[error("the server turned this worker away: {message}")]
    TurnedAway {
        /// The server's words.
        message: String,
    },
    /// The connection cannot be made, or broke.
    #[error("no link to {url}: {message}")]
    Link {
        /// Where to.
        url: String,
        /// What is known.
        message: String,
    },
    /// The last run brought the engine down; a fresh process is needed before the device can be trusted again.
    #[error("the engine panicked in {run}: {message}; the run is marked failed, start the worker again for the next")]
    Panicked {
        /// The run.
        run: wire::RunId,
        /// The panic's own words.
        message: String,
    },
    /// The spool of a run cannot be read back.
    #[error(transparent)]
    Spool(#[from] crate::spool::SpoolError),
}
