//! Invitations: a secret text with which a new person creates their account, once. Only its hash is stored.

use wire::access::person::InvitationView;
use wire::access::{Membership, Role};

use crate::access::Identity;
use crate::clock::now_ms;
use crate::database::people::NewPerson;
use crate::database::{self, commit};
use crate::error::StoreError;
use crate::people::{insert_person, insert_session};
use crate::store::Store;
use crate::tokens::{hash, random_text};

impl Store {
    /// Creates an invitation and returns its text, which cannot be read again.
    pub async fn issue_invitation(
        &self,
        name: &str,
        role: Option<Role>,
        projects: Vec<Membership>,
        created_by: &str,
        expires_ms: i64,
    ) -> Result<(String, InvitationView), StoreError> {
        let (text, now_ms) = (random_text()?, now_ms());
        let (name, created_by) = (name.to_owned(), created_by.to_owned());
        let mut view = InvitationView { id: 0, name, role, projects, created_by, created_ms: now_ms, expires_ms };
        let mut transaction = self.database().write().await?;
        database::invitations::sweep(&mut transaction, now_ms).await?;
        view.id = database::invitations::insert(&mut transaction, &view, &hash(&text)).await?;
        commit(transaction).await?;
        Ok((text, view))
    }

    /// The invitations that were neither used nor revoked and have not expired, oldest first.
    pub async fn invitations(&self) -> Result<Vec<InvitationView>, StoreError> {
        database::invitations::list(&mut *self.database().read().await?, now_ms()).await
    }

    /// The invitation with this text; `None` for one that is unknown, used, revoked or expired.
    pub async fn invitation(&self, text: &str) -> Result<Option<InvitationView>, StoreError> {
        database::invitations::find(&mut *self.database().read().await?, &hash(text), now_ms()).await
    }

    /// Revokes an invitation. Returns whether it existed.
    pub async fn remove_invitation(&self, id: i64) -> Result<bool, StoreError> {
        let mut transaction = self.database().write().await?;
        let removed = database::invitations::remove(&mut transaction, id).await?;
        commit(transaction).await?;
        Ok(removed)
    }

    /// Creates the account of an invited person with a name and the hash of a password, and signs them in; `None` for an invitation that
    /// is unknown, used, revoked or expired. Projects that were deleted meanwhile are left out.
    ///
    /// # Errors
    /// [`StoreError::PersonExists`]: the invitation stays valid for another name.
    pub async fn accept_invitation(
        &self,
        text: &str,
        name: &str,
        password: String,
    ) -> Result<Option<(String, Identity)>, StoreError> {
        let mut transaction = self.database().write().await?;
        let Some(invitation) = database::invitations::consume(&mut transaction, &hash(text), now_ms()).await? else {
            return Ok(None);
        };
        let (name, password) = (name.to_owned(), Some(password));
        let new = NewPerson { name, role: invitation.role, password, ..NewPerson::default() };
        let person = insert_person(&mut transaction, &new).await?;
        for Membership { project, role } in &invitation.projects {
            database::projects::set_member(&mut transaction, project, person, *role).await?;
        }
        let opened = insert_session(&mut transaction, person).await?;
        commit(transaction).await?;
        Ok(Some(opened))
    }
}
