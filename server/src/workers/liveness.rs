//! Notices runs that no worker trains any more, writes that to their journal, and queues them again as often as their plan allows; they
//! continue from their newest checkpoint. An unreachable worker continues to train. The server waits for it: for a local worker while
//! its process holds its lock, for a remote one for the time that `--worker-timeout` sets, and for one that was removed not at all; the run
//! of a remote one then continues on any device of its pool.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use store::StoreError;
use wire::control::author::Author;
use wire::number::grouped;
use wire::{Event, RunId, RunState, RunSummary};

use super::{Workers, successor};
use crate::error::ApiError;
use crate::live::clock::now_ms;
use crate::live::feed::report;

const CHECK_EVERY: Duration = Duration::from_secs(1);
/// A connected worker said that it does not train the run; the server waits for its remaining reports of the run.
const GRACE_CONNECTED: Duration = Duration::from_secs(1);
/// A local worker that has died leaves reports on disk, which the next one delivers.
const GRACE_LOCAL: Duration = Duration::from_secs(5);
/// Deleted runs are kept for so long.
const KEEP_DELETED: Duration = Duration::from_secs(7 * 24 * 3600);
const PURGE_EVERY: Duration = Duration::from_secs(3600);

/// Runs until the server stops.
pub async fn watch(workers: Workers) {
    let mut missing = HashMap::new();
    let mut purged: Option<Instant> = None;
    loop {
        tokio::time::sleep(CHECK_EVERY).await;
        if let Err(error) = check(&workers, &mut missing).await {
            tracing::error!("the liveness of the runs could not be checked: {error}");
        }
        if purged.is_none_or(|at| at.elapsed() > PURGE_EVERY) {
            purged = Some(Instant::now());
            let before_ms = now_ms() - KEEP_DELETED.as_millis() as i64;
            if let Err(error) = workers.feed.store.purge_deleted(before_ms).await {
                tracing::error!("deleted runs could not be removed: {error}");
            }
        }
    }
}

async fn check(workers: &Workers, missing: &mut HashMap<RunId, Instant>) -> Result<(), ApiError> {
    let runs = workers.feed.store.runs(true).await?;
    let untrained: Vec<RunSummary> =
        runs.into_iter().filter(|run| run.state.is_live() && !workers.fleet.trains(&run.id)).collect();
    missing.retain(|run, _| untrained.iter().any(|left| left.id == *run));
    for run in untrained {
        let since = *missing.entry(run.id.clone()).or_insert_with(Instant::now);
        if since.elapsed() > grace(workers, &run).await? {
            missing.remove(&run.id);
            give_up(workers, &run).await?;
        }
    }
    Ok(())
}

/// How long a run may be without a worker that trains it.
async fn grace(workers: &Workers, run: &RunSummary) -> Result<Duration, ApiError> {
    if workers.fleet.has_unstored_reports(&run.id) {
        return Ok(Duration::MAX);
    }
    let slot = run.trained_by();
    if workers.fleet.is_slot_connected(&slot) {
        return Ok(GRACE_CONNECTED);
    }
    let is_local = workers.is_local(&run.device);
    Ok(match is_local && worker::is_held(&workers.data, &slot) {
        true => Duration::MAX,
        false if is_local => GRACE_LOCAL,
        // A worker that was removed cannot connect again.
        false if workers.feed.store.worker_of_device(&run.device).await?.is_none() => GRACE_CONNECTED,
        // It may be behind a broken network.
        false => workers.timeout,
    })
}

/// Queues the run again while its plan allows, else marks it lost. Everything that it reported is kept either way.
async fn give_up(workers: &Workers, run: &RunSummary) -> Result<(), ApiError> {
    let feed = &workers.feed;
    let view = feed.store.run(&run.id).await?;
    let limit = view.map_or(0, |view| view.plan.recipe.budget.restarts);
    let is_removed = feed.store.worker_of_device(&run.device).await?.is_none();
    let what = if is_removed { "was removed" } else { "died or stopped responding" };
    let cause = format!("the worker on {} {what} after step {}", run.device, grouped(run.step));
    let lost = |message, state| report(Author::System, run.step, Event::Lost { message }, Some(state));
    if run.restarts < limit {
        let is_local = workers.is_local(&run.device);
        let from = if is_local { "" } else { " on any device of its pool," };
        let message =
            format!("{cause}; the run restarts{from} from its newest checkpoint ({} of {limit})", run.restarts + 1);
        tracing::warn!("{}: {message}", run.id);
        let report = lost(message, RunState::Queued);
        let restarted = match is_local {
            true => feed.store.restart_run(&run.id, report).await,
            false => {
                workers.fleet.release(&run.id);
                let to = successor::of(&feed.store, &workers.fleet.infos(), &run.device).await?;
                feed.store.restart_elsewhere(&run.id, report, &to).await
            }
        };
        match restarted {
            Ok((record, after)) => feed.hub.publish(after, vec![], vec![record], vec![]),
            // Its last reports have arrived meanwhile.
            Err(StoreError::NotLive { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    } else {
        let message = format!("{cause}; resume the run to continue from its newest checkpoint");
        tracing::warn!("{} is lost: {message}", run.id);
        // Unless its last reports have arrived meanwhile.
        feed.append_if(&run.id, |run| run.state.is_live(), lost(message, RunState::Lost)).await?;
    }
    workers.diagnosis.taken_from_worker(&run.id);
    feed.wake_queue();
    Ok(())
}
