//! Roles on a research loop, which are those in its project.

use axum::http::request::Parts;
use store::{Identity, StoreError};
use wire::access::Role;

use super::run::path_param;
use super::{forbidden, person};
use crate::error::ApiError;
use crate::lab::Lab;

/// Someone who may view the research loop `{id}` of the path.
pub struct LoopViewer(pub Identity);
/// Someone who may steer the research loop `{id}` of the path.
pub struct LoopSteerer(pub Identity);

/// A loop that the sender may not see gives the same error as one that does not exist.
async fn require(parts: &mut Parts, lab: &Lab, needed: Role) -> Result<Identity, ApiError> {
    let identity = person(parts, lab).await?;
    let id: Option<u64> = path_param(parts, lab, "id").await.and_then(|id| id.parse().ok());
    let Some(id) = id else { return Err(ApiError::not_found("the path contains no id of a research loop")) };
    let project = lab.store().project_of_loop(id).await?;
    match project.and_then(|project| identity.grants.in_project(&project)) {
        Some(role) if role.includes(needed) => Ok(identity),
        Some(_) => Err(forbidden(&identity, needed, None)),
        None => Err(StoreError::UnknownLoop { id }.into()),
    }
}

path_extractor!(LoopViewer, Role::View);
path_extractor!(LoopSteerer, Role::Steer);
