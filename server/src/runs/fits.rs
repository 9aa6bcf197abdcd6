//! Fits over runs and replays of stopping rules, for the API. This module reads bounded amounts of data of the runs. The computations are
//! in [`research::fits`] and [`research::stopping`], and run on their own thread.

use research::fits::report::{FitKind, FitReport, FittedRun, Target};
use research::refused::Refused;
use research::stopping::Curve;
use research::stopping::settings::{ReplayReport, ReplayRequest, RuleKind, RunToReplay};
use store::{Store, StoreError};
use wire::number::counted;
use wire::series::Bucket;
use wire::sweep::record::{Sweep, Trial, TrialState};
use wire::sweep::spec::{Direction, Metric};
use wire::sweep::stopping::StoppingRule;
use wire::{RunId, RunState, RunSummary};

use super::mixes::{RunsWithMixes, is_in_a_mix, with_mixes};
use super::sweeps::results::on_path;
use super::trial_curves::{TrialRun, alike, learning_rates, noise_scales};
use crate::error::ApiError;
use crate::lab::Lab;

/// Maximum number of runs of a fit, and of a replay of runs.
pub const MAX_RUNS: usize = 200;
/// Maximum number of trials of a replay of a sweep.
pub const MAX_TRIALS: usize = 500;
/// Maximum number of steps of a run whose series is fitted.
const MAX_STEPS: u64 = 1_000_000;
/// Values that a replay reads of all runs together: its time grows with their square.
const REPLAYED_VALUES: usize = 10_000;
/// Minimum and maximum number of values of one run.
const VALUES: (usize, usize) = (20, 100);
/// Seed of the intervals: equal runs give equal intervals.
pub const SEED: u64 = 1;

/// Fits runs that exist.
///
/// # Errors
/// 422 for a fit of the series of one run if there are several runs; an error of the store; the computation panicked.
pub async fn fit(
    lab: &Lab,
    kind: FitKind,
    runs: &[RunId],
    target: Target,
    dataset: Option<String>,
) -> Result<FitReport, ApiError> {
    match (kind, runs) {
        (FitKind::LearningRate, [run]) => of_learning_rates(lab, run).await,
        (FitKind::BatchSize, [run]) => of_noise_scales(lab, run).await,
        (kind, runs) if kind.is_of_one_run() => {
            let message =
                format!("{} is a fit of one run, and {} were given", kind.word(), counted(runs.len() as u64, "run"));
            Err(ApiError::invalid("query_invalid", message).field("runs").hint("give the id of one run"))
        }
        (kind, runs) => of_runs(lab, kind, runs, target, dataset).await,
    }
}

async fn of_runs(
    lab: &Lab,
    kind: FitKind,
    runs: &[RunId],
    target: Target,
    dataset: Option<String>,
) -> Result<FitReport, ApiError> {
    if runs.len() > MAX_RUNS {
        return Ok(FitReport::refused(vec![], vec![], Refused::too_many(MAX_RUNS)));
    }
    let (read, left_out) = evaluated(lab.store(), runs).await?;
    let fitted: Vec<FittedRun> = read.iter().filter_map(TrialRun::fitted).collect();
    if let Err(unlike) = alike(&read) {
        return Ok(FitReport::refused(fitted, left_out, Refused::unlike(&unlike.to_string())));
    }
    if kind == FitKind::Mix {
        return of_mixes(lab, &read, left_out, dataset).await;
    }
    let compute = move || match kind {
        FitKind::Isoflop => FitReport::isoflop(fitted, left_out, SEED),
        _ => FitReport::scaling_law(fitted, left_out, target, SEED),
    };
    lab.fits.compute(compute).await
}

