//! What can go wrong while a run is loaded or trained.

use crate::data_error::DataError;
use crate::look_error::LookError;

/// An error of the training side; those of text are [`DataError`], those of looks inside [`LookError`].
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The run's text could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A look inside that cannot be answered.
    #[error(transparent)]
    Look(#[from] LookError),
    /// The spec does not resolve to a plan.
    #[error("{message}")]
    Plan {
        /// The field, the value and the way out.
        message: String,
    },
    /// The plan names a device that this machine has not.
    #[error("there is no device {device} on this machine; it has {found}")]
    NoDevice {
        /// As asked.
        device: String,
        /// What there is.
        found: String,
    },
    /// The graphics driver refused.
    #[error("device {device} could not be opened: {message}")]
    Device {
        /// As asked.
        device: String,
        /// The driver's words.
        message: String,
    },
    /// Values could not be read back from the device.
    #[error("values could not be read back from the device: {message}")]
    ReadBack {
        /// The driver's words.
        message: String,
    },
    /// A checkpoint could not be written, or is not whole.
    #[error("{}: {message}", path.display())]
    Checkpoint {
        /// Which file or folder.
        path: std::path::PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A part of the batch panicked on its core.
    #[error("part {shard} of the batch failed: {message}")]
    Shard {
        /// Which part, from 0.
        shard: usize,
        /// The panic's words.
        message: String,
    },
}
