//! SQL of evaluation tasks, of the runs that are scored on them, and of the scores.

use sqlx::SqliteConnection;
use wire::task::lab::{StoredResult, TaskInfo, TaskSchedule};
use wire::task::result::TaskResult;
use wire::task::{Task, TaskName};
use wire::{CheckpointId, ParseError, RunId};

use super::json::{from_json, from_word, to_json, to_word};
use crate::error::StoreError;

/// Adds a task. Returns whether the name was free.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    task: &Task,
    created_ms: i64,
) -> Result<bool, StoreError> {
    let sql = "INSERT INTO tasks (name, about, kind, items, content, created_ms) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING";
    let done = sqlx::query(sql)
        .bind(task.name.as_str())
        .bind(&task.about)
        .bind(to_word(&task.items.kind())?)
        .bind(task.items.len() as i64)
        .bind(to_json(task)?)
        .bind(created_ms)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Deletes a task and its schedules; scores stay. Returns whether it existed.
pub(crate) async fn remove(connection: &mut SqliteConnection, name: &TaskName) -> Result<bool, StoreError> {
    sqlx::query("DELETE FROM task_schedules WHERE task = ?").bind(name.as_str()).execute(&mut *connection).await?;
    let done = sqlx::query("DELETE FROM tasks WHERE name = ?").bind(name.as_str()).execute(connection).await?;
    Ok(done.rows_affected() == 1)
}

/// A task.
pub(crate) async fn get(connection: &mut SqliteConnection, name: &TaskName) -> Result<Option<Task>, StoreError> {
    let sql = "SELECT content FROM tasks WHERE name = ?";
    let found: Option<String> = sqlx::query_scalar(sql).bind(name.as_str()).fetch_optional(connection).await?;
    found.map(|content| from_json("a task", &content)).transpose()
}

/// Number of tasks, and the sum of their sizes, bytes.
pub(crate) async fn size(connection: &mut SqliteConnection) -> Result<(u64, u64), StoreError> {
    // The length of a text is its number of characters.
    let sql = "SELECT COUNT(*), coalesce(sum(length(CAST(content AS BLOB))), 0) FROM tasks";
    let (tasks, bytes): (i64, i64) = sqlx::query_as(sql).fetch_one(connection).await?;
    Ok((tasks as u64, bytes as u64))
}

/// All tasks, by name.
pub(crate) async fn list(connection: &mut SqliteConnection) -> Result<Vec<TaskInfo>, StoreError> {
    let sql = "SELECT name, about, kind, items FROM tasks ORDER BY name";
    let rows: Vec<(String, String, String, i64)> = sqlx::query_as(sql).fetch_all(connection).await?;
    let read = |(name, about, kind, items): (String, String, String, i64)| {
        let (name, kind) = (name_of(name)?, from_word("the kind of a task", &kind)?);
        Ok(TaskInfo { name, about, kind, items: items as u64, is_built_in: false })
    };
    rows.into_iter().map(read).collect()
}

/// Replaces the schedules of a run.
pub(crate) async fn set_schedules(
    connection: &mut SqliteConnection,
    run: &RunId,
    schedules: &[TaskSchedule],
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM task_schedules WHERE run = ?").bind(run.as_str()).execute(&mut *connection).await?;
    for TaskSchedule { task, every } in schedules {
        sqlx::query("INSERT INTO task_schedules (run, task, every) VALUES (?, ?, ?)")
            .bind(run.as_str())
            .bind(task.as_str())
            .bind(*every as i64)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// The schedules of a run, by task.
pub(crate) async fn schedules(connection: &mut SqliteConnection, run: &RunId) -> Result<Vec<TaskSchedule>, StoreError> {
    let sql = "SELECT task, every FROM task_schedules WHERE run = ? ORDER BY task";
    let rows: Vec<(String, i64)> = sqlx::query_as(sql).bind(run.as_str()).fetch_all(connection).await?;
    rows.into_iter().map(|(task, every)| Ok(TaskSchedule { task: name_of(task)?, every: every as u64 })).collect()
}

/// Checkpoints that are to be scored by the schedules of their runs, and were not, oldest first in each run.
pub(crate) async fn due(connection: &mut SqliteConnection) -> Result<Vec<(RunId, TaskName, CheckpointId)>, StoreError> {
    let sql = "SELECT schedules.run, schedules.task, saved.segment, saved.step FROM task_schedules AS schedules \
               JOIN runs ON runs.id = schedules.run AND runs.deleted_ms IS NULL \
               JOIN checkpoints AS saved ON saved.run = schedules.run \
               WHERE (saved.step % schedules.every = 0 OR saved.info ->> '$.cause' = 'end') AND NOT EXISTS \
               (SELECT 1 FROM task_results AS known WHERE known.run = schedules.run AND known.task = schedules.task \
               AND known.segment = saved.segment AND known.step = saved.step) ORDER BY schedules.run, saved.number, schedules.task";
    let rows: Vec<(String, String, u32, i64)> = sqlx::query_as(sql).fetch_all(connection).await?;
    let read = |(run, task, segment, step): (String, String, u32, i64)| {
        let run = run.parse().map_err(|source| StoreError::unreadable("a run's id", source))?;
        Ok((run, name_of(task)?, CheckpointId { segment, step: step as u64 }))
    };
    rows.into_iter().map(read).collect()
}

/// Stores a score in place of that of the same task and checkpoint. Its values are not in the series yet.
pub(crate) async fn put_result(
    connection: &mut SqliteConnection,
    run: &RunId,
    checkpoint: CheckpointId,
    at_ms: i64,
    result: &TaskResult,
) -> Result<(), StoreError> {
    let sql =
        "INSERT OR REPLACE INTO task_results (run, task, segment, step, at_ms, content) VALUES (?, ?, ?, ?, ?, ?)";
    sqlx::query(sql)
        .bind(run.as_str())
        .bind(result.task.as_str())
        .bind(checkpoint.segment)
        .bind(checkpoint.step as i64)
        .bind(at_ms)
        .bind(to_json(result)?)
        .execute(connection)
        .await?;
    Ok(())
}

/// The scores of a run, by task, segment and step.
pub(crate) async fn results(connection: &mut SqliteConnection, run: &RunId) -> Result<Vec<StoredResult>, StoreError> {
    let sql = "SELECT segment, step, at_ms, content FROM task_results WHERE run = ? ORDER BY task, segment, step";
    let rows: Vec<ResultRow> = sqlx::query_as(sql).bind(run.as_str()).fetch_all(connection).await?;
    rows.into_iter().map(read_result).collect()
}

/// Scores whose values are not in the series.
pub(crate) async fn to_write(connection: &mut SqliteConnection) -> Result<Vec<(RunId, StoredResult)>, StoreError> {
    let sql = "SELECT run, segment, step, at_ms, content FROM task_results WHERE is_in_series = 0 ORDER BY run, segment, step";
    let rows: Vec<(String, u32, i64, i64, String)> = sqlx::query_as(sql).fetch_all(connection).await?;
    let read = |(run, segment, step, at_ms, content): (String, u32, i64, i64, String)| {
        let run = run.parse().map_err(|source| StoreError::unreadable("a run's id", source))?;
        Ok((run, read_result((segment, step, at_ms, content))?))
    };
    rows.into_iter().map(read).collect()
}

/// Marks the values of a score as written.
pub(crate) async fn written(
    connection: &mut SqliteConnection,
    run: &RunId,
    task: &TaskName,
    checkpoint: CheckpointId,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE task_results SET is_in_series = 1 WHERE run = ? AND task = ? AND segment = ? AND step = ?")
        .bind(run.as_str())
        .bind(task.as_str())
        .bind(checkpoint.segment)
        .bind(checkpoint.step as i64)
        .execute(connection)
        .await?;
    Ok(())
}

type ResultRow = (u32, i64, i64, String);

fn read_result((segment, step, at_ms, content): ResultRow) -> Result<StoredResult, StoreError> {
    let result = from_json("a score of a task", &content)?;
    Ok(StoredResult { checkpoint: CheckpointId { segment, step: step as u64 }, at_ms, result })
}

fn name_of(name: String) -> Result<TaskName, StoreError> {
    name.try_into().map_err(|source: ParseError| StoreError::unreadable("the name of a task", source))
}

#[cfg(test)]
mod tests {
    use sqlx::Connection;

    use super::*;

    #[tokio::test]
    async fn the_size_of_tasks_is_in_bytes() {
        let mut database = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlx::raw_sql(include_str!("../../migrations/tasks.sql")).execute(&mut database).await.unwrap();
        let json = r#"{"name":"umlauts","kind":"perplexity","items":[{"text":"äöü"}]}"#;
        let task: Task = serde_json::from_str(json).unwrap();
        assert!(insert(&mut database, &task, 0).await.unwrap());
        let (tasks, bytes) = size(&mut database).await.unwrap();
        assert_eq!((tasks, bytes), (1, to_json(&task).unwrap().len() as u64));
    }
}
