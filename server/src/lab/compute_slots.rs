//! How many computations of a kind, such as those of samplers of sweeps, run at a time. They run on their own threads, so that requests and
//! training do not wait for them.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::error::ApiError;

/// Slots of computations; cloning shares them.
#[derive(Clone)]
pub struct ComputeSlots(Arc<Semaphore>);

impl ComputeSlots {
    /// As many slots as computations may run at a time.
    pub fn new(at_once: usize) -> Self {
        Self(Arc::new(Semaphore::new(at_once)))
    }

    /// Computes on its own thread, after waiting for a slot.
    ///
    /// # Errors
    /// 500 if the computation panicked.
    pub async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
        let failed =
            |source: Box<dyn std::error::Error + Send + Sync>| ApiError::internal("a computation about runs", source);
        let slot = Arc::clone(&self.0).acquire_owned().await.map_err(|source| failed(source.into()))?;
        // The thread continues if nobody waits for it any more, so it owns the slot.
        let computed = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            work()
        });
        computed.await.map_err(|source| failed(source.into()))
    }
}
