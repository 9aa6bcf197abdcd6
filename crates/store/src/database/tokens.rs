//! SQL of tokens: hashes in, identities out.

use sqlx::SqliteConnection;

use super::{from_word, to_word};
use crate::access::{Identity, TokenInfo, TokenKind};
use crate::error::StoreError;

/// Keeps a token by its hash and gives its id.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    token: &TokenInfo,
    hash: &[u8],
) -> Result<i64, StoreError> {
    let done =
        sqlx::query("INSERT INTO tokens (name, role, kind, hash, created_ms, expires_ms) VALUES (?, ?, ?, ?, ?, ?)")
            .bind(&token.name)
            .bind(to_word(&token.role)?)
            .bind(to_word(&token.kind)?)
            .bind(hash)
            .bind(token.created_ms)
            .bind(token.expires_ms)
            .execute(connection)
            .await?;
    Ok(done.last_insert_rowid())
}

/// Takes a one-time token away and says whose it was; of two that race, one statement lets one win.
pub(crate) async fn consume(
    connection: &mut SqliteConnection,
    hash: &[u8],
    now_ms: i64,
) -> Result<Option<Identity>, StoreError> {
    let found: Option<(i64, String, String)> =
        sqlx::query_as("DELETE FROM tokens WHERE hash = ? AND kind = 'sign_in' AND (expires_ms IS NULL OR expires_ms > ?) RETURNING id, name, role")
            .bind(hash)
            .bind(now_ms)
            .fetch_optional(connection)
            .await?;
    found.map(identity).transpose()
}

/// Whose token it is, if it opens anything now. A sign-in token opens nothing by itself.
pub(crate) async fn find(
    connection: &mut SqliteConnection,
    hash: &[u8],
    now_ms: i64,
) -> Result<Option<Identity>, StoreError> {
    let found: Option<(i64, String, String)> =
        sqlx::query_as("SELECT id, name, role FROM tokens WHERE hash = ? AND kind <> 'sign_in' AND (expires_ms IS NULL OR expires_ms > ?)")
            .bind(hash)
            .bind(now_ms)
            .fetch_optional(connection)
            .await?;
    found.map(identity).transpose()
}

fn identity((token_id, name, role): (i64, String, String)) -> Result<Identity, StoreError> {
    Ok(Identity { token_id, name, role: from_word("a token's role", &role)? })
}

/// All that still open something, oldest first.
pub(crate) async fn list(connection: &mut SqliteConnection, now_ms: i64) -> Result<Vec<TokenInfo>, StoreError> {
    type Line = (i64, String, String, String, i64, Option<i64>);
    let sql = "SELECT id, name, role, kind, created_ms, expires_ms FROM tokens WHERE expires_ms IS NULL OR expires_ms > ? ORDER BY id";
    let lines: Vec<Line> = sqlx::query_as(sql).bind(now_ms).fetch_all(connection).await?;
    let info = |(id, name, role, kind, created_ms, expires_ms): Line| {
        let kind: TokenKind = from_word("a token's kind", &kind)?;
        Ok(TokenInfo { id, name, role: from_word("a token's role", &role)?, kind, created_ms, expires_ms })
    };
    lines.into_iter().map(info).collect()
}

/// Takes a token away; whether there was one.
pub(crate) async fn remove(connection: &mut SqliteConnection, token_id: i64) -> Result<bool, StoreError> {
    Ok(sqlx::query("DELETE FROM tokens WHERE id = ?").bind(token_id).execute(connection).await?.rows_affected() == 1)
}

/// Forgets those that have run out.
pub(crate) async fn sweep(connection: &mut SqliteConnection, now_ms: i64) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM tokens WHERE expires_ms <= ?").bind(now_ms).execute(connection).await?;
    Ok(())
}
