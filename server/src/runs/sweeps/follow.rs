//! What became of the run of a trial: new values of the metric, an alert, a divergence, its end. All of it is one change of the store.

use store::{NewDecision, SeriesQuery, Store, StoreError, TrialChange, TrialRecord};
use wire::control::author::Author;
use wire::diagnosis::{Level, RunFinding};
use wire::number::grouped;
use wire::series::{Axis, SeriesWindow};
use wire::sweep::record::{DecisionKind, Sweep, TrialState};
use wire::{Command, Event, RunId, RunState, RunSummary};

use super::decide::{self, Seen};
use super::known_curves::KnownCurves;
use super::next_check::NextCheck;
use crate::error::ApiError;
use crate::lab::Lab;
use crate::live::clock::now_ms;
use crate::runs::acts::with_full_stop;
use crate::runs::commands;

/// Points of a series that one query reads, one for each step.
const POINTS: u64 = 5_000;
/// Points that one check reads of a trial. A server that was away reads the others with the next checks.
const POINTS_AT_ONCE: usize = 50_000;
/// How long a finished trial waits for the score of its last checkpoint, ms.
const SCORED_WITHIN_MS: i64 = 10 * 60 * 1000;

/// Follows a trial that has not ended; `curves` are those of its sweep.
///
/// # Errors
/// An error of the store.
pub(super) async fn follow(
    lab: &Lab,
    sweep: &Sweep,
    record: &TrialRecord,
    curves: &mut KnownCurves,
) -> Result<NextCheck, ApiError> {
    let Some(summary) = run_of(lab, sweep, record).await? else {
        return end(lab, sweep, record, "Its run was deleted.").await;
    };
    if let Some(why) = why_left(sweep, &summary) {
        lab.feed.hub.trials.forget(&summary.id);
        return end(lab, sweep, record, why).await;
    }
    let (change, next) = seen(lab, sweep, record, &summary, curves).await?;
    let (number, is_same) = (record.trial.number, change == TrialChange::default());
    let after = match is_same {
        true if record.stop_as.is_none() => return Ok(next),
        // It may have been resumed after it was read; then it must not be stopped.
        true => lab.store().trial_record(sweep.id, number).await?,
        false => {
            let change = TrialChange { run_state: Some(summary.state), ..change };
            lab.store().change_trial(sweep.id, number, record.trial.attempt, &change).await?
        }
    };
    let Some(after) = after else { return Ok(NextCheck::Later) };
    if after.trial.state.is_over() {
        lab.feed.hub.trials.forget(&summary.id);
        return Ok(NextCheck::WhenWoken);
    }
    if after.stop_as.is_some() {
        stop(lab, sweep, &summary, after.trial.reason.unwrap_or_default());
        return Ok(NextCheck::Later);
    }
    Ok(next)
}

/// Why a run no longer belongs to its trial. A run that was moved is controlled by the people of its new project, who may not see the
/// sweep.
fn why_left(sweep: &Sweep, run: &RunSummary) -> Option<&'static str> {
    if run.project != sweep.project {
        return Some("Its run was moved to another project.");
    }
    (run.deleted_ms.is_some() && !run.state.is_live()).then_some("Its run was deleted.")
}

/// The run of a trial, which is watched from then on; `None` if it was deleted for good.
async fn run_of(lab: &Lab, sweep: &Sweep, record: &TrialRecord) -> Result<Option<RunSummary>, StoreError> {
    let Some(run) = &record.trial.run else { return Ok(None) };
    let Some(summary) = lab.store().summary(run).await? else { return Ok(None) };
    match lab.feed.hub.trials.watch(sweep.id, &sweep.spec.metric.name, &summary) {
        // What came before it was watched is read again.
        true => lab.store().summary(run).await,
        false => Ok(Some(summary)),
    }
}

async fn end(lab: &Lab, sweep: &Sweep, record: &TrialRecord, why: &str) -> Result<NextCheck, ApiError> {
    let change = TrialChange { state: Some((TrialState::Stopped, Some(why.to_owned()))), ..TrialChange::default() };
    lab.store().change_trial(sweep.id, record.trial.number, record.trial.attempt, &change).await?;
    Ok(NextCheck::WhenWoken)
}

