//! SQL of the table of runs: what filters and sorting need of each run, tags, newest metrics, and saved filters.

use std::collections::HashMap;

use serde_json::Value;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};
use wire::RunId;
use wire::access::Visible;
use wire::run::table::columns::Column;
use wire::run::table::{RunQuery, SavedFilter};
use wire::transport::live::RunCounts;

use super::json::{from_json, to_json};
use crate::error::StoreError;

/// What filters and sorting need of a run.
pub(crate) struct Candidate {
    pub(crate) id: RunId,
    pub(crate) name: String,
    pub(crate) preset: String,
    pub(crate) corpus: String,
    pub(crate) device: String,
    pub(crate) state: String,
    pub(crate) created_ms: i64,
    pub(crate) parent: Option<String>,
    pub(crate) project: String,
    pub(crate) tags: Vec<String>,
    /// Its notes, if they were asked for.
    pub(crate) notes: Option<String>,
    pub(crate) is_archived: bool,
    pub(crate) is_deleted: bool,
    /// Values of the columns that were asked for, in their order.
    pub(crate) values: Vec<Option<Value>>,
}

/// The projects and the runs that someone may see, as JSON lists to bind; none where they may see all.
pub(crate) fn seen(visible: &Visible) -> Result<(Option<String>, Option<String>), StoreError> {
    match visible {
        Visible::All => Ok((None, None)),
        Visible::Only { projects, runs } => Ok((Some(to_json(projects)?), Some(to_json(runs)?))),
    }
}

/// The runs whose ids are in a list, or all runs that may be seen, newest first, with the values of some columns.
pub(crate) async fn candidates(
    connection: &mut SqliteConnection,
    visible: &Visible,
    ids: Option<&[RunId]>,
    columns: &[Column],
    with_notes: bool,
) -> Result<Vec<Candidate>, StoreError> {
    let notes = match with_notes {
        true => "(SELECT group_concat(text, char(10)) FROM notes WHERE notes.run = runs.id)",
        false => "NULL",
    };
    let (mut values, mut paths) = (String::new(), vec![]);
    for column in columns {
        // Only constants of this module are in the text; paths are bound, from the fourth parameter on.
        match json_path(column) {
            Some((json, path)) => {
                paths.push(path);
                values.push_str(&format!(", {json} -> ?{} AS value", paths.len() + 3));
            }
            None => values.push_str(&format!(", {} AS value", field_expression(column))),
        }
    }
    let sql = format!(
        "SELECT id, name, preset, corpus, device, state, created_ms, parent, project, is_archived, deleted_ms IS NOT NULL AS is_deleted, \
         (SELECT json_group_array(tag) FROM tags WHERE tags.run = runs.id) AS tags, {notes} AS notes{values} \
         FROM runs LEFT JOIN newest_metrics ON newest_metrics.run = runs.id \
         WHERE (?1 IS NULL OR id IN (SELECT value FROM json_each(?1))) \
         AND (?2 IS NULL OR project IN (SELECT value FROM json_each(?2)) OR id IN (SELECT value FROM json_each(?3))) ORDER BY created_ms DESC, runs.rowid DESC"
    );
    let ids = ids.map(|ids| to_json(&ids)).transpose()?;
    let (projects, runs) = seen(visible)?;
    let mut query = sqlx::query(AssertSqlSafe(sql)).bind(ids).bind(projects).bind(runs);
    for path in paths {
        query = query.bind(path);
    }
    let rows = query.fetch_all(connection).await?;
    rows.iter().map(|row| candidate(row, columns.len())).collect()
}

fn candidate(row: &SqliteRow, columns: usize) -> Result<Candidate, StoreError> {
    let id: String = row.try_get("id")?;
    let value = |at: usize| -> Result<Option<Value>, StoreError> {
        let text: Option<String> = row.try_get(at)?;
        let value: Option<Value> = text.map(|text| from_json("a value of a column", &text)).transpose()?;
        Ok(value.filter(|value| !value.is_null()))
    };
    Ok(Candidate {
        id: id.parse().map_err(|source| StoreError::unreadable("a run's id", source))?,
        name: row.try_get("name")?,
        preset: row.try_get("preset")?,
        corpus: row.try_get("corpus")?,
        device: row.try_get("device")?,
        state: row.try_get("state")?,
        created_ms: row.try_get("created_ms")?,
        parent: row.try_get("parent")?,
        project: row.try_get("project")?,
        tags: from_json("the tags of a run", row.try_get("tags")?)?,
        notes: row.try_get("notes")?,
        is_archived: row.try_get("is_archived")?,
        is_deleted: row.try_get("is_deleted")?,
        values: (row.len() - columns..row.len()).map(value).collect::<Result<_, _>>()?,
    })
}

/// The value of a field as JSON.
fn field_expression(column: &Column) -> &'static str {
    match column {
        Column::Field(field) => match field.id {
            "name" => "json_quote(name)",
            "id" => "json_quote(id)",
            "state" => "json_quote(state)",
            // Nothing for a run that no rule has read.
            "health" => "CASE WHEN health_checks > 0 THEN json_quote(health_alerts + health_notes / 1000.0) END",
            "dataset" => "json_quote(corpus)",
            "preset" => "json_quote(preset)",
            "device" => "json_quote(device)",
            "tags" => {
                "(SELECT json_quote(group_concat(tag, ', ')) FROM tags WHERE tags.run = runs.id HAVING COUNT(*) > 0)"
            }
            "parent" => "json_quote(parent)",
            "project" => "json_quote(project)",
            "created" => "json_quote(created_ms)",
            "ended" => "json_quote(ended_ms)",
            "step" => "progress -> '$.step'",
            "steps" => "json_quote(steps)",
            "progress" => "json_quote((progress ->> '$.step') * 1.0 / MAX(steps, 1))",
            "parameters" => "json_quote(parameters)",
            "seed" => "plan -> '$.seed'",
            "training_time" => "progress -> '$.elapsed_secs'",
            "best_valid" => "progress -> '$.best_valid'",
            _ => "NULL",
        },
        _ => "NULL",
    }
}

