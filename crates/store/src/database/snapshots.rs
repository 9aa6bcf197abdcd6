//! SQL of snapshots: one row each, by segment, step and inspection.

use std::collections::BTreeSet;

use sqlx::{Row as _, SqliteConnection};
use wire::RunId;

use crate::error::StoreError;
use crate::snapshot_thinning::SegmentStep;

/// A snapshot that has no file yet.
pub(crate) struct Pending {
    pub(crate) id: i64,
    pub(crate) place: SegmentStep,
    pub(crate) content: Vec<u8>,
}

/// A snapshot that was written into `file`, from byte `at` on.
pub(crate) struct Written {
    pub(crate) id: i64,
    pub(crate) place: SegmentStep,
    pub(crate) file: String,
    pub(crate) at: u64,
}

/// Where a snapshot is stored: in a file from a byte on, or in its row.
pub(crate) struct Location {
    pub(crate) id: i64,
    pub(crate) step: u64,
    pub(crate) bytes: u64,
    pub(crate) file: Option<(String, u64)>,
}

/// Bytes of each step that has snapshots, in order.
pub(crate) async fn sizes(
    connection: &mut SqliteConnection,
    run: &RunId,
) -> Result<Vec<(SegmentStep, u64)>, StoreError> {
    let sql =
        "SELECT segment, step, SUM(bytes) FROM snapshots WHERE run = ? GROUP BY segment, step ORDER BY segment, step";
    let rows: Vec<(u32, i64, i64)> = sqlx::query_as(sql).bind(run.as_str()).fetch_all(connection).await?;
    Ok(rows.into_iter().map(|(segment, step, bytes)| ((segment, step as u64), bytes as u64)).collect())
}

/// Whether a step has a snapshot of this inspection.
pub(crate) async fn has(
    connection: &mut SqliteConnection,
    run: &RunId,
    (segment, step): SegmentStep,
    inspection: &str,
) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM snapshots WHERE run = ? AND segment = ? AND step = ? AND inspection = ?)";
    let found = sqlx::query_scalar(sql).bind(run.as_str()).bind(segment).bind(step as i64).bind(inspection);
    Ok(found.fetch_one(connection).await?)
}

/// Stores a snapshot in its row.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    run: &RunId,
    (segment, step): SegmentStep,
    inspection: &str,
    content: &[u8],
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO snapshots (run, segment, step, inspection, bytes, content) VALUES (?, ?, ?, ?, ?, ?)")
        .bind(run.as_str())
        .bind(segment)
        .bind(step as i64)
        .bind(inspection)
        .bind(content.len() as i64)
        .bind(content)
        .execute(connection)
        .await?;
    Ok(())
}

/// Deletes the snapshots of a step. Returns the names of their files.
pub(crate) async fn remove(
    connection: &mut SqliteConnection,
    run: &RunId,
    (segment, step): SegmentStep,
) -> Result<BTreeSet<String>, StoreError> {
    let sql = "DELETE FROM snapshots WHERE run = ? AND segment = ? AND step = ? RETURNING file";
    let gone = sqlx::query_scalar(sql).bind(run.as_str()).bind(segment).bind(step as i64);
    let files: Vec<Option<String>> = gone.fetch_all(connection).await?;
    Ok(files.into_iter().flatten().collect())
}

/// Runs that have snapshots without a file.
pub(crate) async fn pending_runs(connection: &mut SqliteConnection) -> Result<Vec<RunId>, StoreError> {
    let sql = "SELECT DISTINCT run FROM snapshots WHERE file IS NULL ORDER BY run";
    let ids: Vec<String> = sqlx::query_scalar(sql).fetch_all(connection).await?;
    ids.iter().map(|id| id.parse().map_err(|source| StoreError::unreadable("a run's id", source))).collect()
}

