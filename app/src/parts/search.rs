//! Searching runs: one field and one way to match, wherever runs are listed.

use leptos::prelude::*;
use wire::RunSummary;

use super::state_word;

/// Whether a run has all the words that are searched for.
pub(crate) fn matches(run: &RunSummary, search: &str) -> bool {
    let RunSummary { name, id, preset, corpus, device, state, .. } = run;
    let text = format!("{name} {id} {preset} {corpus} {device} {}", state_word(*state)).to_lowercase();
    search.to_lowercase().split_whitespace().all(|word| text.contains(word))
}

/// The field; `/` leads to it from everywhere, Escape empties it.
#[component]
pub(crate) fn RunSearch(search: RwSignal<String>) -> impl IntoView {
    view! {
        <input
            id="run-search"
            type="search"
            class="search"
            placeholder="Search  /"
            aria-label="Search the runs by name, state, preset, text or device"
            prop:value=search
            on:input:target=move |event| search.set(event.target().value())
            on:keydown=move |event| if event.key() == "Escape" { search.set(String::new()) }
        />
    }
}
