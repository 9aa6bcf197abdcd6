//! SQL of tokens: tokens are looked up by hash.

use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;
use wire::access::{Role, TokenKind};

use super::json::{from_word, to_word};
use crate::error::StoreError;

/// The owner of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Id of the token, to revoke it.
    pub token_id: i64,
    /// Name of the owner, the author of their commands.
    pub name: String,
    /// Role of the token.
    pub role: Role,
    /// Purpose of the token.
    pub kind: TokenKind,
}

/// A token in a list, without its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenInfo {
    pub id: i64,
    /// Name of its owner.
    pub name: String,
    pub role: Role,
    /// Purpose.
    pub kind: TokenKind,
    /// Creation time, ms since 1970.
    pub created_ms: i64,
    /// Expiry, ms since 1970; `None` for never.
    pub expires_ms: Option<i64>,
}

/// Stores a token by its hash and returns its id.
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

/// Deletes a sign-in token and returns its owner. It is one statement, so that one of two concurrent calls succeeds.
pub(crate) async fn consume(
    connection: &mut SqliteConnection,
    hash: &[u8],
    now_ms: i64,
) -> Result<Option<Identity>, StoreError> {
    let sql = "DELETE FROM tokens WHERE hash = ? AND kind = 'sign_in' AND (expires_ms IS NULL OR expires_ms > ?) \
               RETURNING id, name, role, kind";
    let found: Option<IdentityRow> = sqlx::query_as(sql).bind(hash).bind(now_ms).fetch_optional(connection).await?;
    found.map(identity).transpose()
}

/// The owner of a token of any kind that has not expired.
pub(crate) async fn find(
    connection: &mut SqliteConnection,
    hash: &[u8],
    now_ms: i64,
) -> Result<Option<Identity>, StoreError> {
    let sql = "SELECT id, name, role, kind FROM tokens WHERE hash = ? AND (expires_ms IS NULL OR expires_ms > ?)";
    let found: Option<IdentityRow> = sqlx::query_as(sql).bind(hash).bind(now_ms).fetch_optional(connection).await?;
    found.map(identity).transpose()
}

/// Id, name, role and kind of a token.
type IdentityRow = (i64, String, String, String);

fn identity((token_id, name, role, kind): IdentityRow) -> Result<Identity, StoreError> {
    Ok(Identity {
        token_id,
        name,
        role: from_word("a token's role", &role)?,
        kind: from_word("a token's kind", &kind)?,
    })
}

/// All tokens that have not expired, oldest first.
pub(crate) async fn list(connection: &mut SqliteConnection, now_ms: i64) -> Result<Vec<TokenInfo>, StoreError> {
    type Row = (i64, String, String, String, i64, Option<i64>);
    let sql = "SELECT id, name, role, kind, created_ms, expires_ms FROM tokens WHERE expires_ms IS NULL OR expires_ms > ? ORDER BY id";
    let rows: Vec<Row> = sqlx::query_as(sql).bind(now_ms).fetch_all(connection).await?;
    let info = |(id, name, role, kind, created_ms, expires_ms): Row| {
        let kind: TokenKind = from_word("a token's kind", &kind)?;
        Ok(TokenInfo { id, name, role: from_word("a token's role", &role)?, kind, created_ms, expires_ms })
    };
    rows.into_iter().map(info).collect()
}

/// Deletes a token. Returns whether it existed.
pub(crate) async fn remove(connection: &mut SqliteConnection, token_id: i64) -> Result<bool, StoreError> {
    Ok(sqlx::query("DELETE FROM tokens WHERE id = ?").bind(token_id).execute(connection).await?.rows_affected() == 1)
}

/// Deletes expired tokens.
pub(crate) async fn sweep(connection: &mut SqliteConnection, now_ms: i64) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM tokens WHERE expires_ms <= ?").bind(now_ms).execute(connection).await?;
    Ok(())
}