/// The best mix over runs with equal datasets.
async fn of_mixes(
    lab: &Lab,
    runs: &[TrialRun],
    mut left_out: Vec<String>,
    dataset: Option<String>,
) -> Result<FitReport, ApiError> {
    if let Some(unknown) = dataset.as_ref().filter(|name| !runs.is_empty() && !is_in_a_mix(runs, name)) {
        return Err(ApiError::invalid("query_invalid", format!("the runs do not train on the dataset {unknown}"))
            .field("dataset")
            .hint("name a dataset of the mix, or leave it out for the mean of all"));
    }
    let RunsWithMixes { runs, mixes, left_out: more } = with_mixes(lab.store(), runs, dataset.as_deref()).await?;
    left_out.extend(more);
    lab.fits.compute(move || FitReport::mix(runs, mixes, left_out, SEED)).await
}

/// The runs that have an evaluation, each with its last one, in the order of their creation; and the names of the others.
async fn evaluated(store: &Store, runs: &[RunId]) -> Result<(Vec<TrialRun>, Vec<String>), StoreError> {
    let (mut found, mut left_out) = (vec![], vec![]);
    for id in runs {
        let mut run = match TrialRun::read(store, id).await {
            Ok(Some(run)) => run,
            Ok(None) => continue,
            // Somebody has removed its series.
            Err(StoreError::RunFolderMissing { .. }) => {
                left_out.push(id.to_string());
                continue;
            }
            Err(error) => return Err(error),
        };
        let evaluations = &mut run.measured.evaluations;
        evaluations.retain(|evaluation| evaluation.loss.is_finite());
        evaluations.drain(..evaluations.len().saturating_sub(1));
        match run.last() {
            Some(_) => found.push(run),
            None => left_out.push(run.view.summary.name),
        }
    }
    found.sort_by_key(|run| run.view.summary.created_ms);
    Ok((found, left_out))
}

async fn of_learning_rates(lab: &Lab, run: &RunId) -> Result<FitReport, ApiError> {
    if let Some(refused) = too_long(&lab.feed.summary(run).await?) {
        return Ok(refused);
    }
    let (store, run) = (lab.store().clone(), run.clone());
    let points = lab.fits.read(async move { learning_rates(&store, &run).await }).await?;
    lab.fits.compute(move || FitReport::learning_rate(&points)).await
}

async fn of_noise_scales(lab: &Lab, run: &RunId) -> Result<FitReport, ApiError> {
    let view = lab.feed.view(run).await?;
    if let Some(refused) = too_long(&view.summary) {
        return Ok(refused);
    }
    let (batch_tokens, seq) = (view.plan.tokens_per_step() as f64, view.plan.recipe.model.seq);
    let (store, run) = (lab.store().clone(), run.clone());
    let scales = lab.fits.read(async move { noise_scales(&store, &run).await }).await?;
    let points: Vec<(f64, f64)> = scales.into_iter().map(|(step, scale)| (step as f64, scale)).collect();
    lab.fits.compute(move || FitReport::batch_size(&points, batch_tokens, seq)).await
}

/// The refusal of a run whose series is not read as a whole.
fn too_long(summary: &RunSummary) -> Option<FitReport> {
    let refused = || FitReport::refused(vec![], vec![], Refused::too_long(summary.step, MAX_STEPS));
    (summary.step > MAX_STEPS).then(refused)
}

/// The runs of the finished trials of a sweep, at most one more than a fit takes. A run that was moved to another project, where other
/// people see it, is left out.
///
/// # Errors
/// An error of the store.
pub async fn finished_of(lab: &Lab, sweep: &Sweep) -> Result<Vec<RunId>, StoreError> {
    let mut runs = vec![];
    for trial in lab.store().trials(sweep.id, None).await? {
        if trial.state == TrialState::Finished
            && let Some(summary) = summary_of(lab.store(), sweep, &trial).await?
        {
            runs.push(summary.id);
        }
        if runs.len() > MAX_RUNS {
            break;
        }
    }
    Ok(runs)
}

async fn summary_of(store: &Store, sweep: &Sweep, trial: &Trial) -> Result<Option<RunSummary>, StoreError> {
    let Some(run) = &trial.run else { return Ok(None) };
    Ok(store.summary(run).await?.filter(|summary| summary.project == sweep.project))
}

