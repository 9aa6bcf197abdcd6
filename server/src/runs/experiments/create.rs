//! New experiments: the baseline and the variant planned, and what could not be compared refused before a device hour is used.

use store::{Identity, NewExperiment};
use wire::access::Role;
use wire::access::project::DEFAULT_PROJECT;
use wire::experiment::check::BREAKPOINTS;
use wire::experiment::record::ExperimentView;
use wire::experiment::{Baseline, ExperimentSpec};
use wire::number::grouped;
use wire::run::copy::spec_of;
use wire::run::plan::PlanView;
use wire::series::name;
use wire::{PlanError, RunId, RunPlan, RunSpec};

use crate::auth::spec::permit;
use crate::auth::{author, forbidden, run};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::runs::edit::check_priority;
use crate::runs::plan::plan;
use crate::runs::scoring;

/// Beginning of the names of series that are losses per token.
const LOSSES: &str = "loss.";

/// Creates an experiment. Its first pair is queued at once.
///
/// # Errors
/// The field that is invalid; 403 or 404 for a project or a run that the sender may not use, and for a share link; 404 for an unknown task;
/// 409 for a run that was changed while it trained, and if too many experiments run; an error of the store.
pub async fn create(lab: &Lab, identity: &Identity, spec: ExperimentSpec) -> Result<ExperimentView, ApiError> {
    spec.check()?;
    let (mut baseline, first_seed) = baseline(lab, identity, &spec).await?;
    permit(lab, identity, &mut baseline, Role::Steer).await?;
    let project = baseline.project.clone().unwrap_or_else(|| DEFAULT_PROJECT.to_owned());
    permit_owner(lab, identity, &project).await?;
    let variant = spec.change.applied_to(&baseline);
    let place = if spec.baseline.run.is_some() { "baseline" } else { "baseline.spec" };
    check_priority(baseline.priority).map_err(|error| below(place, error))?;
    scoring::check_exist(lab, &baseline.tasks).await?;
    let one = plan(lab, &baseline).await.map_err(|error| below(place, error))?;
    let other = plan(lab, &variant).await.map_err(|error| below("change", error))?;
    check_steps(&spec, &one)?;
    check_metric(&spec, &one.plan, &other.plan)?;
    let creator = identity.creator();
    let (author, person, token) = (author(identity), creator.person, creator.token);
    let new = NewExperiment { project, author, person, token, spec, baseline, variant, first_seed };
    let view = lab.store().create_experiment(&new).await?;
    lab.feed.wake_queue();
    Ok(view)
}

/// The specification of the baseline without a seed, in the project of the experiment, and the seed of the first pair.
async fn baseline(lab: &Lab, identity: &Identity, spec: &ExperimentSpec) -> Result<(RunSpec, u64), ApiError> {
    let Baseline { run, steps, spec: given } = &spec.baseline;
    let (base, first_seed, project) = match (run, given) {
        (Some(run), _) => of_run(lab, identity, run, *steps).await?,
        (None, given) => {
            let base = given.clone().unwrap_or_default();
            let seed = base.seed.unwrap_or(1);
            (base, seed, DEFAULT_PROJECT.to_owned())
        }
    };
    let project = spec.project.clone().unwrap_or(project);
    Ok((RunSpec { seed: None, project: Some(project), ..base }, first_seed))
}

/// The plan of a run as a specification, the seed after its own, and its project.
async fn of_run(
    lab: &Lab,
    identity: &Identity,
    run: &RunId,
    steps: Option<u64>,
) -> Result<(RunSpec, u64, String), ApiError> {
    run::check(lab, identity, run, Role::View).await?;
    let view = lab.feed.view(run).await?;
    if view.plan.origin.is_some() {
        let error = PlanError::new("baseline.run", format!("{run} is a fork, and cannot be the baseline"));
        return Err(error.hint("choose a run that began at step 0, or give baseline.spec").into());
    }
    if view.hyperparameters.changes != view.plan.live().changes {
        let message = format!("{run} was changed while it trained, and an experiment repeats its plan only");
        return Err(ApiError::conflict("run_changed", message)
            .field("baseline.run")
            .hint("choose another run, or give its final hyperparameters in baseline.spec"));
    }
    let mut base = spec_of(&view.plan);
    base.overrides.remove(BREAKPOINTS);
    let (device, pool, copied_from) = (view.spec.device.clone(), view.spec.pool.clone(), Some(run.clone()));
    let base = RunSpec { steps: steps.or(base.steps), device, pool, copied_from, ..base };
    Ok((base, view.plan.seed.wrapping_add(1), view.summary.project))
}

/// Checks that the sender may start runs by themselves: those of an experiment start long after the request, and a share link would end.
async fn permit_owner(lab: &Lab, identity: &Identity, project: &str) -> Result<(), ApiError> {
    match lab.store().own_grants(identity.token_id).await?.in_project(project) {
        Some(role) if role.includes(Role::Steer) => Ok(()),
        _ => Err(forbidden(identity, Role::Steer, Some(&format!("the project {project}")))
            .hint("a share link starts no experiment; ask somebody who steers the project")),
    }
}

fn check_steps(spec: &ExperimentSpec, view: &PlanView) -> Result<(), ApiError> {
    let (steps, most) = (view.plan.steps, spec.budget.steps);
    if steps <= most {
        return Ok(());
    }
    let (steps, most) = (grouped(steps), grouped(most));
    let error = PlanError::new("budget.steps", format!("a run trains {steps} steps, and the budget allows {most}"));
    Err(error.hint("allow more steps, or train fewer").into())
}

/// Checks that the values of both sides are of the same text in the same unit.
fn check_metric(spec: &ExperimentSpec, baseline: &RunPlan, variant: &RunPlan) -> Result<(), ApiError> {
    let refused = |message: &str, hint: &str| Err(PlanError::new("metric.series", message).hint(hint).into());
    let is_of_all_datasets =
        |series: &Option<String>| matches!(series.as_deref(), None | Some(name::TRAIN | name::VALID));
    match &spec.metric.series {
        series if is_of_all_datasets(series) && baseline.mix != variant.mix => refused(
            "the change gives the variant another text, so the losses cannot be compared",
            "name a series that both sides report, such as loss.valid/DATASET for a dataset of both mixes",
        ),
        Some(series) if series.starts_with(LOSSES) && !is_one_tokenizer(baseline, variant) => refused(
            &format!("{series} is in nats per token, and the sides have different tokenizers"),
            "leave out metric.series, or give both sides the tokenizer byte",
        ),
        _ => Ok(()),
    }
}

fn is_one_tokenizer(baseline: &RunPlan, variant: &RunPlan) -> bool {
    let is_same_text = || baseline.corpora() == variant.corpora();
    baseline.tokenizer == variant.tokenizer && (!baseline.tokenizer.is_trained_on_corpus() || is_same_text())
}

/// The error of a plan, with the path of its field in the experiment.
fn below(place: &str, error: ApiError) -> ApiError {
    match error.body.field.clone() {
        Some(field) => error.field(format!("{place}.{field}")),
        None => error,
    }
}
