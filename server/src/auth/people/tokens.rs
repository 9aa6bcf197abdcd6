//! The sender's own tokens of programs and signed-in browsers. Those of a person are of their account; those of a token of the lab have its
//! name.

use store::{Identity, TokenInfo};
use wire::access::{AgentLimits, CreatedToken, NewPersonalToken, Role, TokenKind, TokenView};

use super::passwords::own_account;
use crate::auth::tokens::{DAY_MS, MAX_DAYS, check_agent, default_days, view, views};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::name::{PROJECT_CHARS, checked_name};
use crate::live::clock::now_ms;

/// Projects to which a token may be limited.
const MOST_PROJECTS: usize = 100;

/// The sender's tokens of a kind, oldest first; for a token of a program, only itself.
///
/// # Errors
/// An error of the store.
pub async fn list(lab: &Lab, own: &Identity, kind: TokenKind) -> Result<Vec<TokenView>, ApiError> {
    lab.audit.write(lab.store()).await;
    let tokens = lab.store().tokens().await?.into_iter();
    // A token of a program may be limited, so that it sees nothing of its owner but itself.
    let is_listed = |token: &TokenInfo| token.id == own.token_id || own.kind == TokenKind::Session;
    views(lab, own, tokens.filter(|token| is_own(own, token, kind) && is_listed(token)).collect()).await
}

fn is_own(own: &Identity, token: &TokenInfo, kind: TokenKind) -> bool {
    let is_of_owner = match own.person {
        Some(person) => token.person == Some(person),
        None => token.person.is_none() && token.name == own.name && token.role != Role::Worker,
    };
    token.kind == kind && (token.id == own.token_id || is_of_owner && own.kind != TokenKind::Guest)
}

/// Creates a token for a program of the sender.
///
/// # Errors
/// 409 without an account or without a session, and for too many tokens, 422 for an invalid name, role, validity or project; an error of
/// the store.
pub async fn create(lab: &Lab, own: &Identity, new: NewPersonalToken) -> Result<CreatedToken, ApiError> {
    let person = own_account(own)?;
    let (name, days) = (checked_name(&new.name)?, new.days.unwrap_or_else(|| default_days(false)));
    if !(1..=MAX_DAYS).contains(&days) {
        let message = format!("the validity must be 1 to {MAX_DAYS} days; got {days}");
        return Err(ApiError::invalid("days_invalid", message).field("days"));
    }
    super::invitations::check_role(new.role)?;
    if let Some(projects) = &new.projects {
        check_projects(projects)?;
    }
    let expires_ms = Some(now_ms() + i64::from(days) * DAY_MS);
    if let Some(limits) = new.limits {
        let limits = AgentLimits { projects: limits.projects.or(new.projects), ..limits };
        check_agent(new.role, &limits, false)?;
        let (text, info) = lab.store().issue_agent_token(Some(person), &name, new.role, limits, expires_ms).await?;
        return Ok(CreatedToken { token: view(info, own.token_id), text });
    }
    let (text, info) = lab.store().issue_personal_token(person, &name, new.role, new.projects, expires_ms).await?;
    Ok(CreatedToken { token: view(info, own.token_id), text })
}

/// Checks the number of projects and the lengths of their names. Whether the owner reaches them is decided at each request, because it may
/// change.
fn check_projects(projects: &[String]) -> Result<(), ApiError> {
    let invalid = |message: String| ApiError::invalid("projects_invalid", message).field("projects");
    if !(1..=MOST_PROJECTS).contains(&projects.len()) {
        let message = format!("a token is limited to 1 to {MOST_PROJECTS} projects; got {}", projects.len());
        return Err(invalid(message).hint("leave projects out for no limit"));
    }
    match projects.iter().map(|name| name.chars().count()).find(|&length| length > PROJECT_CHARS) {
        Some(length) => {
            let message = format!("the name of a project has at most {PROJECT_CHARS} characters; got one of {length}");
            Err(invalid(message).hint("GET /api/v1/projects lists the projects that you may see"))
        }
        None => Ok(()),
    }
}

/// Revokes a token or session of the sender. A token of a program revokes only itself, because it may be limited.
///
/// # Errors
/// 404 for one that is not the sender's, 409 for another one than that of the request by a token of a program; an error of the store.
pub async fn revoke(lab: &Lab, own: &Identity, id: i64, kind: TokenKind) -> Result<(), ApiError> {
    let tokens = lab.store().tokens().await?;
    let unknown = || ApiError::not_found(format!("you have no token or session {id}"));
    let token = tokens.iter().find(|token| token.id == id).ok_or_else(unknown)?;
    if !is_own(own, token, kind) {
        return Err(unknown());
    }
    if id != own.token_id && own.kind != TokenKind::Session {
        let message = "a personal API token can revoke only itself";
        return Err(ApiError::conflict("session_needed", message).hint("sign in with a browser"));
    }
    if lab.revoke(id).await? { Ok(()) } else { Err(unknown()) }
}
