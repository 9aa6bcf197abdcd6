//! SQL of looks that are kept: one row each, by segment, step and what was asked.

use std::collections::BTreeSet;

use sqlx::{Row as _, SqliteConnection};
use wire::RunId;

use crate::error::StoreError;
use crate::thinning::Place;

/// A look whose bytes have no file yet.
pub(crate) struct Waiting {
    pub(crate) id: i64,
    pub(crate) place: Place,
    pub(crate) frame: Vec<u8>,
}

/// A look that has been written into a file, from a byte on.
pub(crate) struct Laid {
    pub(crate) id: i64,
    pub(crate) place: Place,
    pub(crate) file: String,
    pub(crate) at: u64,
}

/// Where a look lies: in a file from a byte on, or still in its row.
pub(crate) struct Lying {
    pub(crate) id: i64,
    pub(crate) step: u64,
    pub(crate) bytes: u64,
    pub(crate) file: Option<(String, u64)>,
}

/// Bytes of each step that has any, in order.
pub(crate) async fn sizes(connection: &mut SqliteConnection, run: &RunId) -> Result<Vec<(Place, u64)>, StoreError> {
    let sql = "SELECT segment, step, SUM(bytes) FROM kept WHERE run = ? GROUP BY segment, step ORDER BY segment, step";
    let rows: Vec<(u32, i64, i64)> = sqlx::query_as(sql).bind(run.as_str()).fetch_all(connection).await?;
    Ok(rows.into_iter().map(|(segment, step, bytes)| ((segment, step as u64), bytes as u64)).collect())
}

/// Whether a step has this look already.
pub(crate) async fn has(
    connection: &mut SqliteConnection,
    run: &RunId,
    (segment, step): Place,
    look: &str,
) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM kept WHERE run = ? AND segment = ? AND step = ? AND look = ?)";
    let found = sqlx::query_scalar(sql).bind(run.as_str()).bind(segment).bind(step as i64).bind(look);
    Ok(found.fetch_one(connection).await?)
}

/// Keeps a look in its row.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    run: &RunId,
    (segment, step): Place,
    look: &str,
    frame: &[u8],
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO kept (run, segment, step, look, bytes, frame) VALUES (?, ?, ?, ?, ?, ?)")
        .bind(run.as_str())
        .bind(segment)
        .bind(step as i64)
        .bind(look)
        .bind(frame.len() as i64)
        .bind(frame)
        .execute(connection)
        .await?;
    Ok(())
}

/// Forgets all of a step; gives the files that held it.
pub(crate) async fn remove(
    connection: &mut SqliteConnection,
    run: &RunId,
    (segment, step): Place,
) -> Result<BTreeSet<String>, StoreError> {
    let sql = "DELETE FROM kept WHERE run = ? AND segment = ? AND step = ? RETURNING file";
    let gone = sqlx::query_scalar(sql).bind(run.as_str()).bind(segment).bind(step as i64);
    let files: Vec<Option<String>> = gone.fetch_all(connection).await?;
    Ok(files.into_iter().flatten().collect())
}

/// Runs that have looks without a file.
pub(crate) async fn waiting_runs(connection: &mut SqliteConnection) -> Result<Vec<RunId>, StoreError> {
    let sql = "SELECT DISTINCT run FROM kept WHERE file IS NULL ORDER BY run";
    let ids: Vec<String> = sqlx::query_scalar(sql).fetch_all(connection).await?;
    ids.iter().map(|id| id.parse().map_err(|source| StoreError::unreadable("a run's id", source))).collect()
}

/// A run's looks without a file, those of a step together.
pub(crate) async fn waiting(connection: &mut SqliteConnection, run: &RunId) -> Result<Vec<Waiting>, StoreError> {
    let sql = "SELECT id, segment, step, frame FROM kept WHERE run = ? AND file IS NULL ORDER BY segment, step, id";
    let rows: Vec<(i64, u32, i64, Vec<u8>)> = sqlx::query_as(sql).bind(run.as_str()).fetch_all(connection).await?;
    let waiting = |(id, segment, step, frame)| Waiting { id, place: (segment, step as u64), frame };
    Ok(rows.into_iter().map(waiting).collect())
}

