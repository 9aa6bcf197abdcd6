//! Who may make a run of a spec: a role in its project, on the parent of a fork, and access to its datasets.

use std::collections::BTreeMap;

use store::Identity;
use wire::access::Role;
use wire::access::project::DEFAULT_PROJECT;
use wire::{CorpusId, PlanError, RunId, RunSpec, RunSummary};

use super::{project, run};
use crate::error::ApiError;
use crate::lab::Lab;

/// Checks a spec, and sets its project: that of the parent for a fork that names none, else `default`.
///
/// # Errors
/// 403 or 404 for a project or a parent that is not the sender's to use, 422 for a dataset of another project; an error of the store.
pub async fn permit(lab: &Lab, identity: &Identity, spec: &mut RunSpec, needed: Role) -> Result<(), ApiError> {
    let parent = match &spec.parent {
        Some(parent) => {
            // A checkpoint that is not named may have to be saved now, which is a command to the parent.
            let is_named = parent.checkpoint.is_some() || parent.step.is_some();
            let on_parent = if is_named { Role::View } else { needed };
            permit_parent(lab, identity, &parent.run, on_parent).await?
        }
        None => None,
    };
    let inherited = || parent.map(|parent| parent.project);
    let chosen = spec.project.take().or_else(inherited).unwrap_or_else(|| DEFAULT_PROJECT.to_owned());
    project::check(identity, &chosen, needed)?;
    project::check_exists(lab, &chosen).await?;
    check_datasets(lab, spec, &chosen).await?;
    spec.project = Some(chosen);
    Ok(())
}

/// The parent of a fork; `None` for one that does not exist, which the plan refuses.
async fn permit_parent(
    lab: &Lab,
    identity: &Identity,
    parent: &RunId,
    needed: Role,
) -> Result<Option<RunSummary>, ApiError> {
    let Some(summary) = lab.store().summary(parent).await? else { return Ok(None) };
    if identity.grants.on_run(parent, &summary.project).is_none() {
        return Err(PlanError::new("parent.run", format!("unknown run {parent}")).into());
    }
    run::check(lab, identity, parent, needed).await?;
    Ok(Some(summary))
}

/// Checks that a run may move to a project: its sender steers both.
///
/// # Errors
/// 403 or 404 for a project that is not the sender's to use; an error of the store.
pub async fn permit_move(lab: &Lab, identity: &Identity, run: &RunId, to: &str) -> Result<(), ApiError> {
    let from = lab.feed.summary(run).await?.project;
    project::check(identity, &from, Role::Steer)?;
    project::check(identity, to, Role::Steer)?;
    project::check_exists(lab, to).await
}

async fn check_datasets(lab: &Lab, spec: &RunSpec, project: &str) -> Result<(), ApiError> {
    let wanted: Vec<&CorpusId> = spec.corpus.iter().chain(spec.mix.iter().flat_map(BTreeMap::keys)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let limited = lab.store().dataset_projects().await?;
    let other = wanted.into_iter().find(|corpus| limited.get(corpus.as_str()).is_some_and(|owner| owner != project));
    match other {
        // As for a dataset that does not exist: its project may not be the sender's to see.
        Some(corpus) => Err(PlanError::new("corpus", format!("unknown dataset {corpus} in the project {project}"))
            .hint("GET /api/v1/corpora lists the datasets; one of another project cannot be used")
            .into()),
        None => Ok(()),
    }
}
