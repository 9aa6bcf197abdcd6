//! SQL of share links: links are looked up by hash.

use sqlx::Row as _;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use wire::access::Role;
use wire::access::link::LinkScope;

use super::json::{from_json, from_word, to_json, to_word};
use crate::error::StoreError;

/// A link as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRecord {
    pub id: i64,
    pub scope: LinkScope,
    /// Path and query of the page that it opens.
    pub path: String,
    pub role: Role,
    pub is_embed: bool,
    /// PHC string of its passphrase.
    pub passphrase: Option<String>,
    /// Name of its creator.
    pub created_by: String,
    /// The person who created it; `None` for a token of the lab.
    pub person: Option<i64>,
    /// The token of a program with which it was created: it ends with that; `None` for a browser.
    pub token: Option<i64>,
    /// Creation time, ms since 1970.
    pub created_ms: i64,
    /// Expiry, ms since 1970; `None` for never.
    pub expires_ms: Option<i64>,
    /// Browsers that have opened it; for an embed, images and frames that were requested.
    pub opened: u64,
    /// Time of the last of them, ms since 1970.
    pub opened_ms: Option<i64>,
}

/// A query of the columns of [`link_of`], for links that have not expired at the time of the first parameter.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, scope, path, role, is_embed, passphrase, created_by, person, token, created_ms, expires_ms, opened, opened_ms ",
            "FROM links WHERE (expires_ms IS NULL OR expires_ms > ?) ",
            $rest
        )
    };
}

fn link_of(row: &SqliteRow) -> Result<LinkRecord, StoreError> {
    let opened: i64 = row.try_get("opened")?;
    Ok(LinkRecord {
        id: row.try_get("id")?,
        scope: from_json("a link's scope", row.try_get("scope")?)?,
        path: row.try_get("path")?,
        role: from_word("a link's role", row.try_get("role")?)?,
        is_embed: row.try_get("is_embed")?,
        passphrase: row.try_get("passphrase")?,
        created_by: row.try_get("created_by")?,
        person: row.try_get("person")?,
        token: row.try_get("token")?,
        created_ms: row.try_get("created_ms")?,
        expires_ms: row.try_get("expires_ms")?,
        opened: opened.max(0) as u64,
        opened_ms: row.try_get("opened_ms")?,
    })
}

/// Stores a link by its hash and returns its id.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    link: &LinkRecord,
    hash: &[u8],
) -> Result<i64, StoreError> {
    let sql = "INSERT INTO links (hash, scope, path, role, is_embed, passphrase, created_by, person, token, created_ms, expires_ms) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let done = sqlx::query(sql)
        .bind(hash)
        .bind(to_json(&link.scope)?)
        .bind(&link.path)
        .bind(to_word(&link.role)?)
        .bind(link.is_embed)
        .bind(&link.passphrase)
        .bind(&link.created_by)
        .bind(link.person)
        .bind(link.token)
        .bind(link.created_ms)
        .bind(link.expires_ms)
        .execute(connection)
        .await?;
    Ok(done.last_insert_rowid())
}

/// All links that have not expired, oldest first.
pub(crate) async fn list(connection: &mut SqliteConnection, now_ms: i64) -> Result<Vec<LinkRecord>, StoreError> {
    let rows = sqlx::query(select!("ORDER BY id")).bind(now_ms).fetch_all(connection).await?;
    rows.iter().map(link_of).collect()
}

/// The links of a person, expired ones included.
pub(crate) async fn of_person(connection: &mut SqliteConnection, person: i64) -> Result<Vec<LinkRecord>, StoreError> {
    let rows = sqlx::query(select!("AND person = ?")).bind(i64::MIN).bind(person).fetch_all(connection).await?;
    rows.iter().map(link_of).collect()
}

/// Whether links were created with a token.
pub(crate) async fn has_of_token(connection: &mut SqliteConnection, token: i64) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM links WHERE token = ?)";
    Ok(sqlx::query_scalar(sql).bind(token).fetch_one(connection).await?)
}

/// Number of links that have not expired.
pub(crate) async fn count(connection: &mut SqliteConnection, now_ms: i64) -> Result<u64, StoreError> {
    let sql = "SELECT COUNT(*) FROM links WHERE expires_ms IS NULL OR expires_ms > ?";
    let count: i64 = sqlx::query_scalar(sql).bind(now_ms).fetch_one(connection).await?;
    Ok(count.max(0) as u64)
}

