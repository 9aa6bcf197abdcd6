//! What links and invitations still give: no more than their creator may give now. Those that give nothing any more end when their creator
//! loses a role, so that they do not give it again when the creator gets another one.

use wire::access::person::InvitationView;
use wire::access::{Grants, Role};

use crate::access::{creator_grants, grants_of};
use crate::clock::now_ms;
use crate::database::invitations::InvitationRow;
use crate::database::{self, Connection};
use crate::error::StoreError;

/// Whether the creator of an invitation may give now what it gives.
pub(crate) async fn is_valid(connection: &mut Connection, invitation: &InvitationRow) -> Result<bool, StoreError> {
    let InvitationRow { view: InvitationView { role, projects, .. }, person, token } = invitation;
    Ok(creator_grants(connection, *person, *token, Role::Admin).await?.may_give(*role, projects))
}

/// Ends the links and invitations of a person that give nothing any more.
pub(crate) async fn end_shares(connection: &mut Connection, person: i64) -> Result<(), StoreError> {
    for link in database::links::of_person(connection, person).await? {
        if grants_of(connection, &link).await? == Grants::default() {
            database::links::remove(connection, link.id).await?;
        }
    }
    for invitation in database::invitations::list(connection, now_ms()).await? {
        if invitation.person == Some(person) && !is_valid(connection, &invitation).await? {
            database::invitations::remove(connection, invitation.view.id).await?;
        }
    }
    Ok(())
}
