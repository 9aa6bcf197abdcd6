//! SQL of people with accounts.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};
use wire::access::person::RemovedAccount;
use wire::access::{Membership, Role};

use super::json::{from_word, to_word};
use crate::error::StoreError;

/// A person with an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonRecord {
    pub id: i64,
    pub name: String,
    pub email: Option<String>,
    /// Role in the whole lab.
    pub role: Option<Role>,
    /// Their projects, by name.
    pub projects: Vec<Membership>,
    /// Whether they have a password.
    pub has_password: bool,
    /// Whether they sign in with OpenID Connect.
    pub has_provider: bool,
    /// Creation time, ms since 1970.
    pub created_ms: i64,
    /// Time of their last request, ms since 1970.
    pub seen_ms: Option<i64>,
}

/// A person to store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewPerson {
    pub name: String,
    pub email: Option<String>,
    /// Role in the whole lab.
    pub role: Option<Role>,
    /// Hash of the password, as a PHC string.
    pub password: Option<String>,
    /// Issuer and subject of the account of OpenID Connect.
    pub provider: Option<(String, String)>,
}

/// People, by name; `only` selects one. Their projects are not filled in.
pub(crate) async fn list(
    connection: &mut SqliteConnection,
    only: Option<i64>,
) -> Result<Vec<PersonRecord>, StoreError> {
    let sql = "SELECT id, name, email, role, password IS NOT NULL AS has_password, issuer IS NOT NULL AS has_provider, created_ms, seen_ms \
               FROM people WHERE ?1 IS NULL OR id = ?1 ORDER BY name";
    let rows = sqlx::query(sql).bind(only).fetch_all(connection).await?;
    rows.iter().map(record).collect()
}

fn record(row: &SqliteRow) -> Result<PersonRecord, StoreError> {
    let role: Option<String> = row.try_get("role")?;
    Ok(PersonRecord {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        email: row.try_get("email")?,
        role: role.map(|role| from_word("a person's role", &role)).transpose()?,
        projects: vec![],
        has_password: row.try_get("has_password")?,
        has_provider: row.try_get("has_provider")?,
        created_ms: row.try_get("created_ms")?,
        seen_ms: row.try_get("seen_ms")?,
    })
}

/// All memberships: person, project and role, by project.
pub(crate) async fn memberships(connection: &mut SqliteConnection) -> Result<Vec<(i64, Membership)>, StoreError> {
    let sql = "SELECT person, project, role FROM members ORDER BY project";
    let rows: Vec<(i64, String, String)> = sqlx::query_as(sql).fetch_all(connection).await?;
    let membership = |(person, project, role): (i64, String, String)| {
        Ok((person, Membership { project, role: from_word("a member's role", &role)? }))
    };
    rows.into_iter().map(membership).collect()
}

/// Stores a person and returns their id; `None` where the name is taken. An address that somebody has already is left out.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    new: &NewPerson,
    created_ms: i64,
) -> Result<Option<i64>, StoreError> {
    let sql = "INSERT INTO people (name, email, role, password, issuer, subject, created_ms) \
               VALUES (?1, CASE WHEN EXISTS (SELECT 1 FROM people WHERE email = ?2) THEN NULL ELSE ?2 END, ?3, ?4, ?5, ?6, ?7) \
               ON CONFLICT (name) DO NOTHING";
    let (issuer, subject) = new.provider.clone().unzip();
    let done = sqlx::query(sql)
        .bind(&new.name)
        .bind(&new.email)
        .bind(new.role.as_ref().map(to_word).transpose()?)
        .bind(&new.password)
        .bind(issuer)
        .bind(subject)
        .bind(created_ms)
        .execute(connection)
        .await?;
    Ok((done.rows_affected() == 1).then(|| done.last_insert_rowid()))
}

/// Sets the name of a person; false where somebody else has it.
pub(crate) async fn set_name(connection: &mut SqliteConnection, id: i64, name: &str) -> Result<bool, StoreError> {
    let sql =
        "UPDATE people SET name = ?1 WHERE id = ?2 AND NOT EXISTS (SELECT 1 FROM people WHERE name = ?1 AND id <> ?2)";
    Ok(sqlx::query(sql).bind(name).bind(id).execute(connection).await?.rows_affected() == 1)
}

/// Sets the role of a person in the whole lab.
pub(crate) async fn set_role(connection: &mut SqliteConnection, id: i64, role: Option<Role>) -> Result<(), StoreError> {
    let role = role.as_ref().map(to_word).transpose()?;
    sqlx::query("UPDATE people SET role = ? WHERE id = ?").bind(role).bind(id).execute(connection).await?;
    Ok(())
}