/// A look lies in its file from now on; whether it is still kept.
pub(crate) async fn lay(
    connection: &mut SqliteConnection,
    run: &RunId,
    Laid { id, place: (segment, step), file, at }: &Laid,
) -> Result<bool, StoreError> {
    // The number of a row that has gone may be another's by now; its place is not.
    let sql = "UPDATE kept SET file = ?, at = ?, frame = NULL WHERE id = ? AND run = ? AND segment = ? AND step = ? AND file IS NULL";
    let laid =
        sqlx::query(sql).bind(file).bind(*at as i64).bind(id).bind(run.as_str()).bind(segment).bind(*step as i64);
    Ok(laid.execute(connection).await?.rows_affected() == 1)
}

/// Names of all files that hold something of a run.
pub(crate) async fn files(connection: &mut SqliteConnection, run: &str) -> Result<BTreeSet<String>, StoreError> {
    let sql = "SELECT DISTINCT file FROM kept WHERE run = ? AND file IS NOT NULL";
    let files: Vec<String> = sqlx::query_scalar(sql).bind(run).fetch_all(connection).await?;
    Ok(files.into_iter().collect())
}

/// Steps of one segment from the first to the last given, in order.
pub(crate) async fn steps(
    connection: &mut SqliteConnection,
    run: &RunId,
    segment: u32,
    (from, to): (u64, u64),
) -> Result<Vec<u64>, StoreError> {
    let sql = "SELECT DISTINCT step FROM kept WHERE run = ? AND segment = ? AND step BETWEEN ? AND ? ORDER BY step";
    let steps = sqlx::query_scalar(sql).bind(run.as_str()).bind(segment).bind(bound(from)).bind(bound(to));
    let steps: Vec<i64> = steps.fetch_all(connection).await?;
    Ok(steps.into_iter().map(|step| step as u64).collect())
}

/// One look over the steps of a segment, from the first to the last given, in order.
pub(crate) async fn of_look(
    connection: &mut SqliteConnection,
    run: &RunId,
    segment: u32,
    look: &str,
    (from, to): (u64, u64),
) -> Result<Vec<Lying>, StoreError> {
    let sql = "SELECT id, step, bytes, file, at FROM kept WHERE run = ? AND segment = ? AND look = ? AND step BETWEEN ? AND ? ORDER BY step";
    let rows = sqlx::query(sql).bind(run.as_str()).bind(segment).bind(look).bind(bound(from)).bind(bound(to));
    let rows = rows.fetch_all(connection).await?;
    let lying = |row: &sqlx::sqlite::SqliteRow| -> Result<Lying, StoreError> {
        let file: Option<String> = row.try_get("file")?;
        let at = row.try_get::<Option<i64>, _>("at")?.unwrap_or(0) as u64;
        Ok(Lying {
            id: row.try_get("id")?,
            step: row.try_get::<i64, _>("step")? as u64,
            bytes: row.try_get::<i64, _>("bytes")? as u64,
            file: file.map(|file| (file, at)),
        })
    };
    rows.iter().map(lying).collect()
}

/// The bytes of a look that waits in its row.
pub(crate) async fn frame(connection: &mut SqliteConnection, id: i64) -> Result<Option<Vec<u8>>, StoreError> {
    let found: Option<Option<Vec<u8>>> =
        sqlx::query_scalar("SELECT frame FROM kept WHERE id = ?").bind(id).fetch_optional(connection).await?;
    Ok(found.flatten())
}

/// Steps are counted in 63 bits there.
fn bound(step: u64) -> i64 {
    step.min(i64::MAX as u64) as i64
}
