//! Share links. How a browser opens one is in [`super::share`] and [`super::embeds`].

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use wire::ApiErrorBody;
use wire::access::link::{CreatedLink, LinkView, NewLink};

use super::extract::{Body, Path};
use crate::auth::{Member, links};
use crate::error::ApiError;
use crate::lab::Lab;

/// Lists the share links that you may revoke: your own, and for an admin of the lab or of a project all of its links.
#[utoipa::path(get, path = "/links", tag = "access", responses((status = 200, body = Vec<LinkView>)))]
pub async fn list_links(Member(own): Member, State(lab): State<Lab>) -> Result<Json<Vec<LinkView>>, ApiError> {
    links::list(&lab, &own).await.map(Json)
}

/// Creates a share link to runs or to a project that you may steer. Only this response contains its text; the address is `/share/` with it,
/// of an embed `/embed/` with it.
#[utoipa::path(post, path = "/links", tag = "access", request_body = NewLink,
    responses((status = 201, body = CreatedLink), (status = 404, description = "A run or the project is unknown.", body = ApiErrorBody),
        (status = 409, description = "The lab, or the sender, has too many links.", body = ApiErrorBody),
        (status = 429, description = "Too many passphrases are being checked at once.", body = ApiErrorBody)))]
pub async fn create_link(
    Member(own): Member,
    State(lab): State<Lab>,
    Body(new): Body<NewLink>,
) -> Result<(StatusCode, Json<CreatedLink>), ApiError> {
    Ok((StatusCode::CREATED, Json(links::create(&lab, &own, new).await?)))
}

/// Revokes a share link. Those who have opened it lose access at once, on open pages too.
#[utoipa::path(delete, path = "/links/{id}", tag = "access", params(("id" = i64, Path)), responses((status = 204)))]
pub async fn revoke_link(
    Member(own): Member,
    State(lab): State<Lab>,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiError> {
    links::revoke(&lab, &own, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
