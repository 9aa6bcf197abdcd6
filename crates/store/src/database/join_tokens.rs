//! SQL of join tokens: looked up by hash, like other tokens.

use sqlx::SqliteConnection;
use wire::fleet::JoinTokenView;

use crate::error::StoreError;

/// A join token that was issued, valid or not.
pub(crate) struct IssuedJoinToken {
    pub(crate) view: JoinTokenView,
    pub(crate) is_revoked: bool,
}

type Row = (i64, String, String, i64, Option<i64>, Option<i64>, i64, Option<i64>);

fn issued((id, pool, created_by, created_ms, expires_ms, uses_left, used, revoked_ms): Row) -> IssuedJoinToken {
    let (uses_left, used) = (uses_left.map(|left| left as u32), used as u32);
    let view = JoinTokenView { id, pool, created_by, created_ms, expires_ms, uses_left, used };
    IssuedJoinToken { view, is_revoked: revoked_ms.is_some() }
}

macro_rules! tokens {
    ($rest:literal) => {
        concat!(
            "SELECT id, pool, created_by, created_ms, expires_ms, uses_left, used, revoked_ms FROM join_tokens ",
            $rest
        )
    };
}

/// Stores a token by its hash and returns its id.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    token: &JoinTokenView,
    hash: &[u8],
) -> Result<i64, StoreError> {
    let sql =
        "INSERT INTO join_tokens (pool, hash, created_by, created_ms, expires_ms, uses_left) VALUES (?, ?, ?, ?, ?, ?)";
    let done = sqlx::query(sql)
        .bind(&token.pool)
        .bind(hash)
        .bind(&token.created_by)
        .bind(token.created_ms)
        .bind(token.expires_ms)
        .bind(token.uses_left)
        .execute(connection)
        .await?;
    Ok(done.last_insert_rowid())
}

/// The token with this hash.
pub(crate) async fn find(
    connection: &mut SqliteConnection,
    hash: &[u8],
) -> Result<Option<IssuedJoinToken>, StoreError> {
    let found: Option<Row> = sqlx::query_as(tokens!("WHERE hash = ?")).bind(hash).fetch_optional(connection).await?;
    Ok(found.map(issued))
}

/// The tokens of a pool that are neither revoked nor expired, oldest first.
pub(crate) async fn list(
    connection: &mut SqliteConnection,
    pool: &str,
    now_ms: i64,
) -> Result<Vec<JoinTokenView>, StoreError> {
    let sql = tokens!("WHERE pool = ? AND revoked_ms IS NULL AND (expires_ms IS NULL OR expires_ms > ?) ORDER BY id");
    let rows: Vec<Row> = sqlx::query_as(sql).bind(pool).bind(now_ms).fetch_all(connection).await?;
    Ok(rows.into_iter().map(|row| issued(row).view).collect())
}

/// Counts a use of a token that has one left.
pub(crate) async fn count_use(connection: &mut SqliteConnection, id: i64) -> Result<(), StoreError> {
    let sql = "UPDATE join_tokens SET used = used + 1, uses_left = uses_left - 1 WHERE id = ?";
    sqlx::query(sql).bind(id).execute(connection).await?;
    Ok(())
}

/// Revokes a token. Returns whether there was a valid one.
pub(crate) async fn revoke(connection: &mut SqliteConnection, id: i64, now_ms: i64) -> Result<bool, StoreError> {
    let sql = "UPDATE join_tokens SET revoked_ms = ? WHERE id = ? AND revoked_ms IS NULL";
    Ok(sqlx::query(sql).bind(now_ms).bind(id).execute(connection).await?.rows_affected() == 1)
}

/// Deletes tokens that were revoked or expired before a time.
pub(crate) async fn sweep(connection: &mut SqliteConnection, before_ms: i64) -> Result<(), StoreError> {
    let sql = "DELETE FROM join_tokens WHERE revoked_ms < ?1 OR expires_ms < ?1";
    sqlx::query(sql).bind(before_ms).execute(connection).await?;
    Ok(())
}
