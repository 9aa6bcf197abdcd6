//! Routes of projects and their members.

use wire::access::project::{NewProject, NewRole, ProjectView};
use wire::access::{ProjectLimits, Role};

use super::failure::ApiFailure;
use super::request::{get, send, send_for, send_plain};

/// The projects that the asker may see.
pub(crate) async fn list() -> Result<Vec<ProjectView>, ApiFailure> {
    get("/projects").await
}

pub(crate) async fn create(project: &NewProject) -> Result<ProjectView, ApiFailure> {
    send("POST", "/projects", Some(project)).await
}

/// Replaces the limits of a project.
pub(crate) async fn limit(project: &str, limits: &ProjectLimits) -> Result<ProjectView, ApiFailure> {
    send("PATCH", &format!("/projects/{project}"), Some(limits)).await
}

/// Deletes a project without runs.
pub(crate) async fn delete(project: &str) -> Result<(), ApiFailure> {
    send_plain("DELETE", &format!("/projects/{project}")).await
}

/// Adds a person to a project, or changes their role in it.
pub(crate) async fn set_member(project: &str, person: i64, role: Role) -> Result<(), ApiFailure> {
    send_for("PUT", &format!("/projects/{project}/members/{person}"), Some(&NewRole { role })).await.map(|_| ())
}

pub(crate) async fn remove_member(project: &str, person: i64) -> Result<(), ApiFailure> {
    send_plain("DELETE", &format!("/projects/{project}/members/{person}")).await
}
