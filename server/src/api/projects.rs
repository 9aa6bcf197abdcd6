//! Projects and their members.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use wire::ApiErrorBody;
use wire::access::ProjectLimits;
use wire::access::project::{NewProject, NewRole, ProjectView};

use super::extract::{Body, Path};
use crate::auth::project::ProjectAdmin;
use crate::auth::projects;
use crate::auth::{Admin, Member};
use crate::error::ApiError;
use crate::lab::Lab;

/// Lists the projects that you may see, with their limits, what they have used, and their people.
#[utoipa::path(get, path = "/projects", tag = "access", responses((status = 200, body = Vec<ProjectView>)))]
pub async fn list_projects(Member(own): Member, State(lab): State<Lab>) -> Result<Json<Vec<ProjectView>>, ApiError> {
    projects::list(&lab, &own).await.map(Json)
}

/// Creates a project.
#[utoipa::path(post, path = "/projects", tag = "access", request_body = NewProject,
    responses((status = 201, body = ProjectView), (status = 409, description = "The name is taken.", body = ApiErrorBody)))]
pub async fn create_project(
    Admin(own): Admin,
    State(lab): State<Lab>,
    Body(new): Body<NewProject>,
) -> Result<(StatusCode, Json<ProjectView>), ApiError> {
    Ok((StatusCode::CREATED, Json(projects::create(&lab, &own, new).await?)))
}

/// Sets the limits of a project; one that is left out is removed.
#[utoipa::path(patch, path = "/projects/{name}", tag = "access", params(("name" = String, Path)), request_body = ProjectLimits,
    responses((status = 200, body = ProjectView)))]
pub async fn limit_project(
    Admin(own): Admin,
    State(lab): State<Lab>,
    Path(name): Path<String>,
    Body(limits): Body<ProjectLimits>,
) -> Result<Json<ProjectView>, ApiError> {
    projects::set_limits(&lab, &own, &name, limits).await.map(Json)
}

/// Deletes a project that has no runs and no datasets.
#[utoipa::path(delete, path = "/projects/{name}", tag = "access", params(("name" = String, Path)),
    responses((status = 204), (status = 409, description = "It has runs or datasets, or it is the project `default`.", body = ApiErrorBody)))]
pub async fn delete_project(
    _: Admin,
    State(lab): State<Lab>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    projects::remove(&lab, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sets the role of a person in a project.
#[utoipa::path(put, path = "/projects/{name}/members/{id}", tag = "access", params(("name" = String, Path), ("id" = i64, Path)),
    request_body = NewRole, responses((status = 200, body = ProjectView), (status = 409, description = "A personal API token gives no rights to others.", body = ApiErrorBody)))]
pub async fn set_member(
    ProjectAdmin(own): ProjectAdmin,
    State(lab): State<Lab>,
    Path((name, id)): Path<(String, i64)>,
    Body(NewRole { role }): Body<NewRole>,
) -> Result<Json<ProjectView>, ApiError> {
    projects::set_member(&lab, &own, &name, id, role).await.map(Json)
}

/// Removes a person from a project.
#[utoipa::path(delete, path = "/projects/{name}/members/{id}", tag = "access", params(("name" = String, Path), ("id" = i64, Path)),
    responses((status = 204), (status = 404, description = "The person is not in the project.", body = ApiErrorBody)))]
pub async fn remove_member(
    ProjectAdmin(own): ProjectAdmin,
    State(lab): State<Lab>,
    Path((name, id)): Path<(String, i64)>,
) -> Result<StatusCode, ApiError> {
    projects::remove_member(&lab, &own, &name, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
