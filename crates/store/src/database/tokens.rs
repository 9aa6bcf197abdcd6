//! SQL of tokens: tokens are looked up by hash.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};
use wire::access::{AgentLimits, Role, TokenKind};

use super::json::{from_json, from_word, to_json, to_word};
use crate::error::StoreError;

/// A token as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TokenRow {
    pub(crate) id: i64,
    /// Name of the owner.
    pub(crate) name: String,
    /// The most that its owner may do with it.
    pub(crate) role: Role,
    pub(crate) kind: TokenKind,
    pub(crate) expires_ms: Option<i64>,
    /// The person to whom it belongs.
    pub(crate) person: Option<i64>,
    /// The projects to which it is limited.
    pub(crate) projects: Option<Vec<String>>,
    /// Those of an agent's token.
    pub(crate) limits: Option<AgentLimits>,
}

/// A token in a list, without its text.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenInfo {
    pub id: i64,
    /// Name of its owner; for a person's token of a program, what it is for.
    pub name: String,
    pub role: Role,
    /// Purpose.
    pub kind: TokenKind,
    /// Creation time, ms since 1970.
    pub created_ms: i64,
    /// Expiry, ms since 1970; `None` for never.
    pub expires_ms: Option<i64>,
    /// The person to whom it belongs; `None` for one that belongs to the lab.
    pub person: Option<i64>,
    /// The projects to which it is limited; `None` for all that its owner reaches.
    pub projects: Option<Vec<String>>,
    /// Time of its last request, ms since 1970.
    pub used_ms: Option<i64>,
    /// Address from which it was last used.
    pub address: Option<String>,
    /// What the browser or program of its last request calls itself.
    pub agent: Option<String>,
    /// Those of an agent's token.
    pub limits: Option<AgentLimits>,
}

