//! The process that trains: the engine on one device, a link to the server, and on disk between them the spool.
//!
//! A worker never waits for the server or for a viewer. It trains on while the link is down, keeps every report on disk until the
//! server has stored it, and sends what was not acknowledged when the link is back: nothing lost, nothing counted twice.
//!
//! - [`config`] what it is told, [`lock`] one worker per device, [`load`] how busy the machine is;
//! - [`spool`] one run's reports on disk, `outbox` the same shared between threads, [`reporter`] the training's side of it;
//! - [`training`] a run on its thread, [`trainer`] what the engine does there;
//! - `duty` what the worker has on its hands and decides, `link` the socket.

pub mod config;
mod duty;
pub mod error;
mod link;
pub mod load;
pub mod lock;
mod outbox;
pub mod reporter;
pub mod spool;
pub mod trainer;
pub mod training;

use std::sync::Arc;

pub use config::{Patience, WorkerConfig};
pub use error::WorkerError;
pub use lock::{DeviceLock, is_held, lock_path};
pub use reporter::RunReporter;
pub use trainer::EngineTrainer;
pub use training::{Trainer, Work};

/// A worker that trains with the engine, until it is told to leave or nobody has wanted it for long.
///
/// # Errors
/// As [`run_with`]; and a device that cannot be opened.
pub async fn run(config: WorkerConfig) -> Result<(), WorkerError> {
    let _lock = DeviceLock::take(&config.data, &config.device)?;
    let (device, folders) = (config.device.clone(), config.folders());
    // Opening and measuring take seconds of arithmetic.
    let opened = tokio::task::spawn_blocking(move || EngineTrainer::open(&device, folders)).await;
    let trainer = opened
        .map_err(|source| WorkerError::Device { device: config.device.clone(), message: source.to_string() })??;
    serve(&config, Arc::new(trainer)).await
}

/// A worker with a trainer of one's own, until it is told to leave or nobody has wanted it for long.
///
/// # Errors
/// The device is taken, the folder cannot be used, the server turns it away, or the trainer panicked: then the run is marked
/// failed and all is delivered, but the process should not be trusted with another.
pub async fn run_with(config: WorkerConfig, trainer: Arc<dyn Trainer>) -> Result<(), WorkerError> {
    let _lock = DeviceLock::take(&config.data, &config.device)?;
    serve(&config, trainer).await
}

async fn serve(config: &WorkerConfig, trainer: Arc<dyn Trainer>) -> Result<(), WorkerError> {
    let mut duty = duty::Duty::new(config.clone(), trainer)?;
    link::keep(config, &mut duty).await
}
