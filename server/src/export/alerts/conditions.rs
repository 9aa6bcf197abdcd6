//! Conditions on metrics: listed, created and deleted. Whoever may steer the runs for which a condition holds may create and delete it.

use store::Identity;
use wire::RunId;
use wire::access::{Grants, Role};
use wire::alert::{ConditionView, NewCondition};

use crate::auth::{forbidden, project, run};
use crate::error::ApiError;
use crate::lab::Lab;

/// The conditions that somebody may see; with a run, those that hold for it.
///
/// # Errors
/// 404 for a run that may not be seen; an error of the store.
pub async fn list(lab: &Lab, own: &Identity, of: Option<&RunId>) -> Result<Vec<ConditionView>, ApiError> {
    if let Some(of) = of {
        run::check(lab, own, of, Role::View).await?;
        return Ok(lab.store().conditions_of(of).await?);
    }
    let all = lab.store().conditions().await?;
    Ok(all.into_iter().filter(|condition| role_on(&own.grants, condition).is_some()).collect())
}

/// Creates a condition.
///
/// # Errors
/// 403 and 404 for runs that the sender may not steer, 409 for too many conditions, 422 for an invalid value; an error of the store.
pub async fn create(lab: &Lab, own: &Identity, new: NewCondition) -> Result<ConditionView, ApiError> {
    new.check().map_err(ApiError::invalid_value)?;
    match (&new.run, &new.project) {
        (Some(of), _) => run::check(lab, own, of, Role::Steer).await?,
        (None, Some(named)) => {
            project::check(own, named, Role::Steer)?;
            project::check_exists(lab, named).await?;
        }
        (None, None) if !own.grants.has_lab(Role::Steer) => return Err(forbidden(own, Role::Steer, Some("the lab"))),
        (None, None) => {}
    }
    Ok(lab.store().add_condition(new, &own.name).await?)
}

/// Deletes a condition. The alerts that it has raised stay.
///
/// # Errors
/// 404 for a condition that may not be seen, 403 for one that may only be seen; an error of the store.
pub async fn remove(lab: &Lab, own: &Identity, id: i64) -> Result<(), ApiError> {
    let found = lab.store().conditions().await?.into_iter().find(|condition| condition.id == id);
    match found.and_then(|condition| role_on(&own.grants, &condition)) {
        None => return Err(unknown(id)),
        Some(role) if !role.includes(Role::Steer) => return Err(forbidden(own, Role::Steer, None)),
        Some(_) => {}
    }
    match lab.store().remove_condition(id).await? {
        true => Ok(()),
        false => Err(unknown(id)),
    }
}

/// The role in what a condition holds for. One of the lab may be seen by every member, because it raises alerts of their runs.
fn role_on(grants: &Grants, condition: &ConditionView) -> Option<Role> {
    match (&condition.run, &condition.project) {
        (Some(run), Some(project)) => grants.on_run(run, project),
        (_, Some(project)) => grants.in_project(project),
        (_, None) => grants.lab.or_else(|| grants.has_anywhere(Role::View).then_some(Role::View)),
    }
}

fn unknown(id: i64) -> ApiError {
    ApiError::not_found(format!("unknown alert condition {id}"))
        .hint("GET /api/v1/alert-conditions lists the conditions that you may see")
}
