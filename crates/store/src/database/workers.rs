//! SQL of workers: one row for each device that has joined.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};
use wire::DeviceId;

use super::json::{from_json, to_json};
use crate::error::StoreError;

/// A worker that has joined, connected or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerRecord {
    pub id: i64,
    /// Name that people see.
    pub name: String,
    pub pool: String,
    pub labels: Vec<String>,
    /// Whether it takes no new run.
    pub is_draining: bool,
    /// Id of its device in the lab.
    pub device: DeviceId,
    /// Name of its machine; empty before a local worker has connected.
    pub host: String,
    /// Its token; `None` once that is revoked.
    pub token_id: Option<i64>,
    /// Time at which it joined, ms since 1970.
    pub joined_ms: i64,
    /// Time at which it was last seen to connect or disconnect, ms since 1970.
    pub seen_ms: Option<i64>,
}

macro_rules! workers {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, pool, labels, is_draining, device, host, token, joined_ms, seen_ms FROM workers ",
            $rest
        )
    };
}

fn record(row: &SqliteRow) -> Result<WorkerRecord, StoreError> {
    let device: String = row.try_get("device")?;
    Ok(WorkerRecord {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        pool: row.try_get("pool")?,
        labels: from_json("the labels of a worker", row.try_get("labels")?)?,
        is_draining: row.try_get("is_draining")?,
        device: device.parse().map_err(|source| StoreError::unreadable("a worker's device", source))?,
        host: row.try_get("host")?,
        token_id: row.try_get("token")?,
        joined_ms: row.try_get("joined_ms")?,
        seen_ms: row.try_get("seen_ms")?,
    })
}

/// All workers, by pool and name.
pub(crate) async fn list(connection: &mut SqliteConnection) -> Result<Vec<WorkerRecord>, StoreError> {
    let sql = workers!("ORDER BY pool <> 'local', pool, name, id");
    sqlx::query(sql).fetch_all(connection).await?.iter().map(record).collect()
}

/// The worker with this id.
pub(crate) async fn find(connection: &mut SqliteConnection, id: i64) -> Result<Option<WorkerRecord>, StoreError> {
    let row = sqlx::query(workers!("WHERE id = ?")).bind(id).fetch_optional(connection).await?;
    row.as_ref().map(record).transpose()
}

/// The worker of a device.
pub(crate) async fn of_device(
    connection: &mut SqliteConnection,
    device: &DeviceId,
) -> Result<Option<WorkerRecord>, StoreError> {
    let row = sqlx::query(workers!("WHERE device = ?")).bind(device.as_str()).fetch_optional(connection).await?;
    row.as_ref().map(record).transpose()
}

/// The worker that a token belongs to.
pub(crate) async fn of_token(
    connection: &mut SqliteConnection,
    token_id: i64,
) -> Result<Option<WorkerRecord>, StoreError> {
    let sql = workers!("WHERE token = ?1 OR id = (SELECT worker FROM slot_tokens WHERE slot_tokens.token = ?1)");
    let row = sqlx::query(sql).bind(token_id).fetch_optional(connection).await?;
    row.as_ref().map(record).transpose()
}

/// The tokens of the further processes of a worker; `slot` selects one process.
pub(crate) async fn slot_tokens(
    connection: &mut SqliteConnection,
    worker: i64,
    slot: Option<u32>,
) -> Result<Vec<i64>, StoreError> {
    let sql = "SELECT token FROM slot_tokens WHERE worker = ?1 AND (?2 IS NULL OR slot = ?2)";
    Ok(sqlx::query_scalar(sql).bind(worker).bind(slot).fetch_all(connection).await?)
}

/// Stores the token of a further process of a worker.
pub(crate) async fn insert_slot_token(
    connection: &mut SqliteConnection,
    worker: i64,
    slot: u32,
    token: i64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO slot_tokens (worker, slot, token) VALUES (?, ?, ?)";
    sqlx::query(sql).bind(worker).bind(slot).bind(token).execute(connection).await?;
    Ok(())
}

/// Stores the worker of a device and returns its id. A device that has joined before keeps its id, name, labels and drain.
pub(crate) async fn upsert(connection: &mut SqliteConnection, worker: &WorkerRecord) -> Result<i64, StoreError> {
    let sql = "INSERT INTO workers (name, pool, labels, is_draining, device, host, token, joined_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?) \
               ON CONFLICT (device) DO UPDATE SET pool = excluded.pool, host = excluded.host, token = excluded.token, \
               joined_ms = excluded.joined_ms RETURNING id";
    let id = sqlx::query_scalar(sql)
        .bind(&worker.name)
        .bind(&worker.pool)
        .bind(to_json(&worker.labels)?)
        .bind(worker.is_draining)
        .bind(worker.device.as_str())
        .bind(&worker.host)
        .bind(worker.token_id)
        .bind(worker.joined_ms)
        .fetch_one(connection)
        .await?;
    Ok(id)
}

/// Stores the name, labels and drain of a worker.
pub(crate) async fn save(connection: &mut SqliteConnection, worker: &WorkerRecord) -> Result<(), StoreError> {
    sqlx::query("UPDATE workers SET name = ?, labels = ?, is_draining = ? WHERE id = ?")
        .bind(&worker.name)
        .bind(to_json(&worker.labels)?)
        .bind(worker.is_draining)
        .bind(worker.id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Stores the machine of a worker and when it was seen.
pub(crate) async fn set_seen(
    connection: &mut SqliteConnection,
    id: i64,
    host: &str,
    seen_ms: i64,
) -> Result<(), StoreError> {
    let sql = "UPDATE workers SET host = ?, seen_ms = ? WHERE id = ?";
    sqlx::query(sql).bind(host).bind(seen_ms).bind(id).execute(connection).await?;
    Ok(())
}

/// Deletes a worker.
pub(crate) async fn remove(connection: &mut SqliteConnection, id: i64) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM workers WHERE id = ?").bind(id).execute(connection).await?;
    Ok(())
}