/// Where the value of a hyperparameter or a metric is: a column with JSON, and a path in it.
fn json_path(column: &Column) -> Option<(&'static str, String)> {
    match column {
        Column::Hyperparameter(row) => Some(("plan", format!("$.recipe.{}", row.path))),
        // Quotes and backslashes cannot be written in a path: `Column::parse` refuses them.
        Column::Metric(name) => Some(("metrics", format!("$.\"{name}\""))),
        Column::Field(_) => None,
    }
}

/// Numbers of active, archived and deleted runs that may be seen.
pub(crate) async fn counts(connection: &mut SqliteConnection, visible: &Visible) -> Result<RunCounts, StoreError> {
    let sql = "SELECT COALESCE(SUM(deleted_ms IS NULL AND NOT is_archived), 0), COALESCE(SUM(deleted_ms IS NULL AND is_archived), 0), \
               COALESCE(SUM(deleted_ms IS NOT NULL), 0) FROM runs \
               WHERE ?1 IS NULL OR project IN (SELECT value FROM json_each(?1)) OR id IN (SELECT value FROM json_each(?2))";
    let (projects, runs) = seen(visible)?;
    let (active, archived, deleted): (i64, i64, i64) =
        sqlx::query_as(sql).bind(projects).bind(runs).fetch_one(connection).await?;
    Ok(RunCounts { active: active as u64, archived: archived as u64, deleted: deleted as u64 })
}

/// Names of all metrics that a run which may be seen and is not deleted has reported.
pub(crate) async fn metric_names(
    connection: &mut SqliteConnection,
    visible: &Visible,
) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT DISTINCT key FROM newest_metrics, json_each(metrics) WHERE run IN (SELECT id FROM runs WHERE deleted_ms IS NULL \
               AND (?1 IS NULL OR project IN (SELECT value FROM json_each(?1)) OR id IN (SELECT value FROM json_each(?2)))) ORDER BY key";
    let (projects, runs) = seen(visible)?;
    Ok(sqlx::query_scalar(sql).bind(projects).bind(runs).fetch_all(connection).await?)
}

/// Stores newer values of some metrics; a value that is not finite removes the metric. A run that was purged has none.
pub(crate) async fn merge_metrics(
    connection: &mut SqliteConnection,
    run: &RunId,
    newest: &HashMap<String, f64>,
) -> Result<(), StoreError> {
    // JSON has no other numbers: they become null, which `json_patch` removes.
    let sql = "INSERT INTO newest_metrics (run, metrics) SELECT id, json_patch('{}', ?2) FROM runs WHERE id = ?1 \
               ON CONFLICT (run) DO UPDATE SET metrics = json_patch(metrics, ?2)";
    sqlx::query(sql).bind(run.as_str()).bind(to_json(newest)?).execute(connection).await?;
    Ok(())
}

/// Runs that have trained and have no newest metrics.
pub(crate) async fn without_metrics(connection: &mut SqliteConnection) -> Result<Vec<RunId>, StoreError> {
    let sql = "SELECT id FROM runs WHERE started_ms IS NOT NULL AND id NOT IN (SELECT run FROM newest_metrics)";
    let ids: Vec<String> = sqlx::query_scalar(sql).fetch_all(connection).await?;
    ids.iter().map(|id| id.parse().map_err(|source| StoreError::unreadable("a run's id", source))).collect()
}

/// Replaces the tags of a run. Returns whether the run exists.
pub(crate) async fn set_tags(
    connection: &mut SqliteConnection,
    run: &RunId,
    tags: &[String],
) -> Result<bool, StoreError> {
    sqlx::query("DELETE FROM tags WHERE run = ?").bind(run.as_str()).execute(&mut *connection).await?;
    let sql = "INSERT INTO tags (run, tag) SELECT runs.id, value FROM runs, json_each(?2) WHERE runs.id = ?1";
    sqlx::query(sql).bind(run.as_str()).bind(to_json(&tags)?).execute(&mut *connection).await?;
    let found: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM runs WHERE id = ?").bind(run.as_str()).fetch_optional(connection).await?;
    Ok(found.is_some())
}

/// The saved filters by name.
pub(crate) async fn filters(connection: &mut SqliteConnection) -> Result<Vec<SavedFilter>, StoreError> {
    let rows: Vec<(i64, String, String)> =
        sqlx::query_as("SELECT id, name, query FROM filters ORDER BY name").fetch_all(connection).await?;
    let filter = |(id, name, query): (i64, String, String)| {
        Ok(SavedFilter { id: id as u64, name, query: from_json("a saved filter", &query)? })
    };
    rows.into_iter().map(filter).collect()
}

/// Saves a filter, replacing an existing filter with this name. Returns its id.
pub(crate) async fn save_filter(
    connection: &mut SqliteConnection,
    name: &str,
    query: &RunQuery,
) -> Result<u64, StoreError> {
    let sql = "INSERT INTO filters (name, query) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET query = excluded.query RETURNING id";
    let id: i64 = sqlx::query_scalar(sql).bind(name).bind(to_json(query)?).fetch_one(connection).await?;
    Ok(id as u64)
}

/// Deletes a filter. Returns whether it existed.
pub(crate) async fn remove_filter(connection: &mut SqliteConnection, id: u64) -> Result<bool, StoreError> {
    let done = sqlx::query("DELETE FROM filters WHERE id = ?").bind(id as i64).execute(connection).await?;
    Ok(done.rows_affected() == 1)
}
