//! The filters of the timeline: words, kinds of entries, an author.

use std::collections::BTreeSet;
use std::time::Duration;

use leptos::leptos_dom::helpers::TimeoutHandle;
use leptos::prelude::*;
use wire::research_journal::EntryKind;

use super::timeline::Timeline;
use crate::components::{clicks, isolated};
use crate::net::api::journal::JournalFilter;

/// Time between the last letter and the request.
const TYPING: Duration = Duration::from_millis(250);

#[component]
pub(super) fn Filters() -> impl IntoView {
    let timeline = expect_context::<Timeline>();
    let is_filtered = move || *timeline.filter.read() != JournalFilter::default();
    let chips = EntryKind::ALL.into_iter().map(|kind| view! { <KindChip kind /> }).collect_view();
    view! {
        <div class="stack" role="group" aria-label="Filters">
            <div class="row">
                <SearchField />
                <AuthorPick />
                <Show when=is_filtered>
                    <button
                        class="quiet"
                        title="Show all entries"
                        on:click=clicks(move |_| timeline.change(|filter| *filter = JournalFilter::default()))
                    >
                        "Clear filters"
                    </button>
                </Show>
            </div>
            <div class="row chips" role="group" aria-label="Kinds of entries">{chips}</div>
        </div>
    }
}

#[component]
fn SearchField() -> impl IntoView {
    let timeline = expect_context::<Timeline>();
    let waiting = StoredValue::new(None::<TimeoutHandle>);
    let clear = move || {
        if let Some(handle) = waiting.try_update_value(Option::take).flatten() {
            handle.clear();
        }
    };
    let search = move |text: String| {
        clear();
        // Not trimmed: the field shows the text of the filter, so a space that was just typed would vanish.
        let act = move || timeline.change(|filter| filter.search.clone_from(&text));
        waiting.set_value(set_timeout_with_handle(act, TYPING).ok());
    };
    on_cleanup(clear);
    view! {
        <input
            type="search"
            class="search wide"
            maxlength="200"
            placeholder="Search"
            aria-label="Search the research journal"
            title="Words of the text, the author, or the name of the run, experiment, sweep or conversation"
            prop:value=move || timeline.filter.read().search.clone()
            on:input:target=move |event| search(event.target().value())
        />
    }
}

/// Switches a kind of entries on; without any, all kinds are listed.
#[component]
fn KindChip(kind: EntryKind) -> impl IntoView {
    let timeline = expect_context::<Timeline>();
    let is_on = Memo::new(move |_| timeline.filter.read().kinds.contains(&kind));
    let toggle = move |_| {
        timeline.change(|filter| match filter.kinds.contains(&kind) {
            true => filter.kinds.retain(|known| *known != kind),
            false => filter.kinds.push(kind),
        });
    };
    view! {
        <button
            class="chip"
            aria-pressed=move || is_on.get().to_string()
            title="Show entries of this kind; without a chosen kind all are shown"
            on:click=clicks(toggle)
        >
            {kind.label()}
        </button>
    }
}

/// The authors of the entries that were listed.
#[component]
fn AuthorPick() -> impl IntoView {
    let timeline = expect_context::<Timeline>();
    let names = RwSignal::new(BTreeSet::<String>::new());
    Effect::new(move || {
        let entries = timeline.entries.read();
        let new: Vec<String> = names.with_untracked(|names| {
            let authors = entries.iter().flatten().map(|entry| entry.author.name());
            authors.filter(|name| !names.contains(*name)).map(str::to_owned).collect()
        });
        if !new.is_empty() {
            names.update(|names| names.extend(new));
        }
    });
    let choose = move |name: String| timeline.change(|filter| filter.author = name);
    view! {
        <select
            aria-label="Author"
            title="Only entries of this person, rule or agent, or of the system"
            on:change:target=move |event| choose(event.target().value())
        >
            <option value="" prop:selected=move || timeline.filter.read().author.is_empty()>"All authors"</option>
            {move || names.get().into_iter().map(|name| {
                let value = name.clone();
                let is_chosen = move || timeline.filter.read().author == value;
                view! { <option value=name.clone() prop:selected=is_chosen>{isolated(&name)}</option> }
            }).collect_view()}
        </select>
    }
}
