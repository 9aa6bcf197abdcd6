//! Who may make a run of a spec: a role in its project, on the parent of a fork, and access to its datasets.

use store::Identity;
use wire::access::Role;
use wire::access::project::DEFAULT_PROJECT;
use wire::run::plan::unknown_dataset;
use wire::{CorpusId, PlanError, RunId, RunSpec, RunSummary};

use super::{forbidden, project, run};
use crate::error::ApiError;
use crate::lab::{Lab, limits};

/// Checks a spec, and sets its project: that of the parent for a fork that names none, else `default`. The plan of the run refuses datasets
/// that it names and that belong to another project.
///
/// # Errors
/// 403 or 404 for a project or a parent that is not the sender's to use and for a priority that is not theirs to set, 422 for a dataset of
/// another project; an error of the store.
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
    let inherited = || parent.as_ref().map(|parent| parent.project.clone());
    let chosen = spec.project.take().or_else(inherited).unwrap_or_else(|| DEFAULT_PROJECT.to_owned());
    project::check(identity, &chosen, needed)?;
    project::check_exists(lab, &chosen).await?;
    if let Some(parent) = parent {
        permit_copy(lab, identity, &parent, &chosen).await?;
    }
    if needed == Role::Steer {
        permit_priority(lab, identity, &chosen, spec.priority).await?;
    }
    spec.project = Some(chosen);
    Ok(())
}

/// Checks that a fork of this parent may be in a project. A role that a link gives on the parent ends with the link; a fork in another
/// project would keep it.
async fn permit_copy(lab: &Lab, identity: &Identity, parent: &RunSummary, to: &str) -> Result<(), ApiError> {
    if parent.project != to {
        let own = lab.store().own_grants(identity.token_id).await?;
        if own.on_run(&parent.id, &parent.project).is_none() {
            let place = format!("the project {}", parent.project);
            return Err(forbidden(identity, Role::View, Some(&place))
                .hint("a run that a share link opens can be forked only in its own project"));
        }
    }
    check_datasets(lab, datasets_of(lab, &parent.id).await?, to).await
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

/// Checks that the sender may start a run of a priority in a project: a priority above the default changes the order of the queue.
///
/// # Errors
/// Those of [`permit_order`].
pub async fn permit_priority(
    lab: &Lab,
    identity: &Identity,
    project: &str,
    priority: Option<i32>,
) -> Result<(), ApiError> {
    match priority {
        Some(1..) => permit_order(lab, identity, project).await,
        _ => Ok(()),
    }
}

/// Checks that the sender may say when the runs of a project start: the queue is one for all projects, so a share link is not enough.
///
/// # Errors
/// 403 without a role of one's own in the project; an error of the store.
pub async fn permit_order(lab: &Lab, identity: &Identity, project: &str) -> Result<(), ApiError> {
    match lab.store().own_grants(identity.token_id).await?.in_project(project) {
        Some(role) if role.includes(Role::Steer) => Ok(()),
        _ => Err(forbidden(identity, Role::Steer, Some(&format!("the project {project}")))
            .hint("a share link does not change the order of the queue; ask somebody who steers the project")),
    }
}

/// Checks that a run may move to a project: its sender steers both by themselves, not by a link, which would end and leave the run there.
///
/// # Errors
/// 403 or 404 for a project that is not the sender's to use, 422 for a dataset of another project, 409 for a project over its limit of disk;
/// an error of the store.
pub async fn permit_move(lab: &Lab, identity: &Identity, run: &RunId, to: &str) -> Result<(), ApiError> {
    let from = lab.feed.summary(run).await?.project;
    let own = Identity { grants: lab.store().own_grants(identity.token_id).await?, ..identity.clone() };
    project::check(&own, &from, Role::Steer)?;
    project::check(&own, to, Role::Steer)?;
    project::check_exists(lab, to).await?;
    if from == to {
        return Ok(());
    }
    check_datasets(lab, datasets_of(lab, run).await?, to).await?;
    limits::check_disk(lab, to).await
}

/// The datasets of the plan of a run.
async fn datasets_of(lab: &Lab, run: &RunId) -> Result<Vec<CorpusId>, ApiError> {
    Ok(lab.store().run(run).await?.map(|view| view.plan.corpora()).unwrap_or_default())
}

async fn check_datasets(lab: &Lab, wanted: Vec<CorpusId>, project: &str) -> Result<(), ApiError> {
    if wanted.is_empty() {
        return Ok(());
    }
    let limited = lab.store().dataset_projects().await?;
    let other = wanted.iter().find(|corpus| limited.get(corpus.as_str()).is_some_and(|owner| owner != project));
    // As for a dataset that does not exist: its project may not be the sender's to see.
    other.map_or(Ok(()), |corpus| Err(unknown_dataset(corpus).into()))
}
