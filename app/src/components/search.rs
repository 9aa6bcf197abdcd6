//! The search for runs, wherever runs are listed.

use leptos::prelude::*;
use wire::RunSummary;

/// Whether a run contains all words of the search. `tag:NAME` is the tag NAME and no other.
pub(crate) fn matches(run: &RunSummary, search: &str) -> bool {
    let RunSummary { name, id, preset, corpus, device, state, tags, .. } = run;
    let words = tags.join(" ");
    let text = format!("{name} {id} {preset} {corpus} {device} {} {words}", state.word()).to_lowercase();
    let has = |word: &str| match word.strip_prefix("tag:") {
        Some(wanted) => tags.iter().any(|tag| tag.to_lowercase() == wanted),
        None => text.contains(word),
    };
    search.to_lowercase().split_whitespace().all(has)
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
            aria-label="Search runs by name, state, preset, dataset, device or tag"
            title="Search name, state, preset, dataset, device and tags; tag:NAME for one tag (/)"
            prop:value=search
            on:input:target=move |event| search.set(event.target().value())
            on:keydown=move |event| if event.key() == "Escape" { search.set(String::new()) }
        />
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_finds_words_and_whole_tags() {
        let tags = ["warmup-2".to_owned(), "seeds:root".to_owned()].to_vec();
        let run = RunSummary { name: "Amber Fox".into(), tags, ..crate::curves::fixture::view().summary };
        for (search, is_found) in [
            ("", true),
            ("amber warmup", true),
            ("amber owl", false),
            ("tag:warmup-2", true),
            ("TAG:Warmup-2 fox", true),
            ("tag:warmup", false),
            ("tag:seeds:root", true),
        ] {
            assert_eq!(matches(&run, search), is_found, "{search}");
        }
    }
}