/// Sets the hash of the password of a person.
pub(crate) async fn set_password(
    connection: &mut SqliteConnection,
    id: i64,
    password: &str,
) -> Result<bool, StoreError> {
    let done = sqlx::query("UPDATE people SET password = ? WHERE id = ?").bind(password).bind(id);
    Ok(done.execute(connection).await?.rows_affected() == 1)
}

/// Takes the password of a person away. Returns whether they exist.
pub(crate) async fn clear_password(connection: &mut SqliteConnection, id: i64) -> Result<bool, StoreError> {
    let done = sqlx::query("UPDATE people SET password = NULL WHERE id = ?").bind(id).execute(connection).await?;
    Ok(done.rows_affected() == 1)
}

/// Notes that a person has sent a request.
pub(crate) async fn set_seen(connection: &mut SqliteConnection, token: i64, seen_ms: i64) -> Result<(), StoreError> {
    let sql = "UPDATE people SET seen_ms = ? WHERE id = (SELECT person FROM tokens WHERE id = ?)";
    sqlx::query(sql).bind(seen_ms).bind(token).execute(connection).await?;
    Ok(())
}

/// Id and password hash of the person with this name, or else with this e-mail address.
pub(crate) async fn by_login(
    connection: &mut SqliteConnection,
    login: &str,
) -> Result<Option<(i64, Option<String>)>, StoreError> {
    let sql = "SELECT id, password FROM people WHERE name = ?1 OR email = ?1 ORDER BY name = ?1 DESC LIMIT 1";
    Ok(sqlx::query_as(sql).bind(login).fetch_optional(connection).await?)
}

/// Hash of the password of a person.
pub(crate) async fn password(connection: &mut SqliteConnection, id: i64) -> Result<Option<String>, StoreError> {
    let found: Option<Option<String>> =
        sqlx::query_scalar("SELECT password FROM people WHERE id = ?").bind(id).fetch_optional(connection).await?;
    Ok(found.flatten())
}

/// Id of the person with an account of OpenID Connect.
pub(crate) async fn by_provider(
    connection: &mut SqliteConnection,
    issuer: &str,
    subject: &str,
) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT id FROM people WHERE issuer = ? AND subject = ?";
    Ok(sqlx::query_scalar(sql).bind(issuer).bind(subject).fetch_optional(connection).await?)
}

/// Whether a person can sign in with a password.
pub(crate) async fn has_passwords(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM people WHERE password IS NOT NULL)";
    Ok(sqlx::query_scalar(sql).fetch_one(connection).await?)
}

/// Whether the person of an account of OpenID Connect was removed.
pub(crate) async fn is_removed(
    connection: &mut SqliteConnection,
    (issuer, subject): &(String, String),
) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM removed_accounts WHERE issuer = ? AND subject = ?)";
    Ok(sqlx::query_scalar(sql).bind(issuer).bind(subject).fetch_one(connection).await?)
}

/// Notes the account of OpenID Connect of a person who is about to be removed, if they have one.
pub(crate) async fn note_removed(
    connection: &mut SqliteConnection,
    id: i64,
    removed_ms: i64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO removed_accounts (issuer, subject, name, removed_ms) \
               SELECT issuer, subject, name, ?2 FROM people WHERE id = ?1 AND issuer IS NOT NULL AND subject IS NOT NULL \
               ON CONFLICT (issuer, subject) DO UPDATE SET name = excluded.name, removed_ms = excluded.removed_ms";
    sqlx::query(sql).bind(id).bind(removed_ms).execute(connection).await?;
    Ok(())
}

/// The accounts whose persons were removed, newest first.
pub(crate) async fn removed(connection: &mut SqliteConnection) -> Result<Vec<RemovedAccount>, StoreError> {
    let sql = "SELECT id, name, removed_ms FROM removed_accounts ORDER BY removed_ms DESC, id DESC";
    let rows: Vec<(i64, String, i64)> = sqlx::query_as(sql).fetch_all(connection).await?;
    Ok(rows.into_iter().map(|(id, name, removed_ms)| RemovedAccount { id, name, removed_ms }).collect())
}

/// Forgets that the person of an account was removed. Returns whether it was.
pub(crate) async fn forget_removed(connection: &mut SqliteConnection, id: i64) -> Result<bool, StoreError> {
    let done = sqlx::query("DELETE FROM removed_accounts WHERE id = ?").bind(id);
    Ok(done.execute(connection).await?.rows_affected() == 1)
}

/// Deletes a person with their memberships, tokens and links. Returns whether they existed.
pub(crate) async fn remove(connection: &mut SqliteConnection, id: i64) -> Result<bool, StoreError> {
    Ok(sqlx::query("DELETE FROM people WHERE id = ?").bind(id).execute(connection).await?.rows_affected() == 1)
}
