//! The history across a restart: a table of the store, written once a minute. A server that is killed loses at most the last minute of the
//! history. A table, because the database is one file that backups and tools know already, and a minute of 50 devices is one transaction
//! of 300 small rows.

use std::time::Duration;

use store::{Store, StoreError};
use wire::telemetry::HistoryRange;

use super::DeviceTelemetry;

const EVERY: Duration = Duration::from_secs(60);

/// Restores the history, and saves what is new each minute, until the server stops.
pub async fn keep(telemetry: DeviceTelemetry, store: Store) {
    if let Err(error) = restore(&telemetry, &store).await {
        tracing::warn!("the history of the devices could not be read: {error}");
    }
    loop {
        tokio::time::sleep(EVERY).await;
        save(&telemetry, &store, false).await;
    }
}

/// Saves what is new; at the end of a server also the buckets that are still being filled.
pub async fn save(telemetry: &DeviceTelemetry, store: &Store, with_open: bool) {
    let unsaved = telemetry.take_unsaved(with_open);
    // A minute without its buckets is a gap in a chart, so it is not tried again.
    if !unsaved.is_empty()
        && let Err(error) = store.put_telemetry(&unsaved).await
    {
        tracing::warn!("a minute of the history of the devices could not be stored: {error}");
    }
}

async fn restore(telemetry: &DeviceTelemetry, store: &Store) -> Result<(), StoreError> {
    for range in HistoryRange::ALL {
        telemetry.restore(range, store.telemetry(range).await?);
    }
    Ok(())
}
