//! The queue of each device: runs that wait, in an order that people may change.

use wire::{DeviceId, RunId, RunPlan, RunState, RunSummary};

use crate::database::{self, commit};
use crate::error::StoreError;
use crate::store::Store;

impl Store {
    /// The run that a free device should take. It stays queued until its state is set.
    pub async fn next_queued(&self, device: &DeviceId) -> Result<Option<(RunId, RunPlan)>, StoreError> {
        database::runs::first_queued(&mut *self.database().read().await?, device.as_str()).await
    }

    /// Moves a queued run to a place in its device's queue, from 1; beyond the last is last.
    ///
    /// # Errors
    /// [`StoreError::NotQueued`] where it does not wait.
    pub async fn move_in_queue(&self, run: &RunId, place: u32) -> Result<RunSummary, StoreError> {
        let mut transaction = self.database().write().await?;
        let Some((state, device)) = database::runs::state_and_device(&mut transaction, run).await? else {
            return Err(StoreError::UnknownRun { run: run.clone() });
        };
        let queue = database::runs::queue(&mut transaction, &device).await?;
        let Some(at) = queue.iter().position(|(id, _)| id == run.as_str()).filter(|_| state == RunState::Queued) else {
            return Err(StoreError::NotQueued { run: run.clone(), state });
        };
        let mut ids: Vec<&str> = queue.iter().map(|(id, _)| id.as_str()).collect();
        let moved = ids.remove(at);
        ids.insert((place.max(1) as usize - 1).min(ids.len()), moved);
        // The same numbers, dealt out anew: other devices' queues share the counter and are not touched.
        for (id, (_, order)) in ids.iter().zip(&queue) {
            database::runs::set_queue_order(&mut transaction, id, *order).await?;
        }
        let summary = self.summary_in(&mut transaction, run).await?;
        commit(transaction).await?;
        Ok(summary)
    }
}
