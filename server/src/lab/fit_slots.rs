//! How many fits and replays are computed at a time: one, so that requests and training do not wait for them. The others wait; each sender
//! may have a few, including reports of journals. Two requests at a time read the series of a run as a whole.

use std::sync::Arc;

use store::{Identity, StoreError};
use tokio::sync::Semaphore;

use super::compute_slots::ComputeSlots;
use crate::error::ApiError;
use crate::live::places::{Full, Limits, Owner, Place, Places};

/// Computations at a time. The largest replay takes some seconds of one core.
const AT_ONCE: usize = 1;
/// Whole series that are read at a time: one has a million values.
const READ_AT_ONCE: usize = 2;
/// Requests that are computed or wait. A page that shows a sweep sends one for the fit and one for the replay.
const REQUESTS: Limits = Limits { what: "fits, replays and reports", all: 16, guests: 8, token: 8, one: 4 };

/// Slots of fits, replays and reports.
#[derive(Clone)]
pub struct FitSlots {
    requests: Places,
    computing: ComputeSlots,
    reading: Arc<Semaphore>,
}

impl Default for FitSlots {
    fn default() -> Self {
        let reading = Arc::new(Semaphore::new(READ_AT_ONCE));
        Self { requests: Places::new(REQUESTS), computing: ComputeSlots::new(AT_ONCE), reading }
    }
}

impl FitSlots {
    /// Takes a slot for a request, until the result is dropped.
    ///
    /// # Errors
    /// 429 if the sender, the guests or all senders together have the maximum number of requests.
    pub fn enter(&self, identity: &Identity) -> Result<Place, ApiError> {
        let full = |full: Full| {
            ApiError::busy(full.to_string()).hint("try again after the earlier ones were answered").retry_after(2)
        };
        self.requests.take(Owner::of(identity)).map_err(full)
    }

    /// Reads series of a run, after waiting for a slot.
    ///
    /// # Errors
    /// Those of `read`; 500 if it panicked.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, ApiError> {
        let slot = Arc::clone(&self.reading).acquire_owned().await;
        let slot = slot.map_err(|source| ApiError::internal("reading the series of a run", source))?;
        // If the client disconnects, the threads read on and keep the slot until they have ended.
        let task = tokio::spawn(async move {
            let _slot = slot;
            read.await
        });
        let read = task.await.map_err(|source| ApiError::internal("reading the series of a run", source))?;
        Ok(read?)
    }

    /// Computes on its own thread, after the other fits.
    ///
    /// # Errors
    /// 500 if the computation panicked.
    pub async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
        self.computing.compute(work).await
    }
}
