//! What people do with a worker: name it, label it, drain it, remove it.

use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::fleet::{LOCAL_POOL, WorkerChange, WorkerView};

use super::feed::FleetFeed;
use crate::components::{Confirm, Failure, Menu, Question, Toasts, isolated};
use crate::net::api::{ApiFailure, fleet};
use crate::session::Session;

/// Pool, labels and drain of a worker. Its name is shown if a person has given it one.
#[component]
pub(super) fn WorkerMarks(worker: Memo<Option<WorkerView>>) -> impl IntoView {
    move || {
        let worker = worker.get()?;
        let name = (worker.name != worker.device.as_str()).then(|| isolated(&worker.name));
        let pool = (worker.pool != LOCAL_POOL).then(|| format!("pool {}", worker.pool));
        let labels =
            worker.labels.iter().map(|label| view! { <span class="mark" title="Label">{isolated(label)}</span> });
        Some(view! {
            <span class="marks small">
                {name.map(|name| view! { <span title="Name of the worker">{name}</span> })}
                {pool.map(|pool| view! { <span class="dim" title="Pool from whose queue it takes runs">{pool}</span> })}
                {labels.collect_view()}
                {worker.is_draining.then(|| view! {
                    <span class="mark draining" title="It takes no new run; the run that it trains continues">"draining"</span>
                })}
            </span>
        })
    }
}

/// The menu of a worker, for those who may change it.
#[component]
pub(super) fn WorkerMenu(worker: Memo<Option<WorkerView>>, feed: FleetFeed) -> impl IntoView {
    let session = expect_context::<Session>();
    let editing = RwSignal::new(None::<WorkerView>);
    let actions = Actions { worker, feed, confirm: expect_context(), toasts: expect_context() };
    // What the menu shows, so that an open menu is not built anew with each report.
    let shown = Memo::new(move |_| {
        let worker = worker.read();
        worker.as_ref().map(|worker| (worker.id, worker.name.clone(), worker.is_draining, worker.pool == LOCAL_POOL))
    });
    move || {
        let (_, name, is_draining, is_local) = shown.get().filter(|_| session.can_steer_lab())?;
        let label = format!("Actions of the worker {}", isolated(&name));
        let can_remove = session.is_admin() && !is_local;
        let (drain, effect) = match is_draining {
            true => ("Take runs again", "Give it new runs again"),
            false => ("Drain", "Stop giving it new runs; a running one continues."),
        };
        Some(view! {
            <Menu label>
                <button title="Change the name and the labels of this worker" on:click=move |_| editing.set(worker.get_untracked())>
                    "Rename or label"
                </button>
                <button title=effect on:click=move |_| actions.drain(!is_draining)>{drain}</button>
                {can_remove.then(|| view! {
                    <button title="Revoke its token and close its connection" on:click=move |_| actions.remove()>"Remove"</button>
                })}
            </Menu>
            {move || editing.get().map(|of| view! { <EditDialog of editing feed /> })}
        })
    }
}

#[derive(Clone, Copy)]
struct Actions {
    worker: Memo<Option<WorkerView>>,
    feed: FleetFeed,
    confirm: Confirm,
    toasts: Toasts,
}

impl Actions {
    /// Asks before draining; letting it take runs again needs no question.
    fn drain(self, is_draining: bool) {
        let Some(worker) = self.worker.get_untracked() else { return };
        let change = WorkerChange { is_draining: Some(is_draining), ..WorkerChange::default() };
        if !is_draining {
            return self.change(worker, change, "takes runs again");
        }
        let title = format!("Drain {}?", isolated(&worker.name));
        let loses = match worker.run {
            Some(_) => {
                "The run that it trains continues to its end. After that it gets no new runs until you choose “Take runs again”."
            }
            None => "It gets no new runs until you choose “Take runs again”.",
        };
        let act = self.confirm.keep(move || self.change(worker.clone(), change.clone(), "takes no new run"));
        self.confirm.ask(Question { title, loses: loses.to_owned(), verb: "Drain", act });
    }

    fn change(self, worker: WorkerView, change: WorkerChange, done: &'static str) {
        let Self { feed, toasts, .. } = self;
        spawn_local(async move {
            match fleet::change_worker(worker.id, &change).await {
                Ok(changed) => toasts.say(format!("{} {done}", isolated(&changed.name))),
                Err(failure) => toasts.fail("The worker was not changed", &failure),
            }
            feed.fetch_workers();
        });
    }

    fn remove(self) {
        let Some(worker) = self.worker.get_untracked() else { return };
        let title = format!("Remove {}?", isolated(&worker.name));
        let loses = "Its token is revoked and its connection closed. A run that it trains is queued again or marked lost; its reports so \
                     far are kept. The machine can join again with a new join token.";
        let Self { feed, toasts, .. } = self;
        let act = self.confirm.keep(move || {
            let worker = worker.clone();
            spawn_local(async move {
                match fleet::remove_worker(worker.id).await {
                    Ok(()) => toasts.say(format!("{} was removed", isolated(&worker.name))),
                    Err(failure) => toasts.fail("The worker was not removed", &failure),
                }
                feed.fetch();
            });
        });
        self.confirm.ask(Question { title, loses: loses.to_owned(), verb: "Remove", act });
    }
}

/// The form for name and labels.
#[component]
fn EditDialog(of: WorkerView, editing: RwSignal<Option<WorkerView>>, feed: FleetFeed) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    let (name, labels) = (RwSignal::new(of.name.clone()), RwSignal::new(of.labels.join(", ")));
    let failure = RwSignal::new(None::<ApiFailure>);
    Effect::new(move || {
        if let Some(dialog) = dialog.get().filter(|dialog| !dialog.open()) {
            // Fails only for a dialog that is already open or not in the document.
            let _ = dialog.show_modal();
        }
    });
    let title = format!("Rename or label {}", isolated(&of.name));
    let label = title.clone();
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let words = labels.get_untracked();
        let words = words.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect();
        let name = name.get_untracked().trim().to_owned();
        let change = WorkerChange { name: Some(name), labels: Some(words), is_draining: None };
        spawn_local(async move {
            match fleet::change_worker(of.id, &change).await {
                Ok(_) => {
                    feed.fetch_workers();
                    editing.try_set(None);
                }
                Err(refused) => drop(failure.try_set(Some(refused))),
            }
        });
    };
    view! {
        <dialog node_ref=dialog class="worker-edit" aria-label=label on:close=move |_| editing.set(None)>
            <form class="stack" on:submit=submit>
                <h2>{title}</h2>
                <label class="field" title="1 to 80 characters">
                    <span class="label">"Name"</span>
                    <input
                        type="text"
                        maxlength="80"
                        autocomplete="off"
                        prop:value=name
                        on:input:target=move |event| name.set(event.target().value())
                    />
                </label>
                <label class="field" title="At most 20 labels of 1 to 40 characters, separated by commas">
                    <span class="label">"Labels, separated by commas"</span>
                    <input
                        type="text"
                        autocomplete="off"
                        placeholder="room 12, borrowed"
                        prop:value=labels
                        on:input:target=move |event| labels.set(event.target().value())
                    />
                </label>
                {move || failure.get().map(|failure| view! { <Failure what="The worker was not changed" failure /> })}
                <div class="row end">
                    <button type="button" title="Close without saving" on:click=move |_| editing.set(None)>"Cancel"</button>
                    <button class="primary" type="submit" title="Save the name and the labels" disabled=move || name.read().trim().is_empty()>
                        "Save"
                    </button>
                </div>
            </form>
        </dialog>
    }
}
