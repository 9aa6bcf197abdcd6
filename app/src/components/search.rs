//! The search for runs, wherever runs are listed.

use leptos::prelude::*;
use wire::RunSummary;

use super::state_word;

/// Whether a run contains all words of the search.
pub(crate) fn matches(run: &RunSummary, search: &str) -> bool {
    let RunSummary { name, id, preset, corpus, device, state, tags, .. } = run;
    let tags = tags.join(" ");
    let text = format!("{name} {id} {preset} {corpus} {device} {} {tags}", state_word(*state)).to_lowercase();
    search.to_lowercase().split_whitespace().all(|word| text.contains(word))
}

/// The search field; `/` focuses it from every page, Escape clears it.
#[component]
pub(crate) fn RunSearch(search: RwSignal<String>) -> impl IntoView {
    view! {
        <input
            id="run-search"
            type="search"
            class="search"
            placeholder="Search  /"
            aria-label="Search runs by name, state, preset, dataset or device"
            title="Search name, state, preset, dataset and device (/)"
            prop:value=search
            on:input:target=move |event| search.set(event.target().value())
            on:keydown=move |event| if event.key() == "Escape" { search.set(String::new()) }
        />
    }
}
