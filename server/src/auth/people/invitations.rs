//! Invitations: an admin creates one, and the person who has its link creates their account with it, once.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use store::Identity;
use wire::access::person::{AcceptInvitation, CreatedInvitation, InvitationView, NewInvitation};
use wire::access::{Membership, Role};

use super::passwords::checked_password;
use crate::auth::project::check_exists;
use crate::auth::tokens::DAY_MS;
use crate::auth::{forbidden, not_a_program, project};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::audit::Sender;
use crate::lab::name::checked_name;
use crate::live::clock::now_ms;

/// Default and longest validity, days.
const DAYS: u32 = 7;
const MAX_DAYS: u32 = 90;
/// Most projects of an invitation.
const MOST_PROJECTS: usize = 100;

/// The open invitations that the sender may revoke, oldest first: all for admins of the lab, else those to projects that the sender
/// administers.
///
/// # Errors
/// An error of the store.
pub async fn list(lab: &Lab, own: &Identity) -> Result<Vec<InvitationView>, ApiError> {
    let open = lab.store().invitations().await?.into_iter();
    Ok(open.filter(|invitation| own.grants.may_give(invitation.role, &invitation.projects)).collect())
}

/// Creates an invitation.
///
/// # Errors
/// 403 for a role or a project that is not the sender's to give, 404 for an unknown project, 409 for a person's token of a program and if
/// there are too many invitations, 422 for an invalid name, validity or role, and for too many projects; an error of the store.
pub async fn create(lab: &Lab, own: &Identity, new: NewInvitation) -> Result<CreatedInvitation, ApiError> {
    let role = new.role.into();
    let projects = distinct(new.projects)?;
    permit(own, role, &projects)?;
    not_a_program(own)?;
    let (name, days) = (checked_name(&new.name)?, new.days.unwrap_or(DAYS));
    if !(1..=MAX_DAYS).contains(&days) {
        let message = format!("the validity must be 1 to {MAX_DAYS} days; got {days}");
        return Err(ApiError::invalid("days_invalid", message).field("days"));
    }
    for Membership { project, role } in &projects {
        check_exists(lab, project).await?;
        check_role(*role)?;
    }
    let expires_ms = now_ms() + i64::from(days) * DAY_MS;
    let issued = lab.store().issue_invitation(&name, role, projects, own.creator(), expires_ms).await?;
    let (text, invitation) = issued;
    tracing::info!("{} invited {name:?}", own.name);
    Ok(CreatedInvitation { invitation, text })
}

/// Memberships with each project once, by name: the last one of a project holds.
fn distinct(projects: Vec<Membership>) -> Result<Vec<Membership>, ApiError> {
    let roles: BTreeMap<String, Role> = projects.into_iter().map(|one| (one.project, one.role)).collect();
    if roles.len() > MOST_PROJECTS {
        let message = format!("an invitation has at most {MOST_PROJECTS} projects; got {}", roles.len());
        return Err(ApiError::invalid("projects_invalid", message)
            .field("projects")
            .hint("add the person to more projects once they have an account, or give them a role in the whole lab"));
    }
    Ok(roles.into_iter().map(|(project, role)| Membership { project, role }).collect())
}

/// Whether the sender may give these roles: admins of the lab all, admins of projects those in their projects.
fn permit(own: &Identity, role: Option<Role>, projects: &[Membership]) -> Result<(), ApiError> {
    if own.grants.may_give(role, projects) {
        return Ok(());
    }
    if role.is_some() || projects.is_empty() {
        return Err(forbidden(own, Role::Admin, None));
    }
    projects.iter().try_for_each(|Membership { project, .. }| project::check(own, project, Role::Admin))
}

/// Checks that a role is one of a person.
///
/// # Errors
/// 422.
pub fn check_role(role: Role) -> Result<(), ApiError> {
    match role {
        Role::Worker => {
            let error = ApiError::invalid("role_invalid", "people have the roles view, steer and admin; got worker");
            Err(error.field("role"))
        }
        _ => Ok(()),
    }
}

/// Revokes an invitation.
///
/// # Errors
/// 404 for one that does not exist or is not the sender's to revoke; an error of the store.
pub async fn revoke(lab: &Lab, own: &Identity, id: i64) -> Result<(), ApiError> {
    let unknown = || {
        ApiError::not_found(format!("unknown invitation {id}"))
            .hint("GET /api/v1/invitations lists the open invitations")
    };
    if !list(lab, own).await?.iter().any(|invitation| invitation.id == id) {
        return Err(unknown());
    }
    if lab.store().remove_invitation(id).await? { Ok(()) } else { Err(unknown()) }
}

/// What an invitation gives, for the person who has its text.
///
/// # Errors
/// 410 for one that is unknown, used, revoked or expired, or that its creator may not give any more, 429 after many of them; an error of the store.
pub async fn preview(lab: &Lab, sender: &Sender, text: &str) -> Result<InvitationView, ApiError> {
    match lab.store().invitation(text.trim()).await? {
        Some(invitation) => Ok(invitation),
        None => Err(gone(lab, sender, text)),
    }
}

/// Creates the account of an invited person and signs them in: the text of a session, and who they are.
///
/// # Errors
/// 409 for a name that is taken, 410 for an invitation as [`preview`] has it, 422 for an invalid name or password, 429
/// after many failures; an error of the store.
pub async fn accept(lab: &Lab, sender: &Sender, wanted: AcceptInvitation) -> Result<(String, Identity), ApiError> {
    let (text, name) = (wanted.token.trim(), checked_name(&wanted.name)?);
    checked_password(&wanted.password)?;
    // Before the password is hashed, which takes time.
    preview(lab, sender, text).await?;
    let password = lab.passwords.hash(wanted.password).await?;
    let accepted = lab.store().accept_invitation(text, &name, password).await?;
    let (session, identity) = accepted.ok_or_else(|| gone(lab, sender, text))?;
    tracing::info!("{name:?} accepted an invitation");
    Ok((session, identity))
}

fn gone(lab: &Lab, sender: &Sender, text: &str) -> ApiError {
    if let Err(error) = lab.throttle.text_failed(sender.address, text.trim()) {
        return error;
    }
    ApiError::new(
        StatusCode::GONE,
        "invitation_gone",
        "the invitation is unknown, used, revoked or expired, or its creator has lost the right to give it",
    )
    .hint("ask for another one")
}
