//! SQL of points that are acknowledged, but whose files are not synced yet.

use sqlx::SqliteConnection;
use wire::RunId;

use crate::error::StoreError;

/// Stores points under the number of the last report among them.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    run: &RunId,
    seq: u64,
    points: &[u8],
) -> Result<(), StoreError> {
    sqlx::query("INSERT OR REPLACE INTO unsynced (run, seq, points) VALUES (?, ?, ?)")
        .bind(run.as_str())
        .bind(seq as i64)
        .bind(points)
        .execute(connection)
        .await?;
    Ok(())
}

/// Deletes the points of a run, after their files are synced.
pub(crate) async fn clear(connection: &mut SqliteConnection, run: &RunId) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM unsynced WHERE run = ?").bind(run.as_str()).execute(connection).await?;
    Ok(())
}

/// Runs with unsynced points.
pub(crate) async fn runs(connection: &mut SqliteConnection) -> Result<Vec<RunId>, StoreError> {
    let ids: Vec<String> =
        sqlx::query_scalar("SELECT DISTINCT run FROM unsynced ORDER BY run").fetch_all(connection).await?;
    ids.iter().map(|id| id.parse().map_err(|source| StoreError::unreadable("a run's id", source))).collect()
}

/// The unsynced points of a run, in order.
pub(crate) async fn of(connection: &mut SqliteConnection, run: &RunId) -> Result<Vec<Vec<u8>>, StoreError> {
    let sql = "SELECT points FROM unsynced WHERE run = ? ORDER BY seq";
    Ok(sqlx::query_scalar(sql).bind(run.as_str()).fetch_all(connection).await?)
}
