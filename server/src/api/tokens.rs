//! Tokens: listed, created and revoked by admins.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;
use wire::ApiErrorBody;
use wire::access::{CreatedToken, NewToken, TokenView};

use super::extract::{Body, Path, Query};
use crate::auth::{Admin, tokens};
use crate::error::ApiError;
use crate::lab::Lab;

/// Confirmation of a revocation.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RevocationQuery {
    /// Also revokes the token of this request, or the last token of an admin.
    #[serde(default)]
    confirm: bool,
}

/// Lists the valid tokens, oldest first.
#[utoipa::path(get, path = "/tokens", tag = "access", responses((status = 200, body = Vec<TokenView>), (status = 403, body = ApiErrorBody)))]
pub async fn list_tokens(Admin(own): Admin, State(lab): State<Lab>) -> Result<Json<Vec<TokenView>>, ApiError> {
    tokens::list(&lab, &own).await.map(Json)
}

/// Creates a token. Only this response contains the text of the token.
#[utoipa::path(post, path = "/tokens", tag = "access", request_body = NewToken,
    responses((status = 201, body = CreatedToken), (status = 403, body = ApiErrorBody), (status = 409, description = "A personal API token gives no rights to others.", body = ApiErrorBody), (status = 422, body = ApiErrorBody)))]
pub async fn create_token(
    Admin(own): Admin,
    State(lab): State<Lab>,
    Body(new): Body<NewToken>,
) -> Result<(StatusCode, Json<CreatedToken>), ApiError> {
    Ok((StatusCode::CREATED, Json(tokens::create(&lab, &own, new).await?)))
}

/// Revokes a token. The token of this request and the last token of an admin need `confirm=true`.
#[utoipa::path(delete, path = "/tokens/{id}", tag = "access", params(("id" = i64, Path), RevocationQuery),
    responses((status = 204), (status = 404, body = ApiErrorBody),
        (status = 409, description = "It is the token of this request, or the last one of an admin.", body = ApiErrorBody)))]
pub async fn revoke_token(
    Admin(own): Admin,
    State(lab): State<Lab>,
    Path(id): Path<i64>,
    Query(query): Query<RevocationQuery>,
) -> Result<StatusCode, ApiError> {
    tokens::revoke(&lab, &own, id, query.confirm).await?;
    Ok(StatusCode::NO_CONTENT)
}
