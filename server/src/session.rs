//! Signing in and out: a one-time link or token becomes a cookie that scripts cannot read.

use axum::Json;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use store::Identity;
use utoipa::{IntoParams, ToSchema};
use wire::ApiErrorBody;

use crate::api_error::{ApiError, Body, Query};
use crate::app_state::AppState;
use crate::auth::{Viewer, cookie_name, identify, role_name};

/// How long a browser stays signed in, seconds.
const SESSION_SECS: u32 = 30 * 24 * 3600;

/// Who is signed in.
#[derive(Serialize, ToSchema)]
pub struct Me {
    /// Name on their token.
    name: String,
    /// `view`, `steer`, `admin` or `worker`.
    role: String,
}

/// A one-time token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// As `kindling token --sign-in` printed it.
    token: String,
}

/// The token in a sign-in link.
#[derive(Deserialize, IntoParams)]
pub struct SignInLink {
    /// As printed.
    #[serde(default)]
    token: String,
}

/// Signs in with a one-time token; answers with a cookie.
#[utoipa::path(post, path = "/session", tag = "access", request_body = SignIn, responses((status = 200, body = Me), (status = 401, body = ApiErrorBody)), security(()))]
pub async fn sign_in(
    State(state): State<AppState>,
    Body(SignIn { token }): Body<SignIn>,
) -> Result<Response, ApiError> {
    let (session, identity) = redeem(&state, &token).await?.ok_or_else(|| {
        ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", "this token is unknown, used up or too old")
            .hint("`kindling token --sign-in` prints a new one")
    })?;
    let me = Me { name: identity.name, role: role_name(identity.role).to_owned() };
    Ok(([(SET_COOKIE, cookie(&state, &session, SESSION_SECS))], Json(me)).into_response())
}

/// Signs out: the token that came with this very request ends.
#[utoipa::path(delete, path = "/session", tag = "access", responses((status = 204)))]
pub async fn sign_out(Viewer(identity): Viewer, State(state): State<AppState>) -> Result<Response, ApiError> {
    state.revoke(identity.token_id).await.map_err(|source| ApiError::internal("ending the session", source))?;
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie(&state, "", 0))]).into_response())
}

/// Who is signed in.
#[utoipa::path(get, path = "/me", tag = "access", responses((status = 200, body = Me), (status = 401, body = ApiErrorBody)))]
pub async fn get_me(Viewer(identity): Viewer) -> Json<Me> {
    Json(Me { name: identity.name, role: role_name(identity.role).to_owned() })
}

/// Opens a sign-in link: a cookie, and on to the page. Only a GET uses the link up, since link previews send HEAD.
pub async fn open_link(
    method: Method,
    headers: HeaderMap,
    State(state): State<AppState>,
    Query(link): Query<SignInLink>,
) -> Result<Response, ApiError> {
    if method != Method::GET {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    if let Some((session, _)) = redeem(&state, &link.token).await? {
        return Ok((
            StatusCode::SEE_OTHER,
            [(LOCATION, "/".to_owned()), (SET_COOKIE, cookie(&state, &session, SESSION_SECS))],
        )
            .into_response());
    }
    if identify(&headers, &state).await.is_ok() {
        return Ok((StatusCode::SEE_OTHER, [(LOCATION, "/")]).into_response());
    }
    Ok((StatusCode::UNAUTHORIZED, [(CONTENT_TYPE, "text/html; charset=utf-8")], USED_UP).into_response())
}

const USED_UP: &str = "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
    <title>Kindling</title><h1>This link has been used</h1><p>Each sign-in link works once, for a while. Print a new one on \
    the machine of the lab:<pre>kindling token --sign-in</pre></html>";

async fn redeem(state: &AppState, token: &str) -> Result<Option<(String, Identity)>, ApiError> {
    state.store.sign_in(token.trim()).await.map_err(|source| ApiError::internal("signing in", source))
}

/// The cookie of this lab; scripts cannot read it and other sites cannot make a browser send it.
fn cookie(state: &AppState, session: &str, max_age_secs: u32) -> String {
    format!("{}={session}; Path=/; HttpOnly; SameSite=Strict; Max-Age={max_age_secs}", cookie_name(state.port()))
}
