//! The tasks as they were last fetched. They are fetched again when a checkpoint was saved or scored, and every few seconds while a score
//! waits: the progress of a score is no event of the journal.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::Event;
use wire::task::lab::{NewScore, RunTasks, TaskSchedule};

use crate::components::{Conditions, interval};
use crate::net::api::{ApiFailure, tasks as api};
use crate::pages::run::context::RunContext;
use crate::session::Session;

/// How often they are fetched while a score waits.
const WAITS_EVERY: Duration = Duration::from_secs(2);

/// The tasks of the run, in the context of the panel.
#[derive(Clone, Copy)]
pub(super) struct TasksState {
    pub(super) context: RunContext,
    pub(super) known: RwSignal<Option<RunTasks>>,
    /// The answer of the last request for them, if it was refused or failed.
    pub(super) failure: RwSignal<Option<ApiFailure>>,
    /// The answer of the last request that would change something, if it was refused or failed.
    pub(super) refused: RwSignal<Option<ApiFailure>>,
    /// Whether such a request is on its way.
    pub(super) is_sending: RwSignal<bool>,
    /// The conditions on metrics that hold for the run; `None` for guests, who reach none.
    pub(super) conditions: Option<Conditions>,
}

impl TasksState {
    /// Fetches the tasks, and again with each news.
    pub(super) fn start() -> Self {
        let context = expect_context::<RunContext>();
        let is_member = untrack(|| expect_context::<Session>().is_member());
        let state = Self {
            conditions: is_member.then(|| Conditions::start(Some(untrack(|| context.id())))),
            context,
            known: RwSignal::new(None),
            failure: RwSignal::new(None),
            refused: RwSignal::new(None),
            is_sending: RwSignal::new(false),
        };
        let newest = Memo::new(move |_| newest_change(state.context));
        Effect::new(move || {
            newest.get();
            state.fetch();
        });
        interval::every(WAITS_EVERY, move || {
            let waits = |known: &Option<RunTasks>| known.as_ref().is_some_and(|known| !known.waiting.is_empty());
            if state.known.try_with_untracked(waits) == Some(true) {
                state.fetch();
            }
        });
        state
    }

    /// Fetches the tasks; what was fetched before stays until the answer.
    pub(super) fn fetch(self) {
        let Some(run) = self.context.run.try_with_untracked(|run| run.view.summary.id.clone()) else { return };
        spawn_local(async move {
            match api::of_run(&run).await {
                Ok(found) => {
                    self.failure.try_set(None);
                    if self.known.try_with_untracked(|known| known.as_ref() != Some(&found)) == Some(true) {
                        self.known.try_set(Some(found));
                    }
                }
                Err(failure) => drop(self.failure.try_set(Some(failure))),
            }
        });
    }

    /// Requests a score.
    pub(super) fn score(self, new: NewScore) {
        let run = self.context.id();
        self.send(async move { api::score(&run, &new).await.map(drop) });
    }

    /// Cancels a score.
    pub(super) fn cancel(self, waiting: wire::task::lab::WaitingScore) {
        let run = self.context.id();
        self.send(async move { api::cancel(&run, &waiting.task, waiting.checkpoint).await });
    }

    /// Sets the interval at which checkpoints are scored on a task; `None` turns it off.
    pub(super) fn schedule(self, task: wire::task::TaskName, every: Option<u64>) {
        let run = self.context.id();
        let known = self.known.read_untracked();
        let mut schedules: Vec<TaskSchedule> = known.iter().flat_map(|known| known.schedules.clone()).collect();
        drop(known);
        schedules.retain(|schedule| schedule.task != task);
        schedules.extend(every.map(|every| TaskSchedule { task, every }));
        self.send(async move { api::set_schedules(&run, &schedules).await.map(drop) });
    }

    fn send(self, request: impl Future<Output = Result<(), ApiFailure>> + 'static) {
        self.is_sending.set(true);
        spawn_local(async move {
            let answer = request.await;
            self.is_sending.try_set(false);
            self.refused.try_set(answer.err());
            self.fetch();
        });
    }
}

/// Number of the newest event that changes what can be scored, or was.
fn newest_change(context: RunContext) -> u64 {
    context.lines.get();
    let run = context.run.read_untracked();
    let is_news = |event: &Event| matches!(event, Event::Checkpointed { .. } | Event::Scored { .. });
    run.events.values().rev().find(|record| is_news(&record.event)).map_or(0, |record| record.number)
}
