//! The next trial of a sweep. A point is stored only together with its run, or as a failed trial if it makes no valid run.

use store::{NewRun, NewTrial, TrialCreation};
use wire::control::author::Author;
use wire::sweep::record::Sweep;
use wire::sweep::space::Point;
use wire::task::lab::TaskSchedule;
use wire::{PlanError, RunSpec};

use super::next_check::NextCheck;
use super::sampler;
use crate::error::ApiError;
use crate::lab::Lab;
use crate::runs::acts::{in_a_sentence, with_full_stop};
use crate::runs::create::{announce, is_full_for_now, prepare};
use crate::runs::plan::plan;

/// The fields of a spec that name what may come back: then the point is not at fault.
const PLACES: [&str; 2] = ["device", "pool"];

/// Creates the next trial of a running sweep, or records why there is none.
///
/// # Errors
/// An error of the store.
pub(super) async fn create(lab: &Lab, sweep: &Sweep) -> Result<NextCheck, ApiError> {
    let (store, number) = (lab.store(), sweep.counts.created());
    let space = match sweep.spec.check() {
        Ok(space) => space,
        Err(error) => return pause(lab, sweep, &in_a_sentence(&error.to_string())).await,
    };
    let history = store.trial_records(sweep.id, None).await?;
    let point = match sampler::point(lab, &sweep.spec, &space, history, number).await? {
        Ok(Some(point)) => point,
        Ok(None) => {
            store.exhaust_sweep(sweep.id, sweep.revision).await?;
            return Ok(NextCheck::WhenWoken);
        }
        Err(error) => return pause(lab, sweep, &in_a_sentence(&error.to_string())).await,
    };
    match run_of(lab, sweep, &point, number, Author::System).await {
        Ok(run) => match add(lab, sweep, &point, &run).await {
            Err(error) if error.body.code.starts_with("agent_") => refused(lab, sweep, &point, number, error).await,
            added => added,
        },
        Err(error) => refused(lab, sweep, &point, number, error).await,
    }
}

async fn add(lab: &Lab, sweep: &Sweep, point: &Point, run: &NewRun) -> Result<NextCheck, ApiError> {
    let number = sweep.counts.created();
    let new = NewTrial { sweep: sweep.id, revision: sweep.revision, number, point, run };
    match lab.store().create_trial(&new).await? {
        TrialCreation::Created(summary) => {
            lab.feed.hub.trials.watch(sweep.id, &sweep.spec.metric.name, &summary);
            announce(lab, run, *summary).await?;
            // Its run may have started before it was watched.
            lab.feed.hub.trials.wake(sweep.id);
        }
        TrialCreation::NotNow | TrialCreation::CreatorLeft => lab.feed.lab_changed(),
    }
    Ok(NextCheck::WhenWoken)
}

/// The run of a trial, resolved against the lab and ready to be stored.
///
/// # Errors
/// The field of its spec that cannot be resolved; 409 for a full queue and for a project over its limit of disk; an error of the store.
pub(super) async fn run_of(
    lab: &Lab,
    sweep: &Sweep,
    point: &Point,
    number: u64,
    author: Author,
) -> Result<NewRun, ApiError> {
    let base = RunSpec {
        name: Some(format!("{} {number}", sweep.spec.name)),
        priority: sweep.spec.priority,
        project: Some(sweep.project.clone()),
        tasks: tasks(sweep)?,
        ..sweep.spec.base.clone()
    };
    let spec = point.spec(&base)?;
    let view = plan(lab, &spec).await?;
    prepare(lab, spec, view, author).await
}

/// The tasks on which the checkpoints of trials are scored: those of the base, and that of the metric.
fn tasks(sweep: &Sweep) -> Result<Vec<TaskSchedule>, PlanError> {
    let mut tasks = sweep.spec.base.tasks.clone();
    let of_metric = sweep.spec.metric.task()?.filter(|task| !tasks.iter().any(|known| known.task == *task));
    tasks.extend(of_metric.map(|task| TaskSchedule { task, every: 1 }));
    Ok(tasks)
}

/// A point without a run is a failed trial if the point is at fault. Otherwise it is chosen again later.
async fn refused(lab: &Lab, sweep: &Sweep, point: &Point, number: u64, error: ApiError) -> Result<NextCheck, ApiError> {
    let sentence = in_a_sentence(&error.to_string());
    let names_place = error.body.field.as_deref().is_some_and(|field| PLACES.contains(&field));
    let is_waiting = is_full_for_now(&error) || error.status.as_u16() == 422 && names_place;
    match error.status.as_u16() {
        _ if is_waiting => {
            if lab
                .store()
                .set_sweep_message(sweep.id, Some(&with_full_stop(format!("The next trial waits: {error}"))))
                .await?
            {
                lab.feed.lab_changed();
            }
            Ok(NextCheck::Later)
        }
        404 | 422 => {
            lab.store().add_invalid_trial(sweep.id, sweep.revision, number, point, &sentence).await?;
            lab.feed.hub.trials.wake(sweep.id);
            lab.feed.lab_changed();
            Ok(NextCheck::WhenWoken)
        }
        403 | 409 => pause(lab, sweep, &sentence).await,
        _ => Err(error),
    }
}

async fn pause(lab: &Lab, sweep: &Sweep, why: &str) -> Result<NextCheck, ApiError> {
    if lab.store().pause_sweep(sweep.id, sweep.revision, why).await? {
        lab.feed.lab_changed();
    }
    Ok(NextCheck::WhenWoken)
}
