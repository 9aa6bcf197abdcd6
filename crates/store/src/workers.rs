//! Workers as records: listed, renamed, labelled, drained, removed. Which of them are connected is known to the server alone.

use wire::DeviceId;
use wire::fleet::WorkerChange;

use crate::clock::now_ms;
use crate::database::workers::WorkerRecord;
use crate::database::{self, commit};
use crate::error::StoreError;
use crate::store::Store;

impl Store {
    /// All workers, those of `local` first, then by pool and name.
    pub async fn workers(&self) -> Result<Vec<WorkerRecord>, StoreError> {
        database::workers::list(&mut *self.database().read().await?).await
    }

    /// A worker.
    ///
    /// # Errors
    /// [`StoreError::UnknownWorker`].
    pub async fn worker(&self, id: i64) -> Result<WorkerRecord, StoreError> {
        let found = database::workers::find(&mut *self.database().read().await?, id).await?;
        found.ok_or(StoreError::UnknownWorker { id })
    }

    /// The worker of a device; `None` if none has joined, or it was removed.
    pub async fn worker_of_device(&self, device: &DeviceId) -> Result<Option<WorkerRecord>, StoreError> {
        database::workers::of_device(&mut *self.database().read().await?, device).await
    }

    /// The worker that a token belongs to; `None` for a token of another purpose.
    pub async fn worker_of_token(&self, token_id: i64) -> Result<Option<WorkerRecord>, StoreError> {
        database::workers::of_token(&mut *self.database().read().await?, token_id).await
    }

    /// Changes the name, labels or drain of a worker.
    ///
    /// # Errors
    /// [`StoreError::UnknownWorker`].
    pub async fn change_worker(&self, id: i64, change: WorkerChange) -> Result<WorkerRecord, StoreError> {
        let mut transaction = self.database().write().await?;
        let found = database::workers::find(&mut transaction, id).await?;
        let mut worker = found.ok_or(StoreError::UnknownWorker { id })?;
        let WorkerChange { name, labels, is_draining } = change;
        worker.name = name.unwrap_or(worker.name);
        worker.labels = labels.unwrap_or(worker.labels);
        worker.is_draining = is_draining.unwrap_or(worker.is_draining);
        database::workers::save(&mut transaction, &worker).await?;
        commit(transaction).await?;
        Ok(worker)
    }

    /// Removes a worker and revokes its tokens.
    ///
    /// # Errors
    /// [`StoreError::UnknownWorker`].
    pub async fn remove_worker(&self, id: i64) -> Result<WorkerRecord, StoreError> {
        let mut transaction = self.database().write().await?;
        let found = database::workers::find(&mut transaction, id).await?;
        let worker = found.ok_or(StoreError::UnknownWorker { id })?;
        let of_slots = database::workers::slot_tokens(&mut transaction, id, None).await?;
        database::workers::remove(&mut transaction, id).await?;
        for token_id in worker.token_id.into_iter().chain(of_slots) {
            database::tokens::remove(&mut transaction, token_id).await?;
        }
        commit(transaction).await?;
        Ok(worker)
    }

    /// Notes that a worker has connected or disconnected now, on this machine.
    pub async fn worker_seen(&self, id: i64, host: &str) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        database::workers::set_seen(&mut transaction, id, host, now_ms()).await?;
        commit(transaction).await
    }
}
