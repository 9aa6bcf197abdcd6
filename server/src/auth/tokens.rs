//! Tokens: created, listed and revoked by admins. The text of a token is only in the response to its creation. The command line creates
//! tokens without a server.

use store::{Identity, PersonRecord, TokenInfo};
use wire::access::{AgentLimits, CreatedToken, NewToken, Role, TokenKind, TokenView};

use crate::auth::{agent, agents, not_a_program};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::name::checked_name;
use crate::live::clock::now_ms;

pub const DAY_MS: i64 = 24 * 3600 * 1000;
/// Maximum validity, days.
pub const MAX_DAYS: u32 = 3_650;
/// Default validity of an API token, days.
const API_DAYS: u32 = 90;
/// Default validity of a sign-in link, days.
const SIGN_IN_DAYS: u32 = 1;

/// Default validity, days.
pub fn default_days(is_sign_in: bool) -> u32 {
    if is_sign_in { SIGN_IN_DAYS } else { API_DAYS }
}

/// A token for a list; `own` is the token of the request.
pub fn view(info: TokenInfo, own: i64) -> TokenView {
    let TokenInfo { id, name, role, kind, created_ms, expires_ms, person, projects, used_ms, address, agent, limits } =
        info;
    let is_own = id == own;
    TokenView {
        id,
        name,
        role,
        kind,
        created_ms,
        expires_ms,
        is_own,
        person,
        projects,
        used_ms,
        address,
        agent,
        limits,
    }
}

/// All valid tokens, oldest first.
///
/// # Errors
/// An error of the store.
pub async fn list(lab: &Lab, own: &Identity) -> Result<Vec<TokenView>, ApiError> {
    lab.audit.write(lab.store()).await;
    let tokens = lab.store().tokens().await?;
    views(lab, own, tokens).await
}

/// Tokens for a list. Those of a person have at most the role that the person has now, and sessions their name. Those of guests have the
/// highest role of the links that they have opened, and end with the last of these; without a link they reach nothing and are left out.
///
/// # Errors
/// An error of the store.
pub async fn views(lab: &Lab, own: &Identity, tokens: Vec<TokenInfo>) -> Result<Vec<TokenView>, ApiError> {
    let people = lab.store().people().await?;
    let links = match tokens.iter().any(|token| token.kind == TokenKind::Guest) {
        true => lab.store().links_of_sessions().await?,
        false => vec![],
    };
    let shown = |token: TokenInfo| {
        let owner = people.iter().find(|person| token.person == Some(person.id));
        let mut view = view(token, own.token_id);
        if let Some(owner) = owner {
            let highest = highest_role(owner);
            view.role = if view.role.includes(highest) { highest } else { view.role };
            if view.kind != TokenKind::Api {
                view.name.clone_from(&owner.name);
            }
        }
        match view.kind {
            TokenKind::Guest => of_links(view, &links),
            _ => Some(view),
        }
    };
    Ok(tokens.into_iter().filter_map(shown).collect())
}

/// A guest's token with what its links give now; `None` without a link.
fn of_links(view: TokenView, links: &[(i64, Role, Option<i64>)]) -> Option<TokenView> {
    let own = || links.iter().filter(|(token, ..)| *token == view.id);
    let role = own().map(|(_, role, _)| *role).reduce(|one, other| if one.includes(other) { one } else { other })?;
    let last = own().map(|(.., expires_ms)| *expires_ms).reduce(|one, other| Some(one?.max(other?)))?;
    let expires_ms = view.expires_ms.into_iter().chain(last).min();
    Some(TokenView { role, expires_ms, ..view })
}

/// The highest role that a person has anywhere; `view` for somebody who has none yet.
fn highest_role(person: &PersonRecord) -> Role {
    let roles = person.role.into_iter().chain(person.projects.iter().map(|membership| membership.role));
    roles.fold(Role::View, |highest, role| if role.includes(highest) { role } else { highest })
}

