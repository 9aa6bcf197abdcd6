//! One's own account: password, sessions and tokens of programs.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::Response;
use wire::ApiErrorBody;
use wire::access::person::NewPassword;
use wire::access::session::PasswordSignIn;
use wire::access::{CreatedToken, Me, NewPersonalToken, TokenKind, TokenView};

use super::extract::{Body, Path};
use super::reached::Reached;
use super::session::signed_in;
use crate::auth::SignedIn;
use crate::auth::people::{passwords, tokens};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::audit::Sender;

/// Signs in with a name or e-mail address and a password. Works without a token; the response sets a cookie.
#[utoipa::path(post, path = "/session/password", tag = "access", request_body = PasswordSignIn,
    responses((status = 200, body = Me), (status = 401, description = "The name or the password is wrong.", body = ApiErrorBody)),
    security(()))]
pub async fn sign_in_with_password(
    State(lab): State<Lab>,
    Extension(sender): Extension<Sender>,
    Extension(reached): Extension<Reached>,
    Body(wanted): Body<PasswordSignIn>,
) -> Result<Response, ApiError> {
    let opened = passwords::sign_in(&lab, &sender, wanted).await?;
    signed_in(&lab, &reached, &sender, opened).await
}

/// Sets the password of your account. Your other sessions end.
#[utoipa::path(put, path = "/me/password", tag = "access", request_body = NewPassword,
    responses((status = 204), (status = 409, description = "The request was not made by a signed-in person.", body = ApiErrorBody)))]
pub async fn set_password(
    SignedIn(own): SignedIn,
    State(lab): State<Lab>,
    Extension(sender): Extension<Sender>,
    Body(new): Body<NewPassword>,
) -> Result<StatusCode, ApiError> {
    passwords::set(&lab, &own, &sender, new).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists your personal API tokens, oldest first.
#[utoipa::path(get, path = "/me/tokens", tag = "access", responses((status = 200, body = Vec<TokenView>)))]
pub async fn list_own_tokens(
    SignedIn(own): SignedIn,
    State(lab): State<Lab>,
) -> Result<Json<Vec<TokenView>>, ApiError> {
    tokens::list(&lab, &own, TokenKind::Api).await.map(Json)
}

/// Creates a personal API token, which never permits more than you may do. Only this response contains the text of the token.
#[utoipa::path(post, path = "/me/tokens", tag = "access", request_body = NewPersonalToken,
    responses((status = 201, body = CreatedToken),
        (status = 409, description = "The request was not made by a signed-in person, or this person has too many tokens.", body = ApiErrorBody)))]
pub async fn create_own_token(
    SignedIn(own): SignedIn,
    State(lab): State<Lab>,
    Body(new): Body<NewPersonalToken>,
) -> Result<(StatusCode, Json<CreatedToken>), ApiError> {
    Ok((StatusCode::CREATED, Json(tokens::create(&lab, &own, new).await?)))
}

/// Revokes one of your personal API tokens.
#[utoipa::path(delete, path = "/me/tokens/{id}", tag = "access", params(("id" = i64, Path)),
    responses((status = 204), (status = 409, description = "A personal API token can revoke only itself.", body = ApiErrorBody)))]
pub async fn revoke_own_token(
    SignedIn(own): SignedIn,
    State(lab): State<Lab>,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiError> {
    tokens::revoke(&lab, &own, id, TokenKind::Api).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the browsers that are signed in as you, oldest first.
#[utoipa::path(get, path = "/me/sessions", tag = "access", responses((status = 200, body = Vec<TokenView>)))]
pub async fn list_own_sessions(
    SignedIn(own): SignedIn,
    State(lab): State<Lab>,
) -> Result<Json<Vec<TokenView>>, ApiError> {
    tokens::list(&lab, &own, TokenKind::Session).await.map(Json)
}

/// Signs one of your browsers out.
#[utoipa::path(delete, path = "/me/sessions/{id}", tag = "access", params(("id" = i64, Path)),
    responses((status = 204), (status = 409, description = "A personal API token can revoke only itself.", body = ApiErrorBody)))]
pub async fn end_own_session(
    SignedIn(own): SignedIn,
    State(lab): State<Lab>,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiError> {
    tokens::revoke(&lab, &own, id, TokenKind::Session).await?;
    Ok(StatusCode::NO_CONTENT)
}