/// What has changed since the trial was seen last.
async fn seen(
    lab: &Lab,
    sweep: &Sweep,
    record: &TrialRecord,
    summary: &RunSummary,
    curves: &mut KnownCurves,
) -> Result<(TrialChange, NextCheck), ApiError> {
    let (metric, last_step) = (&sweep.spec.metric.name, record.trial.last_step);
    let NewValues { values: new, has_more } =
        new_values(lab.store(), &summary.id, metric, last_step, summary.step).await?;
    let may_stop = !summary.state.is_over();
    if sweep.spec.stopping.is_some() && may_stop && !new.is_empty() {
        curves.refresh(lab.store(), sweep).await?;
    }
    let others = curves.without(record.trial.number);
    let Seen { values, continued, mut stop } =
        decide::read(&sweep.spec, record, summary.steps, may_stop, &others, &new);
    if stop.is_none() && may_stop && record.stop_as.is_none() {
        stop = diverged(lab, record, summary).await?;
    }
    if stop.is_none() && may_stop && record.stop_as.is_none() && sweep.spec.stop_on_alerts {
        stop = alerted(lab.store(), record, summary).await?;
    }
    let last_step = values.as_ref().map(|values| values.last_step).or(last_step);
    if has_more {
        return Ok((TrialChange { values, continued, stop, ..TrialChange::default() }, NextCheck::Later));
    }
    let (state, next) = state_of(sweep, record, summary, last_step);
    let is_same = state.0 == record.trial.state;
    let state = (!is_same).then_some(state);
    Ok((TrialChange { values, continued, stop, state, ..TrialChange::default() }, next))
}

/// Values of a series.
#[derive(Default)]
pub(super) struct NewValues {
    /// (steps done, value), in order.
    pub(super) values: Vec<(u64, f64)>,
    /// Whether later values were left out.
    pub(super) has_more: bool,
}

/// The values of a series with more steps done than `after`, on the path of a run; none if somebody has removed its series.
pub(super) async fn new_values(
    store: &Store,
    run: &RunId,
    metric: &str,
    after: Option<u64>,
    until: u64,
) -> Result<NewValues, StoreError> {
    // A value after n steps has step n - 1 in its series.
    let first = after.unwrap_or(0);
    let (mut found, mut has_more) = match window(store, run, metric, first, None).await {
        Err(StoreError::RunFolderMissing { .. }) => return Ok(NewValues::default()),
        found => (found?, false),
    };
    if !found.iter().all(|window| window.is_exact) {
        found.clear();
        for from in (first..=until).step_by(POINTS as usize) {
            has_more = found.iter().map(|window| window.buckets.len()).sum::<usize>() >= POINTS_AT_ONCE;
            if has_more {
                break;
            }
            found.extend(window(store, run, metric, from, Some(from + POINTS - 1)).await?);
        }
    }
    if found.is_empty() {
        return Ok(NewValues::default());
    }
    let path = store.history(run).await?.spans();
    let is_on_path = |segment: u32, step: u64| {
        path.iter().any(|(of, from, to)| *of == segment && step >= *from && to.is_none_or(|to| step < to))
    };
    let mut values: Vec<(u64, f64)> = vec![];
    for SeriesWindow { segment, buckets, .. } in found {
        // A value that is not finite counts as none.
        let on_path = buckets.iter().filter(|bucket| bucket.count > 0 && is_on_path(segment, bucket.step));
        values.extend(on_path.map(|bucket| (bucket.step + 1, bucket.mean)));
    }
    values.sort_by_key(|(step, _)| *step);
    // Without values on the path, nothing would move the next check on.
    let has_more = has_more && !values.is_empty();
    Ok(NewValues { values, has_more })
}

async fn window(
    store: &Store,
    run: &RunId,
    metric: &str,
    from: u64,
    to: Option<u64>,
) -> Result<Vec<SeriesWindow>, StoreError> {
    let query = SeriesQuery {
        names: vec![metric.to_owned()],
        axis: Axis::Step,
        from: Some(from as f64),
        to: to.map(|to| to as f64),
        points: POINTS as usize,
    };
    store.series(run, query).await
}

