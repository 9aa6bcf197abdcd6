//! Share links. Only hashes of their texts are stored. A link gives no more than its creator has at that moment: where a person loses a
//! role, their links lose it too, and a link that gives nothing any more ends. The link of a token of a program ends with that.

use wire::access::link::LinkScope;
use wire::access::{Grants, Role, TokenKind};

use crate::access::{check_project, grants_of};
use crate::clock::now_ms;
use crate::database::links::LinkRecord;
use crate::database::{self, Connection, commit};
use crate::error::StoreError;
use crate::store::Store;
use crate::tokens;

/// Links of one lab that have not expired.
const MAX_LINKS: u64 = 5_000;
/// Of these, those of one person, or of the tokens of the lab with one name.
const MAX_OWN_LINKS: u64 = 500;
/// Sessions of guests that have opened one link.
const MAX_GUESTS: u64 = 1_000;
/// A browser keeps the links that it has opened for 30 days, or until they expire.
const SESSION_MS: i64 = 30 * 24 * 3600 * 1000;

/// A link to store.
#[derive(Debug, Clone)]
pub struct NewLinkRecord {
    pub scope: LinkScope,
    /// Path and query of the page that it opens.
    pub path: String,
    pub role: Role,
    pub is_embed: bool,
    /// PHC string of its passphrase.
    pub passphrase: Option<String>,
    /// Name of its creator.
    pub created_by: String,
    /// The person who creates it; `None` for a token of the lab.
    pub person: Option<i64>,
    /// The token of a program with which they create it; `None` for a browser.
    pub token: Option<i64>,
    /// Expiry, ms since 1970; `None` for never.
    pub expires_ms: Option<i64>,
}

/// The session to which a link was added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenedBy {
    /// The session that the browser had.
    Session,
    /// A new session of a guest: the text of its token.
    Guest(String),
}

impl Store {
    /// Creates a link and returns its text, which cannot be read again.
    ///
    /// # Errors
    /// [`StoreError::TooManyLinks`], [`StoreError::TooManyOwnLinks`], [`StoreError::UnknownProject`].
    pub async fn add_link(&self, new: NewLinkRecord) -> Result<(String, LinkRecord), StoreError> {
        let (text, created_ms) = (tokens::random_text()?, now_ms());
        let NewLinkRecord { scope, path, role, is_embed, passphrase, created_by, person, token, expires_ms } = new;
        let (opened, opened_ms) = (0, None);
        let mut link = LinkRecord {
            id: 0,
            scope,
            path,
            role,
            is_embed,
            passphrase,
            created_by,
            person,
            token,
            created_ms,
            expires_ms,
            opened,
            opened_ms,
        };
        let mut transaction = self.database().write().await?;
        if let LinkScope::Project(project) = &link.scope {
            check_project(&mut transaction, project).await?;
        }
        database::links::sweep(&mut transaction, created_ms).await?;
        if database::links::count(&mut transaction, created_ms).await? >= MAX_LINKS {
            return Err(StoreError::TooManyLinks { most: MAX_LINKS });
        }
        if database::links::count_of_creator(&mut transaction, &link).await? >= MAX_OWN_LINKS {
            return Err(StoreError::TooManyOwnLinks { created_by: link.created_by, most: MAX_OWN_LINKS });
        }
        link.id = database::links::insert(&mut transaction, &link, &tokens::hash(&text)).await?;
        commit(transaction).await?;
        Ok((text, link))
    }

    /// All links that have not expired, oldest first.
    pub async fn links(&self) -> Result<Vec<LinkRecord>, StoreError> {
        database::links::list(&mut *self.database().read().await?, now_ms()).await
    }

    /// The link with this text; `None` for one that was revoked, has expired or never existed.
    pub async fn find_link(&self, text: &str) -> Result<Option<LinkRecord>, StoreError> {
        database::links::find(&mut *self.database().read().await?, &tokens::hash(text), now_ms()).await
    }

    /// What a link gives access to now; nothing where its creator has lost it, and nothing for a link that was revoked or has expired.
    pub async fn grants_of_link(&self, id: i64) -> Result<Grants, StoreError> {
        let mut connection = self.database().read().await?;
        match database::links::get(&mut connection, id, now_ms()).await? {
            Some(link) => grants_of(&mut connection, &link).await,
            None => Ok(Grants::default()),
        }
    }

    /// Adds a link to the session of a browser, or to a new session of a guest where it has none. Beyond 1,000 sessions of guests with the
    /// link, the oldest one ends. `None` if the link was revoked or has expired, and for embeds.
    pub async fn open_link(&self, id: i64, session: Option<i64>) -> Result<Option<OpenedBy>, StoreError> {
        let mut transaction = self.database().write().await?;
        let now_ms = now_ms();
        database::tokens::sweep(&mut transaction, now_ms).await?;
        let found = database::links::get(&mut transaction, id, now_ms).await?;
        if found.is_none_or(|link| link.is_embed) {
            return Ok(None);
        }
        let session = match session {
            Some(token) => database::tokens::get(&mut transaction, token, now_ms).await?,
            None => None,
        };
        let session = session.filter(|token| matches!(token.kind, TokenKind::Session | TokenKind::Guest));
        let (token, opened_by) = match session {
            Some(token) => (token.id, OpenedBy::Session),
            None => {
                let (text, token) = add_guest(&mut transaction, now_ms).await?;
                (token, OpenedBy::Guest(text))
            }
        };
        if database::links::attach(&mut transaction, token, id).await? {
            database::links::count_opened(&mut transaction, id, 1, now_ms).await?;
        }
        if matches!(opened_by, OpenedBy::Guest(_)) {
            database::links::end_oldest_guests(&mut transaction, id, MAX_GUESTS).await?;
        }
        commit(transaction).await?;
        Ok(Some(opened_by))
    }

    /// The links that the browsers of all sessions have opened and that have not expired: the token, and role and expiry of the link.
    pub async fn links_of_sessions(&self) -> Result<Vec<(i64, Role, Option<i64>)>, StoreError> {
        database::links::of_sessions(&mut *self.database().read().await?, now_ms()).await
    }

    /// Whether a text is the token of a guest, whose links may all have ended.
    pub async fn is_guest(&self, text: &str) -> Result<bool, StoreError> {
        let mut connection = self.database().read().await?;
        let found = database::tokens::find(&mut connection, &tokens::hash(text), now_ms()).await?;
        Ok(found.is_some_and(|token| token.kind == TokenKind::Guest))
    }

    /// Counts requests of embeds by the ids of their links.
    pub async fn count_embeds(&self, requests: &[(i64, u64)]) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        let now_ms = now_ms();
        for (id, times) in requests {
            database::links::count_opened(&mut transaction, *id, *times, now_ms).await?;
        }
        commit(transaction).await
    }

    /// Revokes a link at once, for those too who have opened it. Returns whether it existed.
    pub async fn revoke_link(&self, id: i64) -> Result<bool, StoreError> {
        let mut transaction = self.database().write().await?;
        let existed = database::links::remove(&mut transaction, id).await?;
        commit(transaction).await?;
        Ok(existed)
    }
}

/// A session of a guest: the text and the id of its token. Its number makes the names of guests differ.
async fn add_guest(connection: &mut Connection, now_ms: i64) -> Result<(String, i64), StoreError> {
    let expires_ms = Some(now_ms + SESSION_MS);
    let (text, token) = tokens::insert(connection, "guest", Role::Steer, TokenKind::Guest, expires_ms).await?;
    database::tokens::set_name(connection, token.id, &format!("guest {}", token.id)).await?;
    Ok((text, token.id))
}
