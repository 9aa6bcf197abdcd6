//! Roles on a sweep: that in its project.

use axum::http::request::Parts;
use store::{Identity, StoreError};
use wire::access::Role;

use super::run::path_param;
use super::{forbidden, person};
use crate::error::ApiError;
use crate::lab::Lab;

/// Someone who may view the sweep `{id}` of the path.
pub struct SweepViewer(pub Identity);
/// Someone who may steer the sweep `{id}` of the path.
pub struct SweepSteerer(pub Identity);

/// Checks a role on a sweep. A sweep that may not be seen is answered as one that does not exist.
///
/// # Errors
/// 404 for a sweep that does not exist or may not be seen, 403 for one that may only be seen; an error of the store.
pub async fn check(lab: &Lab, identity: &Identity, id: i64, needed: Role) -> Result<(), ApiError> {
    let role = match lab.store().project_of_sweep(id).await? {
        Some(project) => identity.grants.in_project(&project),
        // Whoever may do it to all sweeps gets the answer that this one does not exist.
        None => identity.grants.lab,
    };
    match role {
        Some(role) if role.includes(needed) => Ok(()),
        Some(_) => Err(forbidden(identity, needed, None)),
        None => Err(StoreError::UnknownSweep { id }.into()),
    }
}

async fn require(parts: &mut Parts, lab: &Lab, needed: Role) -> Result<Identity, ApiError> {
    let identity = person(parts, lab).await?;
    match path_param(parts, lab, "id").await.and_then(|id| id.parse::<i64>().ok()) {
        Some(id) => check(lab, &identity, id, needed).await?,
        None => return Err(ApiError::not_found("the path contains no id of a sweep")),
    }
    Ok(identity)
}

path_extractor!(SweepViewer, Role::View);
path_extractor!(SweepSteerer, Role::Steer);
