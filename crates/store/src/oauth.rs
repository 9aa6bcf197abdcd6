//! Programs that get the token of an agent by OAuth: they register, a person permits it, and they exchange a code for an access token and a
//! refresh token. Only hashes of their ids, of codes and of tokens are stored.
//!
//! The access token of a client is the text of the token of an agent. A refresh gives the token another text and keeps its id, so that its
//! limits, its runs and its name in journals stay.

use wire::access::TokenKind;

use crate::clock::now_ms;
use crate::database::oauth::{OAuthClient, OAuthCode};
use crate::database::{self, Connection, commit};
use crate::error::StoreError;
use crate::oauth_refusal::{MAX_CLIENTS, MAX_PER_HOUR, OAuthRefusal};
use crate::people::check_count;
use crate::store::Store;
use crate::tokens::{TokenOwner, hash, insert_owned, random_text};

const HOUR_MS: i64 = 3600 * 1000;
/// A used code is remembered for an hour, so that its second use ends the token.
const REMEMBERED_MS: i64 = HOUR_MS;
/// Between the halves of a refresh token, which are hexadecimal digits.
const SEPARATOR: char = '.';

/// What a client presents with a code.
#[derive(Debug, Clone, Copy)]
pub struct PresentedCode<'a> {
    pub code: &'a str,
    /// Id of the client.
    pub client: &'a str,
    pub redirect: Option<&'a str>,
    /// Computed from the verifier, as in [`OAuthCode::challenge`].
    pub challenge: &'a str,
    pub resource: Option<&'a str>,
}

/// What a client gets. The texts cannot be read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthTokens {
    pub access: String,
    pub refresh: String,
    /// Name of the token.
    pub name: String,
}

impl Store {
    /// Stores a client that registers from a network. Returns its id, which cannot be read again. Where the lab has the most clients, the
    /// oldest one without a token is deleted.
    ///
    /// # Errors
    /// [`OAuthRefusal::TooManyRegistrations`], [`OAuthRefusal::TooManyClients`].
    pub async fn add_oauth_client(
        &self,
        name: &str,
        redirects: Vec<String>,
        network: &str,
    ) -> Result<String, StoreError> {
        let (text, now_ms) = (random_text()?, now_ms());
        let client = OAuthClient { id: 0, name: name.to_owned(), redirects };
        let mut transaction = self.database().write().await?;
        let (all, recent) = database::oauth::count_clients(&mut transaction, network, now_ms - HOUR_MS).await?;
        if recent >= MAX_PER_HOUR {
            return Err(OAuthRefusal::TooManyRegistrations.into());
        }
        if all >= MAX_CLIENTS && !database::oauth::remove_unused_client(&mut transaction).await? {
            return Err(OAuthRefusal::TooManyClients.into());
        }
        database::oauth::insert_client(&mut transaction, &client, &hash(&text), network, now_ms).await?;
        commit(transaction).await?;
        Ok(text)
    }

    /// The client with this id.
    pub async fn oauth_client(&self, text: &str) -> Result<Option<OAuthClient>, StoreError> {
        database::oauth::find_client(&mut *self.database().read().await?, &hash(text)).await
    }

    /// Stores what a person has permitted. Returns the text of the code, which cannot be read again.
    pub async fn issue_oauth_code(&self, code: &OAuthCode) -> Result<String, StoreError> {
        let text = random_text()?;
        let mut transaction = self.database().write().await?;
        database::oauth::insert_code(&mut transaction, code, &hash(&text), now_ms() - REMEMBERED_MS).await?;
        commit(transaction).await?;
        Ok(text)
    }

    /// Exchanges a code for tokens, once: a presented code is used up, also if it is refused. Earlier tokens that the client has of the
    /// same person end.
    ///
    /// # Errors
    /// [`StoreError::OAuth`]; [`StoreError::TooManyTokens`] of the person, with which the code stays unused.
    pub async fn exchange_oauth_code(
        &self,
        presented: &PresentedCode<'_>,
        access_expires_ms: i64,
        expires_ms: i64,
    ) -> Result<OAuthTokens, StoreError> {
        let mut transaction = self.database().write().await?;
        let exchanged = exchange(&mut transaction, presented, access_expires_ms, expires_ms).await;
        if matches!(exchanged, Ok(_) | Err(StoreError::OAuth(_))) {
            commit(transaction).await?;
        }
        exchanged
    }

    /// Exchanges a refresh token for new tokens, once: a second use ends the token, because a copy of it may have been stolen.
    ///
    /// # Errors
    /// [`StoreError::OAuth`].
    pub async fn refresh_oauth_token(
        &self,
        refresh: &str,
        client: &str,
        resource: Option<&str>,
        access_expires_ms: i64,
    ) -> Result<OAuthTokens, StoreError> {
        let mut transaction = self.database().write().await?;
        let renewed = renew(&mut transaction, refresh, client, resource, access_expires_ms).await;
        if matches!(renewed, Ok(_) | Err(StoreError::OAuth(_))) {
            commit(transaction).await?;
        }
        renewed
    }

