//! Actions on the selected runs. Those that hide or end runs ask first; all but stopping can be undone.

use leptos::ev;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::RunId;
use wire::run::table::tags::TAG_CHARS;
use wire::run::table::{BulkAction, BulkOutcome, Deleted, MAX_BULK};

use super::state::TableState;
use crate::components::{Confirm, Menu, Question, Toasts, isolated, run_name};
use crate::net::api::{self, sentence};
use crate::net::live::Live;
use crate::pages::lab::selection::Selection;
use crate::route::compare_path;
use crate::session::Session;

/// Runs in one chart at most.
const MAX_COMPARED: usize = 16;

/// What the actions use; copied into the answers of requests.
#[derive(Clone, Copy)]
struct Bulk {
    table: TableState,
    selection: Selection,
    live: Live,
    toasts: Toasts,
    confirm: Confirm,
}

impl Bulk {
    /// Carries out an action for the selected runs, after a question if the action has one.
    fn start(self, action: BulkAction) {
        let runs = self.selection.runs.get_untracked();
        let Some((verb, loses)) = question(&action) else {
            self.act(runs, action, true);
            return;
        };
        let title = format!("{verb} {}?", counted(runs.len()));
        let act = self.confirm.keep(move || self.act(runs.clone(), action.clone(), true));
        self.confirm.ask(Question { title, loses: loses.into(), verb, act });
    }

    fn act(self, runs: Vec<RunId>, action: BulkAction, can_undo: bool) {
        spawn_local(async move {
            match api::runs::bulk(runs, action.clone()).await {
                Ok(outcomes) => self.show(&action, &outcomes, can_undo),
                Err(failure) => self.toasts.fail("The runs were not changed", &failure),
            }
        });
    }

    /// Shows what was done and what was not, and offers to undo it.
    fn show(self, action: &BulkAction, outcomes: &[BulkOutcome], can_undo: bool) {
        let changed: Vec<RunId> =
            outcomes.iter().filter(|outcome| outcome.error.is_none()).map(|outcome| outcome.run.clone()).collect();
        let text = format!("{} {}{}", counted(changed.len()), done(action, changed.len()), self.failures(outcomes));
        let leaves_list = !matches!(action, BulkAction::Tag { .. } | BulkAction::Untag { .. } | BulkAction::Stop);
        if leaves_list {
            self.selection.runs.try_update(|runs| runs.retain(|run| !changed.contains(run)));
        }
        self.table.refresh();
        match inverse(action).filter(|_| can_undo && !changed.is_empty()) {
            Some(inverse) => self.toasts.undoable(text, move || self.act(changed.clone(), inverse.clone(), false)),
            None => self.toasts.say(text),
        }
    }

    /// The first failure, and the number of the others.
    fn failures(self, outcomes: &[BulkOutcome]) -> String {
        let mut failed = outcomes.iter().filter_map(|outcome| Some((&outcome.run, outcome.error.as_ref()?)));
        let Some((run, error)) = failed.next() else { return String::new() };
        let name = untrack(|| run_name(self.live, run));
        let others = match failed.count() {
            0 => String::new(),
            others => format!(" {} more failed.", counted(others)),
        };
        format!(". {name} was not changed: {}{others}", sentence(&error.message))
    }
}

fn counted(runs: usize) -> String {
    if runs == 1 { "1 run".to_owned() } else { format!("{runs} runs") }
}

/// Label of the button that acts, and what it does, for actions that ask first.
fn question(action: &BulkAction) -> Option<(&'static str, &'static str)> {
    match action {
        BulkAction::Archive => {
            Some(("Archive", "The runs move from the active runs to Archived. None of their data is deleted."))
        }
        BulkAction::Delete => Some((
            "Delete",
            "The runs move to Deleted and can be restored for 7 days. After that their metrics, journals, samples and checkpoints \
             are removed.",
        )),
        BulkAction::Stop => Some((
            "Stop",
            "Runs that train save a checkpoint and end; queued runs leave the queue. A stopped run can be resumed.",
        )),
        _ => None,
    }
}

