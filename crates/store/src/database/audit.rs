//! SQL of the audit log.

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection};
use wire::access::audit::{AuditEntry, AuditQuery};

use super::json::to_json;
use crate::error::StoreError;

/// Appends an entry. Its number is assigned here.
pub(crate) async fn insert(connection: &mut SqliteConnection, entry: &AuditEntry) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO audit (at_ms, who, action, target, status, address) VALUES (?, ?, ?, ?, ?, ?)")
        .bind(entry.at_ms)
        .bind(&entry.who)
        .bind(&entry.action)
        .bind(&entry.target)
        .bind(entry.status)
        .bind(&entry.address)
        .execute(connection)
        .await?;
    Ok(())
}

/// The entries that match a query, newest first, at most `limit`.
pub(crate) async fn list(
    connection: &mut SqliteConnection,
    query: &AuditQuery,
    limit: u32,
) -> Result<Vec<AuditEntry>, StoreError> {
    let mut sql: QueryBuilder<Sqlite> =
        QueryBuilder::new("SELECT id, at_ms, who, action, target, status, address FROM audit WHERE TRUE");
    // One condition for all words: the depth of an expression is limited.
    if let Some(text) = &query.q {
        let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
        sql.push(" AND NOT EXISTS (SELECT 1 FROM json_each(")
            .push_bind(to_json(&words)?)
            .push(") WHERE instr(lower(who || ' ' || action || ' ' || target || ' ' || address), value) = 0)");
    }
    if let Some(who) = &query.who {
        sql.push(" AND who = ").push_bind(who.clone());
    }
    if let Some(from_ms) = query.from_ms {
        sql.push(" AND at_ms >= ").push_bind(from_ms);
    }
    if let Some(to_ms) = query.to_ms {
        sql.push(" AND at_ms < ").push_bind(to_ms);
    }
    if query.refused == Some(true) {
        sql.push(" AND status >= 400");
    }
    if let Some(before) = query.before {
        sql.push(" AND id < ").push_bind(before);
    }
    sql.push(" ORDER BY id DESC LIMIT ").push_bind(limit);
    let rows = sql.build().fetch_all(connection).await?;
    rows.iter().map(entry).collect()
}

fn entry(row: &SqliteRow) -> Result<AuditEntry, StoreError> {
    Ok(AuditEntry {
        id: row.try_get("id")?,
        at_ms: row.try_get("at_ms")?,
        who: row.try_get("who")?,
        action: row.try_get("action")?,
        target: row.try_get("target")?,
        status: row.try_get("status")?,
        address: row.try_get("address")?,
    })
}

/// Deletes the entries before a time, and the oldest over a number.
pub(crate) async fn prune(connection: &mut SqliteConnection, before_ms: i64, most: i64) -> Result<(), StoreError> {
    let sql = "DELETE FROM audit WHERE at_ms < ?1 OR id <= (SELECT MAX(id) FROM audit) - ?2";
    sqlx::query(sql).bind(before_ms).bind(most).execute(connection).await?;
    Ok(())
}
