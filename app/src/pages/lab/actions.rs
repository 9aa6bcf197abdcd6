//! The actions on a run in the list: duplicate, resume, archive, delete, and move in the queue.

use std::future::Future;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::{Command, Event, EventRecord, RunId, RunState, RunSummary};

use wire::run::RunChange;

use super::tags::TagActions;
use crate::base::at;
use crate::components::{Confirm, Icon, Menu, Question, Toasts, is_resumable, name_of, run_name};
use crate::net::api::{self, ApiFailure};
use crate::net::live::Live;
use crate::projects::Projects;
use crate::route::run_path;
use crate::session::Session;

/// Changes a run, shows its new state at once, and reports failures.
#[derive(Clone, Copy)]
struct RunActions {
    live: Live,
    toasts: Toasts,
}

impl RunActions {
    fn new() -> Self {
        Self { live: expect_context(), toasts: expect_context() }
    }

    fn act(
        self,
        what: &'static str,
        request: impl Future<Output = Result<RunSummary, ApiFailure>> + 'static,
        then: impl FnOnce() + 'static,
    ) {
        spawn_local(async move {
            match request.await {
                Ok(summary) => {
                    self.put(summary);
                    then();
                }
                Err(failure) => self.toasts.fail(what, &failure),
            }
        });
    }

    /// Shows the answer, which the socket will repeat soon.
    fn put(self, summary: RunSummary) {
        self.live.know([summary]);
    }

    fn archive(self, run: RunId, name: String, archived: bool) {
        let change = RunChange { archived: Some(archived), ..RunChange::default() };
        let (what, done) = if archived {
            ("The run was not archived", "was archived")
        } else {
            ("The run was not restored", "was moved to the active runs")
        };
        let id = run.clone();
        self.act(what, async move { api::change_run(&id, &change).await }, move || {
            self.toasts.undoable(format!("{name} {done}"), move || self.archive(run.clone(), name.clone(), !archived));
        });
    }

    fn prefer(self, run: RunId, priority: i32) {
        let change = RunChange { priority: Some(priority), ..RunChange::default() };
        self.act("The priority was not changed", async move { api::change_run(&run, &change).await }, move || {
            self.toasts.say(format!("Priority {priority}. Runs with higher priority start first."))
        });
    }

    fn move_to(self, run: RunId, name: String, from: String, to: String) {
        let change = RunChange { project: Some(to.clone()), ..RunChange::default() };
        let id = run.clone();
        self.act("The run was not moved", async move { api::change_run(&id, &change).await }, move || {
            let text = format!("{name} was moved to the project {to}");
            self.toasts.undoable(text, move || self.move_to(run.clone(), name.clone(), to.clone(), from.clone()));
        });
    }

    fn resume(self, run: RunId, name: String) {
        spawn_local(async move {
            match api::command(&run, &Command::Resume { reason: None }, false).await {
                Ok(EventRecord { event: Event::Refused { message, .. }, .. }) => self.toasts.say(message),
                Ok(_) => self.toasts.say(format!("{name} was resumed")),
                Err(failure) => self.toasts.fail("The run was not resumed", &failure),
            }
        });
    }

    fn delete(self, run: RunId, name: String) {
        let id = run.clone();
        self.act("The run was not deleted", async move { api::delete_run(&id).await }, move || {
            self.toasts.undoable(format!("{name} was deleted"), move || self.restore(run.clone()));
        });
    }

    fn restore(self, run: RunId) {
        let id = run.clone();
        self.act("The run was not restored", async move { api::restore_run(&id).await }, move || {
            self.toasts.say(format!("{} was restored", untrack(|| run_name(self.live, &run))))
        });
    }
}

/// The actions of a run behind one button.
#[component]
pub(super) fn Actions(run: Memo<Option<RunSummary>>) -> impl IntoView {
    let (session, live) = (expect_context::<Session>(), expect_context::<Live>());
    // Only what the menu shows: it must not be built again with every tick of a run.
    let entry = Memo::new(move |_| {
        run.read().as_ref().map(|run| {
            let can_steer = session.can_steer_run(&run.id, &run.project);
            let entry = (run.id.clone(), name_of(live, run), run.project.clone());
            (entry, can_steer, run.is_archived, run.deleted_ms.is_some(), run.state, run.priority, run.tags.clone())
        })
    });
    move || {
        let ((id, name, project), can_steer, is_archived, is_deleted, state, priority, tags) = entry.get()?;
        let can_start = session.can_steer();
        let label = format!("Actions of {name}");
        let entry = StoredValue::new((id.clone(), name.clone()));
        let moved = StoredValue::new((id, name, project));
        Some(view! {
            <Menu label>
                <a class="button" href=run_path(&entry.read_value().0) title="Open the page of the run">"Open"</a>
                {can_start.then(|| view! {
                    <a
                        class="button"
                        href=at(&format!("/start?from={}", entry.read_value().0))
                        title="Open the New run form with a copy of the plan"
                    >
                        "Duplicate"
                    </a>
                    // A share link starts neither: their runs are queued when it may have ended.
                    {(!session.is_guest()).then(|| view! {
                        <a
                            class="button"
                            href=at(&format!("/experiments/new?from={}", entry.read_value().0))
                            title="State what a change of this plan does, and test it with pairs of runs"
                        >
                            "Test a change"
                        </a>
                        <a
                            class="button"
                            href=at(&format!("/sweeps/new?from={}", entry.read_value().0))
                            title="Open the form of a new sweep with the plan of this run as its base"
                        >
                            "Start a sweep from this run"
                        </a>
                    })}
                })}
                {can_steer.then(|| view! {
                    <QueueActions entry state is_deleted priority />
                    {(!is_deleted).then(|| view! { <TagActions entry tags=tags.clone() /> })}
                    <MoveActions run=moved is_deleted />
                    <ListActions entry is_archived is_deleted is_live=state.is_live() />
                })}
            </Menu>
        })
    }
}

