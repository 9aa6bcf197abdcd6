//! Signing in with OpenID Connect: a browser is sent to the provider, which sends it back with a code.
//!
//! The cookie of the session is not sent with requests that another site has caused, redirects included. After the provider a small page
//! therefore opens the lab.

use axum::extract::{Extension, State};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, IntoResponse, Response};
use serde::Deserialize;

use super::extract::Query;
use super::notice::Notice;
use super::page;
use super::reached::Reached;
use super::session::session_cookie;
use crate::auth::people::provider;
use crate::auth::{cookie_name, cookie_of};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::audit::Sender;
use crate::lab::oidc::{OidcError, Provider, SIGN_IN_WITHIN};
use std::sync::Arc;

/// The address to which a provider sends browsers back.
pub const CALLBACK: &str = "/oidc/callback";
/// Longest reason of a provider that is shown, characters.
const REASON_CHARS: usize = 500;
/// Longest path of a page to return to, characters.
const MOST_BACK: usize = 2000;

/// Where a sign-in begins.
#[derive(Deserialize)]
pub struct Start {
    /// Path and query of the page to return to.
    #[serde(default, rename = "return")]
    back: String,
}

/// Sends a browser to the provider.
pub async fn start(
    State(lab): State<Lab>,
    Extension(reached): Extension<Reached>,
    Extension(sender): Extension<Sender>,
    Query(Start { back }): Query<Start>,
) -> Response {
    let begun = match provider_of(&lab) {
        Ok(provider) => {
            let redirect = redirect_address(&lab, &reached);
            provider.begin(sender.address, redirect, own_path(&back)).await.map_err(refused)
        }
        Err(error) => Err(error),
    };
    match begun {
        Ok(begun) => {
            let cookie = browser_cookie(&lab, &reached, &begun.browser, SIGN_IN_WITHIN.as_secs());
            (StatusCode::FOUND, [(LOCATION, begun.url), (SET_COOKIE, cookie)]).into_response()
        }
        Err(error) => notice(error),
    }
}

/// The answer of a provider.
#[derive(Deserialize)]
pub struct Answer {
    #[serde(default)]
    code: String,
    #[serde(default)]
    state: String,
    /// The code with which the provider refuses, such as `access_denied`.
    error: Option<String>,
    error_description: Option<String>,
}

/// Signs a browser in that a provider has sent back.
pub async fn callback(
    headers: HeaderMap,
    State(lab): State<Lab>,
    Extension(reached): Extension<Reached>,
    Extension(sender): Extension<Sender>,
    Query(answer): Query<Answer>,
) -> Response {
    match finish(&headers, &lab, &sender, answer).await {
        Ok((session, back)) => {
            let base = reached.base.as_deref().unwrap_or("/");
            let cookies = AppendHeaders([
                (SET_COOKIE, session_cookie(&lab, &reached, &session)),
                (SET_COOKIE, browser_cookie(&lab, &reached, "", 0)),
            ]);
            let page = format!("{base}{}", back.trim_start_matches('/'));
            let notice = Notice::new("Signed in").styled_below(page::stylesheet()).forward("Open the lab", &page);
            (cookies, notice).into_response()
        }
        Err(error) => notice(error),
    }
}

async fn finish(headers: &HeaderMap, lab: &Lab, sender: &Sender, answer: Answer) -> Result<(String, String), ApiError> {
    let provider = provider_of(lab)?;
    let browser = cookie_of(headers, &browser_cookie_name(lab));
    if let Some(reason) = answer.error {
        let message = format!("{} refused the sign-in", provider.settings.label);
        let message = match provider.refuse(&answer.state, browser.as_deref()) {
            true => {
                let details = answer.error_description.map(|text| format!(": {text}")).unwrap_or_default();
                format!("{message}: {reason}{details}").chars().take(REASON_CHARS).collect()
            }
            // Some providers send no state then. The texts may be those of anybody's link.
            false => message,
        };
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, "provider_refused", message).hint("sign in again"));
    }
    let account = provider.clone().finish(answer.state, answer.code, browser).await.map_err(refused)?;
    let (session, identity) = provider::sign_in(lab, &provider, &account).await?;
    sender.set_name(&identity.name);
    Ok((session, account.back))
}

fn provider_of(lab: &Lab) -> Result<Arc<Provider>, ApiError> {
    lab.provider.clone().ok_or_else(|| {
        ApiError::not_found("this lab has no provider of OpenID Connect")
            .hint("`kindling serve --oidc-issuer` names one, and --help describes the other options")
    })
}

/// The address of [`CALLBACK`] as browsers reach it.
fn redirect_address(lab: &Lab, reached: &Reached) -> String {
    format!("{}{CALLBACK}", reached.lab_address(lab).trim_end_matches('/'))
}

/// A path within the lab; the first page instead of anything else, so that no link leads from here to another site.
fn own_path(back: &str) -> String {
    let is_own = back.starts_with('/')
        && !back.starts_with("//")
        && back.len() <= MOST_BACK
        && !back.contains(|letter: char| letter.is_control() || letter == '\\');
    if is_own { back.to_owned() } else { "/".to_owned() }
}

fn browser_cookie_name(lab: &Lab) -> String {
    format!("{}_oidc", cookie_name(lab.store().id()))
}

/// The cookie that binds a sign-in to its browser. It is sent with the request that the provider causes.
fn browser_cookie(lab: &Lab, reached: &Reached, text: &str, max_age_secs: u64) -> String {
    let (name, base) = (browser_cookie_name(lab), reached.base.as_deref().unwrap_or("/"));
    let secure = if reached.is_https { "; Secure" } else { "" };
    format!("{name}={text}; Path={base}oidc; HttpOnly; SameSite=Lax; Max-Age={max_age_secs}{secure}")
}

fn refused(error: OidcError) -> ApiError {
    let (status, code, hint) = match error {
        OidcError::Unknown => (StatusCode::UNAUTHORIZED, "sign_in_unknown", "sign in again"),
        OidcError::Answer { .. } | OidcError::NoIdToken => (
            StatusCode::UNAUTHORIZED,
            "provider_answer",
            "sign in again; an admin finds the reason in the server's log",
        ),
        _ => (StatusCode::BAD_GATEWAY, "provider_unreachable", "try again later, or tell an admin of this lab"),
    };
    tracing::warn!("a sign-in with OpenID Connect failed: {error}");
    ApiError::new(status, code, error.to_string()).hint(hint).source(error)
}

/// An error as a page, because a browser has opened the address.
fn notice(error: ApiError) -> Response {
    let notice = Notice::new("Not signed in").styled_below(page::stylesheet()).sentence(&error.body.message);
    let notice = error.body.hint.iter().fold(notice, |notice, hint| notice.sentence(hint));
    let mut response = (error.status, notice).into_response();
    // For the log.
    response.extensions_mut().insert(error);
    response
}

#[cfg(test)]
mod tests {
    use super::own_path;

    #[test]
    fn only_paths_of_the_lab_are_returned_to() {
        for (back, expected) in [
            ("/runs/amber-fox?x=1", "/runs/amber-fox?x=1"),
            ("", "/"),
            ("https://evil.example", "/"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("/a\nb", "/"),
        ] {
            assert_eq!(own_path(back), expected);
        }
    }
}
