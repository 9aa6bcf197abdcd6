//! People with accounts: their roles, passwords, sessions and tokens of programs. A removed person's tokens, sessions and links end; their
//! runs and their commands in the journal stay.

use wire::access::person::RemovedAccount;
use wire::access::{Role, TokenKind};

use crate::access::{Identity, check_admin, identity_of};
use crate::clock::now_ms;
use crate::database::people::{NewPerson, PersonRecord};
use crate::database::tokens::TokenInfo;
use crate::database::{self, Connection, commit};
use crate::error::StoreError;
use crate::shares::end_shares;
use crate::store::Store;
use crate::tokens::{SESSION_MS, TokenOwner, hash, insert_owned};

/// Tokens of programs of one person.
const MAX_TOKENS: u64 = 100;
/// The id of no token: ids begin at 1.
const NO_TOKEN: i64 = 0;

impl Store {
    /// All people, by name.
    pub async fn people(&self) -> Result<Vec<PersonRecord>, StoreError> {
        records(&mut *self.database().read().await?, None).await
    }

    /// A person.
    ///
    /// # Errors
    /// [`StoreError::UnknownPerson`].
    pub async fn person(&self, id: i64) -> Result<PersonRecord, StoreError> {
        record(&mut *self.database().read().await?, id).await
    }

    /// Stores a person.
    ///
    /// # Errors
    /// [`StoreError::PersonExists`] where the name is taken; [`StoreError::AccountRemoved`] for an account of OpenID Connect whose person was
    /// removed.
    pub async fn add_person(&self, new: &NewPerson) -> Result<PersonRecord, StoreError> {
        let mut transaction = self.database().write().await?;
        if let Some(account) = &new.provider
            && database::people::is_removed(&mut transaction, account).await?
        {
            return Err(StoreError::AccountRemoved);
        }
        let id = insert_person(&mut transaction, new).await?;
        let added = record(&mut transaction, id).await?;
        commit(transaction).await?;
        Ok(added)
    }

    /// Changes the name, or the role in the whole lab, of a person. With a lower role, what they have shared and may not share any more ends.
    /// `by` is the token of the sender, `None` for the server itself.
    ///
    /// # Errors
    /// [`StoreError::UnknownPerson`], [`StoreError::PersonExists`], [`StoreError::RoleLost`].
    pub async fn change_person(
        &self,
        id: i64,
        name: Option<&str>,
        role: Option<Option<Role>>,
        by: Option<i64>,
    ) -> Result<PersonRecord, StoreError> {
        let mut transaction = self.database().write().await?;
        check_admin(&mut transaction, by, None).await?;
        record(&mut transaction, id).await?;
        if let Some(name) = name
            && !database::people::set_name(&mut transaction, id, name).await?
        {
            return Err(StoreError::PersonExists { name: name.to_owned() });
        }
        if let Some(role) = role {
            database::people::set_role(&mut transaction, id, role).await?;
            end_shares(&mut transaction, id).await?;
        }
        let changed = record(&mut transaction, id).await?;
        commit(transaction).await?;
        Ok(changed)
    }

