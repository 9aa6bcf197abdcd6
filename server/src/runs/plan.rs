//! Specs resolved against the datasets and devices of the lab.

use std::collections::BTreeMap;

use wire::run::plan::{PlanView, resolve};
use wire::{CorpusId, PlanError, RunSpec};

use super::{devices, forks};
use crate::auth::datasets;
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
    let corpora = datasets::usable(lab, spec).await?;
    check_pool(lab, spec).await?;
    let candidates = devices::candidates(lab, spec);
    let choice = devices::choose(spec, &candidates);
    let resolved = resolve(&choice.spec, &corpora, &choice.devices);
    let mut view = match resolved {
        Ok(view) => view,
        Err(error) => return Err(explain_missing_dataset(lab, spec, error).await?.into()),
    };
    view.notes.extend(choice.note);
    if let Some(pool) = spec.pool.as_ref().filter(|_| candidates.len() > 1) {
        let device = &view.plan.device;
        view.notes
            .push(format!("The run starts on the first idle device of the pool {pool}; the estimate is for {device}."));
    }
    Ok(view)
}

/// The pool that a spec names must exist, and no device beside it.
async fn check_pool(lab: &Lab, spec: &RunSpec) -> Result<(), ApiError> {
    let Some(name) = &spec.pool else { return Ok(()) };
    if spec.device.is_some() {
        let error = PlanError::new("pool", "a device and a pool are both given");
        return Err(error.hint("give one of device and pool").into());
    }
    let pools = lab.store().pools().await?;
    if pools.iter().any(|pool| pool.name == *name) {
        return Ok(());
    }
    let known: Vec<String> = pools.into_iter().map(|pool| pool.name).collect();
    let error = PlanError::new("pool", format!("unknown pool {name}"));
    Err(error.hint(format!("choose one of {}, or create it on the Fleet page", known.join(", "))).into())
}

/// Replaces the error "unknown dataset" by "not ready" while a job creates the dataset.
async fn explain_missing_dataset(lab: &Lab, spec: &RunSpec, error: PlanError) -> Result<PlanError, ApiError> {
    if error.field != "corpus" {
        return Ok(error);
    }
    let wanted = spec.corpus.iter().chain(spec.mix.iter().flat_map(BTreeMap::keys));
    let limited = lab.store().dataset_projects().await?;
    let is_usable = |corpus: &&CorpusId| {
        limited.get(corpus.as_str()).is_none_or(|owner| Some(owner.as_str()) == spec.project.as_deref())
    };
    Ok(match wanted.filter(is_usable).find_map(|corpus| lab.data.jobs.running_on(corpus)) {
        Some(job) => PlanError {
            hint: Some(format!("a job is preparing it ({}): try again when the job is done", job.title)),
            ..error
        },
        None => error,
    })
}
