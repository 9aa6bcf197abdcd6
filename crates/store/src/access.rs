//! Tokens: who may do what. Only hashes are kept; the text is shown once, to whom it is given.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::database::{self, Connection, commit};
use crate::error::StoreError;
use crate::store::Store;

/// How far a token reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks.
    View,
    /// Looks, starts runs and turns dials.
    Steer,
    /// All of that, and tokens, texts and deletions.
    Admin,
    /// Joins as a worker, and nothing else.
    Worker,
}

impl Role {
    /// Whether it reaches as far as `needed`. Workers and people are apart: neither can stand in for the other.
    pub fn reaches(self, needed: Role) -> bool {
        let rank = |role| match role {
            Role::Worker => None,
            Role::View => Some(0),
            Role::Steer => Some(1),
            Role::Admin => Some(2),
        };
        match (rank(self), rank(needed)) {
            (Some(has), Some(wants)) => has >= wants,
            (has, wants) => has == wants,
        }
    }
}

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// Given by programs with each request.
    Api,
    /// Exchanged once for a session.
    SignIn,
    /// A browser that signed in.
    Session,
}

/// Who stands behind a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The token's id, to revoke it.
    pub token_id: i64,
    /// Name that signs commands.
    pub name: String,
    /// How far it reaches.
    pub role: Role,
}

/// A token as lists show it: never its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenInfo {
    /// Id.
    pub id: i64,
    /// Whose.
    pub name: String,
    /// How far it reaches.
    pub role: Role,
    /// What for.
    pub kind: TokenKind,
    /// Made, in milliseconds since 1970.
    pub created_ms: i64,
    /// Opens nothing from then on.
    pub expires_ms: Option<i64>,
}

/// A browser stays signed in for 30 days.
const SESSION_MS: i64 = 30 * 24 * 3600 * 1000;

impl Store {
    /// Makes a token and gives its text, which cannot be had again.
    pub async fn add_token(
        &self,
        name: &str,
        role: Role,
        kind: TokenKind,
        expires_ms: Option<i64>,
    ) -> Result<String, StoreError> {
        self.issue_token(name, role, kind, expires_ms).await.map(|(text, _)| text)
    }

    /// The same, with the token as lists will show it.
    pub async fn issue_token(
        &self,
        name: &str,
        role: Role,
        kind: TokenKind,
        expires_ms: Option<i64>,
    ) -> Result<(String, TokenInfo), StoreError> {
        let mut transaction = self.database().write().await?;
        let issued = insert(&mut transaction, name, role, kind, expires_ms).await?;
        commit(transaction).await?;
        Ok(issued)
    }

    /// Exchanges a one-time token for a session's, once: of two that try at the same time, one gets `None`.
    pub async fn sign_in(&self, text: &str) -> Result<Option<(String, Identity)>, StoreError> {
        let mut transaction = self.database().write().await?;
        let now_ms = now_ms();
        database::tokens::sweep(&mut transaction, now_ms).await?;
        let Some(Identity { name, role, .. }) =
            database::tokens::consume(&mut transaction, &hash(text), now_ms).await?
        else {
            return Ok(None);
        };
        let (session, _) = insert(&mut transaction, &name, role, TokenKind::Session, Some(now_ms + SESSION_MS)).await?;
        let identity = database::tokens::find(&mut transaction, &hash(&session), now_ms).await?;
        commit(transaction).await?;
        Ok(identity.map(|identity| (session, identity)))
    }

    /// Whose token it is; `None` for a wrong one, one that ran out, and one that must first be exchanged.
    pub async fn identify(&self, text: &str) -> Result<Option<Identity>, StoreError> {
        database::tokens::find(&mut *self.database().read().await?, &hash(text), now_ms()).await
    }

    /// All tokens that still open something.
    pub async fn tokens(&self) -> Result<Vec<TokenInfo>, StoreError> {
        database::tokens::list(&mut *self.database().read().await?, now_ms()).await
    }

    /// Takes a token away, at once; whether there was one.
    pub async fn revoke(&self, token_id: i64) -> Result<bool, StoreError> {
        let mut transaction = self.database().write().await?;
        let removed = database::tokens::remove(&mut transaction, token_id).await?;
        commit(transaction).await?;
        Ok(removed)
    }
}

async fn insert(
    connection: &mut Connection,
    name: &str,
    role: Role,
    kind: TokenKind,
    expires_ms: Option<i64>,
) -> Result<(String, TokenInfo), StoreError> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|source| StoreError::Random { message: source.to_string() })?;
    let text: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut info = TokenInfo { id: 0, name: name.to_owned(), role, kind, created_ms: now_ms(), expires_ms };
    info.id = database::tokens::insert(connection, &info, &hash(&text)).await?;
    Ok((text, info))
}

/// The secrets are 32 random bytes, so a plain hash is enough; and since rows are found by the hash, the time that takes tells
/// nothing about the text.
fn hash(text: &str) -> [u8; 32] {
    *blake3::hash(text.as_bytes()).as_bytes()
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
