//! The inspection results of a run, and where they come from: live over the socket while a worker holds the run, from
//! the snapshots that the server keeps, or computed from a checkpoint. All snapshots of an inspection are fetched at
//! once and kept, so that moving the slider sends no requests.
//!
//! [`result`]: a result and its status. [`snapshots`]: which inspections have them, and fetching them. [`live`]: which
//! results are requested over the socket.

mod live;
pub(super) mod result;
mod snapshots;

use std::collections::HashMap;
use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::inspect::request::{Inspection, is_snapshot_step};
use wire::inspect::update::InspectionUpdate;
use wire::{RunId, RunState};

use super::step::StepChoice;
use crate::net::api::inspections::{self, At};
use crate::net::live::Live;
use live::LiveRequests;
use result::{Inspected, Source, Status, status};
use snapshots::{Snapshots, fetch, has_snapshots};

/// From the step of a snapshot until the store surely holds it.
const STORED: Duration = Duration::from_millis(2_500);
/// Results kept per source; zooming into a matrix makes many.
const MAX_RESULTS: usize = 64;
/// Newest steps searched for one that has a snapshot.
const STEPS_SEARCHED: usize = 1 << 12;

/// The inspection results of a run.
#[derive(Clone, Copy)]
pub(crate) struct Inspections {
    run: StoredValue<RunId>,
    state: Memo<RunState>,
    /// Steps that have a snapshot, ascending.
    pub(crate) steps: RwSignal<Vec<u64>>,
    /// The newest live result of each inspection, by its key.
    latest: RwSignal<HashMap<String, Status>>,
    snapshots: RwSignal<HashMap<String, Snapshots>>,
    /// Results computed from checkpoints, by key and step.
    computed: RwSignal<HashMap<(String, StepChoice), Status>>,
    requests: LiveRequests,
    /// A fetch of new snapshots is scheduled.
    is_fetch_scheduled: StoredValue<bool>,
}

impl Inspections {
    /// Of a run; `state` follows it.
    pub(crate) fn new(run: RunId, live: Live, state: Memo<RunState>) -> Self {
        let inspections = Self {
            run: StoredValue::new(run.clone()),
            state,
            steps: RwSignal::new(vec![]),
            latest: RwSignal::default(),
            snapshots: RwSignal::default(),
            computed: RwSignal::default(),
            requests: LiveRequests::new(run, live),
            is_fetch_scheduled: StoredValue::new(false),
        };
        inspections.fetch_steps();
        inspections
    }

    /// Whether a worker holds the run and answers inspections.
    pub(crate) fn is_live(self) -> bool {
        matches!(self.state.get(), RunState::Running | RunState::Paused)
    }

    /// Takes the updates that the run's stream brought at a step.
    pub(crate) fn receive(self, step: u64, updates: Vec<InspectionUpdate>) {
        if !updates.is_empty() {
            self.latest.update(|latest| {
                limit(latest);
                latest.extend(updates.into_iter().map(|update| (update.key(), status(update, Source::Live))));
            });
        }
        let last = self.steps.with_untracked(|steps| steps.last().copied());
        let mut newer = (last.map_or(step, |last| last + 1)..=step).rev().take(STEPS_SEARCHED);
        if last.is_none() || newer.any(is_snapshot_step) {
            self.fetch_new_snapshots_soon();
        }
    }

    /// Drops all snapshots, which may belong to an abandoned segment after a rollback, and fetches them again.
    pub(crate) fn reset(self) {
        self.snapshots.set(HashMap::new());
        self.computed.set(HashMap::new());
        self.fetch_steps();
    }

    /// Pauses live inspections while the page is hidden.
    pub(crate) fn hide(self, is_hidden: bool) {
        self.requests.hide(is_hidden);
    }

    /// The status of an inspection at a step, for as long as the view lives. Live results are requested over the
    /// socket, snapshots are fetched.
    pub(crate) fn subscribe(self, inspection: Signal<Option<Inspection>>, step: Signal<StepChoice>) -> Memo<Status> {
        let keyed = Memo::new(move |_| inspection.get().map(|inspection| (inspection.key(), inspection)));
        let is_live = Memo::new(move |_| step.get() == StepChoice::Newest && self.is_live());
        self.requests
            .follow(Signal::derive(move || keyed.get().filter(|_| is_live.get()).map(|(_, inspection)| inspection)));
        Effect::new(move || {
            if let Some((key, inspection)) = keyed.get().filter(|_| !is_live.get()) {
                self.load(key, inspection, step.get());
            }
        });
        Memo::new(move |_| match keyed.get() {
            Some((key, _)) if is_live.get() => self.latest.read().get(&key).cloned().unwrap_or(Status::Loading),
            Some((key, inspection)) => self.past(&key, &inspection, step.get()),
            None => Status::Loading,
        })
    }

    /// All snapshots of an inspection so far, oldest first.
    pub(crate) fn all(self, inspection: Inspection) -> Memo<Vec<Inspected>> {
        let key = inspection.key();
        self.fetch_snapshots(key.clone(), inspection);
        Memo::new(move |_| self.snapshots.read().get(&key).map(Snapshots::results).unwrap_or_default().to_vec())
    }