/// The verb of what was done to this many runs.
fn done(action: &BulkAction, runs: usize) -> String {
    let was = if runs == 1 { "was" } else { "were" };
    match action {
        BulkAction::Archive => format!("{was} archived"),
        BulkAction::Unarchive => format!("{was} moved to the active runs"),
        BulkAction::Tag { tag } => format!("{was} tagged {}", isolated(tag)),
        BulkAction::Untag { tag } => {
            format!("no longer {} the tag {}", if runs == 1 { "has" } else { "have" }, isolated(tag))
        }
        BulkAction::Delete => format!("{was} deleted"),
        BulkAction::Restore => format!("{was} restored"),
        BulkAction::Stop => format!("{was} stopped"),
    }
}

/// The action that undoes another; `None` if there is none.
fn inverse(action: &BulkAction) -> Option<BulkAction> {
    Some(match action {
        BulkAction::Archive => BulkAction::Unarchive,
        BulkAction::Unarchive => BulkAction::Archive,
        BulkAction::Tag { tag } => BulkAction::Untag { tag: tag.clone() },
        BulkAction::Untag { tag } => BulkAction::Tag { tag: tag.clone() },
        BulkAction::Delete => BulkAction::Restore,
        BulkAction::Restore => BulkAction::Delete,
        BulkAction::Stop => return None,
    })
}

/// The actions, while runs are selected.
#[component]
pub(super) fn BulkBar() -> impl IntoView {
    let (session, selection) = (expect_context::<Session>(), expect_context::<Selection>());
    let bulk = Bulk {
        table: expect_context(),
        selection,
        live: expect_context(),
        toasts: expect_context(),
        confirm: expect_context(),
    };
    let count = Memo::new(move |_| selection.runs.read().len());
    // Whether this person may change each of the selected runs.
    let can_change = Memo::new(move |_| {
        let (lab, selected) = (bulk.live.lab.read(), selection.runs.read());
        let runs = lab.as_ref().map(|lab| lab.runs.as_slice()).unwrap_or_default();
        let mut known = selected.iter().filter_map(|id| runs.iter().find(|run| run.id == *id));
        session.can_steer() && known.all(|run| session.can_steer_run(&run.id, &run.project))
    });
    // The list that is shown decides which actions make sense.
    let is_deleted = Memo::new(move |_| bulk.table.query.read().deleted == Some(Deleted::Only));
    let is_archived = Memo::new(move |_| bulk.table.query.read().archived == Some(true));
    view! {
        <Show when=move || { count.get() > 0 }>
            <div class="row bulk" role="group" aria-label="Actions on the selected runs">
                <strong role="status">{move || format!("{} selected", counted(count.get()))}</strong>
                <CompareSelected />
                <Show when=move || { can_change.get() && count.get() <= MAX_BULK }>
                    {move || if is_deleted.get() {
                        view! { <BulkButton bulk action=BulkAction::Restore label="Restore" title="Restore the selected runs" /> }
                            .into_any()
                    } else {
                        let (archive, label, title) = match is_archived.get() {
                            true => (BulkAction::Unarchive, "Move to the active runs", "Take the selected runs out of the archive"),
                            false => (BulkAction::Archive, "Archive", "Hide the selected runs from the active runs; nothing is deleted"),
                        };
                        view! {
                            <BulkButton bulk action=archive label title />
                            <TagMenu bulk is_added=true />
                            <TagMenu bulk is_added=false />
                            <BulkButton
                                bulk
                                action=BulkAction::Stop
                                label="Stop"
                                title="Stop the selected runs, after confirmation"
                            />
                            <BulkButton
                                bulk
                                action=BulkAction::Delete
                                label="Delete"
                                title="Move the selected runs to Deleted, after confirmation"
                            />
                        }.into_any()
                    }}
                </Show>
                <Show when=move || session.can_steer() && !can_change.get()>
                    <span class="dim">"Your role does not permit changing some of these runs."</span>
                </Show>
                <Show when=move || { count.get() > MAX_BULK }>
                    <span class="dim">{format!("Select at most {MAX_BULK} runs to change them together.")}</span>
                </Show>
                <button class="quiet" title="Select no run" on:click=move |_| selection.runs.set(vec![])>"Clear selection"</button>
            </div>
        </Show>
    }
}

