//! Inference slots: how many processes with a model in memory the server runs at a time.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ApiError;

/// Processes at a time.
const SLOTS: usize = 4;

/// A semaphore; cloning shares it.
#[derive(Clone)]
pub struct InferenceSlots(Arc<Semaphore>);

/// A slot in use; it is free again when this is dropped.
pub type InferenceSlot = OwnedSemaphorePermit;

impl Default for InferenceSlots {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(SLOTS)))
    }
}

impl InferenceSlots {
    /// Waits for a free slot, for work that nobody waits for.
    ///
    /// # Errors
    /// The server ends.
    pub async fn wait(&self) -> Result<InferenceSlot, ApiError> {
        let slot = self.0.clone().acquire_owned().await;
        slot.map_err(|source| ApiError::internal("waiting for an inference slot", source))
    }

    /// Takes a free slot.
    ///
    /// # Errors
    /// 429 if none is free.
    pub fn take(&self) -> Result<InferenceSlot, ApiError> {
        self.0.clone().try_acquire_owned().map_err(|_| {
            ApiError::busy(format!(
                "{SLOTS} checkpoints are in use for completions and inspections, which is the maximum"
            ))
            .hint("try again when one of them is done")
        })
    }
}
