//! SQL of checkpoints.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};
use wire::control::checkpoint::{Cause, CheckpointInfo};
use wire::{CheckpointId, RunId};

use super::json::{from_json, to_json};
use crate::error::StoreError;
use crate::retention::Saved;

/// Stores a checkpoint. One that is saved again under the same id replaces the description and stays pinned.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    run: &RunId,
    number: u64,
    info: &CheckpointInfo,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO checkpoints (run, segment, step, number, ordinal, info) \
         VALUES (?1, ?2, ?3, ?4, (SELECT COALESCE(MAX(ordinal), 0) FROM checkpoints WHERE run = ?1) + ?5, ?6) \
         ON CONFLICT (run, segment, step) DO UPDATE SET number = excluded.number, info = excluded.info",
    )
    .bind(run.as_str())
    .bind(i64::from(info.id.segment))
    .bind(info.id.step as i64)
    .bind(number as i64)
    .bind(i64::from(info.cause == Cause::Interval))
    .bind(to_json(info)?)
    .execute(connection)
    .await?;
    Ok(())
}

/// All checkpoints of a run, in the order in which they were saved.
pub(crate) async fn list(connection: &mut SqliteConnection, run: &RunId) -> Result<Vec<Saved>, StoreError> {
    let sql = "SELECT number, ordinal, is_pinned, info FROM checkpoints WHERE run = ? ORDER BY number";
    let rows = sqlx::query(sql).bind(run.as_str()).fetch_all(connection).await?;
    rows.iter().map(saved).collect()
}

fn saved(row: &SqliteRow) -> Result<Saved, StoreError> {
    Ok(Saved {
        info: from_json("a checkpoint", row.try_get("info")?)?,
        number: row.try_get::<i64, _>("number")? as u64,
        ordinal: row.try_get::<i64, _>("ordinal")? as u64,
        is_pinned: row.try_get("is_pinned")?,
    })
}

/// Pins or unpins a checkpoint. Returns whether it exists.
pub(crate) async fn set_pinned(
    connection: &mut SqliteConnection,
    run: &RunId,
    id: CheckpointId,
    is_pinned: bool,
) -> Result<bool, StoreError> {
    let done = sqlx::query("UPDATE checkpoints SET is_pinned = ? WHERE run = ? AND segment = ? AND step = ?")
        .bind(is_pinned)
        .bind(run.as_str())
        .bind(i64::from(id.segment))
        .bind(id.step as i64)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Deletes a checkpoint. Returns whether it existed.
pub(crate) async fn remove(
    connection: &mut SqliteConnection,
    run: &RunId,
    id: CheckpointId,
) -> Result<bool, StoreError> {
    let done = sqlx::query("DELETE FROM checkpoints WHERE run = ? AND segment = ? AND step = ?")
        .bind(run.as_str())
        .bind(i64::from(id.segment))
        .bind(id.step as i64)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Sets the description of a checkpoint.
pub(crate) async fn set_info(
    connection: &mut SqliteConnection,
    run: &RunId,
    info: &CheckpointInfo,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE checkpoints SET info = ? WHERE run = ? AND segment = ? AND step = ?")
        .bind(to_json(info)?)
        .bind(run.as_str())
        .bind(i64::from(info.id.segment))
        .bind(info.id.step as i64)
        .execute(connection)
        .await?;
    Ok(())
}

/// Checkpoints of a run from which forks start, each with the fork.
pub(crate) async fn origins_of_forks(
    connection: &mut SqliteConnection,
    run: &RunId,
) -> Result<Vec<(CheckpointId, RunId)>, StoreError> {
    let sql = "SELECT parent_checkpoint, id FROM runs WHERE parent = ? AND parent_checkpoint IS NOT NULL";
    let rows: Vec<(String, String)> = sqlx::query_as(sql).bind(run.as_str()).fetch_all(connection).await?;
    rows.into_iter()
        .map(|(checkpoint, child)| {
            let checkpoint = checkpoint.parse().map_err(|source| StoreError::unreadable("a fork's origin", source))?;
            Ok((checkpoint, child.parse().map_err(|source| StoreError::unreadable("a run's id", source))?))
        })
        .collect()
}