#[component]
fn CompareSelected() -> impl IntoView {
    let selection = expect_context::<Selection>();
    move || {
        let runs = selection.runs.read();
        (2..=MAX_COMPARED).contains(&runs.len()).then(|| {
            view! {
                <a
                    class="button"
                    href=compare_path(&*runs)
                    title="Open the losses of the selected runs in one chart, with the differences of their plans"
                >
                    {format!("Compare {} runs", runs.len())}
                </a>
            }
        })
    }
}

#[component]
fn BulkButton(bulk: Bulk, action: BulkAction, label: &'static str, title: &'static str) -> impl IntoView {
    let is_danger = matches!(action, BulkAction::Delete | BulkAction::Stop);
    view! { <button class:danger=is_danger title=title on:click=move |_| bulk.start(action.clone())>{label}</button> }
}

/// Adds a tag to the selected runs, a new one or one of the lab; or removes one.
#[component]
fn TagMenu(bulk: Bulk, is_added: bool) -> impl IntoView {
    let action = move |tag: String| if is_added { BulkAction::Tag { tag } } else { BulkAction::Untag { tag } };
    let (label, word) = match is_added {
        true => ("Add tag to the selected runs", "Add tag"),
        false => ("Remove tag from the selected runs", "Remove tag"),
    };
    let tags = move || bulk.table.facets.read().tags.iter().map(|tag| tag.key.clone()).collect::<Vec<_>>();
    let button = move |tag: String| {
        let shown = isolated(&tag);
        view! { <button title=label on:click=move |_| bulk.start(action(tag.clone()))>{shown}</button> }
    };
    let add = Callback::new(move |tag: String| bulk.start(BulkAction::Tag { tag }));
    view! {
        <Show when=move || is_added || !tags().is_empty()>
            <Menu label=label word=word>
                {is_added.then(|| view! { <TagField add /> })}
                {move || tags().into_iter().map(button).collect_view()}
            </Menu>
        </Show>
    }
}

#[component]
fn TagField(add: Callback<String>) -> impl IntoView {
    let tag = RwSignal::new(String::new());
    let submit = move |event: ev::SubmitEvent| {
        event.prevent_default();
        let text = tag.get_untracked().trim().to_owned();
        if !text.is_empty() {
            add.run(text);
            tag.set(String::new());
        }
    };
    view! {
        // A press inside does not close the menu.
        <form class="row nowrap save-filter" on:submit=submit on:click=|event| event.stop_propagation()>
            <input
                class="grow"
                maxlength=TAG_CHARS.to_string()
                placeholder="New tag"
                aria-label="New tag"
                title="1 to 40 characters without spaces and commas"
                prop:value=tag
                on:input:target=move |event| tag.set(event.target().value())
            />
            <button type="submit" title="Add this tag to the selected runs">"Add"</button>
        </form>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_of_an_inverse_is_the_action() {
        let tag = || "t".to_owned();
        for action in [BulkAction::Archive, BulkAction::Delete, BulkAction::Tag { tag: tag() }, BulkAction::Restore] {
            let inverse = inverse(&action).unwrap();
            assert_ne!(inverse, action);
            assert_eq!(super::inverse(&inverse), Some(action));
        }
        assert_eq!(inverse(&BulkAction::Stop), None);
        assert!(question(&BulkAction::Delete).is_some() && question(&BulkAction::Restore).is_none());
    }
}
