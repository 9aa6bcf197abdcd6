//! SQL of invitations: they are looked up by hash.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};
use wire::access::person::InvitationView;

use super::json::{from_json, from_word, to_json, to_word};
use crate::error::StoreError;

const COLUMNS: &str = "id, name, role, projects, created_by, person, token, created_ms, expires_ms";

/// An invitation as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InvitationRow {
    pub(crate) view: InvitationView,
    /// The person who created it; `None` for a token of the lab.
    pub(crate) person: Option<i64>,
    /// The token of a program with which it was created: it ends with that; `None` for a browser.
    pub(crate) token: Option<i64>,
}

/// Stores an invitation by its hash and returns its id.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    InvitationRow { view: invitation, person, token }: &InvitationRow,
    hash: &[u8],
) -> Result<i64, StoreError> {
    let sql = "INSERT INTO invitations (hash, name, role, projects, created_by, person, token, created_ms, expires_ms) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let done = sqlx::query(sql)
        .bind(hash)
        .bind(&invitation.name)
        .bind(invitation.role.as_ref().map(to_word).transpose()?)
        .bind(to_json(&invitation.projects)?)
        .bind(&invitation.created_by)
        .bind(person)
        .bind(token)
        .bind(invitation.created_ms)
        .bind(invitation.expires_ms)
        .execute(connection)
        .await?;
    Ok(done.last_insert_rowid())
}

/// The invitations that have not expired, oldest first.
pub(crate) async fn list(connection: &mut SqliteConnection, now_ms: i64) -> Result<Vec<InvitationRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM invitations WHERE expires_ms > ? ORDER BY id");
    // The columns are a constant of this module.
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(now_ms).fetch_all(connection).await?;
    rows.iter().map(invitation_of).collect()
}

/// Number of invitations. Expired ones count until [`sweep`].
pub(crate) async fn count(connection: &mut SqliteConnection) -> Result<u64, StoreError> {
    let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM invitations").fetch_one(connection).await?;
    Ok(count.max(0) as u64)
}

/// An invitation that has not expired.
pub(crate) async fn find(
    connection: &mut SqliteConnection,
    hash: &[u8],
    now_ms: i64,
) -> Result<Option<InvitationRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM invitations WHERE hash = ? AND expires_ms > ?");
    let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(hash).bind(now_ms).fetch_optional(connection).await?;
    row.as_ref().map(invitation_of).transpose()
}

/// Deletes an invitation that has not expired and returns it. It is one statement, so that one of two concurrent calls succeeds.
pub(crate) async fn consume(
    connection: &mut SqliteConnection,
    hash: &[u8],
    now_ms: i64,
) -> Result<Option<InvitationRow>, StoreError> {
    let sql = format!("DELETE FROM invitations WHERE hash = ? AND expires_ms > ? RETURNING {COLUMNS}");
    let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(hash).bind(now_ms).fetch_optional(connection).await?;
    row.as_ref().map(invitation_of).transpose()
}

fn invitation_of(row: &SqliteRow) -> Result<InvitationRow, StoreError> {
    let role: Option<String> = row.try_get("role")?;
    let view = InvitationView {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        role: role.map(|role| from_word("an invitation's role", &role)).transpose()?,
        projects: from_json("an invitation's projects", row.try_get("projects")?)?,
        created_by: row.try_get("created_by")?,
        created_ms: row.try_get("created_ms")?,
        expires_ms: row.try_get("expires_ms")?,
    };
    Ok(InvitationRow { view, person: row.try_get("person")?, token: row.try_get("token")? })
}

/// Deletes an invitation. Returns whether it existed.
pub(crate) async fn remove(connection: &mut SqliteConnection, id: i64) -> Result<bool, StoreError> {
    Ok(sqlx::query("DELETE FROM invitations WHERE id = ?").bind(id).execute(connection).await?.rows_affected() == 1)
}

/// Takes a project out of the invitations, and deletes those that give nothing else.
pub(crate) async fn remove_project(connection: &mut SqliteConnection, project: &str) -> Result<(), StoreError> {
    let with_project = "WHERE EXISTS (SELECT 1 FROM json_each(invitations.projects) WHERE value ->> '$.project' = ?1)";
    let others = "FROM json_each(invitations.projects) WHERE value ->> '$.project' <> ?1";
    for sql in [
        format!("DELETE FROM invitations {with_project} AND role IS NULL AND NOT EXISTS (SELECT 1 {others})"),
        format!("UPDATE invitations SET projects = (SELECT json_group_array(json(value)) {others}) {with_project}"),
    ] {
        // Constants of this function.
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(project).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Deletes expired invitations.
pub(crate) async fn sweep(connection: &mut SqliteConnection, now_ms: i64) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM invitations WHERE expires_ms <= ?").bind(now_ms).execute(connection).await?;
    Ok(())
}
