//! Errors of the engine, one type per area: [`DataError`] for corpora, tokenizers and token shards, [`InspectError`] for inspections,
//! [`TaskError`] for evaluation tasks, [`EngineError`] for devices, checkpoints and training. Each names what failed, with the value, and has
//! its source.

mod data;
mod inspect;
mod task;

use std::error::Error;
use std::path::PathBuf;

use wire::PlanError;

pub use self::data::{DataError, Progress, TokenizerError};
pub use self::inspect::InspectError;
pub use self::task::TaskError;

/// An error of another crate: of IO, of a parser, of a driver.
pub type Source = Box<dyn Error + Send + Sync>;

/// An error of devices, checkpoints and training.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The datasets of the run could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// An inspection failed.
    #[error(transparent)]
    Inspection(#[from] InspectError),
    /// A model could not be scored on a task.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// The spec does not resolve to a plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The plan names a device that this machine does not have.
    #[error("no such device {device}; this machine has {found}")]
    NoDevice {
        /// Device of the plan.
        device: String,
        /// Devices of this machine.
        found: String,
    },
    /// The driver could not open the device.
    #[error("device {device} could not be opened: {source}")]
    Device {
        device: String,
        /// The driver's error.
        source: Source,
    },
    /// The device computes no products with factors of the plan's precision.
    #[error("{device} has no instructions for {format}: choose {others} as compute.precision")]
    NoFormat {
        /// Name of the device.
        device: String,
        /// The format of the plan.
        format: &'static str,
        /// The formats that it has.
        others: String,
    },
    /// The system gives no memory for a measurement.
    #[error("memory for the measurement of the device could not be mapped: {source}")]
    Memory { source: std::io::Error },
    /// Values could not be read back from the device.
    #[error("values could not be read back from the device: {source}")]
    ReadBack {
        /// The driver's error.
        source: Source,
    },
    /// A checkpoint could not be written, or is damaged.
    #[error("{}: {source}", path.display())]
    Checkpoint {
        /// File or folder.
        path: PathBuf,
        /// The cause.
        source: Source,
    },
    /// A model cannot be imported or exported.
    #[error("{what}: {message}; {hint}")]
    Interop {
        /// File, or the model.
        what: String,
        /// The problem, with the value.
        message: String,
        /// The hint: what to do.
        hint: String,
        /// The cause, if there is one.
        #[source]
        source: Option<Source>,
    },
    /// A replica panicked, or its thread could not be started.
    #[error("replica {replica} failed: {source}")]
    Replica {
        /// Index, from 0.
        replica: usize,
        /// The message of the panic, or the error of the system.
        source: Source,
    },
    /// A step has no micro-batches: gradient accumulation is 0.
    #[error("a step needs at least one micro-batch")]
    NoBatches,
}

impl EngineError {
    pub(crate) fn checkpoint(path: &std::path::Path, source: impl Into<Source>) -> Self {
        Self::Checkpoint { path: path.to_owned(), source: source.into() }
    }

    pub(crate) fn read_back(source: impl Into<Source>) -> Self {
        Self::ReadBack { source: source.into() }
    }
}
