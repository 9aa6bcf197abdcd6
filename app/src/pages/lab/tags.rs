//! The tags of one run: the chips in its row, and the part of its menu that adds and removes them.

use leptos::ev;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::RunId;
use wire::run::table::BulkAction;
use wire::run::table::tags::TAG_CHARS;

use crate::components::{Toasts, first_of_seeds, isolated, tag_name};
use crate::net::api::{self, sentence};
use crate::net::live::Live;

/// Shows the runs with a tag; in the context of the list of runs.
#[derive(Clone, Copy)]
pub(super) struct TagFilter(pub(super) Callback<String>);

/// The tags of a run; nothing without tags.
#[component]
pub(super) fn TagChips(tags: Memo<Vec<String>>) -> impl IntoView {
    let (live, filter) = (expect_context::<Live>(), expect_context::<TagFilter>());
    let chip = move |tag: String| {
        let title = match first_of_seeds(&tag) {
            Some(_) => format!("These runs differ only in the seed (tag {tag}). Press to show only them."),
            None => format!("Tag {}. Press to show only the runs with this tag.", isolated(&tag)),
        };
        let name = {
            let tag = tag.clone();
            move || tag_name(live, &tag)
        };
        view! { <li><button class="tag" title=title on:click=move |_| filter.0.run(tag.clone())>{name}</button></li> }
    };
    view! {
        <Show when=move || !tags.read().is_empty()>
            <ul class="tag-list" aria-label="Tags">{move || tags.get().into_iter().map(chip).collect_view()}</ul>
        </Show>
    }
}

/// Adds a tag to a run or removes it, and offers to undo it.
fn act(toasts: Toasts, entry: (RunId, String), tag: String, is_added: bool, can_undo: bool) {
    let action = if is_added { BulkAction::Tag { tag: tag.clone() } } else { BulkAction::Untag { tag: tag.clone() } };
    spawn_local(async move {
        let (run, name) = entry.clone();
        match api::runs::bulk(vec![run], action).await {
            Ok(outcomes) => {
                if let Some(error) = outcomes.into_iter().find_map(|outcome| outcome.error) {
                    return toasts.say(format!("{name} was not changed: {}", sentence(&error.message)));
                }
                let what = if is_added { "was tagged" } else { "no longer has the tag" };
                let text = format!("{name} {what} {}", isolated(&tag));
                match can_undo {
                    true => toasts.undoable(text, move || act(toasts, entry.clone(), tag.clone(), !is_added, false)),
                    false => toasts.say(text),
                }
            }
            Err(failure) => toasts.fail("The tags were not changed", &failure),
        }
    });
}

/// A field for a new tag of a run, and a button for each tag that removes it.
#[component]
pub(super) fn TagActions(
    /// Id and name of the run.
    entry: StoredValue<(RunId, String)>,
    tags: Vec<String>,
) -> impl IntoView {
    let toasts = expect_context::<Toasts>();
    let new = RwSignal::new(String::new());
    let submit = move |event: ev::SubmitEvent| {
        event.prevent_default();
        let tag = new.get_untracked().trim().to_owned();
        if !tag.is_empty() {
            act(toasts, entry.get_value(), tag, true, true);
            new.set(String::new());
        }
    };
    let remove = move |tag: String| {
        let label = format!("Remove tag {}", isolated(&tag));
        let press = move |_| act(toasts, entry.get_value(), tag.clone(), false, true);
        view! { <button title="The run keeps its other tags" on:click=press>{label}</button> }
    };
    view! {
        // A press inside does not close the menu.
        <form class="row nowrap save-filter" on:submit=submit on:click=|event| event.stop_propagation()>
            <input
                class="grow"
                maxlength=TAG_CHARS.to_string()
                placeholder="New tag"
                aria-label="New tag"
                title="A word for finding and grouping runs, and for choosing the runs of alerts: 1 to 40 characters without spaces and commas"
                prop:value=new
                on:input:target=move |event| new.set(event.target().value())
            />
            <button type="submit" title="Add this tag to the run">"Add tag"</button>
        </form>
        {tags.into_iter().map(remove).collect_view()}
    }
}
