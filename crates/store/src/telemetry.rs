//! The history of devices, which the server writes each minute so that it outlives the server.

use wire::DeviceId;
use wire::telemetry::{HistoryBucket, HistoryRange};

use crate::clock::now_ms;
use crate::database::{self, commit};
use crate::error::StoreError;
use crate::store::Store;

impl Store {
    /// Adds buckets in one transaction, and deletes those that have left their range.
    pub async fn put_telemetry(&self, buckets: &[(DeviceId, HistoryRange, HistoryBucket)]) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        for (device, range, bucket) in buckets {
            database::telemetry::put(&mut transaction, device, *range, bucket).await?;
        }
        for range in HistoryRange::ALL {
            database::telemetry::sweep(&mut transaction, range, start_of(range)).await?;
        }
        commit(transaction).await
    }

    /// The stored buckets of all devices in a range up to now, by device and time.
    pub async fn telemetry(&self, range: HistoryRange) -> Result<Vec<(DeviceId, HistoryBucket)>, StoreError> {
        database::telemetry::list(&mut *self.database().read().await?, range, start_of(range)).await
    }
}

fn start_of(range: HistoryRange) -> i64 {
    now_ms() - range.secs() * 1000
}