/// Stores a token by its hash and returns its id.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    token: &TokenInfo,
    hash: &[u8],
) -> Result<i64, StoreError> {
    let done =
        sqlx::query("INSERT INTO tokens (name, role, kind, hash, created_ms, expires_ms, person, projects) VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
            .bind(&token.name)
            .bind(to_word(&token.role)?)
            .bind(to_word(&token.kind)?)
            .bind(hash)
            .bind(token.created_ms)
            .bind(token.expires_ms)
            .bind(token.person)
            .bind(token.projects.as_ref().map(to_json).transpose()?)
            .execute(connection)
            .await?;
    Ok(done.last_insert_rowid())
}

/// Deletes a sign-in token and returns it. It is one statement, so that one of two concurrent calls succeeds.
pub(crate) async fn consume(
    connection: &mut SqliteConnection,
    hash: &[u8],
    now_ms: i64,
) -> Result<Option<TokenRow>, StoreError> {
    let sql = "DELETE FROM tokens WHERE hash = ? AND kind = 'sign_in' AND (expires_ms IS NULL OR expires_ms > ?) \
               RETURNING id, name, role, kind, expires_ms, person, projects, NULL AS limits";
    let row = sqlx::query(sql).bind(hash).bind(now_ms).fetch_optional(connection).await?;
    row.as_ref().map(token_of).transpose()
}

/// A token of any kind that has not expired, by the hash of its text. The text that an OAuth client has expires earlier than its token.
pub(crate) async fn find(
    connection: &mut SqliteConnection,
    hash: &[u8],
    now_ms: i64,
) -> Result<Option<TokenRow>, StoreError> {
    let sql = "SELECT id, name, role, kind, person, projects, \
               (SELECT limits FROM agents WHERE token = tokens.id) AS limits, \
               COALESCE((SELECT MIN(access_expires_ms, tokens.expires_ms) FROM oauth_grants WHERE token = tokens.id), \
               expires_ms) AS expires_ms FROM tokens \
               WHERE hash = ?1 AND (tokens.expires_ms IS NULL OR tokens.expires_ms > ?2) \
               AND NOT EXISTS (SELECT 1 FROM oauth_grants WHERE token = tokens.id AND access_expires_ms <= ?2)";
    let row = sqlx::query(sql).bind(hash).bind(now_ms).fetch_optional(connection).await?;
    row.as_ref().map(token_of).transpose()
}

/// A token that has not expired, by its id.
pub(crate) async fn get(
    connection: &mut SqliteConnection,
    id: i64,
    now_ms: i64,
) -> Result<Option<TokenRow>, StoreError> {
    let sql = "SELECT id, name, role, kind, expires_ms, person, projects, \
               (SELECT limits FROM agents WHERE token = tokens.id) AS limits FROM tokens \
               WHERE id = ? AND (expires_ms IS NULL OR expires_ms > ?)";
    let row = sqlx::query(sql).bind(id).bind(now_ms).fetch_optional(connection).await?;
    row.as_ref().map(token_of).transpose()
}

fn token_of(row: &SqliteRow) -> Result<TokenRow, StoreError> {
    Ok(TokenRow {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        role: from_word("a token's role", row.try_get("role")?)?,
        kind: from_word("a token's kind", row.try_get("kind")?)?,
        expires_ms: row.try_get("expires_ms")?,
        person: row.try_get("person")?,
        projects: projects_of(row)?,
        limits: limits_of(row)?,
    })
}

fn limits_of(row: &SqliteRow) -> Result<Option<AgentLimits>, StoreError> {
    let text: Option<String> = row.try_get("limits")?;
    text.map(|text| from_json("the limits of an agent", &text)).transpose()
}

fn projects_of(row: &SqliteRow) -> Result<Option<Vec<String>>, StoreError> {
    let text: Option<String> = row.try_get("projects")?;
    text.map(|text| from_json("a token's projects", &text)).transpose()
}

/// All tokens that have not expired, oldest first.
pub(crate) async fn list(connection: &mut SqliteConnection, now_ms: i64) -> Result<Vec<TokenInfo>, StoreError> {
    let sql = "SELECT id, name, role, kind, created_ms, expires_ms, person, projects, used_ms, address, agent, \
               (SELECT limits FROM agents WHERE token = tokens.id) AS limits FROM tokens \
               WHERE expires_ms IS NULL OR expires_ms > ? ORDER BY id";
    let rows = sqlx::query(sql).bind(now_ms).fetch_all(connection).await?;
    rows.iter().map(info_of).collect()
}

fn info_of(row: &SqliteRow) -> Result<TokenInfo, StoreError> {
    Ok(TokenInfo {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        role: from_word("a token's role", row.try_get("role")?)?,
        kind: from_word("a token's kind", row.try_get("kind")?)?,
        created_ms: row.try_get("created_ms")?,
        expires_ms: row.try_get("expires_ms")?,
        person: row.try_get("person")?,
        projects: projects_of(row)?,
        used_ms: row.try_get("used_ms")?,
        address: row.try_get("address")?,
        agent: row.try_get("agent")?,
        limits: limits_of(row)?,
    })
}

/// Number of tokens of programs of a person. Expired ones count until [`sweep`].
pub(crate) async fn count_of_person(connection: &mut SqliteConnection, person: i64) -> Result<u64, StoreError> {
    let sql = "SELECT COUNT(*) FROM tokens WHERE person = ? AND kind = 'api'";
    let count: i64 = sqlx::query_scalar(sql).bind(person).fetch_one(connection).await?;
    Ok(count.max(0) as u64)
}

/// Notes the last use of a token.
pub(crate) async fn set_used(
    connection: &mut SqliteConnection,
    id: i64,
    used_ms: i64,
    address: &str,
    agent: &str,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE tokens SET used_ms = ?, address = ?, agent = ? WHERE id = ?")
        .bind(used_ms)
        .bind(address)
        .bind(agent)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Renames a token.
pub(crate) async fn set_name(connection: &mut SqliteConnection, id: i64, name: &str) -> Result<(), StoreError> {
    sqlx::query("UPDATE tokens SET name = ? WHERE id = ?").bind(name).bind(id).execute(connection).await?;
    Ok(())
}

/// Limits a token to projects; `None` for all that its owner reaches.
pub(crate) async fn set_projects(
    connection: &mut SqliteConnection,
    id: i64,
    projects: Option<&[String]>,
) -> Result<(), StoreError> {
    let text = projects.map(|projects| to_json(&projects)).transpose()?;
    sqlx::query("UPDATE tokens SET projects = ? WHERE id = ?").bind(text).bind(id).execute(connection).await?;
    Ok(())
}

/// Deletes a token. Returns whether it existed.
pub(crate) async fn remove(connection: &mut SqliteConnection, token_id: i64) -> Result<bool, StoreError> {
    Ok(sqlx::query("DELETE FROM tokens WHERE id = ?").bind(token_id).execute(connection).await?.rows_affected() == 1)
}

/// Deletes the sessions and the sign-in tokens of a person, except one session.
pub(crate) async fn remove_sessions(
    connection: &mut SqliteConnection,
    person: i64,
    kept: i64,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM tokens WHERE person = ? AND kind IN ('session', 'sign_in') AND id <> ?";
    sqlx::query(sql).bind(person).bind(kept).execute(connection).await?;
    Ok(())
}

/// Takes a project out of the tokens that are limited to it. One that is limited to no other project reaches nothing.
pub(crate) async fn remove_project(connection: &mut SqliteConnection, project: &str) -> Result<(), StoreError> {
    let sql = "UPDATE tokens SET projects = (SELECT json_group_array(value) FROM json_each(tokens.projects) WHERE value <> ?1) \
               WHERE projects IS NOT NULL AND EXISTS (SELECT 1 FROM json_each(tokens.projects) WHERE value = ?1)";
    sqlx::query(sql).bind(project).execute(connection).await?;
    Ok(())
}

/// Deletes expired tokens.
pub(crate) async fn sweep(connection: &mut SqliteConnection, now_ms: i64) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM tokens WHERE expires_ms <= ?").bind(now_ms).execute(connection).await?;
    Ok(())
}