/// What the priority of a queued run does.
const PRIORITY: &str = "Of the runs that wait for a device, those with the highest priority start first. Default: 0";

/// Resuming a run, and its priority in the queue.
#[component]
fn QueueActions(
    entry: StoredValue<(RunId, String)>,
    state: RunState,
    is_deleted: bool,
    priority: i32,
) -> impl IntoView {
    let actions = RunActions::new();
    let resume = move |_| {
        let (id, name) = entry.get_value();
        actions.resume(id, name);
    };
    let prefer = move |priority: i32| actions.prefer(entry.get_value().0, priority);
    view! {
        {(is_resumable(state) && !is_deleted).then(|| view! { <button on:click=resume>"Resume"</button> })}
        {(state == RunState::Queued && !is_deleted).then(|| view! {
            <button title=PRIORITY on:click=move |_| prefer(priority + 1)>{format!("Raise priority to {}", priority + 1)}</button>
            <button title=PRIORITY on:click=move |_| prefer(priority - 1)>{format!("Lower priority to {}", priority - 1)}</button>
        })}
    }
}

/// Moving a run to another project in which this person can start runs; nothing without one.
#[component]
fn MoveActions(
    /// Id, name and project of the run.
    run: StoredValue<(RunId, String, String)>,
    is_deleted: bool,
) -> impl IntoView {
    let (actions, projects) = (RunActions::new(), expect_context::<Projects>());
    let session = expect_context::<Session>();
    let others = move || {
        let (_, _, project) = run.get_value();
        let others = projects.steerable.get().into_iter().filter(|other| *other != project).collect::<Vec<_>>();
        // A share link permits no move.
        if projects.are_several() && !is_deleted && session.can_steer_in(&project) { others } else { vec![] }
    };
    move || {
        let button = |to: String| {
            let label = format!("Move to the project {to}");
            let act = move |_| {
                let (id, name, from) = run.get_value();
                actions.move_to(id, name, from, to.clone());
            };
            view! {
                <button title="People of that project then see the run, and its training time counts there" on:click=act>{label}</button>
            }
        };
        others().into_iter().map(button).collect_view()
    }
}

#[component]
fn ListActions(
    entry: StoredValue<(RunId, String)>,
    is_archived: bool,
    is_deleted: bool,
    is_live: bool,
) -> impl IntoView {
    let actions = RunActions::new();
    let confirm = expect_context::<Confirm>();
    let ask_delete = move |_| {
        let (id, name) = entry.get_value();
        confirm.ask(Question {
            title: format!("Delete {name}?"),
            loses:
                "The run moves to Deleted and can be restored for 7 days. After that its metrics, journal, samples and \
                checkpoints are removed."
                    .into(),
            verb: "Delete",
            act: confirm.keep(move || actions.delete(id.clone(), name.clone())),
        });
    };
    let archive = move |_| {
        let (id, name) = entry.get_value();
        actions.archive(id, name, !is_archived);
    };
    let restore = move |_| actions.restore(entry.get_value().0);
    if is_deleted {
        return view! { <button on:click=restore>"Restore"</button> }.into_any();
    }
    view! {
        <button on:click=archive>{if is_archived { "Move to the active runs" } else { "Archive" }}</button>
        <button
            class="danger"
            disabled=is_live
            title=if is_live { "Stop the run first." } else { "Move the run to Deleted, after confirmation" }
            on:click=ask_delete
        >
            "Delete …"
        </button>
    }
    .into_any()
}

/// Moves a run by one position in the queue of its device.
#[component]
pub(super) fn QueueButtons(run: Memo<Option<RunSummary>>) -> impl IntoView {
    let actions = RunActions::new();
    let session = expect_context::<Session>();
    let position = Memo::new(move |_| {
        run.read().as_ref().filter(|run| run.state == RunState::Queued).and_then(|run| run.queue_place).unwrap_or(1)
    });
    let can_steer =
        Memo::new(move |_| run.read().as_ref().is_some_and(|run| session.can_steer_run(&run.id, &run.project)));
    let queued = move || {
        let device = run.read().as_ref().map(|run| run.device.clone());
        let lab = actions.live.lab.read();
        let runs = lab.as_ref().map(|lab| lab.runs.as_slice()).unwrap_or_default();
        runs.iter()
            .filter(|other| {
                other.state == RunState::Queued && other.deleted_ms.is_none() && Some(&other.device) == device.as_ref()
            })
            .count() as u32
    };
    let move_to = move |position: u32| {
        let Some(id) = run.read_untracked().as_ref().map(|run| run.id.clone()) else { return };
        let change = RunChange { queue_place: Some(position), ..RunChange::default() };
        actions.act("The run was not moved", async move { api::change_run(&id, &change).await }, move || {
            actions.toasts.say(format!("The run is at position {position} in the queue"))
        });
    };
    view! {
        <Show when=move || { can_steer.get() && queued() > 1 }>
            <span class="queue">
                <button
                    class="quiet icon-only"
                    aria-label="Earlier in the queue"
                    title="Move up in the queue"
                    disabled={move || position.get() <= 1}
                    on:click={move |_| move_to(position.get_untracked() - 1)}
                >
                    <Icon name="up" />
                </button>
                <button
                    class="quiet icon-only"
                    aria-label="Later in the queue"
                    title="Move down in the queue"
                    disabled={move || position.get() >= queued()}
                    on:click={move |_| move_to(position.get_untracked() + 1)}
                >
                    <Icon name="down" />
                </button>
            </span>
        </Show>
    }
}
