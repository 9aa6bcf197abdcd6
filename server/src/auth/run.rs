//! Roles on a run: that of its project, or of a link that shares it.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use store::{Identity, StoreError};
use wire::RunId;
use wire::access::Role;

use super::{forbidden, person};
use crate::error::ApiError;
use crate::lab::Lab;

/// Someone who may view the run `{id}` of the path.
pub struct RunViewer(pub Identity);
/// Someone who may steer the run `{id}` of the path.
pub struct RunSteerer(pub Identity);

/// Checks a role on a run. A run that may not be seen is answered as one that does not exist.
///
/// # Errors
/// 404 for a run that does not exist or may not be seen, 403 for one that may only be seen; an error of the store.
pub async fn check(lab: &Lab, identity: &Identity, run: &RunId, needed: Role) -> Result<(), ApiError> {
    let grants = &identity.grants;
    let role = match lab.store().project_of_run(run).await? {
        Some(project) => grants.on_run(run, &project),
        // Whoever may do it to all runs gets the answer that this one does not exist.
        None => grants.lab,
    };
    match role {
        Some(role) if role.includes(needed) => Ok(()),
        Some(_) => Err(forbidden(identity, needed, None)),
        None => Err(StoreError::UnknownRun { run: run.clone() }.into()),
    }
}

async fn require(parts: &mut Parts, lab: &Lab, needed: Role) -> Result<Identity, ApiError> {
    let identity = person(parts, lab).await?;
    match path_param(parts, lab, "id").await.and_then(|id| id.parse::<RunId>().ok()) {
        Some(run) => check(lab, &identity, &run, needed).await?,
        // Text that is not an id is answered by the route itself, for whoever reaches the whole lab.
        None if identity.grants.has_lab(needed) => {}
        None if identity.grants.lab.is_some() => return Err(forbidden(&identity, needed, None)),
        None => return Err(ApiError::not_found("the path contains no run id")),
    }
    Ok(identity)
}

/// A parameter of the path, as text.
pub(super) async fn path_param(parts: &mut Parts, lab: &Lab, name: &str) -> Option<String> {
    let params = RawPathParams::from_request_parts(parts, lab).await.ok()?;
    params.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}

path_extractor!(RunViewer, Role::View);
path_extractor!(RunSteerer, Role::Steer);
