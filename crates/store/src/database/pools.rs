//! SQL of pools.

use sqlx::SqliteConnection;

use crate::error::StoreError;

/// A pool with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolRecord {
    pub name: String,
    /// Workers that belong to it.
    pub workers: u32,
    /// Runs that wait for it.
    pub queued: u32,
}

/// Pools, by name; `only` selects one.
pub(crate) async fn list(connection: &mut SqliteConnection, only: Option<&str>) -> Result<Vec<PoolRecord>, StoreError> {
    let sql = "SELECT name, (SELECT COUNT(*) FROM workers WHERE workers.pool = pools.name), \
               (SELECT COUNT(*) FROM runs WHERE runs.pool = pools.name AND state = 'queued' AND deleted_ms IS NULL) \
               FROM pools WHERE ?1 IS NULL OR name = ?1 ORDER BY name <> 'local', name";
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(sql).bind(only).fetch_all(connection).await?;
    let record = |(name, workers, queued): (String, i64, i64)| PoolRecord {
        name,
        workers: workers as u32,
        queued: queued as u32,
    };
    Ok(rows.into_iter().map(record).collect())
}

/// Creates a pool. Returns whether its name was free.
pub(crate) async fn insert(connection: &mut SqliteConnection, name: &str, created_ms: i64) -> Result<bool, StoreError> {
    let sql = "INSERT INTO pools (name, created_ms) VALUES (?, ?) ON CONFLICT (name) DO NOTHING";
    Ok(sqlx::query(sql).bind(name).bind(created_ms).execute(connection).await?.rows_affected() == 1)
}

/// Deletes a pool with its join tokens.
pub(crate) async fn remove(connection: &mut SqliteConnection, name: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM pools WHERE name = ?").bind(name).execute(connection).await?;
    Ok(())
}