/// Replays a rule over the trials of a sweep that have ended, with the thresholds of the sweep's own rule if it is of this kind.
///
/// # Errors
/// An error of the store; the computation panicked.
pub async fn replay_sweep(
    lab: &Lab,
    sweep: &Sweep,
    kind: RuleKind,
    parallel: Option<usize>,
) -> Result<ReplayReport, ApiError> {
    let own = sweep.spec.stopping.filter(|rule| RuleKind::of(rule) == kind);
    let parallel = parallel.unwrap_or(sweep.spec.at_once as usize);
    let request = request(own.unwrap_or_else(|| kind.rule()), &sweep.spec.metric, parallel);
    let mut trials = lab.store().trials(sweep.id, None).await?;
    trials.retain(|trial| trial.state.is_over() && trial.run.is_some());
    if trials.len() > MAX_TRIALS {
        return Ok(ReplayReport::refused(request, Refused::too_many(MAX_TRIALS)));
    }
    let (count, mut runs) = (trials.len(), vec![]);
    for trial in trials {
        if let Some(summary) = summary_of(lab.store(), sweep, &trial).await? {
            let is_finished = trial.state == TrialState::Finished;
            runs.push(read(lab.store(), &request, summary, trial.number, is_finished, count).await?);
        }
    }
    lab.fits.compute(move || ReplayReport::new(request, runs)).await
}

/// Replays a rule over the validation loss of those runs that have ended.
///
/// # Errors
/// An error of the store; the computation panicked.
pub async fn replay_runs(
    lab: &Lab,
    runs: &[RunId],
    kind: RuleKind,
    parallel: Option<usize>,
) -> Result<ReplayReport, ApiError> {
    let request = request(kind.rule(), &Metric::default(), parallel.unwrap_or(1));
    if runs.len() > MAX_RUNS {
        return Ok(ReplayReport::refused(request, Refused::too_many(MAX_RUNS)));
    }
    let (mut read_runs, _) = evaluated(lab.store(), runs).await?;
    read_runs.retain(|run| run.view.summary.state.is_over());
    if let Err(unlike) = alike(&read_runs) {
        return Ok(ReplayReport::refused(request, Refused::unlike(&unlike.to_string())));
    }
    let (count, mut found) = (read_runs.len(), vec![]);
    for (number, run) in (0..).zip(read_runs) {
        let summary = run.view.summary;
        let is_finished = summary.state == RunState::Finished;
        found.push(read(lab.store(), &request, summary, number, is_finished, count).await?);
    }
    lab.fits.compute(move || ReplayReport::new(request, found)).await
}

fn request(rule: StoppingRule, metric: &Metric, parallel: usize) -> ReplayRequest {
    ReplayRequest { rule, metric: metric.name.clone(), direction: metric.direction, parallel }
}

/// Reads the values of one of `count` runs.
async fn read(
    store: &Store,
    request: &ReplayRequest,
    summary: RunSummary,
    number: u64,
    is_finished: bool,
    count: usize,
) -> Result<RunToReplay, StoreError> {
    let points = (REPLAYED_VALUES / count.max(1)).clamp(VALUES.0, VALUES.1);
    let buckets = match on_path(store, &summary.id, &request.metric, points).await {
        Ok(buckets) => buckets,
        // It was deleted permanently meanwhile, or somebody has removed its series.
        Err(StoreError::UnknownRun { .. } | StoreError::RunFolderMissing { .. }) => vec![],
        Err(error) => return Err(error),
    };
    let points = buckets.iter().map(|bucket| point(bucket, request.direction)).collect();
    let curve = Curve { number, steps: summary.steps, points, is_finished };
    Ok(RunToReplay { run: summary.id.to_string(), name: summary.name, curve })
}

/// Steps done and value; a lower one is better. The value of step s is that after s + 1 steps.
fn point(bucket: &Bucket, direction: Direction) -> (u64, f64) {
    (bucket.last_step + 1, direction.as_lower_is_better(bucket.mean))
}
