//! The open sweep: what was fetched, which ranges are chosen, and requests that change it.

use std::collections::BTreeSet;
use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::sweep::command::SweepCommand;
use wire::sweep::record::{Sweep, SweepDecision, Trial};
use wire::sweep::spec::Metric;

use super::brushes::{Brushes, selected};
use super::quantity::{QuantityAxis, axes};
use crate::components::Toasts;
use crate::components::interval::every;
use crate::net::api::{ApiFailure, sweeps};
use crate::pages::sweeps::words::can_change;
use crate::session::Session;

/// Time between two requests while the sweep can change.
const REFRESH: Duration = Duration::from_secs(2);
/// The same while only a command of somebody else can change it.
const RARELY: Duration = Duration::from_secs(15);
/// Time without a change of the ranges after which the curves are drawn again.
const SETTLED: Duration = Duration::from_millis(80);

/// The open sweep, in the context of its panels.
#[derive(Clone, Copy)]
pub(super) struct OpenSweep {
    id: i64,
    pub(super) sweep: RwSignal<Option<Sweep>>,
    /// In the order of their numbers.
    pub(super) trials: RwSignal<Vec<Trial>>,
    /// In the order in which they were stored.
    pub(super) decisions: RwSignal<Vec<SweepDecision>>,
    /// The answer of the last request, if it was refused or failed.
    pub(super) failure: RwSignal<Option<ApiFailure>>,
    /// The parameters, the seed if points have one, and the value.
    pub(super) axes: Memo<Vec<QuantityAxis>>,
    /// The chosen ranges.
    pub(super) brushes: RwSignal<Brushes>,
    /// Numbers of the trials in all chosen ranges; `None` without one.
    pub(super) brushed: Memo<Option<BTreeSet<u64>>>,
    /// The same, once it has not changed for a moment: hundreds of curves cannot be drawn with each movement of the pointer.
    pub(super) settled: RwSignal<Option<BTreeSet<u64>>>,
    /// The trial under the pointer in the table.
    pub(super) pointed: RwSignal<Option<u64>>,
    /// Whether a command is on its way.
    pub(super) is_sending: RwSignal<bool>,
    pub(super) toasts: Toasts,
    session: Session,
    is_fetching: StoredValue<bool>,
}

impl OpenSweep {
    /// Fetches the sweep, and what changed every few seconds while it can change.
    pub(super) fn start(id: i64) -> Self {
        let (sweep, trials) = (RwSignal::new(None::<Sweep>), RwSignal::new(Vec::<Trial>::new()));
        let brushes = RwSignal::new(Brushes::default());
        let axes = Memo::new(move |_| match &*sweep.read() {
            Some(sweep) => axes(&sweep.spec, &trials.read()),
            None => vec![],
        });
        let brushed = Memo::new(move |_| selected(&brushes.read(), &axes.read(), &trials.read()));
        let open = Self {
            id,
            sweep,
            trials,
            decisions: RwSignal::default(),
            failure: RwSignal::new(None),
            axes,
            brushes,
            brushed,
            settled: settled(brushed),
            pointed: RwSignal::new(None),
            is_sending: RwSignal::new(false),
            toasts: expect_context(),
            session: expect_context(),
            is_fetching: StoredValue::new(false),
        };
        open.fetch();
        every(REFRESH, move || {
            let is_due = |sweep: &Option<Sweep>| sweep.as_ref().is_some_and(can_change);
            if sweep.try_with_untracked(is_due) == Some(true) {
                open.fetch();
            }
        });
        every(RARELY, move || open.fetch());
        open
    }

    /// Fetches what changed; one request at a time.
    pub(super) fn fetch(self) {
        if self.is_fetching.try_get_value() != Some(false) {
            return;
        }
        self.is_fetching.set_value(true);
        let since = self.sweep.with_untracked(|sweep| sweep.as_ref().map(|sweep| sweep.changes));
        spawn_local(async move {
            match sweeps::view(self.id, since).await {
                Ok(view) => {
                    self.failure.try_set(None);
                    self.take(view.sweep, view.trials);
                    self.fetch_decisions().await;
                }
                Err(failure) => drop(self.failure.try_set(Some(failure))),
            }
            self.is_fetching.try_set_value(false);
        });
    }

    /// Shows an answer. What did not change is not drawn again.
    fn take(self, sweep: Sweep, changed: Vec<Trial>) {
        if !changed.is_empty() {
            self.trials.try_update(|trials| merge(trials, changed));
        }
        if self.sweep.try_with_untracked(|known| is_news(known.as_ref(), &sweep)) == Some(true) {
            self.sweep.try_set(Some(sweep));
        }
    }

    /// Shows the sweep after a command. The trials that have changed since are fetched later, so the changes that are known stay.
    fn take_commanded(self, sweep: Sweep) {
        let known = self.sweep.try_with_untracked(|known| known.as_ref().map(|known| known.changes)).flatten();
        let changes = known.unwrap_or(0);
        self.take(Sweep { changes, ..sweep }, vec![]);
    }

