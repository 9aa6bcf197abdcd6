//! SQL of OAuth: clients, codes and grants, looked up by hash.

use sqlx::{Row as _, SqliteConnection};
use wire::access::{AgentLimits, Role};

use super::json::{from_json, from_word, to_json, to_word};
use crate::error::StoreError;

/// A program that has registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthClient {
    pub id: i64,
    /// The name that it has registered.
    pub name: String,
    /// Addresses to which it may be sent codes.
    pub redirects: Vec<String>,
}

/// What a person has permitted a client, to be exchanged for a token.
#[derive(Debug, Clone, PartialEq)]
pub struct OAuthCode {
    /// Id of the client.
    pub client: i64,
    /// The person to whom the token will belong; `None` for the lab.
    pub person: Option<i64>,
    pub role: Role,
    pub limits: AgentLimits,
    /// The address to which the code is sent.
    pub redirect: String,
    /// Challenge of PKCE: the SHA-256 of the verifier as base64url.
    pub challenge: String,
    /// The address of the server that the token is for.
    pub resource: String,
    /// Expiry of the code, ms since 1970.
    pub expires_ms: i64,
}

/// A code that was presented.
pub(crate) struct PresentedRow {
    pub(crate) code: OAuthCode,
    /// How often it was presented, this time included.
    pub(crate) uses: i64,
    /// The token that it was exchanged for.
    pub(crate) token: Option<i64>,
}

/// A grant of access to a client.
pub(crate) struct GrantRow {
    pub(crate) token: i64,
    /// Name of the token.
    pub(crate) name: String,
    /// Hash of the id of the client.
    pub(crate) client: Vec<u8>,
    pub(crate) resource: String,
    /// Hash of the second half of the refresh token.
    pub(crate) secret: Vec<u8>,
}

/// Stores a client by the hash of its id.
pub(crate) async fn insert_client(
    connection: &mut SqliteConnection,
    client: &OAuthClient,
    hash: &[u8],
    network: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO oauth_clients (hash, name, redirects, network, created_ms) VALUES (?, ?, ?, ?, ?)";
    let redirects = to_json(&client.redirects)?;
    let insert = sqlx::query(sql).bind(hash).bind(&client.name).bind(redirects).bind(network).bind(now_ms);
    insert.execute(connection).await?;
    Ok(())
}

/// Number of clients, and of those that have registered from a network since a time.
pub(crate) async fn count_clients(
    connection: &mut SqliteConnection,
    network: &str,
    since_ms: i64,
) -> Result<(i64, i64), StoreError> {
    let sql = "SELECT (SELECT COUNT(*) FROM oauth_clients), \
               (SELECT COUNT(*) FROM oauth_clients WHERE network = ? AND created_ms > ?)";
    Ok(sqlx::query_as(sql).bind(network).bind(since_ms).fetch_one(connection).await?)
}

/// Deletes the oldest client that has no token. Returns whether there was one.
pub(crate) async fn remove_unused_client(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    let sql = "DELETE FROM oauth_clients WHERE id = (SELECT MIN(id) FROM oauth_clients \
               WHERE id NOT IN (SELECT client FROM oauth_grants))";
    Ok(sqlx::query(sql).execute(connection).await?.rows_affected() == 1)
}

/// The client with this hash of its id.
pub(crate) async fn find_client(
    connection: &mut SqliteConnection,
    hash: &[u8],
) -> Result<Option<OAuthClient>, StoreError> {
    let sql = "SELECT id, name, redirects FROM oauth_clients WHERE hash = ?";
    client_of(sqlx::query_as(sql).bind(hash).fetch_optional(connection).await?)
}

fn client_of(row: Option<(i64, String, String)>) -> Result<Option<OAuthClient>, StoreError> {
    let Some((id, name, redirects)) = row else { return Ok(None) };
    Ok(Some(OAuthClient { id, name, redirects: from_json("the addresses of a client", &redirects)? }))
}

/// Stores a code by its hash, and deletes those that expired before a time.
pub(crate) async fn insert_code(
    connection: &mut SqliteConnection,
    code: &OAuthCode,
    hash: &[u8],
    forgotten_ms: i64,
) -> Result<(), StoreError> {
    let sweep = sqlx::query("DELETE FROM oauth_codes WHERE expires_ms < ?").bind(forgotten_ms);
    sweep.execute(&mut *connection).await?;
    let sql = "INSERT INTO oauth_codes (hash, client, person, role, limits, redirect, challenge, resource, expires_ms) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    sqlx::query(sql)
        .bind(hash)
        .bind(code.client)
        .bind(code.person)
        .bind(to_word(&code.role)?)
        .bind(to_json(&code.limits)?)
        .bind(&code.redirect)
        .bind(&code.challenge)
        .bind(&code.resource)
        .bind(code.expires_ms)
        .execute(connection)
        .await?;
    Ok(())
}

