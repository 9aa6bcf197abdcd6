//! What a person permits a program: the token of an agent with a mode and budgets, which never permits more than the person may do.

use axum::http::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use store::{Identity, OAuthCode};
use wire::access::agent::{AgentBudgets, AgentLimits, AgentMode};
use wire::access::{Role, TokenKind};

use super::metadata::issuer;
use super::request::CheckedRequest;
use crate::auth::{agents, forbidden};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::live::clock::now_ms;

/// Validity of a code, ms: the program exchanges it at once.
const CODE_MS: i64 = 120_000;

/// The form of a decision. Empty budgets are no limits.
#[derive(Deserialize)]
pub struct Decision {
    decision: String,
    mode: Option<AgentMode>,
    #[serde(default)]
    device_hours: String,
    #[serde(default)]
    steps: String,
    #[serde(default)]
    runs_at_once: String,
    #[serde(default)]
    trials_per_day: String,
}

/// The role that a token permitted by the sender has: *steer*, or *view* for somebody who steers nothing.
///
/// # Errors
/// 403 for somebody who is not signed in with a browser as a person, or as an admin of the lab, or who reaches nothing.
pub fn role_for(own: &Identity) -> Result<Role, ApiError> {
    if own.kind != TokenKind::Session {
        let message = "only somebody who is signed in to the lab with a browser can connect a program";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "session_needed", message)
            .hint("sign in with your account; a share link is not enough"));
    }
    // A session without an account is that of a sign-in link. The token would belong to the lab.
    if own.person.is_none() && !own.grants.has_lab(Role::Admin) {
        return Err(forbidden(own, Role::Admin, None));
    }
    match own.grants.has_anywhere(Role::Steer) {
        true => Ok(Role::Steer),
        false if own.grants.has_anywhere(Role::View) => Ok(Role::View),
        false => Err(forbidden(own, Role::View, None)),
    }
}

/// Carries a decision out. Returns the address at which the program waits for it.
///
/// # Errors
/// 403 as [`role_for`], 422 for invalid limits; an error of the store.
pub async fn decide(
    lab: &Lab,
    own: &Identity,
    address: &str,
    request: CheckedRequest,
    decision: &Decision,
) -> Result<String, ApiError> {
    let role = role_for(own)?;
    let CheckedRequest { client, redirect, state, challenge, resource } = request;
    if decision.decision != "approve" {
        return Ok(answer(&redirect, ("error", "access_denied"), state.as_deref(), address));
    }
    let limits = limits_of(decision)?;
    let code = OAuthCode {
        client: client.id,
        person: own.person,
        role,
        limits,
        redirect: redirect.clone(),
        challenge,
        resource,
        expires_ms: now_ms() + CODE_MS,
    };
    let text = lab.store().issue_oauth_code(&code).await?;
    tracing::info!("{} permitted the program {:?} to act as an agent", own.name, client.name);
    Ok(answer(&redirect, ("code", &text), state.as_deref(), address))
}

fn limits_of(decision: &Decision) -> Result<AgentLimits, ApiError> {
    let budgets = AgentBudgets {
        device_hours: number("budgets.device_hours", &decision.device_hours)?,
        steps: number("budgets.steps", &decision.steps)?,
        runs_at_once: number("budgets.runs_at_once", &decision.runs_at_once)?,
        trials_per_day: number("budgets.trials_per_day", &decision.trials_per_day)?,
    };
    let mode = decision.mode.unwrap_or(AgentMode::Propose);
    let limits = AgentLimits { mode, budgets, ..AgentLimits::default() };
    agents::check(&limits)?;
    Ok(limits)
}

fn number<T: std::str::FromStr>(field: &str, text: &str) -> Result<Option<T>, ApiError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        let shown: String = text.chars().take(20).collect();
        ApiError::invalid("limits_invalid", format!("{shown:?} is not a number that can be a limit")).field(field)
    })
}

/// The address of a program with the answer. `iss` names the server, so that a program that uses several cannot mistake it (RFC 9207).
fn answer(redirect: &str, (name, value): (&str, &str), state: Option<&str>, address: &str) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let separator = if redirect.contains('?') { '&' } else { '?' };
    let state = state.map(|state| format!("&state={}", encoded(state))).unwrap_or_default();
    format!("{redirect}{separator}{name}={}&iss={}{state}", encoded(value), encoded(&issuer(address)))
}