    async fn fetch_decisions(self) {
        let last = |decisions: &Vec<SweepDecision>| decisions.last().map_or(0, |decision| decision.number);
        while let Some(after) = self.decisions.try_with_untracked(last) {
            // The next request fetches what this one could not.
            let Ok(new) = sweeps::decisions(self.id, after).await else { return };
            let is_all = new.len() < sweeps::DECISIONS;
            if !new.is_empty() {
                self.decisions.try_update(|decisions| decisions.extend(new));
            }
            if is_all {
                return;
            }
        }
    }

    pub(super) const fn id(self) -> i64 {
        self.id
    }

    /// The metric; that of the default before the sweep is known.
    pub(super) fn metric(self) -> Metric {
        self.sweep.with(|sweep| sweep.as_ref().map(|sweep| sweep.spec.metric.clone()).unwrap_or_default())
    }

    /// Whether this person may command the sweep. An imported one trains nothing and accepts no commands.
    pub(super) fn can_steer(self) -> bool {
        let can_steer = |sweep: &Sweep| sweep.spec.imported_from.is_none() && self.session.can_steer_in(&sweep.project);
        self.sweep.read().as_ref().is_some_and(can_steer)
    }

    /// Whether a trial is in all chosen ranges; none is without a range.
    pub(super) fn is_brushed(self, trial: u64) -> bool {
        self.brushed.read().as_ref().is_some_and(|brushed| brushed.contains(&trial))
    }

    /// Sends a command. `done` is said once it is carried out, `what` with the reason if it is not.
    pub(super) fn send(self, command: SweepCommand, done: &'static str, what: &'static str) {
        let Some(revision) = self.sweep.with_untracked(|sweep| sweep.as_ref().map(|sweep| sweep.revision)) else {
            return;
        };
        self.is_sending.set(true);
        spawn_local(async move {
            match sweeps::command(self.id, revision, command).await {
                Ok(sweep) => {
                    self.take_commanded(sweep);
                    self.toasts.say(done);
                }
                Err(failure) => self.toasts.fail(what, &failure),
            }
            self.is_sending.try_set(false);
            self.fetch();
        });
    }
}

/// Whether an answer shows anything else than what is known. One that was requested before a command shows an older revision.
fn is_news(known: Option<&Sweep>, answer: &Sweep) -> bool {
    known.is_none_or(|known| known != answer && known.revision <= answer.revision)
}

/// Follows a selection once it has not changed for a moment.
fn settled(brushed: Memo<Option<BTreeSet<u64>>>) -> RwSignal<Option<BTreeSet<u64>>> {
    let (settled, changes) = (RwSignal::new(None), StoredValue::new(0_u64));
    Effect::new(move || {
        let now = brushed.get();
        changes.update_value(|changes| *changes += 1);
        let change = changes.get_value();
        let follow = move || {
            if changes.try_get_value() == Some(change) {
                settled.try_set(now);
            }
        };
        set_timeout(follow, SETTLED);
    });
    settled
}

/// Replaces the trials that changed and adds new ones.
fn merge(trials: &mut Vec<Trial>, changed: Vec<Trial>) {
    for trial in changed {
        match trials.binary_search_by_key(&trial.number, |known| known.number) {
            Ok(at) => trials[at] = trial,
            Err(at) => trials.insert(at, trial),
        }
    }
}

#[cfg(test)]
mod tests {
    use wire::sweep::record::TrialState;

    use super::super::quantity::tests::trial;
    use super::*;

    #[test]
    fn an_answer_from_before_a_command_is_not_shown() {
        let sweep = |revision: u64, changes: u64| -> Sweep {
            let spec = serde_json::json!({ "name": "rates", "trials": 2, "space": { "parameters": {} } });
            serde_json::from_value(serde_json::json!({
                "id": 1, "spec": spec, "project": "default", "creator": "ada", "created_ms": 0, "ended_ms": null,
                "state": "running", "revision": revision, "message": null, "trials": 2,
                "counts": { "queued": 0, "running": 0, "finished": 0, "stopped": 0, "failed": 0 }, "best": null,
                "changes": changes,
            }))
            .unwrap()
        };
        let known = sweep(2, 5);
        assert!(is_news(None, &known) && is_news(Some(&known), &sweep(2, 6)) && is_news(Some(&known), &sweep(3, 5)));
        assert!(!is_news(Some(&known), &known) && !is_news(Some(&known), &sweep(1, 4)));
    }

    #[test]
    fn changed_trials_replace_those_of_their_numbers() {
        let mut trials = vec![trial(0, &[], Some(1.0)), trial(2, &[], Some(2.0))];
        let stopped = Trial { state: TrialState::Stopped, ..trial(2, &[], Some(3.0)) };
        merge(&mut trials, vec![trial(1, &[], None), stopped]);
        let known: Vec<_> = trials.iter().map(|trial| (trial.number, trial.last)).collect();
        assert_eq!(known, [(0, Some(1.0)), (1, None), (2, Some(3.0))]);
        assert_eq!(trials[2].state, TrialState::Stopped);
    }
}
