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
    /// Runs that each of its devices trains at once, at most.
    pub runs_at_once: u32,
}

/// Pools, by name; `only` selects one.
pub(crate) async fn list(connection: &mut SqliteConnection, only: Option<&str>) -> Result<Vec<PoolRecord>, StoreError> {
    let sql = "SELECT name, (SELECT COUNT(*) FROM workers WHERE workers.pool = pools.name), \
               (SELECT COUNT(*) FROM runs WHERE runs.pool = pools.name AND state = 'queued' AND deleted_ms IS NULL), runs_at_once \
               FROM pools WHERE ?1 IS NULL OR name = ?1 ORDER BY name <> 'local', name";
    let rows: Vec<(String, i64, i64, u32)> = sqlx::query_as(sql).bind(only).fetch_all(connection).await?;
    let record = |(name, workers, queued, runs_at_once): (String, i64, i64, u32)| PoolRecord {
        name,
        workers: workers as u32,
        queued: queued as u32,
        runs_at_once,
    };
    Ok(rows.into_iter().map(record).collect())
}

/// Creates a pool. Returns whether its name was free.
pub(crate) async fn insert(connection: &mut SqliteConnection, name: &str, created_ms: i64) -> Result<bool, StoreError> {
    let sql = "INSERT INTO pools (name, created_ms) VALUES (?, ?) ON CONFLICT (name) DO NOTHING";
    Ok(sqlx::query(sql).bind(name).bind(created_ms).execute(connection).await?.rows_affected() == 1)
}

/// Sets how many runs each device of a pool trains at once. Returns whether the pool exists.
pub(crate) async fn set_runs_at_once(
    connection: &mut SqliteConnection,
    name: &str,
    runs_at_once: u32,
) -> Result<bool, StoreError> {
    let sql = "UPDATE pools SET runs_at_once = ? WHERE name = ?";
    Ok(sqlx::query(sql).bind(runs_at_once).bind(name).execute(connection).await?.rows_affected() == 1)
}

/// Deletes a pool with its join tokens.
pub(crate) async fn remove(connection: &mut SqliteConnection, name: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM pools WHERE name = ?").bind(name).execute(connection).await?;
    Ok(())
}
