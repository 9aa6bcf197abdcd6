//! What can be done to a run from its line: copy, take up again, put away, delete, and move in the queue.

use std::future::Future;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::{Command, Event, EventRecord, RunId, RunState, RunSummary};

use crate::api::{self, ApiFailure, RunChange};
use crate::live::Live;
use crate::panels::is_resumable;
use crate::parts::{Confirm, Icon, Menu, Question, Toasts};
use crate::route::run_path;
use crate::session::Session;

/// Does something to a run, shows at once how it stands now, and says what failed.
#[derive(Clone, Copy)]
struct Hand {
    live: Live,
    toasts: Toasts,
}

impl Hand {
    fn new() -> Self {
        Self { live: expect_context(), toasts: expect_context() }
    }

    fn act(
        self,
        what: &'static str,
        asked: impl Future<Output = Result<RunSummary, ApiFailure>> + 'static,
        then: impl FnOnce() + 'static,
    ) {
        spawn_local(async move {
            match asked.await {
                Ok(summary) => {
                    self.put(summary);
                    then();
                }
                Err(failure) => self.toasts.fail(what, &failure),
            }
        });
    }

    /// The answer is news already; the socket will say the same in a moment.
    fn put(self, summary: RunSummary) {
        self.live.lab.update(|lab| {
            let old = lab.as_mut().and_then(|lab| lab.runs.iter_mut().find(|run| run.id == summary.id));
            if let Some(old) = old {
                *old = summary;
            }
        });
    }

    fn archive(self, run: RunId, name: String, archived: bool) {
        let change = RunChange { archived: Some(archived), ..RunChange::default() };
        let (what, done) = if archived {
            ("Not archived", "is in the archive")
        } else {
            ("Not brought back", "is back among the active runs")
        };
        let asked = run.clone();
        self.act(what, async move { api::change_run(&asked, &change).await }, move || {
            self.toasts.undoable(format!("{name} {done}"), move || self.archive(run.clone(), name.clone(), !archived));
        });
    }

    fn prefer(self, run: RunId, priority: i32) {
        let change = RunChange { priority: Some(priority), ..RunChange::default() };
        self.act("Not changed", async move { api::change_run(&run, &change).await }, move || {
            self.toasts.say(format!("Priority {priority}: higher goes first in the queue"))
        });
    }

    fn resume(self, run: RunId, name: String) {
        spawn_local(async move {
            match api::command(&run, &Command::Resume { reason: None }, false).await {
                Ok(EventRecord { event: Event::Refused { message, .. }, .. }) => self.toasts.say(message),
                Ok(_) => self.toasts.say(format!("{name} goes on")),
                Err(failure) => self.toasts.fail("Not resumed", &failure),
            }
        });
    }

    fn delete(self, run: RunId, name: String) {
        let asked = run.clone();
        self.act("Not deleted", async move { api::delete_run(&asked).await }, move || {
            self.toasts.undoable(format!("{name} was deleted"), move || self.restore(run.clone(), name.clone()));
        });
    }

    fn restore(self, run: RunId, name: String) {
        self.act("Not brought back", async move { api::restore_run(&run).await }, move || {
            self.toasts.say(format!("{name} is back"))
        });
    }
}

/// The actions of a run behind one button.
#[component]
pub(super) fn Actions(run: Memo<Option<RunSummary>>) -> impl IntoView {
    let session = expect_context::<Session>();
    // Only what the menu shows: it must not be built anew while a run ticks.
    let entry = Memo::new(move |_| {
        run.read().as_ref().map(|run| {
            (run.id.clone(), run.name.clone(), run.is_archived, run.deleted_ms.is_some(), run.state, run.priority)
        })
    });
    move || {
        let (id, name, is_archived, is_deleted, state, priority) = entry.get()?;
        let can_steer = session.can_steer();
        let label = format!("Actions of {name}");
        let entry = StoredValue::new((id, name));
        Some(view! {
            <Menu label>
                <a class="button" href=run_path(&entry.read_value().0)>"Open"</a>
                {can_steer.then(|| view! {
                    <a class="button" href=format!("/start?from={}", entry.read_value().0)>"Duplicate with changes"</a>
                    <Turns entry state is_deleted priority />
                    <Changes entry is_archived is_deleted is_live=state.is_live() />
                })}
            </Menu>
        })
    }
}

