//! SQL of conversations with the assistant.

use std::collections::BTreeSet;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};
use wire::assistant::{ConversationSummary, Entry, TokenUsage};

use super::json::{from_json, to_json};
use crate::error::StoreError;

fn summary_of(row: &SqliteRow) -> Result<ConversationSummary, StoreError> {
    let usage: String = row.try_get("usage")?;
    Ok(ConversationSummary {
        id: row.try_get("id")?,
        project: row.try_get("project")?,
        title: row.try_get("title")?,
        created_ms: row.try_get("created_ms")?,
        changed_ms: row.try_get("changed_ms")?,
        model: row.try_get("model")?,
        tool_calls: row.try_get::<i64, _>("tool_calls")?.max(0) as u64,
        usage: from_json("the usage of a conversation", &usage)?,
    })
}

/// Inserts an empty conversation; returns its id.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    owner: &str,
    project: &str,
    now_ms: i64,
) -> Result<i64, StoreError> {
    let sql = "INSERT INTO conversations (owner, project, title, created_ms, changed_ms, usage, datasets) \
               VALUES (?, ?, '', ?, ?, ?, '[]')";
    let usage = to_json(&TokenUsage::default())?;
    let inserted =
        sqlx::query(sql).bind(owner).bind(project).bind(now_ms).bind(now_ms).bind(usage).execute(connection).await?;
    Ok(inserted.last_insert_rowid())
}

/// The conversations of an author, newest first.
pub(crate) async fn list(
    connection: &mut SqliteConnection,
    owner: &str,
    limit: u32,
) -> Result<Vec<ConversationSummary>, StoreError> {
    let sql = "SELECT * FROM conversations WHERE owner = ? ORDER BY changed_ms DESC, id DESC LIMIT ?";
    let rows = sqlx::query(sql).bind(owner).bind(limit).fetch_all(connection).await?;
    rows.iter().map(summary_of).collect()
}

/// A conversation of an author, with the datasets of which it has text.
pub(crate) async fn get(
    connection: &mut SqliteConnection,
    owner: &str,
    id: i64,
) -> Result<Option<(ConversationSummary, BTreeSet<String>)>, StoreError> {
    let sql = "SELECT * FROM conversations WHERE owner = ? AND id = ?";
    let Some(row) = sqlx::query(sql).bind(owner).bind(id).fetch_optional(connection).await? else { return Ok(None) };
    let datasets: String = row.try_get("datasets")?;
    Ok(Some((summary_of(&row)?, from_json("the datasets of a conversation", &datasets)?)))
}

/// The entries of a conversation from a number on.
pub(crate) async fn entries(connection: &mut SqliteConnection, id: i64, from: u32) -> Result<Vec<Entry>, StoreError> {
    let sql = "SELECT entry FROM conversation_entries WHERE conversation = ? AND number >= ? ORDER BY number";
    let rows: Vec<String> = sqlx::query_scalar(sql).bind(id).bind(from).fetch_all(connection).await?;
    rows.iter().map(|entry| from_json("an entry of a conversation", entry)).collect()
}

/// The number of entries of a conversation.
pub(crate) async fn count(connection: &mut SqliteConnection, id: i64) -> Result<u32, StoreError> {
    let sql = "SELECT COUNT(*) FROM conversation_entries WHERE conversation = ?";
    let count: i64 = sqlx::query_scalar(sql).bind(id).fetch_one(connection).await?;
    Ok(count.max(0) as u32)
}

/// Writes title, model, calls, usage and datasets; false if the conversation does not exist.
pub(crate) async fn update(
    connection: &mut SqliteConnection,
    summary: &ConversationSummary,
    datasets: &BTreeSet<String>,
) -> Result<bool, StoreError> {
    let sql = "UPDATE conversations SET title = ?, changed_ms = ?, model = ?, tool_calls = ?, usage = ?, datasets = ? WHERE id = ?";
    let changed = sqlx::query(sql)
        .bind(&summary.title)
        .bind(summary.changed_ms)
        .bind(&summary.model)
        .bind(summary.tool_calls as i64)
        .bind(to_json(&summary.usage)?)
        .bind(to_json(datasets)?)
        .bind(summary.id)
        .execute(connection)
        .await?;
    Ok(changed.rows_affected() > 0)
}

/// Writes an entry in place of the one with its number.
pub(crate) async fn set_entry(
    connection: &mut SqliteConnection,
    id: i64,
    number: u32,
    entry: &Entry,
) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO conversation_entries (conversation, number, entry) VALUES (?, ?, ?)";
    sqlx::query(sql).bind(id).bind(number).bind(to_json(entry)?).execute(connection).await?;
    Ok(())
}

/// Deletes a conversation of an author; false if it does not exist.
pub(crate) async fn remove(connection: &mut SqliteConnection, owner: &str, id: i64) -> Result<bool, StoreError> {
    let sql = "DELETE FROM conversations WHERE owner = ? AND id = ?";
    Ok(sqlx::query(sql).bind(owner).bind(id).execute(connection).await?.rows_affected() > 0)
}

/// Deletes the conversations of a project.
pub(crate) async fn remove_project(connection: &mut SqliteConnection, project: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM conversations WHERE project = ?").bind(project).execute(connection).await?;
    Ok(())
}
