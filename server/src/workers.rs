//! The workers: processes that train, connected by a WebSocket. Each device has one, and more where its pool trains several runs at once.
//!
//! - [`fleet`]: the connected workers and what each trains; [`link`]: the server's end of a worker's socket; `notes`: what it notes beside its reports;
//! - [`log_tail`]: the end of a worker's log;
//! - [`pending`]: commands that wait for their event; [`liveness`]: runs whose worker has died or is out of reach; `successor`: who continues them;
//! - [`transfer`]: datasets and checkpoints for workers of other machines;
//! - [`telemetry`]: measurements of the devices, their history, how their time is used, and findings;
//! - [`local`]: the workers that the server starts on the devices of its own machine.
//!
//! [`crate::runs::queue`] decides which run a worker trains next.

pub mod fleet;
pub mod link;
pub mod liveness;
pub mod local;
pub mod log_tail;
mod notes;
pub mod pending;
mod successor;
pub mod telemetry;
pub mod transfer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use store::Successor;
use wire::device::DeviceLoad;
use wire::{DeviceId, RunState, RunSummary, Slot};

use crate::error::ApiError;
use crate::live::clock::now_ms;
use crate::live::diagnosis::Diagnosis;
use crate::live::{Feed, Subscriptions};
use fleet::{Assignment, Fleet};
use notes::Notes;
use pending::Pending;
use telemetry::DeviceTelemetry;
use telemetry::overview::Overview;
use transfer::uploads::Uploads;

/// The workers of a lab, and what serves them; cloning shares it.
#[derive(Clone)]
pub struct Workers {
    /// Connected workers.
    pub fleet: Fleet,
    /// Commands that wait for their event.
    pub pending: Arc<Pending>,
    /// Inspections that pages request.
    pub subscriptions: Subscriptions,
    /// Measurements of the devices.
    pub telemetry: DeviceTelemetry,
    /// The fleet as pages last asked for it.
    pub overview: Arc<Overview>,
    feed: Feed,
    diagnosis: Diagnosis,
    /// Checkpoints that workers upload.
    pub uploads: Uploads,
    /// Folder of the lab.
    data: PathBuf,
    /// How long a worker on another machine may be out of reach before its run is given to another device.
    timeout: Duration,
}

impl Workers {
    /// No worker is connected yet. `timeout`: how long a worker on another machine may be out of reach before its run continues elsewhere.
    pub fn new(feed: Feed, diagnosis: Diagnosis, data: PathBuf, timeout: Duration) -> Self {
        let fleet = Fleet::default();
        let to_workers = fleet.clone();
        let subscriptions = Subscriptions::new(move |run, inspections| to_workers.inspect(run, inspections));
        Self {
            fleet,
            pending: Arc::new(Pending::new(now_ms())),
            subscriptions,
            telemetry: DeviceTelemetry::default(),
            overview: Arc::default(),
            feed,
            diagnosis,
            uploads: Uploads::default(),
            data,
            timeout,
        }
    }

    /// Whether a device is one of this machine, whose worker uses the folder of the lab.
    pub fn is_local(&self, device: &DeviceId) -> bool {
        worker::lock_path(&self.data, device).exists()
    }

    /// Queues a run again whose assignment did not reach its worker: nothing has begun, so its journal has no event of it.
    ///
    /// # Errors
    /// An error of the store.
    pub async fn unassign(&self, assignment: Assignment) -> Result<(), ApiError> {
        let (Assignment { run, pool }, store) = (assignment, &self.feed.store);
        let starts = |run: &RunSummary| run.state == RunState::Starting && run.deleted_ms.is_none();
        if store.summary(&run).await?.as_ref().is_some_and(starts) {
            if let Some(pool) = pool {
                store.set_successor(&run, &Successor::Pool(pool)).await?;
            }
            self.feed.set_state_if(&run, starts, RunState::Queued, None).await?;
            self.feed.wake_queue();
        }
        Ok(())
    }

    /// Notes a heartbeat of a worker, with the measurement that came before it.
    fn heartbeat(&self, slot: &Slot, load: DeviceLoad, notes: &Notes) {
        let Some(kind) = self.fleet.heartbeat(slot, load) else { return };
        // The first process of a device measures it for all.
        if !slot.is_first() {
            return;
        }
        let (telemetry, clock_ahead_ms) = notes.telemetry();
        self.telemetry.measured(&slot.device, kind, telemetry, clock_ahead_ms, now_ms());
    }
}
