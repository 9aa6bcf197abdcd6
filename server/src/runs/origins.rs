//! What a run reads besides its own files: the datasets of its plan and the run that it was forked from. An archive names both, and a dataset
//! may have been replaced by one of another project, so they are checked where a run is imported and where its text is read.

use wire::{CorpusId, RunId, RunPlan};

use crate::error::ApiError;
use crate::lab::Lab;

/// Checks that the datasets and the parent of a plan are of a project, or that no other project owns them.
///
/// # Errors
/// 422 with the name of what belongs to another project; an error of the store.
pub async fn check(lab: &Lab, plan: &RunPlan, project: &str) -> Result<(), ApiError> {
    check_datasets(lab, &plan.corpora(), project).await?;
    let Some(parent) = plan.origin.as_ref().map(|origin| &origin.from.run) else { return Ok(()) };
    match lab.store().project_of_run(parent).await? {
        Some(owner) if owner != project => Err(other_project(format!("its parent {parent}"), project)),
        _ => Ok(()),
    }
}

/// Checks the datasets of a run whose text is about to be read.
///
/// # Errors
/// As [`check`]; 404 for an unknown run.
pub async fn check_run(lab: &Lab, run: &RunId) -> Result<(), ApiError> {
    let view = lab.feed.view(run).await?;
    check_datasets(lab, &view.plan.corpora(), &view.summary.project).await
}

/// Checks the datasets of a parent whose text is about to be read for a run that was forked from it.
///
/// # Errors
/// As [`check`]; 404 for an unknown run.
pub async fn check_parent(lab: &Lab, run: &RunId, parent: &RunId) -> Result<(), ApiError> {
    let fork = lab.feed.summary(run).await?;
    // A purged parent has no text to read.
    let Some(parent) = lab.store().run(parent).await? else { return Ok(()) };
    check_datasets(lab, &parent.plan.corpora(), &fork.project).await
}

async fn check_datasets(lab: &Lab, corpora: &[CorpusId], project: &str) -> Result<(), ApiError> {
    let owners = lab.store().dataset_projects().await?;
    let is_foreign = |corpus: &&CorpusId| owners.get(corpus.as_str()).is_some_and(|owner| owner != project);
    match corpora.iter().find(is_foreign) {
        Some(corpus) => Err(other_project(format!("its dataset {corpus}"), project)),
        None => Ok(()),
    }
}

fn other_project(what: String, project: &str) -> ApiError {
    let message = format!("the run cannot be used in the project {project}: {what} is not available there");
    ApiError::invalid("other_project", message).hint("use it in the project of its dataset and its parent")
}
