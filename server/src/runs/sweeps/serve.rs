//! The task of sweeps. It checks a sweep when something has happened to it, and otherwise only while a sweep waits for something that nothing
//! announces, such as room in the queue.
//!
//! Each sweep is checked in a task of its own, one at a time: a sweep that computes long, or fails, delays no other one.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use store::{Store, StoreError};
use wire::RunId;
use wire::sweep::record::{Sweep, SweepState};

use super::known_curves::KeptCurves;
use super::next_check::NextCheck;
use super::{follow, next, rule_change};
use crate::error::ApiError;
use crate::lab::Lab;
use crate::live::trial_watch::{Due, TrialWatch};

/// Time between two checks of sweeps that wait for something that nothing announces.
const AGAIN_AFTER: Duration = Duration::from_secs(3);
/// Minimum time between two checks of a sweep: runs report each 50 ms.
const APART: Duration = Duration::from_millis(100);

/// Sweeps that are to be checked later.
#[derive(Clone, Default)]
struct Waiting(Arc<Mutex<BTreeSet<i64>>>);

impl Waiting {
    // A set of plain values is consistent also after a panic.
    fn lock(&self) -> MutexGuard<'_, BTreeSet<i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks after sweeps for as long as the server runs.
pub async fn serve(lab: Lab) {
    let (waiting, curves, watch) = (Waiting::default(), KeptCurves::default(), lab.feed.hub.trials.clone());
    while let Err(error) = wake_active(&lab).await {
        tracing::error!("the sweeps could not be read: {error}");
        tokio::time::sleep(AGAIN_AFTER).await;
    }
    let mut waited_since = Instant::now();
    loop {
        if waited_since.elapsed() >= AGAIN_AFTER {
            std::mem::take(&mut *waiting.lock()).into_iter().for_each(|sweep| watch.wake(sweep));
            waited_since = Instant::now();
        }
        for (sweep, due) in watch.begin_steps() {
            tokio::spawn(check(lab.clone(), waiting.clone(), curves.clone(), sweep, due));
        }
        let is_waiting = !waiting.lock().is_empty();
        match is_waiting {
            // After a timeout the waiting sweeps are checked.
            true => {
                let rest = AGAIN_AFTER.saturating_sub(waited_since.elapsed());
                let _ = tokio::time::timeout(rest, watch.woken()).await;
            }
            false => watch.woken().await,
        }
        let unread = wake_resumed(lab.store(), &watch).await;
        if !unread.is_empty() {
            tokio::spawn(resumed_later(watch.clone(), unread));
        }
    }
}

async fn wake_active(lab: &Lab) -> Result<(), StoreError> {
    lab.store().active_sweeps().await?.into_iter().for_each(|sweep| lab.feed.hub.trials.wake(sweep));
    Ok(())
}

/// Wakes the sweeps of runs that were resumed. Returns the runs whose sweep could not be read.
async fn wake_resumed(store: &Store, watch: &TrialWatch) -> Vec<RunId> {
    let mut unread = vec![];
    for run in watch.take_resumed() {
        match store.trial_of_run(&run).await {
            Ok(Some((sweep, _))) => watch.wake(sweep),
            Ok(None) => {}
            Err(error) => {
                tracing::error!("the trial of the resumed {run} could not be read: {error}");
                unread.push(run);
            }
        }
    }
    unread
}

async fn resumed_later(watch: TrialWatch, runs: Vec<RunId>) {
    tokio::time::sleep(AGAIN_AFTER).await;
    runs.iter().for_each(|run| watch.resumed(run));
}

async fn check(lab: Lab, waiting: Waiting, curves: KeptCurves, sweep: i64, due: Due) {
    let stepping = lab.clone();
    // In its own task: after a panic the sweep is checked again, as after an error.
    let next = match tokio::spawn(async move { step(&stepping, &curves, sweep, &due).await }).await {
        Ok(Ok(next)) => next,
        Ok(Err(error)) => later(sweep, &error),
        Err(panic) => later(sweep, &panic),
    };
    tokio::time::sleep(APART).await;
    if next == NextCheck::Later {
        waiting.lock().insert(sweep);
    }
    lab.feed.hub.trials.end_step(sweep);
}

fn later(sweep: i64, error: &dyn std::error::Error) -> NextCheck {
    tracing::error!("sweep {sweep} could not be continued: {error}");
    NextCheck::Later
}

/// Follows the trials of a sweep to which something has happened, starts at most one, and finishes the sweep after the last one.
///
/// # Errors
/// An error of the store.
async fn step(lab: &Lab, kept: &KeptCurves, id: i64, due: &Due) -> Result<NextCheck, ApiError> {
    let Some(sweep) = lab.store().sweep(id).await? else { return Ok(NextCheck::WhenWoken) };
    rule_change::read_again(lab, &sweep).await?;
    let mut after = NextCheck::WhenWoken;
    let mut records = lab.store().unfinished_trials(id).await?;
    records.retain(|record| record.trial.run.as_ref().is_none_or(|run| due.contains(run)));
    let mut curves = kept.take(id);
    for record in records {
        after = after.max(follow::follow(lab, &sweep, &record, &mut curves).await.unwrap_or_else(|error| {
            tracing::error!("trial {} of sweep {id} could not be followed: {error}", record.trial.number);
            NextCheck::Later
        }));
    }
    let Some(sweep) = lab.store().sweep(id).await? else { return Ok(NextCheck::WhenWoken) };
    if sweep.state == SweepState::Running && has_room(&sweep) {
        after = after.max(next::create(lab, &sweep).await?);
    }
    match lab.store().finish_sweep(id).await? {
        true => lab.feed.lab_changed(),
        false => kept.keep(id, curves),
    }
    Ok(after)
}

/// Whether a sweep starts another trial now. None waits in the queue, so the sweep keeps out no run of others.
fn has_room(sweep: &Sweep) -> bool {
    let counts = &sweep.counts;
    counts.created() < sweep.trials && counts.queued == 0 && counts.unfinished() < u64::from(sweep.spec.at_once)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_resumed_run_whose_trial_cannot_be_read_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let (watch, run) = (TrialWatch::default(), "amber-fox".parse::<RunId>().unwrap());
        watch.resumed(&run);
        assert!(wake_resumed(&store, &watch).await.is_empty(), "it belongs to no sweep");
        watch.resumed(&run);
        store.clone().close().await;
        assert_eq!(wake_resumed(&store, &watch).await, [run]);
    }
}
