//! SQL of conditions on metrics, and of the runs that meet them.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};
use wire::RunId;
use wire::alert::{ConditionView, NewCondition};

use super::json::{from_word, to_word};
use crate::error::StoreError;

/// A query of the columns of [`condition_of`].
macro_rules! conditions {
    ($columns:literal, $rest:literal) => {
        concat!(
            "SELECT conditions.id, conditions.run, runs.name AS run_name, ",
            "COALESCE(conditions.project, runs.project) AS project, conditions.series, conditions.side, ",
            "conditions.threshold, conditions.is_urgent, conditions.created_by, conditions.created_ms",
            $columns,
            " FROM alert_conditions AS conditions LEFT JOIN runs ON runs.id = conditions.run ",
            $rest
        )
    };
}

fn condition_of(row: &SqliteRow) -> Result<ConditionView, StoreError> {
    let run: Option<String> = row.try_get("run")?;
    let run =
        run.map(|run| run.parse::<RunId>().map_err(|source| StoreError::unreadable("an alert condition", source)));
    Ok(ConditionView {
        id: row.try_get("id")?,
        run: run.transpose()?,
        run_name: row.try_get("run_name")?,
        project: row.try_get("project")?,
        series: row.try_get("series")?,
        side: from_word("the side of an alert condition", row.try_get("side")?)?,
        threshold: row.try_get("threshold")?,
        is_urgent: row.try_get("is_urgent")?,
        created_by: row.try_get("created_by")?,
        created_ms: row.try_get("created_ms")?,
    })
}

/// All conditions, oldest first.
pub(crate) async fn list(connection: &mut SqliteConnection) -> Result<Vec<ConditionView>, StoreError> {
    let sql = conditions!("", "ORDER BY conditions.id");
    sqlx::query(sql).fetch_all(connection).await?.iter().map(condition_of).collect()
}

/// The conditions that hold for a run, oldest first, each with the number of values since the last one that met it; `None` if the run
/// does not meet it.
pub(crate) async fn of_run(
    connection: &mut SqliteConnection,
    run: &RunId,
) -> Result<Vec<(ConditionView, Option<u32>)>, StoreError> {
    let sql = conditions!(
        ", met.recovered",
        "LEFT JOIN met_conditions AS met ON met.run = ?1 AND met.condition = conditions.id \
         WHERE (conditions.run IS NULL OR conditions.run = ?1) AND (conditions.project IS NULL \
         OR conditions.project = (SELECT project FROM runs WHERE id = ?1)) ORDER BY conditions.id"
    );
    let rows = sqlx::query(sql).bind(run.as_str()).fetch_all(connection).await?;
    let read = |row: &SqliteRow| {
        let recovered: Option<i64> = row.try_get("recovered")?;
        Ok((condition_of(row)?, recovered.map(|count| u32::try_from(count).unwrap_or_default())))
    };
    rows.iter().map(read).collect()
}

/// The names of the series of all conditions.
pub(crate) async fn series(connection: &mut SqliteConnection) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar("SELECT DISTINCT series FROM alert_conditions").fetch_all(connection).await?)
}

/// Number of conditions.
pub(crate) async fn count(connection: &mut SqliteConnection) -> Result<u64, StoreError> {
    let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM alert_conditions").fetch_one(connection).await?;
    Ok(count.max(0) as u64)
}

/// Stores a condition and returns its id.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    condition: &NewCondition,
    created_by: &str,
    created_ms: i64,
) -> Result<i64, StoreError> {
    let sql = "INSERT INTO alert_conditions (run, project, series, side, threshold, is_urgent, created_by, created_ms) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    let done = sqlx::query(sql)
        .bind(condition.run.as_ref().map(RunId::as_str))
        .bind(&condition.project)
        .bind(&condition.series)
        .bind(to_word(&condition.side)?)
        .bind(condition.threshold)
        .bind(condition.is_urgent)
        .bind(created_by)
        .bind(created_ms)
        .execute(connection)
        .await?;
    Ok(done.last_insert_rowid())
}

/// Deletes a condition. Returns whether it existed.
pub(crate) async fn remove(connection: &mut SqliteConnection, id: i64) -> Result<bool, StoreError> {
    let done = sqlx::query("DELETE FROM alert_conditions WHERE id = ?").bind(id).execute(connection).await?;
    Ok(done.rows_affected() == 1)
}

/// Notes whether a run meets a condition, and how many values since then do not.
pub(crate) async fn set_met(
    connection: &mut SqliteConnection,
    run: &RunId,
    id: i64,
    recovered: Option<u32>,
) -> Result<(), StoreError> {
    let sql = match recovered {
        Some(_) => "INSERT OR REPLACE INTO met_conditions (run, condition, recovered) VALUES (?, ?, ?)",
        None => "DELETE FROM met_conditions WHERE run = ? AND condition = ?",
    };
    let query = sqlx::query(sql).bind(run.as_str()).bind(id);
    let query = if let Some(recovered) = recovered { query.bind(recovered) } else { query };
    query.execute(connection).await?;
    Ok(())
}
