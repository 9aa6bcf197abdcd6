//! People and invitations.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;
use wire::ApiErrorBody;
use wire::access::person::{
    AcceptInvitation, CreatedInvitation, InvitationView, NewInvitation, PersonChange, PersonView, RemovedAccount,
};
use wire::access::{CreatedToken, Me};

use super::extract::{Body, Path, Query};
use super::reached::Reached;
use super::session::signed_in;
use crate::auth::people::{self, invitations, passwords};
use crate::auth::{Admin, Member};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::audit::Sender;

/// Lists the people: all for those who reach the whole lab, else those of their projects. A share link shows nobody.
#[utoipa::path(get, path = "/people", tag = "access", responses((status = 200, body = Vec<PersonView>)))]
pub async fn list_people(Member(own): Member, State(lab): State<Lab>) -> Result<Json<Vec<PersonView>>, ApiError> {
    lab.audit.write(lab.store()).await;
    people::list(&lab, &own).await.map(Json)
}

/// Changes the name of a person, or their role in the whole lab. It takes effect at once, on open pages too.
#[utoipa::path(patch, path = "/people/{id}", tag = "access", params(("id" = i64, Path)), request_body = PersonChange,
    responses((status = 200, body = PersonView), (status = 409, description = "The name is taken, or it is your own role.", body = ApiErrorBody)))]
pub async fn change_person(
    Admin(own): Admin,
    State(lab): State<Lab>,
    Path(id): Path<i64>,
    Body(change): Body<PersonChange>,
) -> Result<Json<PersonView>, ApiError> {
    people::change(&lab, &own, id, change).await.map(Json)
}

/// Removes a person. Their sessions, tokens and links end at once; their runs stay. With OpenID Connect they cannot sign in again until an
/// admin lets their account in.
#[utoipa::path(delete, path = "/people/{id}", tag = "access", params(("id" = i64, Path)),
    responses((status = 204), (status = 409, description = "It is your own account.", body = ApiErrorBody)))]
pub async fn remove_person(
    Admin(own): Admin,
    State(lab): State<Lab>,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiError> {
    people::remove(&lab, &own, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the accounts of OpenID Connect whose persons were removed, newest first. They cannot sign in.
#[utoipa::path(get, path = "/removed-accounts", tag = "access", responses((status = 200, body = Vec<RemovedAccount>)))]
pub async fn list_removed_accounts(_: Admin, State(lab): State<Lab>) -> Result<Json<Vec<RemovedAccount>>, ApiError> {
    Ok(Json(lab.store().removed_accounts().await?))
}

/// Lets an account of OpenID Connect whose person was removed sign in again. Its next sign-in creates a new person.
#[utoipa::path(delete, path = "/removed-accounts/{id}", tag = "access", params(("id" = i64, Path)),
    responses((status = 204), (status = 404, description = "The account is not in the list.", body = ApiErrorBody),
        (status = 409, description = "A personal API token gives no rights to others.", body = ApiErrorBody)))]
pub async fn let_account_in_again(
    Admin(own): Admin,
    State(lab): State<Lab>,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiError> {
    people::let_in_again(&lab, &own, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes the password of a person and ends their sessions. The response contains a sign-in link (`/signin?token=` with its text), with
/// which they sign in once to set another password.
#[utoipa::path(post, path = "/people/{id}/reset", tag = "access", params(("id" = i64, Path)),
    responses((status = 201, body = CreatedToken), (status = 409, description = "A personal API token gives no rights to others.", body = ApiErrorBody)))]
pub async fn reset_password(
    Admin(own): Admin,
    State(lab): State<Lab>,
    Path(id): Path<i64>,
) -> Result<(StatusCode, Json<CreatedToken>), ApiError> {
    Ok((StatusCode::CREATED, Json(passwords::reset(&lab, &own, id).await?)))
}

/// Lists the invitations that were neither used nor revoked and have not expired: all for admins of the lab, else those to projects that
/// you administer.
#[utoipa::path(get, path = "/invitations", tag = "access", responses((status = 200, body = Vec<InvitationView>)))]
pub async fn list_invitations(
    Member(own): Member,
    State(lab): State<Lab>,
) -> Result<Json<Vec<InvitationView>>, ApiError> {
    invitations::list(&lab, &own).await.map(Json)
}

/// Creates an invitation. Only this response contains its text; the link is `/invite?token=` with it. Admins of projects invite to their
/// projects only.
#[utoipa::path(post, path = "/invitations", tag = "access", request_body = NewInvitation,
    responses((status = 201, body = CreatedInvitation), (status = 404, description = "A project is unknown.", body = ApiErrorBody),
        (status = 409, description = "The lab has too many invitations, or the request was made with a personal API token.", body = ApiErrorBody)))]
pub async fn create_invitation(
    Member(own): Member,
    State(lab): State<Lab>,
    Body(new): Body<NewInvitation>,
) -> Result<(StatusCode, Json<CreatedInvitation>), ApiError> {
    Ok((StatusCode::CREATED, Json(invitations::create(&lab, &own, new).await?)))
}

/// Revokes an invitation: its link no longer works.
#[utoipa::path(delete, path = "/invitations/{id}", tag = "access", params(("id" = i64, Path)), responses((status = 204)))]
pub async fn revoke_invitation(
    Member(own): Member,
    State(lab): State<Lab>,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiError> {
    invitations::revoke(&lab, &own, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The text of an invitation.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct InvitationQuery {
    /// Text of the invitation, as its link contains it.
    token: String,
}

/// Returns what an invitation gives. Works without a token.
#[utoipa::path(get, path = "/invitations/preview", tag = "access", params(InvitationQuery),
    responses((status = 200, body = InvitationView), (status = 410, description = "The invitation is unknown, used, revoked or expired.", body = ApiErrorBody)),
    security(()))]
pub async fn preview_invitation(
    State(lab): State<Lab>,
    Extension(sender): Extension<Sender>,
    Query(query): Query<InvitationQuery>,
) -> Result<Json<InvitationView>, ApiError> {
    invitations::preview(&lab, &sender, &query.token).await.map(Json)
}

/// Creates the account of an invited person and signs them in. Works without a token; the response sets a cookie.
#[utoipa::path(post, path = "/invitations/accept", tag = "access", request_body = AcceptInvitation,
    responses((status = 200, body = Me), (status = 409, description = "The name is taken.", body = ApiErrorBody),
        (status = 410, description = "The invitation is unknown, used, revoked or expired.", body = ApiErrorBody)),
    security(()))]
pub async fn accept_invitation(
    State(lab): State<Lab>,
    Extension(sender): Extension<Sender>,
    Extension(reached): Extension<Reached>,
    Body(wanted): Body<AcceptInvitation>,
) -> Result<Response, ApiError> {
    let opened = invitations::accept(&lab, &sender, wanted).await?;
    signed_in(&lab, &reached, &sender, opened).await
}