/// Taking a run up again, and its place among those that wait.
#[component]
fn Turns(entry: StoredValue<(RunId, String)>, state: RunState, is_deleted: bool, priority: i32) -> impl IntoView {
    let hand = Hand::new();
    let resume = move |_| {
        let (id, name) = entry.get_value();
        hand.resume(id, name);
    };
    let prefer = move |priority: i32| hand.prefer(entry.get_value().0, priority);
    view! {
        {(is_resumable(state) && !is_deleted).then(|| view! { <button on:click=resume>"Resume"</button> })}
        {(state == RunState::Queued && !is_deleted).then(|| view! {
            <button on:click=move |_| prefer(priority + 1)>{format!("Raise priority to {}", priority + 1)}</button>
            <button on:click=move |_| prefer(priority - 1)>{format!("Lower priority to {}", priority - 1)}</button>
        })}
    }
}

#[component]
fn Changes(entry: StoredValue<(RunId, String)>, is_archived: bool, is_deleted: bool, is_live: bool) -> impl IntoView {
    let hand = Hand::new();
    let confirm = expect_context::<Confirm>();
    let ask_delete = move |_| {
        let (id, name) = entry.get_value();
        confirm.ask(Question {
            title: format!("Delete {name}?"),
            loses: "Its curves, journal, samples and settings leave the lab. For a while it can be brought back, from the message that follows or the Deleted tab; then its files are removed.".into(),
            verb: "Delete",
            act: confirm.keep(move || hand.delete(id.clone(), name.clone())),
        });
    };
    let archive = move |_| {
        let (id, name) = entry.get_value();
        hand.archive(id, name, !is_archived);
    };
    let restore = move |_| {
        let (id, name) = entry.get_value();
        hand.restore(id, name);
    };
    if is_deleted {
        return view! { <button on:click=restore>"Bring back"</button> }.into_any();
    }
    view! {
        <button on:click=archive>{if is_archived { "Back from the archive" } else { "Archive" }}</button>
        <button class="danger" disabled=is_live title=is_live.then_some("It is at work: stop it first, on its page") on:click=ask_delete>"Delete …"</button>
    }
    .into_any()
}

/// One place up or down in the device's queue.
#[component]
pub(super) fn QueueButtons(run: Memo<Option<RunSummary>>) -> impl IntoView {
    let hand = Hand::new();
    let session = expect_context::<Session>();
    let place = Memo::new(move |_| {
        run.read().as_ref().filter(|run| run.state == RunState::Queued).and_then(|run| run.queue_place).unwrap_or(1)
    });
    let queued = move || {
        let device = run.read().as_ref().map(|run| run.device.clone());
        let lab = hand.live.lab.read();
        let runs = lab.as_ref().map(|lab| lab.runs.as_slice()).unwrap_or_default();
        runs.iter()
            .filter(|other| {
                other.state == RunState::Queued && other.deleted_ms.is_none() && Some(&other.device) == device.as_ref()
            })
            .count() as u32
    };
    let move_to = move |place: u32| {
        let Some(id) = run.read_untracked().as_ref().map(|run| run.id.clone()) else { return };
        let change = RunChange { queue_place: Some(place), ..RunChange::default() };
        hand.act("Not moved", async move { api::change_run(&id, &change).await }, move || {
            hand.toasts.say(format!("Now at place {place} in the queue"))
        });
    };
    view! {
        <Show when=move || session.can_steer()>
            <span class="queue">
                <button class="quiet icon-only" aria-label="Earlier in the queue" title="Earlier" disabled={move || place.get() <= 1} on:click={move |_| move_to(place.get_untracked() - 1)}>
                    <Icon name="up" />
                </button>
                <button class="quiet icon-only" aria-label="Later in the queue" title="Later" disabled={move || place.get() >= queued()} on:click={move |_| move_to(place.get_untracked() + 1)}>
                    <Icon name="down" />
                </button>
            </span>
        </Show>
    }
}
