//! SQL of the acts of agents.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use crate::error::StoreError;

/// An act of an agent: a call of a tool that changes something, by its token and idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentAct {
    /// Id of the token.
    pub token: i64,
    /// Idempotency key of the call.
    pub key: String,
    /// Name of the tool.
    pub tool: String,
    /// BLAKE3 of the tool and its arguments, hexadecimal.
    pub arguments: String,
    /// The run that it is about; `None` for one that creates something.
    pub run: Option<String>,
    /// Number of the last event of the run before the act.
    pub before: u64,
    pub reason: String,
    /// The expected effect, JSON.
    pub expected: Option<String>,
    /// Start, ms since 1970.
    pub started_ms: i64,
    /// The first result, JSON; `None` until there is one.
    pub answer: Option<String>,
}

/// A query of the columns of [`act_of`].
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT token, key, tool, arguments, run, before, reason, expected, started_ms, answer FROM agent_acts ",
            $rest
        )
    };
}

fn act_of(row: &SqliteRow) -> Result<AgentAct, StoreError> {
    let before: i64 = row.try_get("before")?;
    Ok(AgentAct {
        token: row.try_get("token")?,
        key: row.try_get("key")?,
        tool: row.try_get("tool")?,
        arguments: row.try_get("arguments")?,
        run: row.try_get("run")?,
        before: before.max(0) as u64,
        reason: row.try_get("reason")?,
        expected: row.try_get("expected")?,
        started_ms: row.try_get("started_ms")?,
        answer: row.try_get("answer")?,
    })
}

/// Stores an act without a result.
pub(crate) async fn insert(connection: &mut SqliteConnection, act: &AgentAct) -> Result<(), StoreError> {
    let sql = "INSERT INTO agent_acts (token, key, tool, arguments, run, before, reason, expected, started_ms) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    sqlx::query(sql)
        .bind(act.token)
        .bind(&act.key)
        .bind(&act.tool)
        .bind(&act.arguments)
        .bind(&act.run)
        .bind(act.before as i64)
        .bind(&act.reason)
        .bind(&act.expected)
        .bind(act.started_ms)
        .execute(connection)
        .await?;
    Ok(())
}

/// The act of a token with this key.
pub(crate) async fn get(
    connection: &mut SqliteConnection,
    token: i64,
    key: &str,
) -> Result<Option<AgentAct>, StoreError> {
    let row =
        sqlx::query(select!("WHERE token = ? AND key = ?")).bind(token).bind(key).fetch_optional(connection).await?;
    row.as_ref().map(act_of).transpose()
}

/// The acts of a token, newest first, at most `limit`.
pub(crate) async fn list(
    connection: &mut SqliteConnection,
    token: i64,
    limit: u32,
) -> Result<Vec<AgentAct>, StoreError> {
    let sql = select!("WHERE token = ? ORDER BY started_ms DESC, key LIMIT ?");
    let rows = sqlx::query(sql).bind(token).bind(limit).fetch_all(connection).await?;
    rows.iter().map(act_of).collect()
}

/// Stores the result of an act that has none.
pub(crate) async fn set_answer(
    connection: &mut SqliteConnection,
    token: i64,
    key: &str,
    answer: &str,
) -> Result<(), StoreError> {
    let sql = "UPDATE agent_acts SET answer = ? WHERE token = ? AND key = ? AND answer IS NULL";
    sqlx::query(sql).bind(answer).bind(token).bind(key).execute(connection).await?;
    Ok(())
}

/// Deletes an act that has no result.
pub(crate) async fn remove(connection: &mut SqliteConnection, token: i64, key: &str) -> Result<(), StoreError> {
    let sql = "DELETE FROM agent_acts WHERE token = ? AND key = ? AND answer IS NULL";
    sqlx::query(sql).bind(token).bind(key).execute(connection).await?;
    Ok(())
}

/// Deletes the acts before a time.
pub(crate) async fn prune(connection: &mut SqliteConnection, before_ms: i64) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM agent_acts WHERE started_ms < ?").bind(before_ms).execute(connection).await?;
    Ok(())
}
