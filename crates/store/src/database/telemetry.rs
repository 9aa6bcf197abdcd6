//! SQL of the history of devices.

use sqlx::SqliteConnection;
use wire::DeviceId;
use wire::telemetry::{HistoryBucket, HistoryRange};

use super::json::{from_json, to_json};
use crate::error::StoreError;

/// Adds a bucket; one that is stored already is replaced.
pub(crate) async fn put(
    connection: &mut SqliteConnection,
    device: &DeviceId,
    range: HistoryRange,
    bucket: &HistoryBucket,
) -> Result<(), StoreError> {
    sqlx::query("INSERT OR REPLACE INTO telemetry (device, bucket_secs, at_ms, content) VALUES (?, ?, ?, ?)")
        .bind(device.as_str())
        .bind(range.bucket_secs())
        .bind(bucket.at_ms)
        .bind(to_json(bucket)?)
        .execute(connection)
        .await?;
    Ok(())
}

/// Deletes the buckets of a range that begin before a time.
pub(crate) async fn sweep(
    connection: &mut SqliteConnection,
    range: HistoryRange,
    before_ms: i64,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM telemetry WHERE bucket_secs = ? AND at_ms < ?")
        .bind(range.bucket_secs())
        .bind(before_ms)
        .execute(connection)
        .await?;
    Ok(())
}

/// The buckets of all devices in a range from a time on, by device and time. One that cannot be read is left out: that of a later version
/// may have other fields.
pub(crate) async fn list(
    connection: &mut SqliteConnection,
    range: HistoryRange,
    from_ms: i64,
) -> Result<Vec<(DeviceId, HistoryBucket)>, StoreError> {
    let sql = "SELECT device, content FROM telemetry WHERE bucket_secs = ? AND at_ms >= ? ORDER BY device, at_ms";
    let rows: Vec<(String, String)> =
        sqlx::query_as(sql).bind(range.bucket_secs()).bind(from_ms).fetch_all(connection).await?;
    let read = |(device, content): (String, String)| {
        Some((device.parse().ok()?, from_json("a bucket of telemetry", &content).ok()?))
    };
    Ok(rows.into_iter().filter_map(read).collect())
}
