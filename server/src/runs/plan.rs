//! Specs resolved against the datasets and devices of the lab.

use std::collections::BTreeMap;

use wire::run::plan::{PlanView, resolve};
use wire::{PlanError, RunSpec};

use super::{devices, forks};
use crate::error::ApiError;
use crate::lab::Lab;

/// Resolves a spec without creating anything.
///
/// # Errors
/// The field of the spec that cannot be resolved.
pub async fn plan(lab: &Lab, spec: &RunSpec) -> Result<PlanView, ApiError> {
    if let Some(parent) = &spec.parent {
        return forks::plan(lab, spec, parent).await;
    }
    let corpora = lab.data.corpora.list().await?;
    let choice = devices::choose(spec, &lab.workers.fleet.infos());
    let resolved = resolve(&choice.spec, &corpora, &choice.devices);
    let mut view = resolved.map_err(|error| explain_missing_dataset(lab, spec, error))?;
    view.notes.extend(choice.note);
    Ok(view)
}

/// Replaces the error "unknown dataset" by "not ready" while a job creates the dataset.
fn explain_missing_dataset(lab: &Lab, spec: &RunSpec, error: PlanError) -> PlanError {
    let wanted = spec.corpus.iter().chain(spec.mix.iter().flat_map(BTreeMap::keys));
    match wanted.filter(|_| error.field == "corpus").find_map(|corpus| lab.data.jobs.running_on(corpus)) {
        Some(job) => PlanError {
            hint: Some(format!("a job is preparing it ({}): try again when the job is done", job.title)),
            ..error
        },
        None => error,
    }
}
