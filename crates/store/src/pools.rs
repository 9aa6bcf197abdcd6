//! Pools: named groups of workers that take runs from one queue.

use wire::fleet::LOCAL_POOL;

use crate::clock::now_ms;
use crate::database::pools::PoolRecord;
use crate::database::{self, commit};
use crate::error::StoreError;
use crate::store::Store;

impl Store {
    /// All pools: `local` first, then by name.
    pub async fn pools(&self) -> Result<Vec<PoolRecord>, StoreError> {
        database::pools::list(&mut *self.database().read().await?, None).await
    }

    /// A pool.
    ///
    /// # Errors
    /// [`StoreError::UnknownPool`].
    pub async fn pool(&self, name: &str) -> Result<PoolRecord, StoreError> {
        let found = database::pools::list(&mut *self.database().read().await?, Some(name)).await?;
        found.into_iter().next().ok_or_else(|| StoreError::UnknownPool { pool: name.to_owned() })
    }

    /// Creates a pool.
    ///
    /// # Errors
    /// [`StoreError::PoolExists`].
    pub async fn add_pool(&self, name: &str) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        if !database::pools::insert(&mut transaction, name, now_ms()).await? {
            return Err(StoreError::PoolExists { pool: name.to_owned() });
        }
        commit(transaction).await
    }

    /// Sets how many runs each device of a pool trains at once, at most. The caller has checked the number.
    ///
    /// # Errors
    /// [`StoreError::UnknownPool`].
    pub async fn set_runs_at_once(&self, name: &str, runs_at_once: u32) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        if !database::pools::set_runs_at_once(&mut transaction, name, runs_at_once).await? {
            return Err(StoreError::UnknownPool { pool: name.to_owned() });
        }
        commit(transaction).await
    }

    /// Deletes a pool, with its join tokens.
    ///
    /// # Errors
    /// [`StoreError::UnknownPool`]; [`StoreError::PoolInUse`] while workers belong to it or runs wait for it, and for `local`.
    pub async fn remove_pool(&self, name: &str) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        let found = database::pools::list(&mut transaction, Some(name)).await?.into_iter().next();
        let Some(PoolRecord { workers, queued, .. }) = found else {
            return Err(StoreError::UnknownPool { pool: name.to_owned() });
        };
        if name == LOCAL_POOL || workers > 0 || queued > 0 {
            return Err(StoreError::PoolInUse { pool: name.to_owned(), workers, queued });
        }
        database::pools::remove(&mut transaction, name).await?;
        commit(transaction).await
    }
}