    /// Removes a person. Their tokens, sessions and links end, and their account of OpenID Connect gets no new person until
    /// [`Store::let_in_again`]. `by` is the token of the sender, `None` for the server itself.
    ///
    /// # Errors
    /// [`StoreError::UnknownPerson`], [`StoreError::RoleLost`].
    pub async fn remove_person(&self, id: i64, by: Option<i64>) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        check_admin(&mut transaction, by, None).await?;
        database::people::note_removed(&mut transaction, id, now_ms()).await?;
        if !database::people::remove(&mut transaction, id).await? {
            return Err(StoreError::UnknownPerson { id });
        }
        commit(transaction).await
    }

    /// The accounts of OpenID Connect whose persons were removed, newest first.
    pub async fn removed_accounts(&self) -> Result<Vec<RemovedAccount>, StoreError> {
        database::people::removed(&mut *self.database().read().await?).await
    }

    /// Lets an account of OpenID Connect whose person was removed get a new person. Returns whether it was in the list.
    pub async fn let_in_again(&self, id: i64) -> Result<bool, StoreError> {
        let mut transaction = self.database().write().await?;
        let existed = database::people::forget_removed(&mut transaction, id).await?;
        commit(transaction).await?;
        Ok(existed)
    }

    /// Id and password hash of the person with this name, or else with this e-mail address.
    pub async fn person_of_login(&self, login: &str) -> Result<Option<(i64, Option<String>)>, StoreError> {
        database::people::by_login(&mut *self.database().read().await?, login).await
    }

    /// Id of the person with this account of OpenID Connect.
    pub async fn person_of_provider(&self, issuer: &str, subject: &str) -> Result<Option<i64>, StoreError> {
        database::people::by_provider(&mut *self.database().read().await?, issuer, subject).await
    }

    /// Whether anybody can sign in with a password.
    pub async fn has_passwords(&self) -> Result<bool, StoreError> {
        database::people::has_passwords(&mut *self.database().read().await?).await
    }

    /// Hash of the password of a person.
    pub async fn password_of(&self, person: i64) -> Result<Option<String>, StoreError> {
        database::people::password(&mut *self.database().read().await?, person).await
    }

    /// Sets the hash of the password of a person, and ends their sign-in links, and their sessions except `kept`.
    ///
    /// # Errors
    /// [`StoreError::UnknownPerson`].
    pub async fn set_password(&self, person: i64, password: &str, kept: i64) -> Result<(), StoreError> {
        let mut transaction = self.database().write().await?;
        if !database::people::set_password(&mut transaction, person, password).await? {
            return Err(StoreError::UnknownPerson { id: person });
        }
        database::tokens::remove_sessions(&mut transaction, person, kept).await?;
        commit(transaction).await
    }

    /// Takes the password of a person away, ends their sessions and earlier sign-in links, and creates a sign-in link, with which they can
    /// set another one. `by` is the token of the sender, `None` for the server itself.
    ///
    /// # Errors
    /// [`StoreError::UnknownPerson`], [`StoreError::RoleLost`].
    pub async fn reset_password(
        &self,
        person: i64,
        expires_ms: Option<i64>,
        by: Option<i64>,
    ) -> Result<(String, TokenInfo), StoreError> {
        let mut transaction = self.database().write().await?;
        check_admin(&mut transaction, by, None).await?;
        let name = record(&mut transaction, person).await?.name;
        database::people::clear_password(&mut transaction, person).await?;
        database::tokens::remove_sessions(&mut transaction, person, NO_TOKEN).await?;
        let owner = TokenOwner { person: Some(person), ..TokenOwner::default() };
        let issued = insert_owned(&mut transaction, &name, Role::Admin, TokenKind::SignIn, expires_ms, owner).await?;
        commit(transaction).await?;
        Ok(issued)
    }

    /// Signs a person in: the text of a new session, and what it reaches.
    ///
    /// # Errors
    /// [`StoreError::UnknownPerson`].
    pub async fn open_session(&self, person: i64) -> Result<(String, Identity), StoreError> {
        let mut transaction = self.database().write().await?;
        database::tokens::sweep(&mut transaction, now_ms()).await?;
        let opened = insert_session(&mut transaction, person).await?;
        commit(transaction).await?;
        Ok(opened)
    }

    /// Creates a token of a person for a program; `role` and `projects` limit what it reaches.
    ///
    /// # Errors
    /// [`StoreError::TooManyTokens`].
    pub async fn issue_personal_token(
        &self,
        person: i64,
        name: &str,
        role: Role,
        projects: Option<Vec<String>>,
        expires_ms: Option<i64>,
    ) -> Result<(String, TokenInfo), StoreError> {
        let mut transaction = self.database().write().await?;
        check_count(&mut transaction, person).await?;
        let owner = TokenOwner { person: Some(person), projects, limits: None };
        let issued = insert_owned(&mut transaction, name, role, TokenKind::Api, expires_ms, owner).await?;
        commit(transaction).await?;
        Ok(issued)
    }
}

/// Checks that a person may have another token of a program.
///
/// # Errors
/// [`StoreError::TooManyTokens`].
pub(crate) async fn check_count(connection: &mut Connection, person: i64) -> Result<(), StoreError> {
    database::tokens::sweep(connection, now_ms()).await?;
    match database::tokens::count_of_person(connection, person).await? >= MAX_TOKENS {
        true => Err(StoreError::TooManyTokens { most: MAX_TOKENS }),
        false => Ok(()),
    }
}

/// Stores a person and returns their id.
pub(crate) async fn insert_person(connection: &mut Connection, new: &NewPerson) -> Result<i64, StoreError> {
    let taken = || StoreError::PersonExists { name: new.name.clone() };
    database::people::insert(connection, new, now_ms()).await?.ok_or_else(taken)
}

/// Stores a session of a person. Its role limits nothing: that of the person holds.
pub(crate) async fn insert_session(connection: &mut Connection, person: i64) -> Result<(String, Identity), StoreError> {
    let name = record(connection, person).await?.name;
    let (now_ms, owner) = (now_ms(), TokenOwner { person: Some(person), ..TokenOwner::default() });
    let expires_ms = Some(now_ms + SESSION_MS);
    let (text, _) = insert_owned(connection, &name, Role::Admin, TokenKind::Session, expires_ms, owner).await?;
    let token = database::tokens::find(connection, &hash(&text), now_ms).await?;
    let identity = match token {
        Some(token) => identity_of(connection, token, now_ms).await?,
        None => None,
    };
    Ok((text, identity.ok_or(StoreError::UnknownPerson { id: person })?))
}

async fn record(connection: &mut Connection, id: i64) -> Result<PersonRecord, StoreError> {
    records(connection, Some(id)).await?.pop().ok_or(StoreError::UnknownPerson { id })
}

async fn records(connection: &mut Connection, only: Option<i64>) -> Result<Vec<PersonRecord>, StoreError> {
    let mut people = database::people::list(connection, only).await?;
    let memberships = database::people::memberships(connection).await?;
    for person in &mut people {
        let own = memberships.iter().filter(|(of, _)| *of == person.id);
        person.projects = own.map(|(_, membership)| membership.clone()).collect();
    }
    Ok(people)
}
