//! Signing in and out.

use axum::Json;
use axum::extract::State;
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use wire::ApiErrorBody;
use wire::access::{Me, SignInInfo};

use super::extract::{Body, Query};
use super::page;
use crate::auth::session::{SESSION_SECS, cookie, me, redeem};
use crate::auth::{Viewer, identify};
use crate::error::ApiError;
use crate::lab::Lab;

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

/// Returns the data folder, which the command that prints a sign-in link needs. Works without a token.
#[utoipa::path(get, path = "/session", tag = "access", responses((status = 200, body = SignInInfo)), security(()))]
pub async fn sign_in_info(State(lab): State<Lab>) -> Json<SignInInfo> {
    let data = &lab.settings.data;
    let data_folder = std::path::absolute(data).unwrap_or_else(|_| data.clone()).display().to_string();
    Json(SignInInfo { data_folder })
}

/// Signs in with a one-time token. The response sets a cookie.
#[utoipa::path(post, path = "/session", tag = "access", request_body = SignIn, responses((status = 200, body = Me), (status = 401, body = ApiErrorBody)), security(()))]
pub async fn sign_in(State(lab): State<Lab>, Body(SignIn { token }): Body<SignIn>) -> Result<Response, ApiError> {
    let (session, identity) = redeem(&lab, &token).await?.ok_or_else(|| {
        ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", "the sign-in token is invalid, expired or already used")
            .hint("`kindling token --sign-in` prints a new sign-in link")
    })?;
    Ok(([(SET_COOKIE, cookie(&lab, &session, SESSION_SECS))], Json(me(identity))).into_response())
}

/// Signs out: the token of this request is revoked.
#[utoipa::path(delete, path = "/session", tag = "access", responses((status = 204)))]
pub async fn sign_out(Viewer(identity): Viewer, State(lab): State<Lab>) -> Result<Response, ApiError> {
    lab.revoke(identity.token_id).await?;
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie(&lab, "", 0))]).into_response())
}

/// Returns who is signed in.
#[utoipa::path(get, path = "/me", tag = "access", responses((status = 200, body = Me), (status = 401, body = ApiErrorBody)))]
pub async fn get_me(Viewer(identity): Viewer) -> Json<Me> {
    Json(me(identity))
}

/// Opens a sign-in link: sets the cookie and redirects to the page. Only GET uses the link, because link previews send HEAD. A link that is
/// not valid opens the page, which has a form for another one.
pub async fn open_link(
    method: Method,
    headers: HeaderMap,
    State(lab): State<Lab>,
    Query(link): Query<SignInLink>,
) -> Result<Response, ApiError> {
    if method != Method::GET {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    if let Some((session, _)) = redeem(&lab, &link.token).await? {
        let headers = [(LOCATION, "/".to_owned()), (SET_COOKIE, cookie(&lab, &session, SESSION_SECS))];
        return Ok((StatusCode::SEE_OTHER, headers).into_response());
    }
    if identify(&headers, &lab).await.is_ok() {
        return Ok((StatusCode::SEE_OTHER, [(LOCATION, "/")]).into_response());
    }
    Ok(page::unauthorized())
}
