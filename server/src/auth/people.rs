//! People with accounts: listed, changed and removed.
//!
//! - [`invitations`]: how a person gets an account; [`passwords`]: signing in with one; [`provider`]: signing in with OpenID Connect;
//! - [`tokens`]: the sessions and tokens of programs of one's own account.

pub mod invitations;
pub mod passwords;
pub mod provider;
pub mod tokens;

use store::{Identity, PersonRecord};
use wire::access::person::{PersonChange, PersonView};
use wire::access::{Membership, Role};

use crate::auth::not_a_program;
use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::name::checked_name;

/// People as the sender may see them: all for those who reach the whole lab, else those of the projects in which they have a role of their
/// own; a share link shows nobody. Only admins see addresses, times and ways to sign in of others.
///
/// # Errors
/// An error of the store.
pub async fn list(lab: &Lab, own: &Identity) -> Result<Vec<PersonView>, ApiError> {
    let own = &Identity { grants: lab.store().own_grants(own.token_id).await?, ..own.clone() };
    let people = lab.store().people().await?.into_iter();
    Ok(people.filter_map(|person| seen_by(own, person)).collect())
}

fn seen_by(own: &Identity, person: PersonRecord) -> Option<PersonView> {
    let (visible, is_you) = (own.grants.visible(), own.person == Some(person.id));
    let is_admin = own.grants.has_lab(Role::Admin);
    let mut view = view(person, own);
    view.projects.retain(|Membership { project, .. }| visible.has_project(project));
    if !is_admin && !is_you {
        (view.email, view.seen_ms, view.created_ms) = (None, None, None);
        (view.has_password, view.has_provider) = (None, None);
    }
    (is_you || own.grants.has_lab(Role::View) || !view.projects.is_empty()).then_some(view)
}

fn view(person: PersonRecord, own: &Identity) -> PersonView {
    let PersonRecord { id, name, email, role, projects, has_password, has_provider, created_ms, seen_ms } = person;
    let is_you = own.person == Some(id);
    let (has_password, has_provider, created_ms) = (Some(has_password), Some(has_provider), Some(created_ms));
    PersonView { id, name, email, role, projects, has_password, has_provider, created_ms, seen_ms, is_you }
}

/// Changes the name or the role of a person.
///
/// # Errors
/// 404 for an unknown person, 409 for a name that is taken, for one's own role and for a role by a token of a program, 422 for an invalid
/// name; an error of the store.
pub async fn change(lab: &Lab, own: &Identity, id: i64, change: PersonChange) -> Result<PersonView, ApiError> {
    if own.person == Some(id) && change.role.is_some() {
        return Err(own_account("change your own role"));
    }
    if change.role.is_some() {
        not_a_program(own)?;
    }
    let name = change.name.as_deref().map(checked_name).transpose()?;
    let changed =
        lab.store().change_person(id, name.as_deref(), change.role.map(Into::into), Some(own.token_id)).await?;
    lab.access_changed();
    tracing::info!("{} changed the account of {:?}", own.name, changed.name);
    Ok(view(changed, own))
}

/// Removes a person. Their tokens, sessions and links end; their runs stay. Their account of OpenID Connect cannot sign in until
/// [`let_in_again`].
///
/// # Errors
/// 404 for an unknown person, 409 for one's own account; an error of the store.
pub async fn remove(lab: &Lab, own: &Identity, id: i64) -> Result<(), ApiError> {
    if own.person == Some(id) {
        return Err(own_account("remove your own account"));
    }
    let name = lab.store().person(id).await?.name;
    lab.store().remove_person(id, Some(own.token_id)).await?;
    lab.access_changed();
    tracing::info!("{} removed the account of {name:?}", own.name);
    Ok(())
}

/// Lets an account of OpenID Connect whose person was removed sign in again, as somebody new.
///
/// # Errors
/// 404 for an account that is not in the list; an error of the store.
pub async fn let_in_again(lab: &Lab, own: &Identity, id: i64) -> Result<(), ApiError> {
    not_a_program(own)?;
    if !lab.store().let_in_again(id).await? {
        return Err(ApiError::not_found(format!("unknown removed account {id}"))
            .hint("GET /api/v1/removed-accounts lists the accounts"));
    }
    tracing::info!("{} let the removed account {id} in again", own.name);
    Ok(())
}

/// 409: so that an admin always remains.
fn own_account(what: &str) -> ApiError {
    ApiError::conflict("own_account", format!("you cannot {what}, so that an admin remains")).hint("ask another admin")
}
