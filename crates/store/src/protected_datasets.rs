//! Datasets whose text no provider of a model gets. The mark of a deleted dataset stays, because runs that were trained on it may exist.

use std::collections::BTreeSet;

use crate::database::{self, commit};
use crate::error::StoreError;
use crate::store::Store;

impl Store {
    /// The ids of the protected datasets.
    pub async fn protected_datasets(&self) -> Result<BTreeSet<String>, StoreError> {
        database::protected_datasets::list(&mut *self.database().read().await?).await
    }

    /// Protects a dataset, or ends its protection.
    pub async fn set_protected(&self, dataset: &str, is_protected: bool) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        match is_protected {
            true => database::protected_datasets::insert(&mut transaction, dataset).await?,
            false => database::protected_datasets::remove(&mut transaction, dataset).await?,
        }
        commit(transaction).await
    }
}
