//! SQL of the journal.

use sqlx::SqliteConnection;
use wire::{Event, EventRecord, RunId};

use super::json::{from_json, to_json};
use crate::error::StoreError;

/// Which events of a journal are read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventSelection {
    /// Only events after this number; 0 for all.
    pub since: u64,
    /// Kinds as in JSON, such as `sampled`; empty for all.
    pub kinds: Vec<String>,
    /// Maximum number of events.
    pub limit: u32,
    /// Whether the newest of them are read instead of the first ones.
    pub is_newest: bool,
}

/// Adds an event under its own number.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    run: &RunId,
    record: &EventRecord,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO events (run, number, is_history, record) VALUES (?, ?, ?, ?)")
        .bind(run.as_str())
        .bind(record.number as i64)
        .bind(record.event.is_change() || matches!(record.event, Event::Checkpointed { .. }))
        .bind(to_json(record)?)
        .execute(&mut *connection)
        .await?;
    if let Event::Annotated { text } = &record.event {
        sqlx::query("INSERT INTO notes (run, number, text) VALUES (?, ?, ?)")
            .bind(run.as_str())
            .bind(record.number as i64)
            .bind(text)
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// Events after `since_number`, in order, at most `limit`.
pub(crate) async fn after(
    connection: &mut SqliteConnection,
    run: &RunId,
    since_number: u64,
    limit: u32,
) -> Result<Vec<EventRecord>, StoreError> {
    let rows: Vec<String> =
        sqlx::query_scalar("SELECT record FROM events WHERE run = ? AND number > ? ORDER BY number LIMIT ?")
            .bind(run.as_str())
            .bind(since_number.min(i64::MAX as u64) as i64)
            .bind(limit)
            .fetch_all(connection)
            .await?;
    rows.iter().map(|row| from_json("an event of the journal", row)).collect()
}

/// Number of the newest event; 0 without events.
pub(crate) async fn last_number(connection: &mut SqliteConnection, run: &RunId) -> Result<u64, StoreError> {
    let sql = "SELECT COALESCE(MAX(number), 0) FROM events WHERE run = ?";
    let number: i64 = sqlx::query_scalar(sql).bind(run.as_str()).fetch_one(connection).await?;
    Ok(number as u64)
}

/// The selected events, in order. It reads no further than to the last of them.
pub(crate) async fn select(
    connection: &mut SqliteConnection,
    run: &RunId,
    selection: &EventSelection,
) -> Result<Vec<EventRecord>, StoreError> {
    let sql = match selection.is_newest {
        true => {
            "SELECT record FROM events WHERE run = ?1 AND number > ?2 AND \
             (?3 OR json_extract(record, '$.event.kind') IN (SELECT value FROM json_each(?4))) \
             ORDER BY number DESC LIMIT ?5"
        }
        false => {
            "SELECT record FROM events WHERE run = ?1 AND number > ?2 AND \
             (?3 OR json_extract(record, '$.event.kind') IN (SELECT value FROM json_each(?4))) \
             ORDER BY number LIMIT ?5"
        }
    };
    let rows: Vec<String> = sqlx::query_scalar(sql)
        .bind(run.as_str())
        .bind(selection.since.min(i64::MAX as u64) as i64)
        .bind(selection.kinds.is_empty())
        .bind(to_json(&selection.kinds)?)
        .bind(selection.limit)
        .fetch_all(connection)
        .await?;
    let mut records: Vec<EventRecord> =
        rows.iter().map(|row| from_json("an event of the journal", row)).collect::<Result<_, _>>()?;
    if selection.is_newest {
        records.reverse();
    }
    Ok(records)
}

/// All events that make the run's history: changes and checkpoints, in order.
pub(crate) async fn changes(connection: &mut SqliteConnection, run: &RunId) -> Result<Vec<EventRecord>, StoreError> {
    let rows: Vec<String> =
        sqlx::query_scalar("SELECT record FROM events WHERE run = ? AND is_history = 1 ORDER BY number")
            .bind(run.as_str())
            .fetch_all(connection)
            .await?;
    rows.iter().map(|row| from_json("an event of the journal", row)).collect()
}

/// All events, in order.
pub(crate) async fn all(connection: &mut SqliteConnection, run: &RunId) -> Result<Vec<EventRecord>, StoreError> {
    let rows: Vec<String> = sqlx::query_scalar("SELECT record FROM events WHERE run = ? ORDER BY number")
        .bind(run.as_str())
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| from_json("an event of the journal", row)).collect()
}

/// All generated samples, in order.
pub(crate) async fn samples(connection: &mut SqliteConnection, run: &RunId) -> Result<Vec<EventRecord>, StoreError> {
    let sql =
        "SELECT record FROM events WHERE run = ? AND json_extract(record, '$.event.kind') = 'sampled' ORDER BY number";
    let rows: Vec<String> = sqlx::query_scalar(sql).bind(run.as_str()).fetch_all(connection).await?;
    rows.iter().map(|row| from_json("an event of the journal", row)).collect()
}

/// A validation loss of the journal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Evaluation {
    pub(crate) segment: u32,
    pub(crate) step: u64,
    pub(crate) loss_nats: f64,
}

/// All evaluations, in order.
pub(crate) async fn evaluations(connection: &mut SqliteConnection, run: &RunId) -> Result<Vec<Evaluation>, StoreError> {
    let sql = "SELECT json_extract(record, '$.segment'), json_extract(record, '$.step'), \
               CAST(json_extract(record, '$.event.loss_nats') AS REAL) FROM events \
               WHERE run = ? AND json_extract(record, '$.event.kind') = 'evaluated' ORDER BY number";
    let rows: Vec<(i64, i64, f64)> = sqlx::query_as(sql).bind(run.as_str()).fetch_all(connection).await?;
    let read = |(segment, step, loss_nats)| Evaluation { segment: segment as u32, step: step as u64, loss_nats };
    Ok(rows.into_iter().map(read).collect())
}

/// The event that answered a command.
pub(crate) async fn of_command(
    connection: &mut SqliteConnection,
    run: &RunId,
    command_id: u64,
) -> Result<Option<EventRecord>, StoreError> {
    let sql =
        "SELECT record FROM events WHERE run = ? AND json_extract(record, '$.command_id') = ? ORDER BY number LIMIT 1";
    let row: Option<String> =
        sqlx::query_scalar(sql).bind(run.as_str()).bind(command_id as i64).fetch_optional(connection).await?;
    row.map(|row| from_json("an event of the journal", &row)).transpose()
}

/// The events of either kind, in order.
pub(crate) async fn of_kinds(
    connection: &mut SqliteConnection,
    run: &RunId,
    kinds: [&str; 2],
) -> Result<Vec<EventRecord>, StoreError> {
    let sql =
        "SELECT record FROM events WHERE run = ? AND json_extract(record, '$.event.kind') IN (?, ?) ORDER BY number";
    let rows: Vec<String> =
        sqlx::query_scalar(sql).bind(run.as_str()).bind(kinds[0]).bind(kinds[1]).fetch_all(connection).await?;
    rows.iter().map(|row| from_json("an event of the journal", row)).collect()
}
