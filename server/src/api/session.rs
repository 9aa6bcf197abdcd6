//! Signing in and out.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::header::{LOCATION, REFERRER_POLICY, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use store::Identity;
use utoipa::{IntoParams, ToSchema};
use wire::ApiErrorBody;
use wire::access::{Me, SignInInfo, TokenKind};

use super::extract::{Body, Query};
use super::notice::Notice;
use super::page;
use super::reached::Reached;
use crate::auth::session::{SESSION_SECS, cookie, me, owner, redeem};
use crate::auth::{SignedIn, identify};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::audit::Sender;
use crate::lab::hosts::is_loopback;

/// A one-time token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// Text of the token, as `kindling token --sign-in` printed it.
    token: String,
}

/// The token in a sign-in link.
#[derive(Deserialize, IntoParams)]
pub struct SignInLink {
    /// Text of the token.
    #[serde(default)]
    token: String,
}

/// Returns how people sign in. The data folder, which the command that prints a sign-in link needs, is only in answers to `localhost`.
/// Works without a token.
#[utoipa::path(get, path = "/session", tag = "access", responses((status = 200, body = SignInInfo)), security(()))]
pub async fn sign_in_info(
    State(lab): State<Lab>,
    Extension(reached): Extension<Reached>,
) -> Result<Json<SignInInfo>, ApiError> {
    let data = &lab.settings.data;
    let path = || std::path::absolute(data).unwrap_or_else(|_| data.clone()).display().to_string();
    let has_passwords = lab.store().has_passwords().await?;
    let provider = lab.provider.as_ref().map(|provider| provider.settings.label.clone());
    Ok(Json(SignInInfo { data_folder: is_loopback(&reached.host).then(path), has_passwords, provider }))
}

/// Signs in with a one-time token. The response sets a cookie.
#[utoipa::path(post, path = "/session", tag = "access", request_body = SignIn, responses((status = 200, body = Me), (status = 401, body = ApiErrorBody)), security(()))]
pub async fn sign_in(
    State(lab): State<Lab>,
    Extension(reached): Extension<Reached>,
    Extension(sender): Extension<Sender>,
    Body(SignIn { token }): Body<SignIn>,
) -> Result<Response, ApiError> {
    let Some(opened) = redeem(&lab, &token).await? else {
        lab.throttle.text_failed(sender.address, &token)?;
        return Err(ApiError::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "the sign-in token is invalid, expired or already used",
        )
        .hint("`kindling token --sign-in` prints a new sign-in link"));
    };
    signed_in(&lab, &reached, &sender, opened).await
}

/// The answer to a browser that has signed in: who it is, and a cookie with its session.
///
/// # Errors
/// An error of the store.
pub(super) async fn signed_in(
    lab: &Lab,
    reached: &Reached,
    sender: &Sender,
    (session, identity): (String, Identity),
) -> Result<Response, ApiError> {
    sender.set_name(&identity.name);
    Ok(([(SET_COOKIE, session_cookie(lab, reached, &session))], Json(me(lab, identity).await?)).into_response())
}

/// Signs out: ends the session of this browser. An API token has no session and stays valid.
#[utoipa::path(delete, path = "/session", tag = "access", responses((status = 204),
    (status = 409, description = "The request has an API token, which has no session.", body = ApiErrorBody)))]
pub async fn sign_out(
    SignedIn(identity): SignedIn,
    State(lab): State<Lab>,
    Extension(reached): Extension<Reached>,
) -> Result<Response, ApiError> {
    if !matches!(identity.kind, TokenKind::Session | TokenKind::Guest) {
        return Err(ApiError::conflict("no_session", "the request was made with an API token, which has no session")
            .hint(format!("DELETE /api/v1/tokens/{} revokes the token", identity.token_id)));
    }
    lab.revoke(identity.token_id).await?;
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, session_cookie(&lab, &reached, ""))]).into_response())
}

/// Returns the person or token that is signed in.
#[utoipa::path(get, path = "/me", tag = "access", responses((status = 200, body = Me), (status = 401, body = ApiErrorBody)))]
pub async fn get_me(SignedIn(identity): SignedIn, State(lab): State<Lab>) -> Result<Json<Me>, ApiError> {
    me(&lab, identity).await.map(Json)
}

/// Shows a sign-in link: a button that uses it. A GET changes nothing, because chat programs and mail filters open links.
pub async fn show_link(
    headers: HeaderMap,
    State(lab): State<Lab>,
    Extension(reached): Extension<Reached>,
    Extension(sender): Extension<Sender>,
    Query(link): Query<SignInLink>,
) -> Result<Response, ApiError> {
    if let Some(Identity { name, role, person, .. }) = owner(&lab, &link.token).await? {
        // A person has the role of their account.
        let role = if person.is_none() { format!(" (role {})", role.name()) } else { String::new() };
        let notice = Notice::new("Sign in to Kindling")
            .sentence(&format!("This link signs this browser in as “{name}”{role}. It works once."))
            .styled(page::stylesheet())
            .button("Sign in");
        return Ok(([(REFERRER_POLICY, SAME_ORIGIN)], notice).into_response());
    }
    refuse_link(&headers, &lab, &reached, &sender, &link.token).await
}

/// Uses a sign-in link: sets the cookie and redirects to the page.
pub async fn use_link(
    headers: HeaderMap,
    State(lab): State<Lab>,
    Extension(reached): Extension<Reached>,
    Extension(sender): Extension<Sender>,
    Query(link): Query<SignInLink>,
) -> Result<Response, ApiError> {
    match redeem(&lab, &link.token).await? {
        Some((session, identity)) => {
            sender.set_name(&identity.name);
            let headers = [(LOCATION, PAGE.to_owned()), (SET_COOKIE, session_cookie(&lab, &reached, &session))];
            Ok((StatusCode::SEE_OTHER, headers).into_response())
        }
        None => refuse_link(&headers, &lab, &reached, &sender, &link.token).await,
    }
}

/// The answer to a link that is not valid: the page, which has a form for another one unless this browser is signed in already.
async fn refuse_link(
    headers: &HeaderMap,
    lab: &Lab,
    reached: &Reached,
    sender: &Sender,
    token: &str,
) -> Result<Response, ApiError> {
    if identify(headers, lab).await.is_ok() {
        return Ok((StatusCode::SEE_OTHER, [(LOCATION, PAGE)]).into_response());
    }
    if !token.is_empty() {
        lab.throttle.text_failed(sender.address, token)?;
    }
    Ok(page::unauthorized(reached, "/signin"))
}

/// The cookie with a session; an empty session removes it.
pub(super) fn session_cookie(lab: &Lab, reached: &Reached, session: &str) -> String {
    let max_age_secs = if session.is_empty() { 0 } else { SESSION_SECS };
    cookie(lab, session, max_age_secs, reached.base.as_deref().unwrap_or("/"), reached.is_https)
}

/// The address of the page from `/signin`: relative, because a proxy may have removed a path before it.
const PAGE: &str = "./";
/// Without it, browsers send the form with `Origin: null`, because other pages of the server ask for no referrer at all.
pub(super) const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");