/// The snapshots of a run without a file, those of one step together.
pub(crate) async fn pending(connection: &mut SqliteConnection, run: &RunId) -> Result<Vec<Pending>, StoreError> {
    let sql =
        "SELECT id, segment, step, content FROM snapshots WHERE run = ? AND file IS NULL ORDER BY segment, step, id";
    let rows: Vec<(i64, u32, i64, Vec<u8>)> = sqlx::query_as(sql).bind(run.as_str()).fetch_all(connection).await?;
    let pending = |(id, segment, step, content)| Pending { id, place: (segment, step as u64), content };
    Ok(rows.into_iter().map(pending).collect())
}

/// Records the file of a snapshot and clears its row. Returns whether the snapshot still exists.
pub(crate) async fn set_file(
    connection: &mut SqliteConnection,
    run: &RunId,
    Written { id, place: (segment, step), file, at }: &Written,
) -> Result<bool, StoreError> {
    // The id of a deleted row may have been given to another one; segment and step identify the row.
    let sql = "UPDATE snapshots SET file = ?, at = ?, content = NULL WHERE id = ? AND run = ? AND segment = ? AND step = ? AND file IS NULL";
    let written =
        sqlx::query(sql).bind(file).bind(*at as i64).bind(id).bind(run.as_str()).bind(segment).bind(*step as i64);
    Ok(written.execute(connection).await?.rows_affected() == 1)
}

/// Names of all snapshot files of a run.
pub(crate) async fn files(connection: &mut SqliteConnection, run: &str) -> Result<BTreeSet<String>, StoreError> {
    let sql = "SELECT DISTINCT file FROM snapshots WHERE run = ? AND file IS NOT NULL";
    let files: Vec<String> = sqlx::query_scalar(sql).bind(run).fetch_all(connection).await?;
    Ok(files.into_iter().collect())
}

/// Steps of one segment with snapshots, in an inclusive range, in order.
pub(crate) async fn steps(
    connection: &mut SqliteConnection,
    run: &RunId,
    segment: u32,
    (from, to): (u64, u64),
) -> Result<Vec<u64>, StoreError> {
    let sql =
        "SELECT DISTINCT step FROM snapshots WHERE run = ? AND segment = ? AND step BETWEEN ? AND ? ORDER BY step";
    let steps = sqlx::query_scalar(sql).bind(run.as_str()).bind(segment).bind(bound(from)).bind(bound(to));
    let steps: Vec<i64> = steps.fetch_all(connection).await?;
    Ok(steps.into_iter().map(|step| step as u64).collect())
}

/// The snapshots of one inspection in one segment, in an inclusive range of steps, in order.
pub(crate) async fn of_inspection(
    connection: &mut SqliteConnection,
    run: &RunId,
    segment: u32,
    inspection: &str,
    (from, to): (u64, u64),
) -> Result<Vec<Location>, StoreError> {
    let sql = "SELECT id, step, bytes, file, at FROM snapshots WHERE run = ? AND segment = ? AND inspection = ? AND step BETWEEN ? AND ? ORDER BY step";
    let rows = sqlx::query(sql).bind(run.as_str()).bind(segment).bind(inspection).bind(bound(from)).bind(bound(to));
    let rows = rows.fetch_all(connection).await?;
    let location = |row: &sqlx::sqlite::SqliteRow| -> Result<Location, StoreError> {
        let file: Option<String> = row.try_get("file")?;
        let at = row.try_get::<Option<i64>, _>("at")?.unwrap_or(0) as u64;
        Ok(Location {
            id: row.try_get("id")?,
            step: row.try_get::<i64, _>("step")? as u64,
            bytes: row.try_get::<i64, _>("bytes")? as u64,
            file: file.map(|file| (file, at)),
        })
    };
    rows.iter().map(location).collect()
}

/// The bytes of a snapshot that has no file yet.
pub(crate) async fn content(connection: &mut SqliteConnection, id: i64) -> Result<Option<Vec<u8>>, StoreError> {
    let found: Option<Option<Vec<u8>>> =
        sqlx::query_scalar("SELECT content FROM snapshots WHERE id = ?").bind(id).fetch_optional(connection).await?;
    Ok(found.flatten())
}

/// SQLite's integers are signed: a step beyond them becomes the largest.
fn bound(step: u64) -> i64 {
    step.min(i64::MAX as u64) as i64
}
