//! Sweeps checked against the lab, previewed and started. Both need the role steer: they compute points and plans.

use store::{Identity, NewSweep};
use wire::access::Role;
use wire::access::project::DEFAULT_PROJECT;
use wire::sweep::preview::{PreviewPoint, SweepPreview};
use wire::sweep::record::Sweep;
use wire::sweep::space::SearchSpace;
use wire::sweep::spec::SweepSpec;
use wire::{PlanError, RunSpec};

use super::sampler;
use crate::auth::author;
use crate::auth::spec::{permit, permit_order};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::live::clock::now_ms;
use crate::runs::edit::check_priority;
use crate::runs::plan::plan;
use crate::runs::scoring;

/// Points of a preview.
const PREVIEWED: u64 = 5;

/// A specification that was checked.
struct Checked {
    spec: SweepSpec,
    space: SearchSpace,
    trials: u64,
    project: String,
}

/// What a sweep would train.
///
/// # Errors
/// 403 or 404 for a project that is not the sender's to steer; the field of the specification that is invalid; an error of the store.
pub async fn preview(lab: &Lab, identity: &Identity, spec: SweepSpec) -> Result<SweepPreview, ApiError> {
    let checked = check(lab, identity, spec).await?;
    previewed(lab, &checked).await
}

/// Starts a sweep, if at least one of its first points makes a valid run.
///
/// # Errors
/// Those of [`preview`]; the error of the first point if none of the first is valid; 409 for too many sweeps.
pub async fn start(lab: &Lab, identity: &Identity, spec: SweepSpec) -> Result<Sweep, ApiError> {
    let checked = check(lab, identity, spec).await?;
    let preview = previewed(lab, &checked).await?;
    if preview.points.iter().all(|point| point.error.is_some())
        && let Some(error) = preview.points.into_iter().find_map(|point| point.error)
    {
        let field = error.field.map_or_else(|| "base".to_owned(), |field| format!("base.{field}"));
        let refused = ApiError::invalid(&error.code, error.message).field(field);
        return Err(match error.hint {
            Some(hint) => refused.hint(hint),
            None => refused,
        });
    }
    let creator = identity.creator();
    let new = NewSweep {
        spec: checked.spec,
        project: checked.project,
        trials: checked.trials,
        creator: author(identity).name().to_owned(),
        person: creator.person,
        token: creator.token,
        created_ms: now_ms(),
    };
    let sweep = lab.store().create_sweep(&new).await?;
    lab.feed.hub.trials.wake(sweep.id);
    lab.feed.lab_changed();
    Ok(sweep)
}

/// The number of trials of the grid of a sweep.
///
/// # Errors
/// The specification is invalid, or the computation failed.
pub(super) async fn grid_trials(lab: &Lab, spec: &SweepSpec) -> Result<u64, ApiError> {
    let space = spec.check()?;
    Ok(lab.samplers.compute(move || space.grid_trials()).await??)
}

async fn check(lab: &Lab, identity: &Identity, spec: SweepSpec) -> Result<Checked, ApiError> {
    let mut base = RunSpec { priority: spec.priority, ..spec.base.clone() };
    if spec.imported_from.is_some() {
        let error = PlanError::new("imported_from", "a sweep to start cannot come from a study");
        return Err(error.hint("leave out imported_from").into());
    }
    let space = spec.check()?;
    permit(lab, identity, &mut base, Role::Steer).await?;
    let project = base.project.clone().unwrap_or_else(|| DEFAULT_PROJECT.to_owned());
    // Trials are created when a share link may have ended.
    permit_order(lab, identity, &project).await?;
    check_priority(spec.priority)?;
    scoring::check_exist(lab, &spec.base.tasks).await?;
    if let Some(task) = spec.metric.task()?
        && !scoring::tasks(lab).await?.iter().any(|known| known.name == task)
    {
        let error = PlanError::new("metric.name", format!("unknown task {task}"));
        return Err(error.hint("GET /api/v1/tasks lists the tasks; add it first").into());
    }
    let spec = SweepSpec { base: RunSpec { project: Some(project.clone()), ..spec.base }, ..spec };
    let (counted, its_space) = (spec.clone(), space.clone());
    let trials = lab.samplers.compute(move || counted.planned_trials(&its_space)).await??;
    Ok(Checked { spec, space, trials, project })
}

async fn previewed(lab: &Lab, checked: &Checked) -> Result<SweepPreview, ApiError> {
    let Checked { spec, space, trials, .. } = checked;
    let repeats = space.repeats();
    let configurations = trials.div_ceil(repeats);
    let mut points = vec![];
    for configuration in 0..configurations.min(PREVIEWED) {
        let chosen = sampler::point(lab, spec, space, vec![], configuration * repeats).await?;
        let chosen = chosen.map_err(|error| PlanError::new("space.constraints", error.to_string()))?;
        let Some(point) = chosen else { break };
        let planned = match point.spec(&spec.base) {
            Ok(spec) => plan(lab, &spec).await,
            Err(error) => Err(error.into()),
        };
        points.push(match planned {
            Ok(view) => {
                PreviewPoint { point, tokens: Some(view.estimate.tokens), secs: view.estimate.secs, error: None }
            }
            Err(error) if error.status.is_server_error() => return Err(error),
            Err(error) => PreviewPoint { point, tokens: None, secs: None, error: Some(*error.body) },
        });
    }
    let tokens = mean(points.iter().filter_map(|point| point.tokens).map(|tokens| tokens as f64));
    let secs = mean(points.iter().filter_map(|point| point.secs));
    let all = |mean: f64| mean * *trials as f64;
    Ok(SweepPreview { trials: *trials, configurations, tokens: tokens.map(all), training_secs: secs.map(all), points })
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}