/// The decision to stop a trial that a value which is not finite has paused.
async fn diverged(
    lab: &Lab,
    record: &TrialRecord,
    summary: &RunSummary,
) -> Result<Option<(NewDecision, TrialState)>, ApiError> {
    if summary.state != RunState::Paused {
        return Ok(None);
    }
    let Some(pause) = lab.store().last_pause(&summary.id).await? else { return Ok(None) };
    let Event::NonFinite { what } = &pause.event else { return Ok(None) };
    let decision = NewDecision {
        kind: DecisionKind::Diverged,
        by: "server".to_owned(),
        trial: Some(record.trial.number),
        step: Some(pause.step),
        rung: None,
        sentence: format!("It diverged at step {}: {what} is not finite.", grouped(pause.step)),
        value: None,
        threshold: None,
    };
    Ok(Some((decision, TrialState::Failed)))
}

/// The decision to stop a trial because of an alert of a rule.
async fn alerted(
    store: &Store,
    record: &TrialRecord,
    summary: &RunSummary,
) -> Result<Option<(NewDecision, TrialState)>, StoreError> {
    if summary.health.alerts == 0 || record.trial.is_exempt {
        return Ok(None);
    }
    let counts = |found: &RunFinding| {
        found.finding.level == Level::Alert && !found.is_abandoned && !found.is_dismissed && found.became.is_none()
    };
    let found = store.findings(&summary.id).await?.into_iter().map(|stored| stored.found).find(counts);
    let decision = |found: RunFinding| NewDecision {
        kind: DecisionKind::Finding,
        by: found.label.clone(),
        trial: Some(record.trial.number),
        step: Some(found.finding.step),
        rung: None,
        sentence: format!("{}: {}", found.label, found.text),
        value: found.finding.value,
        threshold: Some(found.finding.threshold).filter(|threshold| threshold.is_finite()),
    };
    Ok(found.map(|found| (decision(found), TrialState::Stopped)))
}

/// The state of a trial by that of its run, and why it ended.
fn state_of(
    sweep: &Sweep,
    record: &TrialRecord,
    summary: &RunSummary,
    last_step: Option<u64>,
) -> ((TrialState, Option<String>), NextCheck) {
    let metric = &sweep.spec.metric.name;
    let message = |other: &str| summary.message.clone().unwrap_or_else(|| other.to_owned());
    let state = match summary.state {
        RunState::Queued => (TrialState::Queued, None),
        RunState::Starting | RunState::Running | RunState::Paused | RunState::Suspended => (TrialState::Running, None),
        RunState::Finished if is_scored_later(metric, summary, last_step) => {
            return ((TrialState::Running, None), NextCheck::Later);
        }
        RunState::Finished if last_step.is_none() => {
            (TrialState::Failed, Some(format!("Its run reported no value of {metric}.")))
        }
        RunState::Finished => (TrialState::Finished, None),
        RunState::Stopped => match record.stop_as {
            Some(state) => (state, None),
            None => (TrialState::Stopped, Some("Its run was stopped.".to_owned())),
        },
        RunState::Failed => {
            let why = format!("Its run failed: {}", message("the journal says why"));
            (TrialState::Failed, Some(with_full_stop(why)))
        }
        RunState::Lost => {
            let why = format!("Its run was lost: {}", message("its worker is gone"));
            (TrialState::Failed, Some(with_full_stop(why)))
        }
    };
    (state, NextCheck::WhenWoken)
}

/// Whether the last checkpoint of a finished run may still be scored.
fn is_scored_later(metric: &str, summary: &RunSummary, last_step: Option<u64>) -> bool {
    let is_recent = summary.ended_ms.is_some_and(|ended_ms| now_ms() - ended_ms < SCORED_WITHIN_MS);
    metric.starts_with("eval/") && last_step.is_none_or(|step| step < summary.step) && is_recent
}

/// Stops the run of a trial with a checkpoint. A worker may answer late, so that has a task of its own.
fn stop(lab: &Lab, sweep: &Sweep, summary: &RunSummary, reason: String) {
    let Some(stopping) = lab.feed.hub.trials.begin_stop(&summary.id) else { return };
    let (lab, summary, id) = (lab.clone(), summary.clone(), sweep.id);
    let reason = Some(format!("Sweep {}: {reason}", sweep.spec.name));
    tokio::spawn(async move {
        // The answer of the run wakes the sweep. Without an answer, the stop is sent again later.
        let _stopping = stopping;
        if let Err(error) = commands::carry_out(&lab, &summary, Author::System, Command::Stop { reason }).await {
            tracing::info!("the stop of {} for sweep {id}: {error}", summary.id);
        }
    });
}
