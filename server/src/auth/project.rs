//! Roles in a project: that in the whole lab, or one of its own.

use axum::http::request::Parts;
use store::{Identity, StoreError};
use wire::access::Role;
use wire::access::project::DEFAULT_PROJECT;

use super::run::path_param;
use super::{forbidden, person};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::limits;

/// Someone who may view the project `{name}` of the path.
pub struct ProjectViewer(pub Identity);
/// An admin of the project `{name}` of the path.
pub struct ProjectAdmin(pub Identity);

/// Checks a role in a project. A project that may not be seen is answered as one that does not exist.
///
/// # Errors
/// 404 for a project that may not be seen, 403 for one that may only be seen.
pub fn check(identity: &Identity, project: &str, needed: Role) -> Result<(), ApiError> {
    match identity.grants.in_project(project) {
        Some(role) if role.includes(needed) => Ok(()),
        Some(_) => Err(forbidden(identity, needed, Some(&format!("the project {project}")))),
        None => Err(StoreError::UnknownProject { project: project.to_owned() }.into()),
    }
}

/// Checks that a project exists; for those who reach the whole lab, a role says nothing about that.
///
/// # Errors
/// 404; an error of the store.
pub async fn check_exists(lab: &Lab, project: &str) -> Result<(), ApiError> {
    match lab.store().has_project(project).await? {
        true => Ok(()),
        false => Err(StoreError::UnknownProject { project: project.to_owned() }.into()),
    }
}

/// The project of an import, `default` by default, if its sender may steer it.
///
/// # Errors
/// 403 or 404, 409 for one over its limit of disk; an error of the store.
pub async fn named(lab: &Lab, identity: &Identity, project: Option<String>) -> Result<String, ApiError> {
    let chosen = project.unwrap_or_else(|| DEFAULT_PROJECT.to_owned());
    check(identity, &chosen, Role::Steer)?;
    check_exists(lab, &chosen).await?;
    limits::check_disk(lab, &chosen).await?;
    Ok(chosen)
}

async fn require(parts: &mut Parts, lab: &Lab, needed: Role) -> Result<Identity, ApiError> {
    let identity = person(parts, lab).await?;
    let name = path_param(parts, lab, "name").await.unwrap_or_default();
    check(&identity, &name, needed)?;
    Ok(identity)
}

path_extractor!(ProjectViewer, Role::View);
path_extractor!(ProjectAdmin, Role::Admin);
