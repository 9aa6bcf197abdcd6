//! The process that trains: the engine on one device, a link to the server, and between them a spool on disk.
//!
//! A worker never waits for the server or for a viewer. It continues to train while the link is down, keeps every report on disk until
//! the server has stored it, and sends the unacknowledged ones again when the link is back: nothing is lost and nothing counted twice.
//!
//! - [`config`] configuration, [`credentials`] how a machine that has joined a lab identifies itself, [`log`] the end of its log;
//! - [`lock`] one worker per device, [`load`] load of the machine;
//! - [`spool`] the reports of one run on disk, `outbox` the same shared between threads, [`reporter`] the training's side of it;
//! - `slots` the further processes of a device that trains several runs at once, `share` the cores that each of them uses;
//! - [`tls`] the verification of the server's certificate;
//! - [`training`] a run on its thread, [`trainer`] the engine on that thread;
//! - `telemetry` measurements of the device and the machine;
//! - `leaving` signals and requests, on which it suspends its run and ends;
//! - [`transfer`] datasets and checkpoints from and to a server on another machine;
//! - `state` the runs and reports of the worker and its decisions, `link` the socket.

mod assignment;
pub mod config;
pub mod credentials;
pub mod error;
mod leaving;
mod link;
pub mod load;
pub mod lock;
pub mod log;
mod outbox;
pub mod reporter;
mod share;
mod slots;
pub mod spool;
mod state;
mod telemetry;
pub mod tls;
pub mod trainer;
pub mod training;
pub mod transfer;

use std::sync::Arc;
use std::time::Duration;

use slots::Slots;

pub use assignment::Assignment;
pub use config::{IdleTimeouts, SlotProgram, WorkerConfig, host_name, lab_device_id};
pub use credentials::Credentials;
pub use error::{TrainError, WorkerError};
pub use lock::{DeviceLock, holders, is_held, lock_path};
pub use log::WorkerLog;
pub use reporter::RunReporter;
pub use trainer::EngineTrainer;
pub use training::Trainer;
pub use transfer::Transfer;

/// How long a worker that ends sends its last checkpoints.
const UPLOAD_WITHIN: Duration = Duration::from_secs(60);

/// Runs a worker with the engine, until the server shuts it down or its idle timeout expires.
///
/// # Errors
/// As [`run_with`]; and a device that cannot be opened.
pub async fn run(config: WorkerConfig) -> Result<(), WorkerError> {
    let _lock = DeviceLock::take(&config.data, &config.own_slot())?;
    let (device, folders, transfer) = (config.device.clone(), config.folders(), Transfer::of(&config)?);
    // The first process measures for all; the others of the device may train meanwhile.
    let is_measured = config.slot == 1;
    // Opening and measuring the device takes seconds of computation.
    let open = move || EngineTrainer::open(&device, folders, transfer, is_measured);
    let opened = tokio::task::spawn_blocking(open).await;
    let trainer =
        opened.map_err(|source| WorkerError::Device { device: config.device.clone(), source: source.into() })??;
    serve(&config, Arc::new(trainer)).await
}

/// Runs a worker with another trainer, until the server shuts it down or its idle timeout expires.
///
/// # Errors
/// The device is taken, the folder cannot be used, the server refuses the worker, or the trainer panicked: then the run is marked as
/// failed and all reports are delivered, but the process should not train another run.
pub async fn run_with(config: WorkerConfig, trainer: Arc<dyn Trainer>) -> Result<(), WorkerError> {
    let _lock = DeviceLock::take(&config.data, &config.own_slot())?;
    serve(&config, trainer).await
}

async fn serve(config: &WorkerConfig, trainer: Arc<dyn Trainer>) -> Result<(), WorkerError> {
    let mut state = state::WorkerState::new(config.clone(), trainer)?;
    state.leaving.on_signals(Arc::clone(&state.signal));
    if config.slot > 1 && !config.is_local() {
        state.leaving.on_line(Arc::clone(&state.signal));
    }
    // The first process sends the checkpoints of all, which share a folder.
    let uploader = state.transfer.clone().filter(|_| config.slot == 1).map(transfer::uploads::Uploader::start);
    let slots = config.slots.clone().zip(state.transfer.clone());
    let slots =
        slots.map(|(program, transfer)| Slots::start(program, transfer, config.device.clone(), state.leaving.clone()));
    let ended = link::keep_connected(config, &mut state).await;
    if let Some(slots) = slots {
        slots.end().await;
    }
    if let Some(uploader) = uploader {
        // The last checkpoint of a suspended run continues it on another machine.
        let _ = tokio::task::spawn_blocking(move || uploader.finish(UPLOAD_WITHIN)).await;
    }
    ended
}
