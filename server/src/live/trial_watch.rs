//! Wakes the task of sweeps when something happens to a run of a trial: its state or its project changes, it reports a value of the metric, a
//! rule raises an alert, or it is resumed. It reads the messages that are published to pages, so it polls nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use wire::series::Row;
use wire::{RunId, RunState, RunSummary};

/// The runs of trials that have not ended; cloning shares them.
#[derive(Clone, Default)]
pub struct TrialWatch(Arc<Parts>);

#[derive(Default)]
struct Parts {
    state: Mutex<State>,
    woken: Notify,
}

#[derive(Default)]
struct State {
    runs: HashMap<RunId, Watched>,
    /// Runs that were resumed; some belong to a trial that had ended.
    resumed: Vec<RunId>,
    /// Sweeps that are to be checked.
    due: BTreeMap<i64, Due>,
    /// Sweeps that are being checked.
    stepping: HashSet<i64>,
    /// Runs to which a stop is being sent.
    stopping: HashSet<RunId>,
}

/// The trials of a sweep that are to be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// Trials whose runs have reported.
    Runs(BTreeSet<RunId>),
    All,
}

impl Due {
    /// Whether the trial of a run is to be checked.
    pub fn contains(&self, run: &RunId) -> bool {
        match self {
            Self::Runs(runs) => runs.contains(run),
            Self::All => true,
        }
    }
}

/// A stop that is being sent to a run. It ends when this is dropped, also by a panic.
pub struct Stopping {
    watch: TrialWatch,
    run: RunId,
}

impl Drop for Stopping {
    fn drop(&mut self) {
        self.watch.lock().stopping.remove(&self.run);
    }
}

struct Watched {
    sweep: i64,
    metric: String,
    project: String,
    state: RunState,
    alerts: u32,
}

impl TrialWatch {
    /// Watches the run of a trial until it is forgotten; `seen` is how it was read. Returns whether it was not watched before: then it may have
    /// changed since it was read.
    pub fn watch(&self, sweep: i64, metric: &str, seen: &RunSummary) -> bool {
        let mut state = self.lock();
        let is_new = !state.runs.contains_key(&seen.id);
        if is_new {
            let (metric, project) = (metric.to_owned(), seen.project.clone());
            let watched = Watched { sweep, metric, project, state: seen.state, alerts: seen.health.alerts };
            state.runs.insert(seen.id.clone(), watched);
        }
        is_new
    }

    /// The trial of a run has ended.
    pub fn forget(&self, run: &RunId) {
        self.lock().runs.remove(run);
    }

    /// A run was resumed by a person.
    pub fn resumed(&self, run: &RunId) {
        self.lock().resumed.push(run.clone());
        self.0.woken.notify_one();
    }

    /// A sweep is to be checked.
    pub fn wake(&self, sweep: i64) {
        self.lock().due.insert(sweep, Due::All);
        self.0.woken.notify_one();
    }

    /// Something about a run is published.
    pub fn published(&self, summary: &RunSummary, rows: &[Row]) {
        let mut state = self.lock();
        let Some(watched) = state.runs.get_mut(&summary.id) else { return };
        let is_news = watched.state != summary.state
            || watched.project != summary.project
            || summary.health.alerts > watched.alerts
            || summary.deleted_ms.is_some()
            || rows.iter().any(|row| row.values.iter().any(|(name, _)| *name == watched.metric));
        (watched.state, watched.alerts) = (summary.state, summary.health.alerts);
        watched.project.clone_from(&summary.project);
        let sweep = watched.sweep;
        if is_news {
            if let Due::Runs(runs) = state.due.entry(sweep).or_insert_with(|| Due::Runs(BTreeSet::new())) {
                runs.insert(summary.id.clone());
            }
            drop(state);
            self.0.woken.notify_one();
        }
    }

    /// Waits until a sweep is to be checked or a run was resumed.
    pub async fn woken(&self) {
        self.0.woken.notified().await;
    }

    /// The runs that were resumed since the last call.
    pub fn take_resumed(&self) -> Vec<RunId> {
        std::mem::take(&mut self.lock().resumed)
    }

    /// The sweeps that are to be checked and are not being checked. Each is to be ended with [`Self::end_step`].
    pub fn begin_steps(&self) -> Vec<(i64, Due)> {
        let mut state = self.lock();
        let State { due, stepping, .. } = &mut *state;
        let begun: Vec<(i64, Due)> = due.extract_if(.., |sweep, _| !stepping.contains(sweep)).collect();
        stepping.extend(begun.iter().map(|(sweep, _)| *sweep));
        begun
    }

    /// A sweep was checked. It is checked again if something has happened meanwhile.
    pub fn end_step(&self, sweep: i64) {
        self.lock().stepping.remove(&sweep);
        self.0.woken.notify_one();
    }

    /// Marks that a stop is being sent to a run, until the returned value is dropped; `None` if one is being sent already.
    pub fn begin_stop(&self, run: &RunId) -> Option<Stopping> {
        let is_first = self.lock().stopping.insert(run.clone());
        is_first.then(|| Stopping { watch: self.clone(), run: run.clone() })
    }

    /// A panic in another thread leaves the content intact: nothing panics while it is changed.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::hub::tests::summary;

    #[test]
    fn a_sweep_is_checked_once_for_all_that_happened_meanwhile() {
        let watch = TrialWatch::default();
        let run = summary("a", RunState::Queued);
        assert!(watch.watch(7, "loss.valid", &run) && !watch.watch(7, "loss.valid", &run));
        let row = |name: &str| vec![Row { segment: 0, step: 1, values: vec![(name.to_owned(), 2.0)] }];
        watch.published(&run, &row("loss.train"));
        assert!(watch.begin_steps().is_empty(), "nothing that the sweep reads has changed");
        watch.published(&run, &row("loss.valid"));
        let of_run = || vec![(7, Due::Runs([run.id.clone()].into()))];
        assert_eq!(watch.begin_steps(), of_run());
        watch.published(&RunSummary { state: RunState::Running, ..run.clone() }, &[]);
        watch.published(&summary("b", RunState::Running), &row("loss.valid"));
        assert!(watch.begin_steps().is_empty(), "it is being checked");
        watch.end_step(7);
        assert_eq!(watch.begin_steps(), of_run());
        watch.end_step(7);
        watch.published(&RunSummary { state: RunState::Running, project: "beta".into(), ..run.clone() }, &[]);
        assert_eq!(watch.begin_steps(), of_run(), "it was moved");
        watch.end_step(7);
        watch.wake(7);
        watch.published(&RunSummary { state: RunState::Paused, ..run.clone() }, &[]);
        assert_eq!(watch.begin_steps(), [(7, Due::All)]);
        watch.end_step(7);
        watch.forget(&run.id);
        watch.published(&run, &row("loss.valid"));
        assert!(watch.begin_steps().is_empty());
        let stopping = watch.begin_stop(&run.id);
        assert!(stopping.is_some() && watch.begin_stop(&run.id).is_none());
        drop(stopping);
        assert!(watch.begin_stop(&run.id).is_some());
    }
}
