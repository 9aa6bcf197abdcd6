//! SQL of the journal and of looks.

use sqlx::SqliteConnection;
use wire::frame::Frame;
use wire::{Event, EventRecord, RunId};

use super::{from_json, to_json};
use crate::error::StoreError;

/// Adds a line under its own number.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    run: &RunId,
    record: &EventRecord,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO events (run, number, is_change, record) VALUES (?, ?, ?, ?)")
        .bind(run.as_str())
        .bind(record.number as i64)
        .bind(record.event.is_change() || matches!(record.event, Event::Checkpointed { .. }))
        .bind(to_json(record)?)
        .execute(connection)
        .await?;
    Ok(())
}

/// Lines after `since_number`, in order, at most `limit`.
pub(crate) async fn after(
    connection: &mut SqliteConnection,
    run: &RunId,
    since_number: u64,
    limit: u32,
) -> Result<Vec<EventRecord>, StoreError> {
    let lines: Vec<String> =
        sqlx::query_scalar("SELECT record FROM events WHERE run = ? AND number > ? ORDER BY number LIMIT ?")
            .bind(run.as_str())
            .bind(since_number.min(i64::MAX as u64) as i64)
            .bind(limit)
            .fetch_all(connection)
            .await?;
    lines.iter().map(|line| from_json("a journal line", line)).collect()
}

/// All lines that shape the run's history: changes and checkpoints, in order.
pub(crate) async fn changes(connection: &mut SqliteConnection, run: &RunId) -> Result<Vec<EventRecord>, StoreError> {
    let lines: Vec<String> =
        sqlx::query_scalar("SELECT record FROM events WHERE run = ? AND is_change = 1 ORDER BY number")
            .bind(run.as_str())
            .fetch_all(connection)
            .await?;
    lines.iter().map(|line| from_json("a journal line", line)).collect()
}

/// All lines, in order.
pub(crate) async fn all(connection: &mut SqliteConnection, run: &RunId) -> Result<Vec<EventRecord>, StoreError> {
    let lines: Vec<String> = sqlx::query_scalar("SELECT record FROM events WHERE run = ? ORDER BY number")
        .bind(run.as_str())
        .fetch_all(connection)
        .await?;
    lines.iter().map(|line| from_json("a journal line", line)).collect()
}

/// All texts that were sampled, in order.
pub(crate) async fn samples(connection: &mut SqliteConnection, run: &RunId) -> Result<Vec<EventRecord>, StoreError> {
    let sql =
        "SELECT record FROM events WHERE run = ? AND json_extract(record, '$.event.kind') = 'sampled' ORDER BY number";
    let lines: Vec<String> = sqlx::query_scalar(sql).bind(run.as_str()).fetch_all(connection).await?;
    lines.iter().map(|line| from_json("a journal line", line)).collect()
}

/// Keeps a look in place of the one of its kind before.
pub(crate) async fn put_frame(connection: &mut SqliteConnection, run: &RunId, frame: &Frame) -> Result<(), StoreError> {
    let bytes = wire::encode::to_bytes(frame).map_err(|source| StoreError::unreadable("a look", source))?;
    sqlx::query("INSERT INTO frames (run, kind, frame) VALUES (?, ?, ?) ON CONFLICT (run, kind) DO UPDATE SET frame = excluded.frame")
        .bind(run.as_str())
        .bind(frame.key())
        .bind(bytes)
        .execute(connection)
        .await?;
    Ok(())
}

/// The latest looks of a run: of one kind, or one of each.
pub(crate) async fn frames(
    connection: &mut SqliteConnection,
    run: &RunId,
    kind: Option<&str>,
) -> Result<Vec<Frame>, StoreError> {
    let blobs: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT frame FROM frames WHERE run = ?1 AND (?2 IS NULL OR kind = ?2) ORDER BY kind")
            .bind(run.as_str())
            .bind(kind)
            .fetch_all(connection)
            .await?;
    blobs
        .iter()
        .map(|bytes| wire::encode::from_bytes(bytes).map_err(|source| StoreError::unreadable("a look", source)))
        .collect()
}