    /// Whether a text is the last access token of a client, and has expired.
    pub async fn is_expired_access(&self, text: &str) -> Result<bool, StoreError> {
        database::oauth::is_expired(&mut *self.database().read().await?, &hash(text), now_ms()).await
    }

    /// Id of the token whose access token or refresh token a client presents; `None` for a text that it does not have.
    pub async fn oauth_token(&self, text: &str, client: &str) -> Result<Option<i64>, StoreError> {
        let family = text.split_once(SEPARATOR).map_or(text, |(family, _)| family);
        let mut connection = self.database().read().await?;
        database::oauth::token_of_client(&mut connection, &hash(client), &hash(text), &hash(family)).await
    }
}

async fn exchange(
    connection: &mut Connection,
    presented: &PresentedCode<'_>,
    access_expires_ms: i64,
    expires_ms: i64,
) -> Result<OAuthTokens, StoreError> {
    let code_hash = hash(presented.code);
    let found = database::oauth::present_code(connection, &code_hash).await?.ok_or(OAuthRefusal::UnknownCode)?;
    if found.uses > 1 {
        if let Some(token) = found.token {
            database::tokens::remove(connection, token).await?;
        }
        return Err(OAuthRefusal::UsedCode.into());
    }
    let code = found.code;
    let client = database::oauth::find_client(connection, &hash(presented.client)).await?;
    check(&code, client.as_ref().map(|client| client.id), presented)?;
    let client = client.ok_or(OAuthRefusal::OtherClient)?;
    for earlier in database::oauth::tokens_of(connection, client.id, code.person).await? {
        database::tokens::remove(connection, earlier).await?;
    }
    if let Some(person) = code.person {
        check_count(connection, person).await?;
    }
    let owner = TokenOwner { person: code.person, limits: Some(code.limits.clone()), ..TokenOwner::default() };
    let issued = insert_owned(connection, &client.name, code.role, TokenKind::Api, Some(expires_ms), owner);
    let (access, token) = issued.await?;
    let (family, secret) = (random_text()?, random_text()?);
    let halves: [&[u8]; 2] = [&hash(&family), &hash(&secret)];
    database::oauth::insert_grant(connection, token.id, &code, halves, access_expires_ms).await?;
    database::oauth::set_token_of_code(connection, &code_hash, token.id).await?;
    Ok(OAuthTokens { access, refresh: format!("{family}{SEPARATOR}{secret}"), name: client.name })
}

/// Checks that a client presents a code as it was issued.
fn check(code: &OAuthCode, client: Option<i64>, presented: &PresentedCode<'_>) -> Result<(), OAuthRefusal> {
    let differs = |given: Option<&str>, issued: &str| given.is_some_and(|given| given != issued);
    let refusals = [
        (client != Some(code.client), OAuthRefusal::OtherClient),
        (code.expires_ms <= now_ms(), OAuthRefusal::ExpiredCode),
        (differs(presented.redirect, &code.redirect), OAuthRefusal::OtherRedirect),
        (presented.challenge != code.challenge, OAuthRefusal::WrongVerifier),
        (differs(presented.resource, &code.resource), OAuthRefusal::OtherResource),
    ];
    refusals.into_iter().find(|(is_refused, _)| *is_refused).map_or(Ok(()), |(_, refusal)| Err(refusal))
}

async fn renew(
    connection: &mut Connection,
    refresh: &str,
    client: &str,
    resource: Option<&str>,
    access_expires_ms: i64,
) -> Result<OAuthTokens, StoreError> {
    let (family, secret) = refresh.split_once(SEPARATOR).ok_or(OAuthRefusal::UnknownRefresh)?;
    let found = database::oauth::grant(connection, &hash(family), now_ms()).await?;
    let grant = found.ok_or(OAuthRefusal::UnknownRefresh)?;
    if grant.client != hash(client) {
        return Err(OAuthRefusal::OtherClient.into());
    }
    if grant.secret != hash(secret) {
        database::tokens::remove(connection, grant.token).await?;
        return Err(OAuthRefusal::UsedRefresh.into());
    }
    if resource.is_some_and(|resource| resource != grant.resource) {
        return Err(OAuthRefusal::OtherResource.into());
    }
    let (access, secret) = (random_text()?, random_text()?);
    database::oauth::renew(connection, grant.token, &hash(&access), &hash(&secret), access_expires_ms).await?;
    Ok(OAuthTokens { access, refresh: format!("{family}{SEPARATOR}{secret}"), name: grant.name })
}
