//! Tokens over the API: made, listed and taken away, by admins. The text of one is in the answer that makes it and nowhere else;
//! [`crate::token`] does the same from the command line.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use store::{Role, TokenInfo, TokenKind};
use utoipa::{IntoParams, ToSchema};
use wire::ApiErrorBody;

use crate::api_error::{ApiError, Body, Path, Query};
use crate::app_state::AppState;
use crate::auth::{Admin, role_name};
use crate::clock::now_ms;
use crate::runs::checked_name;
use crate::token::{DAY_MS, usual_days};

/// Longest time a token works, days.
const MOST_DAYS: u32 = 3_650;

/// A token as lists show it: never its text.
#[derive(Serialize, ToSchema)]
pub struct TokenView {
    /// To revoke it.
    id: i64,
    /// Whose; signs their commands.
    name: String,
    /// `view`, `steer`, `admin` or `worker`.
    role: String,
    /// `api` for programs, `sign_in` for a link that works once, `session` for a browser that is signed in.
    #[schema(value_type = String)]
    kind: TokenKind,
    /// Made, in milliseconds since 1970.
    created_ms: i64,
    /// Opens nothing from then on; never, where none.
    expires_ms: Option<i64>,
    /// It is the one that came with this very request.
    is_own: bool,
}

impl TokenView {
    fn new(info: TokenInfo, own: i64) -> Self {
        let TokenInfo { id, name, role, kind, created_ms, expires_ms } = info;
        Self { id, name, role: role_name(role).to_owned(), kind, created_ms, expires_ms, is_own: id == own }
    }
}

/// What token is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Whose it is; 1 to 80 characters.
    name: String,
    /// `view`, `steer`, `admin` or `worker`.
    #[schema(value_type = String)]
    role: Role,
    /// How long it works, 1 to 3650; 90, or 1 for signing in, unless told.
    #[serde(default)]
    days: Option<u32>,
    /// Signs one browser in, once, instead of serving a program.
    #[serde(default)]
    sign_in: bool,
}

/// A token that was made.
#[derive(Serialize, ToSchema)]
pub struct MadeToken {
    /// As lists will show it.
    token: TokenView,
    /// The token itself. It cannot be had again: only its hash is kept.
    text: String,
}

/// How sure one is.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Sure {
    /// Also the token of this very request, and the last one of an admin.
    #[serde(default)]
    sure: bool,
}

/// The tokens that still open something, oldest first.
#[utoipa::path(get, path = "/tokens", tag = "access", responses((status = 200, body = Vec<TokenView>), (status = 403, body = ApiErrorBody)))]
pub async fn list_tokens(Admin(own): Admin, State(state): State<AppState>) -> Result<Json<Vec<TokenView>>, ApiError> {
    let tokens = kept(&state).await?;
    Ok(Json(tokens.into_iter().map(|token| TokenView::new(token, own.token_id)).collect()))
}

/// Makes a token. Its text is in this answer and nowhere else.
#[utoipa::path(post, path = "/tokens", tag = "access", request_body = NewToken,
    responses((status = 201, body = MadeToken), (status = 403, body = ApiErrorBody), (status = 422, body = ApiErrorBody)))]
pub async fn make_token(
    Admin(own): Admin,
    State(state): State<AppState>,
    Body(wish): Body<NewToken>,
) -> Result<(StatusCode, Json<MadeToken>), ApiError> {
    let name = checked_name(&wish.name)?;
    let days = wish.days.unwrap_or_else(|| usual_days(wish.sign_in));
    if !(1..=MOST_DAYS).contains(&days) {
        let message = format!("a token works for 1 to {MOST_DAYS} days, not {days}");
        return Err(ApiError::invalid("days_invalid", message).field("days"));
    }
    if wish.sign_in && wish.role == Role::Worker {
        return Err(ApiError::invalid("role_invalid", "a worker does not sign in")
            .field("role")
            .hint("leave out sign_in"));
    }
    let kind = if wish.sign_in { TokenKind::SignIn } else { TokenKind::Api };
    let expires_ms = Some(now_ms() + i64::from(days) * DAY_MS);
    let made = state.store.issue_token(&name, wish.role, kind, expires_ms).await;
    let (text, info) = made.map_err(|source| ApiError::internal("making a token", source))?;
    tracing::info!("{} made token {} of the role {} for {name:?}", own.name, info.id, role_name(wish.role));
    Ok((StatusCode::CREATED, Json(MadeToken { token: TokenView::new(info, own.token_id), text })))
}

/// Revokes a token: from then on it opens nothing. The token of this very request, and the last one of an admin, go only where
/// `sure` is said.
#[utoipa::path(delete, path = "/tokens/{id}", tag = "access", params(("id" = i64, Path), Sure),
    responses((status = 204), (status = 404, body = ApiErrorBody),
        (status = 409, description = "It is one's own, or the last one of an admin.", body = ApiErrorBody)))]
pub async fn revoke_token(
    Admin(own): Admin,
    State(state): State<AppState>,
    Path(id): Path<i64>,
    Query(Sure { sure }): Query<Sure>,
) -> Result<StatusCode, ApiError> {
    let unknown = || ApiError::not_found(format!("there is no token {id}")).hint("GET /api/v1/tokens lists them");
    let tokens = kept(&state).await?;
    let token = tokens.iter().find(|token| token.id == id).ok_or_else(unknown)?;
    let is_admin = |token: &TokenInfo| token.role == Role::Admin;
    if !sure && is_admin(token) && !tokens.iter().any(|other| other.id != id && is_admin(other)) {
        let message = "this is the last token of an admin: nobody could make another from the page";
        return Err(ApiError::conflict("last_admin", message).hint(
            "`kindling token --sign-in` on the machine of the lab makes one; say sure=true to revoke it all the same",
        ));
    }
    if !sure && id == own.token_id {
        let message = "this is the token you are signed in with: revoking it signs you out";
        return Err(ApiError::conflict("own_token", message).hint("say sure=true to revoke it all the same"));
    }
    if !state.revoke(id).await.map_err(|source| ApiError::internal("revoking a token", source))? {
        return Err(unknown());
    }
    tracing::info!("{} revoked token {id} of {:?}", own.name, token.name);
    Ok(StatusCode::NO_CONTENT)
}

async fn kept(state: &AppState) -> Result<Vec<TokenInfo>, ApiError> {
    state.store.tokens().await.map_err(|source| ApiError::internal("listing the tokens", source))
}
