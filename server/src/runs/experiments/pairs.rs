//! The runs of a pair: planned, and put into the queue with the record of the experiment in one transaction.

use store::{ExperimentStanding, NewExperimentRun, NewRun};
use wire::experiment::record::{ExperimentView, Side};
use wire::run::plan::{MixPart, PlanView};
use wire::{RunPlan, RunSpec, RunView};

use super::next::WantedRun;
use crate::error::ApiError;
use crate::lab::{Lab, name};
use crate::runs::create::{announce, prepare};
use crate::runs::plan::plan;

/// Queues runs of an experiment. Nothing happens if it is not running any more.
///
/// # Errors
/// A plan that cannot be resolved or that has changed; 409 for a full queue, and for a project over its limit of disk; an error of the store.
pub(super) async fn start(lab: &Lab, standing: &ExperimentStanding, wanted: &[WantedRun]) -> Result<(), ApiError> {
    let summary = &standing.view.summary;
    let mut new = vec![];
    for one in wanted {
        let WantedRun { pair, side, attempt, .. } = *one;
        new.push(NewExperimentRun { pair, side, attempt, run: planned(lab, &standing.view, one).await? });
    }
    let Some(created) = lab.store().start_experiment_runs(summary.id, &new).await? else { return Ok(()) };
    for (one, summary) in new.iter().zip(created) {
        announce(lab, &one.run, summary).await?;
    }
    Ok(())
}

async fn planned(lab: &Lab, experiment: &ExperimentView, wanted: &WantedRun) -> Result<NewRun, ApiError> {
    let base = match wanted.side {
        Side::Baseline => &experiment.baseline,
        Side::Variant => &experiment.variant,
    };
    let summary = &experiment.summary;
    let name = run_name(&summary.spec.title, wanted);
    let (seed, project) = (Some(wanted.seed), Some(summary.project.clone()));
    let spec = RunSpec { seed, project, name: Some(name), ..base.clone() };
    let view = plan(lab, &spec).await?;
    check_unchanged(lab, experiment, wanted.side, &view).await?;
    prepare(lab, spec, view, summary.author.clone()).await
}

/// Checks that the plan equals that of the earlier runs: a dataset may have been replaced meanwhile.
async fn check_unchanged(lab: &Lab, experiment: &ExperimentView, side: Side, view: &PlanView) -> Result<(), ApiError> {
    let Some(first) = first_kept(lab, experiment, side).await? else { return Ok(()) };
    if is_same(&first.plan, &view.plan) {
        return Ok(());
    }
    let datasets = |plan: &RunPlan| plan.mix.iter().map(part_name).collect::<Vec<_>>().join(" + ");
    let message = format!(
        "the plan of the {} differs from that of the earlier pairs: its datasets were {} and are now {}",
        side.word(),
        datasets(&first.plan),
        datasets(&view.plan)
    );
    Err(ApiError::conflict("plan_changed", message).hint("create a new experiment"))
}

/// The first run of a side that was not deleted for good. All runs of a side have the same plan.
async fn first_kept(lab: &Lab, experiment: &ExperimentView, side: Side) -> Result<Option<RunView>, ApiError> {
    for run in experiment.runs.iter().filter(|run| run.side == side) {
        if let Some(kept) = lab.store().run(&run.run).await? {
            return Ok(Some(kept));
        }
    }
    Ok(None)
}

fn part_name(part: &MixPart) -> String {
    format!("{}@{}", part.corpus, part.content_hash.chars().take(6).collect::<String>())
}

/// Whether two plans differ in nothing but the seed and the device with its replicas.
fn is_same(one: &RunPlan, other: &RunPlan) -> bool {
    let mut other = RunPlan { seed: one.seed, device: one.device.clone(), ..other.clone() };
    other.recipe.batch.replicas = one.recipe.batch.replicas;
    other == *one
}

/// `Lower rate variant seed 4`, within the maximum length of a name.
fn run_name(title: &str, wanted: &WantedRun) -> String {
    let suffix = format!(" {} seed {}", wanted.side.word(), wanted.seed);
    let short: String = title.trim().chars().take(name::NAME_CHARS - suffix.len()).collect();
    format!("{}{suffix}", short.trim_end())
}