/// Creates a token.
///
/// # Errors
/// 409 for a person's token of a program, 422 for an invalid name, validity or role; an error of the store.
pub async fn create(lab: &Lab, own: &Identity, new: NewToken) -> Result<CreatedToken, ApiError> {
    not_a_program(own)?;
    let name = checked_name(&new.name)?;
    let days = new.days.unwrap_or_else(|| default_days(new.sign_in));
    if !(1..=MAX_DAYS).contains(&days) {
        let message = format!("the validity must be 1 to {MAX_DAYS} days; got {days}");
        return Err(ApiError::invalid("days_invalid", message).field("days"));
    }
    if new.role == Role::Worker {
        let message = "a worker has a token of its own, which opens the link for its device alone";
        return Err(ApiError::invalid("role_invalid", message)
            .field("role")
            .hint("create a join token: POST /api/v1/pools/{name}/join-tokens"));
    }
    let kind = if new.sign_in { TokenKind::SignIn } else { TokenKind::Api };
    let expires_ms = Some(now_ms() + i64::from(days) * DAY_MS);
    if let Some(limits) = new.limits {
        check_agent(new.role, &limits, new.sign_in)?;
        let (text, info) = lab.store().issue_agent_token(None, &name, new.role, limits, expires_ms).await?;
        tracing::info!("{} created token {} of the agent {name:?}", own.name, info.id);
        return Ok(CreatedToken { token: view(info, own.token_id), text });
    }
    let (text, info) = lab.store().issue_token(&name, new.role, kind, expires_ms).await?;
    tracing::info!("{} created token {} with the role {} for {name:?}", own.name, info.id, new.role.name());
    Ok(CreatedToken { token: view(info, own.token_id), text })
}

/// Checks that a token of a role can be that of an agent with these limits.
///
/// # Errors
/// 422.
pub fn check_agent(role: Role, limits: &AgentLimits, is_sign_in: bool) -> Result<(), ApiError> {
    if is_sign_in {
        let message = "a sign-in link is for a browser, and an agent has none";
        return Err(ApiError::invalid("limits_invalid", message).field("limits").hint("leave out sign_in or limits"));
    }
    agent::check_role(role)?;
    agents::check(limits)
}

/// Revokes a token. The token of the request, and the last token of an admin, are revoked only with a confirmation.
///
/// # Errors
/// 404 for an unknown token, 409 if the confirmation is missing; an error of the store.
pub async fn revoke(lab: &Lab, own: &Identity, id: i64, is_confirmed: bool) -> Result<(), ApiError> {
    let unknown = || ApiError::not_found(format!("unknown token {id}")).hint("GET /api/v1/tokens lists the tokens");
    let tokens = lab.store().tokens().await?;
    let token = tokens.iter().find(|token| token.id == id).ok_or_else(unknown)?;
    let admins: Vec<i64> = lab
        .store()
        .people()
        .await?
        .into_iter()
        .filter(|person| person.role == Some(Role::Admin))
        .map(|person| person.id)
        .collect();
    // Sessions of people have the role of the person, whatever that of the session is.
    let is_admin = |token: &TokenInfo| {
        let is_of_admin = token.person.is_none_or(|person| admins.contains(&person));
        token.role == Role::Admin && token.projects.is_none() && is_of_admin
    };
    if !is_confirmed && is_admin(token) && !tokens.iter().any(|other| other.id != id && is_admin(other)) {
        let message = "this is the last admin token: without it nobody can create another one on the page";
        return Err(ApiError::conflict("last_admin", message).hint(
            "add confirm=true to revoke it; `kindling token --sign-in` on the server's machine creates a new one",
        ));
    }
    if !is_confirmed && id == own.token_id {
        let message = "this is the token that you are signed in with: revoking it signs you out";
        return Err(ApiError::conflict("own_token", message).hint("add confirm=true to revoke it"));
    }
    if !lab.revoke(id).await? {
        return Err(unknown());
    }
    tracing::info!("{} revoked token {id} of {:?}", own.name, token.name);
    Ok(())
}
