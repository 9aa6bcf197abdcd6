//! Pools, their join tokens, and the exchange of a join token for the token of a worker.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use wire::ApiErrorBody;
use wire::fleet::{CreatedJoinToken, JoinRequest, JoinTokenView, Joined, NewJoinToken, NewPool, PoolChange, PoolView};

use super::extract::{Body, Path};
use crate::auth::{Admin, Joiner, Member};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::runs::pools::{self, tokens};

/// Lists the pools with their workers and queues: `local`, the server's own machine, then the others by name.
#[utoipa::path(get, path = "/pools", tag = "fleet", responses((status = 200, body = Vec<PoolView>)))]
pub async fn list_pools(_: Member, State(lab): State<Lab>) -> Result<Json<Vec<PoolView>>, ApiError> {
    pools::list(&lab).await.map(Json)
}

/// Creates a pool.
#[utoipa::path(post, path = "/pools", tag = "fleet", request_body = NewPool,
    responses((status = 201, body = PoolView), (status = 409, description = "The name is taken.", body = ApiErrorBody)))]
pub async fn create_pool(
    _: Admin,
    State(lab): State<Lab>,
    Body(new): Body<NewPool>,
) -> Result<(StatusCode, Json<PoolView>), ApiError> {
    Ok((StatusCode::CREATED, Json(pools::create(&lab, &new.name).await?)))
}

/// Changes how many runs each device of a pool trains at once. A run that trains continues when the number is lowered.
#[utoipa::path(patch, path = "/pools/{name}", tag = "fleet", params(("name" = String, Path)), request_body = PoolChange,
    responses((status = 200, body = PoolView)))]
pub async fn change_pool(
    Admin(own): Admin,
    State(lab): State<Lab>,
    Path(name): Path<String>,
    Body(change): Body<PoolChange>,
) -> Result<Json<PoolView>, ApiError> {
    pools::change(&lab, &own.name, &name, change).await.map(Json)
}

/// Deletes an empty pool, with its join tokens.
#[utoipa::path(delete, path = "/pools/{name}", tag = "fleet", params(("name" = String, Path)),
    responses((status = 204), (status = 409, description = "Workers belong to it, or runs wait for it.", body = ApiErrorBody)))]
pub async fn delete_pool(_: Admin, State(lab): State<Lab>, Path(name): Path<String>) -> Result<StatusCode, ApiError> {
    pools::remove(&lab, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the join tokens of a pool that are neither revoked nor expired, oldest first.
#[utoipa::path(get, path = "/pools/{name}/join-tokens", tag = "fleet", params(("name" = String, Path)),
    responses((status = 200, body = Vec<JoinTokenView>)))]
pub async fn list_join_tokens(
    _: Admin,
    State(lab): State<Lab>,
    Path(name): Path<String>,
) -> Result<Json<Vec<JoinTokenView>>, ApiError> {
    tokens::list(&lab, &name).await.map(Json)
}

/// Creates a join token of a pool. Only this response contains its text.
#[utoipa::path(post, path = "/pools/{name}/join-tokens", tag = "fleet", params(("name" = String, Path)), request_body = NewJoinToken,
    responses((status = 201, body = CreatedJoinToken), (status = 409, description = "No other machine joins the pool local, and a personal API token lets no machine join.", body = ApiErrorBody)))]
pub async fn create_join_token(
    Admin(own): Admin,
    State(lab): State<Lab>,
    Path(name): Path<String>,
    Body(new): Body<NewJoinToken>,
) -> Result<(StatusCode, Json<CreatedJoinToken>), ApiError> {
    Ok((StatusCode::CREATED, Json(tokens::create(&lab, &own, &name, new).await?)))
}

/// Revokes a join token. Workers that have joined with it stay.
#[utoipa::path(delete, path = "/join-tokens/{id}", tag = "fleet", params(("id" = i64, Path)), responses((status = 204)))]
pub async fn revoke_join_token(
    Admin(own): Admin,
    State(lab): State<Lab>,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiError> {
    tokens::revoke(&lab, &own, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Exchanges a join token, sent as bearer, for the token of a worker, which opens the link for its device alone.
#[utoipa::path(post, path = "/join", tag = "fleet", request_body = JoinRequest,
    responses((status = 200, body = Joined),
        (status = 401, description = "The token is unknown.", body = ApiErrorBody),
        (status = 403, description = "It is not a join token, or it belongs to another pool.", body = ApiErrorBody),
        (status = 409, description = "The device is in use.", body = ApiErrorBody),
        (status = 410, description = "The token was revoked, has expired, or is used up.", body = ApiErrorBody)))]
pub async fn join(
    Joiner(token): Joiner,
    State(lab): State<Lab>,
    Body(request): Body<JoinRequest>,
) -> Result<Json<Joined>, ApiError> {
    tokens::join(&lab, &token, &request).await.map(Json)
}
