//! Tokens and sign-in. Only hashes of tokens are stored; the text of a token is shown once.

use wire::access::{AgentLimits, Role, TokenKind};

use crate::access::{Identity, identity_of};
use crate::clock::now_ms;
use crate::database::agents::AgentRecord;
use crate::database::tokens::{TokenInfo, TokenRow};
use crate::database::{self, Connection, commit};
use crate::error::StoreError;
use crate::store::Store;

/// A browser stays signed in for 30 days.
pub(crate) const SESSION_MS: i64 = 30 * 24 * 3600 * 1000;

impl Store {
    /// Creates a token and returns its text, which cannot be read again.
    pub async fn add_token(
        &self,
        name: &str,
        role: Role,
        kind: TokenKind,
        expires_ms: Option<i64>,
    ) -> Result<String, StoreError> {
        self.issue_token(name, role, kind, expires_ms).await.map(|(text, _)| text)
    }

    /// As [`Store::add_token`], with the token as lists show it.
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

    /// Exchanges a sign-in token for a session token, once: of two concurrent calls, one gets `None`.
    pub async fn sign_in(&self, text: &str) -> Result<Option<(String, Identity)>, StoreError> {
        let mut transaction = self.database().write().await?;
        let now_ms = now_ms();
        database::tokens::sweep(&mut transaction, now_ms).await?;
        let Some(consumed) = database::tokens::consume(&mut transaction, &hash(text), now_ms).await? else {
            return Ok(None);
        };
        let expires_ms = Some(now_ms + SESSION_MS);
        let TokenRow { name, role, person, projects, .. } = consumed;
        let owner = TokenOwner { person, projects, limits: None };
        let (session, _) = insert_owned(&mut transaction, &name, role, TokenKind::Session, expires_ms, owner).await?;
        let found = database::tokens::find(&mut transaction, &hash(&session), now_ms).await?;
        let identity = match found {
            Some(token) => identity_of(&mut transaction, token, now_ms).await?,
            None => None,
        };
        commit(transaction).await?;
        Ok(identity.map(|identity| (session, identity)))
    }

    /// The sender that a token stands for; `None` for an unknown, an expired, and a sign-in token.
    pub async fn identify(&self, text: &str) -> Result<Option<Identity>, StoreError> {
        Ok(self.owner(text).await?.filter(|identity| identity.kind != TokenKind::SignIn))
    }

    /// Whom a sign-in token would sign in. It stays unused.
    pub async fn sign_in_owner(&self, text: &str) -> Result<Option<Identity>, StoreError> {
        Ok(self.owner(text).await?.filter(|identity| identity.kind == TokenKind::SignIn))
    }

    async fn owner(&self, text: &str) -> Result<Option<Identity>, StoreError> {
        let mut connection = self.database().read().await?;
        let now_ms = now_ms();
        match database::tokens::find(&mut connection, &hash(text), now_ms).await? {
            Some(token) => identity_of(&mut connection, token, now_ms).await,
            None => Ok(None),
        }
    }

    /// All tokens that have not expired.
    pub async fn tokens(&self) -> Result<Vec<TokenInfo>, StoreError> {
        database::tokens::list(&mut *self.database().read().await?, now_ms()).await
    }

    /// Revokes a token at once, with the links and invitations that were created with it. Returns whether it existed.
    pub async fn revoke(&self, token_id: i64) -> Result<bool, StoreError> {
        Ok(self.end_token(token_id).await?.is_some())
    }

    /// As [`Store::revoke`]; `None` for a token that does not exist.
    pub async fn end_token(&self, token_id: i64) -> Result<Option<EndedToken>, StoreError> {
        let mut transaction = self.database().write().await?;
        let had_links = database::links::has_of_token(&mut transaction, token_id).await?;
        let existed = database::tokens::remove(&mut transaction, token_id).await?;
        commit(transaction).await?;
        Ok(existed.then_some(EndedToken { had_links }))
    }
}

/// A token that was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedToken {
    /// Whether share links ended with it.
    pub had_links: bool,
}

/// The secret text of a new token: 32 random bytes as hexadecimal digits.
pub(crate) fn random_text() -> Result<String, StoreError> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|source| StoreError::Random { source })?;
    Ok(secret.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// To whom a token belongs, and the projects to which it is limited.
#[derive(Default)]
pub(crate) struct TokenOwner {
    /// `None` for a token of the lab.
    pub(crate) person: Option<i64>,
    pub(crate) projects: Option<Vec<String>>,
    /// Those of an agent's token; their projects hold for the token.
    pub(crate) limits: Option<AgentLimits>,
}

/// Stores a token that belongs to the lab.
pub(crate) async fn insert(
    connection: &mut Connection,
    name: &str,
    role: Role,
    kind: TokenKind,
    expires_ms: Option<i64>,
) -> Result<(String, TokenInfo), StoreError> {
    insert_owned(connection, name, role, kind, expires_ms, TokenOwner::default()).await
}

/// Stores a token of an owner.
pub(crate) async fn insert_owned(
    connection: &mut Connection,
    name: &str,
    role: Role,
    kind: TokenKind,
    expires_ms: Option<i64>,
    owner: TokenOwner,
) -> Result<(String, TokenInfo), StoreError> {
    let text = random_text()?;
    let TokenOwner { person, projects, limits } = owner;
    let projects = limits.as_ref().map_or(projects, |limits| limits.projects.clone());
    let mut info = TokenInfo {
        id: 0,
        name: name.to_owned(),
        role,
        kind,
        created_ms: now_ms(),
        expires_ms,
        person,
        projects,
        used_ms: None,
        address: None,
        agent: None,
        limits,
    };
    info.id = database::tokens::insert(connection, &info, &hash(&text)).await?;
    if let Some(limits) = info.limits.clone() {
        let (token, name, created_ms) = (info.id, info.name.clone(), info.created_ms);
        let (client, stopped_ms, stopped_by) = (None, None, None);
        let agent = AgentRecord { token, name, person, limits, client, created_ms, stopped_ms, stopped_by };
        database::agents::insert(connection, &agent).await?;
    }
    Ok((text, info))
}

/// A plain hash is enough, because a secret is 32 random bytes. Rows are found by the hash, so the time of a query reveals nothing about
/// the text.
pub(crate) fn hash(text: &str) -> [u8; 32] {
    *blake3::hash(text.as_bytes()).as_bytes()
}