    /// Tries an inspection again that failed at a step.
    pub(crate) fn retry(self, inspection: Inspection, step: StepChoice) {
        let key = inspection.key();
        let has_failed = self.snapshots.with_untracked(|known| matches!(known.get(&key), Some(Snapshots::Failed(_))));
        if has_failed {
            self.snapshots.update(|known| drop(known.remove(&key)));
            self.fetch_snapshots(key, inspection);
        } else {
            self.compute(inspection, step);
        }
    }

    /// Computes an inspection from the newest checkpoint that is not after the step.
    pub(crate) fn compute(self, inspection: Inspection, step: StepChoice) {
        let key = (inspection.key(), step);
        let is_known = |status: &Status| !matches!(status, Status::Failed(_));
        if self.computed.with_untracked(|computed| computed.get(&key).is_some_and(is_known)) {
            return;
        }
        self.computed.update(|computed| {
            limit(computed);
            computed.insert(key.clone(), Status::Loading);
        });
        let run = self.run.get_value();
        spawn_local(async move {
            let at = match step {
                StepChoice::Newest => None,
                StepChoice::At(step) => Some(At { step, segment: None }),
            };
            let found = match inspections::inspect(&run, &inspection, at).await {
                Ok(update) => status(update, |_| Source::Checkpoint),
                Err(failure) => Status::Failed(failure.sentence()),
            };
            self.computed.try_update(|computed| computed.insert(key, found));
        });
    }

    /// Loads what no worker answers: snapshots, or else the newest checkpoint. Measurements of training steps are in no
    /// checkpoint.
    fn load(self, key: String, inspection: Inspection, step: StepChoice) {
        let is_snapshot = has_snapshots(&inspection);
        let has_none = self.snapshots.with(|known| known.get(&key).is_some_and(Snapshots::is_empty));
        if is_snapshot {
            self.fetch_snapshots(key, inspection.clone());
        }
        let is_newest = step == StepChoice::Newest && has_weights(self.state.get());
        let is_computable = inspection != (Inspection::ParameterStats {});
        if is_newest && (has_none || !is_snapshot) && is_computable {
            self.compute(inspection, step);
        }
    }

    fn past(self, key: &str, inspection: &Inspection, step: StepChoice) -> Status {
        if step == StepChoice::Newest && !has_weights(self.state.get()) {
            return Status::Failed("The run has not started: there are no weights yet.".into());
        }
        if let Some(known) = self.computed.read().get(&(key.to_owned(), step)) {
            return known.clone();
        }
        match self.snapshots.read().get(key) {
            Some(snapshots) => snapshots.status(step),
            None if has_snapshots(inspection) || step == StepChoice::Newest => Status::Loading,
            None => Status::NoSnapshot,
        }
    }

    fn fetch_steps(self) {
        let run = self.run.get_value();
        spawn_local(async move {
            if let Ok(steps) = inspections::snapshot_steps(&run).await {
                self.steps.try_set(steps);
            }
        });
    }

    fn fetch_snapshots(self, key: String, inspection: Inspection) {
        if self.snapshots.with_untracked(|known| known.contains_key(&key)) {
            return;
        }
        self.snapshots.update(|known| drop(known.insert(key.clone(), Snapshots::Loading)));
        let run = self.run.get_value();
        spawn_local(async move {
            let found = match fetch(run, &inspection, 0).await {
                Ok(results) => Snapshots::Loaded { inspection, results },
                Err(failure) => Snapshots::Failed(failure.sentence()),
            };
            self.snapshots.try_update(|known| known.insert(key, found));
        });
    }

    fn fetch_new_snapshots_soon(self) {
        if !self
            .is_fetch_scheduled
            .try_update_value(|is_scheduled| std::mem::replace(is_scheduled, true))
            .unwrap_or(true)
        {
            set_timeout(move || self.fetch_new_snapshots(), STORED);
        }
    }

    fn fetch_new_snapshots(self) {
        if self.is_fetch_scheduled.try_update_value(|is_scheduled| *is_scheduled = false).is_none() {
            return;
        }
        // Failed fetches are repeated here, and no more often.
        self.snapshots.update(|known| known.retain(|_, snapshots| !matches!(snapshots, Snapshots::Failed(_))));
        self.fetch_steps();
        let missing: Vec<(String, Inspection, u64)> = self.snapshots.with_untracked(|known| {
            known
                .iter()
                .filter_map(|(key, snapshots)| snapshots.missing().map(|(one, from)| (key.clone(), one, from)))
                .collect()
        });
        for (key, inspection, from) in missing {
            let run = self.run.get_value();
            spawn_local(async move {
                let Ok(fresh) = fetch(run, &inspection, from).await else { return };
                if !fresh.is_empty() {
                    self.snapshots.try_update(|known| known.get_mut(&key).map(|snapshots| snapshots.extend(fresh)));
                }
            });
        }
    }
}

/// Whether a run in this state has, or had, weights.
fn has_weights(state: RunState) -> bool {
    !matches!(state, RunState::Queued | RunState::Starting)
}

/// Empties a map of results that has grown too large.
fn limit<K, V>(results: &mut HashMap<K, V>) {
    if results.len() > MAX_RESULTS {
        results.clear();
    }
}
