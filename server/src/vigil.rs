//! Notices runs which nobody trains any more, says so in their journal, and puts them back into the queue, as often as their plan
//! allows; they go on from their newest checkpoint. A worker that is only out of reach trains on
//! and is waited for: a local one for as long as it lives (its lock tells), a distant one for some minutes.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use wire::event::Author;
use wire::{Event, RunId, RunState, RunSummary};

use crate::api_error::ApiError;
use crate::app_state::AppState;
use crate::runs::{append, report_of, store_error};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A worker that is here and says that it does not hold the run; one that has reports of it to deliver is waited for.
const GRACE_HERE: Duration = Duration::from_secs(1);
/// A worker of this machine that has died leaves reports on disk, which the next one delivers.
const GRACE: Duration = Duration::from_secs(5);
/// A worker elsewhere may be behind a broken network.
const GRACE_ELSEWHERE: Duration = Duration::from_secs(180);
/// Runs deleted so long ago are gone for good.
const KEPT_DELETED: Duration = Duration::from_secs(7 * 24 * 3600);

/// Goes on for as long as the server.
pub async fn keep(state: AppState) {
    let mut missing = HashMap::new();
    let mut purged: Option<Instant> = None;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if let Err(error) = look(&state, &mut missing).await {
            tracing::error!("the runs could not be looked after: {}", error.body.message);
        }
        if purged.is_none_or(|at| at.elapsed() > Duration::from_secs(3600)) {
            purged = Some(Instant::now());
            let before = crate::clock::now_ms() - KEPT_DELETED.as_millis() as i64;
            if let Err(error) = state.store.purge_deleted(before).await {
                tracing::error!("runs deleted long ago could not be removed: {error}");
            }
        }
    }
}

async fn look(state: &AppState, missing: &mut HashMap<RunId, Instant>) -> Result<(), ApiError> {
    let runs = state.store.runs(true).await.map_err(|source| ApiError::internal("listing the runs", source))?;
    let unheld: Vec<RunSummary> =
        runs.into_iter().filter(|run| run.state.is_live() && !state.fleet.holds(&run.id)).collect();
    missing.retain(|run, _| unheld.iter().any(|left| left.id == *run));
    for run in unheld {
        let since = *missing.entry(run.id.clone()).or_insert_with(Instant::now);
        if since.elapsed() > grace(state, &run) {
            missing.remove(&run.id);
            give_up(state, &run).await?;
        }
    }
    Ok(())
}

/// How long a run may be without a worker that holds it.
fn grace(state: &AppState, run: &RunSummary) -> Duration {
    if state.fleet.owes(&run.id) {
        return Duration::MAX;
    }
    if state.fleet.is_connected(&run.device) {
        return GRACE_HERE;
    }
    let is_local = worker::lock_path(&state.settings.data, &run.device).exists();
    match is_local && worker::is_held(&state.settings.data, &run.device) {
        true => Duration::MAX,
        false if is_local => GRACE,
        false => GRACE_ELSEWHERE,
    }
}

/// Back to the queue while its plan allows, else lost; all it had reported is kept either way.
async fn give_up(state: &AppState, run: &RunSummary) -> Result<(), ApiError> {
    let failed = |source| store_error(&run.id, source);
    let view = state.store.run(&run.id).await.map_err(failed)?;
    let limit = view.map_or(0, |view| view.plan.recipe.keep.restarts);
    let what = format!("the worker on {} died or went silent after step {}", run.device, run.step);
    if run.restarts < limit {
        let message = format!("{what}; it starts again by itself ({} of {limit})", run.restarts + 1);
        tracing::warn!("{}: {message}", run.id);
        let report = report_of(Author::Lab, run.step, Event::Lost { message }, Some(RunState::Queued));
        let (record, after) = state.store.restart_run(&run.id, report).await.map_err(failed)?;
        state.hub.publish(after, vec![], vec![record], vec![]);
    } else {
        let message = format!("{what}; all it had reported is kept, and resume goes on from its newest checkpoint");
        tracing::warn!("{} is lost: {message}", run.id);
        append(state, &run.id, report_of(Author::Lab, run.step, Event::Lost { message }, Some(RunState::Lost))).await?;
    }
    state.wake_scheduler();
    Ok(())
}
