//! Invitations: a secret text with which a new person creates their account, once. Only its hash is stored. An invitation ends with the
//! right of its creator to give what it gives.

use wire::access::person::InvitationView;
use wire::access::{Membership, Role};

use crate::access::{Creator, Identity, check_project};
use crate::clock::now_ms;
use crate::database::invitations::InvitationRow;
use crate::database::people::NewPerson;
use crate::database::{self, Connection, commit};
use crate::error::StoreError;
use crate::people::{insert_person, insert_session};
use crate::shares::is_valid;
use crate::store::Store;
use crate::tokens::{hash, random_text};

/// Open invitations of one lab.
const MAX_INVITATIONS: u64 = 1_000;

impl Store {
    /// Creates an invitation and returns its text, which cannot be read again.
    ///
    /// # Errors
    /// [`StoreError::TooManyInvitations`], [`StoreError::UnknownProject`].
    pub async fn issue_invitation(
        &self,
        name: &str,
        role: Option<Role>,
        projects: Vec<Membership>,
        creator: Creator<'_>,
        expires_ms: i64,
    ) -> Result<(String, InvitationView), StoreError> {
        let (text, now_ms) = (random_text()?, now_ms());
        let (name, created_by) = (name.to_owned(), creator.name.to_owned());
        let view = InvitationView { id: 0, name, role, projects, created_by, created_ms: now_ms, expires_ms };
        let mut invitation = InvitationRow { view, person: creator.person, token: creator.token };
        let mut transaction = self.database().write().await?;
        for Membership { project, .. } in &invitation.view.projects {
            check_project(&mut transaction, project).await?;
        }
        database::invitations::sweep(&mut transaction, now_ms).await?;
        check_room(&mut transaction, now_ms).await?;
        invitation.view.id = database::invitations::insert(&mut transaction, &invitation, &hash(&text)).await?;
        commit(transaction).await?;
        Ok((text, invitation.view))
    }

    /// The invitations that were neither used nor revoked, have not expired, and give what their creator may give now, oldest first.
    pub async fn invitations(&self) -> Result<Vec<InvitationView>, StoreError> {
        let mut connection = self.database().read().await?;
        let mut valid = vec![];
        for invitation in database::invitations::list(&mut connection, now_ms()).await? {
            if is_valid(&mut connection, &invitation).await? {
                valid.push(invitation.view);
            }
        }
        Ok(valid)
    }

    /// The invitation with this text; `None` for one that is unknown, used, revoked or expired, or gives what its creator may not give
    /// any more.
    pub async fn invitation(&self, text: &str) -> Result<Option<InvitationView>, StoreError> {
        let mut connection = self.database().read().await?;
        let found = database::invitations::find(&mut connection, &hash(text), now_ms()).await?;
        let Some(invitation) = found else { return Ok(None) };
        Ok(is_valid(&mut connection, &invitation).await?.then_some(invitation.view))
    }

    /// Revokes an invitation. Returns whether it existed.
    pub async fn remove_invitation(&self, id: i64) -> Result<bool, StoreError> {
        let mut transaction = self.database().write().await?;
        let removed = database::invitations::remove(&mut transaction, id).await?;
        commit(transaction).await?;
        Ok(removed)
    }

    /// Creates the account of an invited person with a name and the hash of a password, and signs them in; `None` for an invitation that
    /// is unknown, used, revoked or expired, or gives what its creator may not give any more. Projects that were deleted meanwhile are left
    /// out.
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
        if !is_valid(&mut transaction, &invitation).await? {
            return Ok(None);
        }
        let (name, password, invitation) = (name.to_owned(), Some(password), invitation.view);
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

/// Checks that the lab may have another invitation. Where it has the most already, those that nobody lists any more are deleted first.
async fn check_room(connection: &mut Connection, now_ms: i64) -> Result<(), StoreError> {
    if database::invitations::count(connection).await? < MAX_INVITATIONS {
        return Ok(());
    }
    for invitation in database::invitations::list(connection, now_ms).await? {
        if !is_valid(connection, &invitation).await? {
            database::invitations::remove(connection, invitation.view.id).await?;
        }
    }
    match database::invitations::count(connection).await? {
        fewer if fewer < MAX_INVITATIONS => Ok(()),
        _ => Err(StoreError::TooManyInvitations { most: MAX_INVITATIONS }),
    }
}