/// Counts a use of a code and returns it. It is one statement, so that one of two concurrent calls is the first.
pub(crate) async fn present_code(
    connection: &mut SqliteConnection,
    hash: &[u8],
) -> Result<Option<PresentedRow>, StoreError> {
    let sql = "UPDATE oauth_codes SET uses = uses + 1 WHERE hash = ? \
               RETURNING client, person, role, limits, redirect, challenge, resource, expires_ms, uses, token";
    let Some(row) = sqlx::query(sql).bind(hash).fetch_optional(connection).await? else { return Ok(None) };
    let limits: String = row.try_get("limits")?;
    let code = OAuthCode {
        client: row.try_get("client")?,
        person: row.try_get("person")?,
        role: from_word("the role of a code", row.try_get("role")?)?,
        limits: from_json("the limits of a code", &limits)?,
        redirect: row.try_get("redirect")?,
        challenge: row.try_get("challenge")?,
        resource: row.try_get("resource")?,
        expires_ms: row.try_get("expires_ms")?,
    };
    Ok(Some(PresentedRow { code, uses: row.try_get("uses")?, token: row.try_get("token")? }))
}

/// Deletes the codes that a person, or the lab, has permitted programs of a name.
pub(crate) async fn remove_codes(
    connection: &mut SqliteConnection,
    name: &str,
    person: Option<i64>,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM oauth_codes WHERE person IS ? AND client IN (SELECT id FROM oauth_clients WHERE name = ?)";
    sqlx::query(sql).bind(person).bind(name).execute(connection).await?;
    Ok(())
}

/// Notes the token that a code was exchanged for.
pub(crate) async fn set_token_of_code(
    connection: &mut SqliteConnection,
    hash: &[u8],
    token: i64,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE oauth_codes SET token = ? WHERE hash = ?").bind(token).bind(hash).execute(connection).await?;
    Ok(())
}

/// Stores what a client was given: its token, and the hashes of the halves of its refresh token.
pub(crate) async fn insert_grant(
    connection: &mut SqliteConnection,
    token: i64,
    code: &OAuthCode,
    [family, secret]: [&[u8]; 2],
    access_expires_ms: i64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO oauth_grants (token, client, resource, family, secret, access_expires_ms) \
               VALUES (?, ?, ?, ?, ?, ?)";
    sqlx::query(sql)
        .bind(token)
        .bind(code.client)
        .bind(&code.resource)
        .bind(family)
        .bind(secret)
        .bind(access_expires_ms)
        .execute(connection)
        .await?;
    Ok(())
}

/// The tokens of a client that belong to a person, or to the lab.
pub(crate) async fn tokens_of(
    connection: &mut SqliteConnection,
    client: i64,
    person: Option<i64>,
) -> Result<Vec<i64>, StoreError> {
    let sql = "SELECT tokens.id FROM oauth_grants JOIN tokens ON tokens.id = oauth_grants.token \
               WHERE oauth_grants.client = ? AND tokens.person IS ?";
    Ok(sqlx::query_scalar(sql).bind(client).bind(person).fetch_all(connection).await?)
}

/// What was given with a refresh token, by the hash of its first half, while the token is valid.
pub(crate) async fn grant(
    connection: &mut SqliteConnection,
    family: &[u8],
    now_ms: i64,
) -> Result<Option<GrantRow>, StoreError> {
    let sql = "SELECT token, tokens.name AS name, oauth_clients.hash AS client_hash, resource, secret \
               FROM oauth_grants JOIN tokens ON tokens.id = oauth_grants.token \
               JOIN oauth_clients ON oauth_clients.id = oauth_grants.client \
               WHERE family = ? AND (tokens.expires_ms IS NULL OR tokens.expires_ms > ?)";
    let Some(row) = sqlx::query(sql).bind(family).bind(now_ms).fetch_optional(connection).await? else {
        return Ok(None);
    };
    Ok(Some(GrantRow {
        token: row.try_get("token")?,
        name: row.try_get("name")?,
        client: row.try_get("client_hash")?,
        resource: row.try_get("resource")?,
        secret: row.try_get("secret")?,
    }))
}

/// Gives a token another text, by its hash, and its refresh token another second half.
pub(crate) async fn renew(
    connection: &mut SqliteConnection,
    token: i64,
    text: &[u8],
    secret: &[u8],
    access_expires_ms: i64,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE tokens SET hash = ? WHERE id = ?").bind(text).bind(token).execute(&mut *connection).await?;
    let sql = "UPDATE oauth_grants SET secret = ?, access_expires_ms = ? WHERE token = ?";
    sqlx::query(sql).bind(secret).bind(access_expires_ms).bind(token).execute(connection).await?;
    Ok(())
}

/// Whether a token of a client has this hash of its text, which has expired.
pub(crate) async fn is_expired(
    connection: &mut SqliteConnection,
    text: &[u8],
    now_ms: i64,
) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM tokens JOIN oauth_grants ON oauth_grants.token = tokens.id \
               WHERE tokens.hash = ? AND access_expires_ms <= ?)";
    Ok(sqlx::query_scalar(sql).bind(text).bind(now_ms).fetch_one(connection).await?)
}

/// The token of a client with this hash of its text, or of the first half of its refresh token.
pub(crate) async fn token_of_client(
    connection: &mut SqliteConnection,
    client: &[u8],
    text: &[u8],
    family: &[u8],
) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT tokens.id FROM oauth_grants JOIN tokens ON tokens.id = oauth_grants.token \
               JOIN oauth_clients ON oauth_clients.id = oauth_grants.client \
               WHERE oauth_clients.hash = ? AND (tokens.hash = ? OR family = ?)";
    Ok(sqlx::query_scalar(sql).bind(client).bind(text).bind(family).fetch_optional(connection).await?)
}
