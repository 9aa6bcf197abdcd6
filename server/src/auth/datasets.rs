//! Access to datasets: one may belong to a project, or to all who may create runs.

use engine::DataError;
use store::Identity;
use wire::access::Role;
use wire::access::project::DEFAULT_PROJECT;
use wire::data::corpus::CorpusInfo;
use wire::{CorpusId, RunSpec};

use super::{forbidden, project};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::limits;
use crate::live::audience::Audience;

/// The datasets that the sender may use, with their projects.
///
/// # Errors
/// An IO error; an error of the store.
pub async fn list(lab: &Lab, identity: &Identity) -> Result<Vec<CorpusInfo>, ApiError> {
    let (projects, audience) = (lab.store().dataset_projects().await?, Audience::of(&identity.grants));
    let datasets = lab.data.corpora.list().await?.into_iter();
    let with_project = datasets.map(|info| CorpusInfo { project: projects.get(info.id.as_str()).cloned(), ..info });
    Ok(with_project.filter(|info| audience.has_dataset(info.project.as_deref())).collect())
}

/// Checks a role on a dataset, and returns its project. On one that belongs to all, whoever reaches any project may view it, and roles above
/// that count in the whole lab.
///
/// # Errors
/// 404 for one that may not be seen, 403 for one that may only be seen; an error of the store.
pub async fn check(
    lab: &Lab,
    identity: &Identity,
    corpus: &CorpusId,
    needed: Role,
) -> Result<Option<String>, ApiError> {
    let owner = lab.store().dataset_projects().await?.remove(corpus.as_str());
    let role = match &owner {
        Some(project) => identity.grants.in_project(project),
        None => identity.grants.lab.or(identity.grants.has_anywhere(Role::View).then_some(Role::View)),
    };
    match role {
        Some(role) if role.includes(needed) => Ok(owner),
        Some(_) => Err(forbidden(identity, needed, None)),
        None => Err(DataError::NoCorpus { id: corpus.to_string() }.into()),
    }
}

/// The datasets that a run of this spec may use. Those of other projects are left out of the plan rather than refused before it, so that the
/// answer is that of a dataset that does not exist, whatever else is wrong with the spec.
///
/// # Errors
/// An IO error; an error of the store.
pub async fn usable(lab: &Lab, spec: &RunSpec) -> Result<Vec<CorpusInfo>, ApiError> {
    let project = spec.project.as_deref().unwrap_or(DEFAULT_PROJECT);
    let limited = lab.store().dataset_projects().await?;
    let mut datasets = lab.data.corpora.list().await?;
    datasets.retain(|info| limited.get(info.id.as_str()).is_none_or(|owner| owner == project));
    Ok(datasets)
}

/// The project for which a dataset may be added: the named one; else all, for whoever may steer the whole lab, and `default` for others.
///
/// # Errors
/// 403 or 404 for a project that is not the sender's to steer, 409 for one over its limit of disk; an error of the store.
pub async fn project_for(lab: &Lab, identity: &Identity, named: Option<String>) -> Result<Option<String>, ApiError> {
    if named.is_none() && identity.grants.has_lab(Role::Steer) {
        return Ok(None);
    }
    let chosen = named.unwrap_or_else(|| DEFAULT_PROJECT.to_owned());
    project::check(identity, &chosen, Role::Steer)?;
    project::check_exists(lab, &chosen).await?;
    limits::check_disk(lab, &chosen).await?;
    Ok(Some(chosen))
}