/// Number of links that the creator of a link has: the same person, or tokens of the lab with the same name. Expired ones count until
/// [`sweep`].
pub(crate) async fn count_of_creator(connection: &mut SqliteConnection, link: &LinkRecord) -> Result<u64, StoreError> {
    let sql = "SELECT COUNT(*) FROM links WHERE person IS ?1 AND (?1 IS NOT NULL OR created_by = ?2)";
    let count: i64 = sqlx::query_scalar(sql).bind(link.person).bind(&link.created_by).fetch_one(connection).await?;
    Ok(count.max(0) as u64)
}

/// A link that has not expired, by its id.
pub(crate) async fn get(
    connection: &mut SqliteConnection,
    id: i64,
    now_ms: i64,
) -> Result<Option<LinkRecord>, StoreError> {
    let row = sqlx::query(select!("AND id = ?")).bind(now_ms).bind(id).fetch_optional(connection).await?;
    row.as_ref().map(link_of).transpose()
}

/// A link that has not expired, by the hash of its text.
pub(crate) async fn find(
    connection: &mut SqliteConnection,
    hash: &[u8],
    now_ms: i64,
) -> Result<Option<LinkRecord>, StoreError> {
    let row = sqlx::query(select!("AND hash = ?")).bind(now_ms).bind(hash).fetch_optional(connection).await?;
    row.as_ref().map(link_of).transpose()
}

/// The links that the browser of a session has opened and that have not expired.
pub(crate) async fn of_session(
    connection: &mut SqliteConnection,
    token: i64,
    now_ms: i64,
) -> Result<Vec<LinkRecord>, StoreError> {
    let sql = select!("AND id IN (SELECT link FROM session_links WHERE token = ?) ORDER BY id");
    let rows = sqlx::query(sql).bind(now_ms).bind(token).fetch_all(connection).await?;
    rows.iter().map(link_of).collect()
}

/// The links that have not expired of all sessions of browsers: the token, and role and expiry of the link.
pub(crate) async fn of_sessions(
    connection: &mut SqliteConnection,
    now_ms: i64,
) -> Result<Vec<(i64, Role, Option<i64>)>, StoreError> {
    let sql = "SELECT token, role, expires_ms FROM (SELECT session_links.token AS token, links.role AS role, links.expires_ms AS expires_ms \
               FROM session_links JOIN links ON links.id = session_links.link) WHERE expires_ms IS NULL OR expires_ms > ?";
    let rows = sqlx::query(sql).bind(now_ms).fetch_all(connection).await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, from_word("a link's role", row.try_get(1)?)?, row.try_get(2)?)))
        .collect()
}

/// Adds a link to the session of a browser. Returns whether it was not one of its links before.
pub(crate) async fn attach(connection: &mut SqliteConnection, token: i64, link: i64) -> Result<bool, StoreError> {
    let sql = "INSERT OR IGNORE INTO session_links (token, link) VALUES (?, ?)";
    Ok(sqlx::query(sql).bind(token).bind(link).execute(connection).await?.rows_affected() == 1)
}

/// Ends the oldest sessions of guests that have opened a link, so that at most `most` remain.
pub(crate) async fn end_oldest_guests(
    connection: &mut SqliteConnection,
    link: i64,
    most: u64,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM tokens WHERE id IN (SELECT tokens.id FROM session_links JOIN tokens ON tokens.id = session_links.token \
               WHERE link = ? AND kind = 'guest' ORDER BY tokens.id DESC LIMIT -1 OFFSET ?)";
    sqlx::query(sql).bind(link).bind(most as i64).execute(connection).await?;
    Ok(())
}

/// Counts openings.
pub(crate) async fn count_opened(
    connection: &mut SqliteConnection,
    id: i64,
    times: u64,
    now_ms: i64,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE links SET opened = opened + ?, opened_ms = ? WHERE id = ?")
        .bind(times as i64)
        .bind(now_ms)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Deletes a link; it also leaves the sessions of the browsers that have opened it. Returns whether it existed.
pub(crate) async fn remove(connection: &mut SqliteConnection, id: i64) -> Result<bool, StoreError> {
    Ok(sqlx::query("DELETE FROM links WHERE id = ?").bind(id).execute(connection).await?.rows_affected() == 1)
}

/// Deletes the links that share a project.
pub(crate) async fn remove_of_project(connection: &mut SqliteConnection, project: &str) -> Result<(), StoreError> {
    let scope = to_json(&LinkScope::Project(project.to_owned()))?;
    sqlx::query("DELETE FROM links WHERE scope = ?").bind(scope).execute(connection).await?;
    Ok(())
}

/// Deletes expired links.
pub(crate) async fn sweep(connection: &mut SqliteConnection, now_ms: i64) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM links WHERE expires_ms <= ?").bind(now_ms).execute(connection).await?;
    Ok(())
}
