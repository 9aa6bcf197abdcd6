//! The list from which runs are selected, with a search.

use std::time::Duration;

use leptos::leptos_dom::helpers::TimeoutHandle;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::run::table::RunQuery;

use super::Choice;
use crate::components::{RunSearch, StateMark, matches, name_of};
use crate::net::api;
use crate::net::live::Live;

/// Maximum number of listed runs; a search finds the rest.
const MAX_LISTED: usize = 60;
/// Time between the last letter of a search and its request.
const TYPING: Duration = Duration::from_millis(200);

/// The list.
#[component]
pub(super) fn Picker() -> impl IntoView {
    let choice = expect_context::<Choice>();
    let live = expect_context::<Live>();
    let search = RwSignal::new(String::new());
    search_all(search, live);
    let listed = Memo::new(move |_| {
        let (lab, search) = (live.lab.read(), search.read());
        let runs = lab.as_ref().map(|lab| lab.runs.as_slice()).unwrap_or_default();
        let found = runs.iter().filter(|run| run.deleted_ms.is_none() && matches(run, &search));
        let row = |run: &wire::RunSummary| {
            (
                run.id.clone(),
                name_of(live, run),
                run.state,
                run.parent.as_ref().map(|parent| parent.control_of.is_some()),
            )
        };
        found.map(row).take(MAX_LISTED).collect::<Vec<_>>()
    });
    let none = move || match search.read().trim() {
        "" => "No runs yet.".to_owned(),
        search => format!("No runs match “{search}”."),
    };
    view! {
        <aside class="sheet picker" aria-label="Select runs">
            <RunSearch search />
            <ul>
                <For each=move || listed.get() key=Clone::clone let((id, name, state, fork))>
                    <li>
                        <label title="Add the run to the comparison, or remove it; at most 16 runs">
                            <input
                                type="checkbox"
                                prop:checked={let id = id.clone(); move || choice.contains(&id)}
                                on:change={let id = id.clone(); move |_| choice.toggle(&id)}
                            />
                            <span class="grow">
                                {name}
                                {fork.map(|is_control_run| view! {
                                    <span class="dim small">
                                        {if is_control_run { " control run" } else { " fork" }}
                                    </span>
                                })}
                            </span>
                            <StateMark state />
                        </label>
                    </li>
                </For>
            </ul>
            <Show when=move || listed.read().is_empty()><p class="dim padded">{none}</p></Show>
        </aside>
    }
}

/// Where the list of runs has only the newest ones, a search is sent to the server, and what it finds is added to the list.
fn search_all(search: RwSignal<String>, live: Live) {
    let waiting = StoredValue::new(None::<TimeoutHandle>);
    let find = move |text: String| {
        spawn_local(async move {
            let query = RunQuery { q: Some(text), limit: Some(MAX_LISTED as u32), ..RunQuery::default() };
            // A search that is not finished, such as `lr>`, finds nothing yet.
            if let Ok(page) = api::runs::list(&query).await {
                live.know(page.rows.into_iter().map(|row| row.summary));
            }
        });
    };
    Effect::new(move |_| {
        let text = search.read().trim().to_owned();
        if let Some(handle) = waiting.try_update_value(Option::take).flatten() {
            handle.clear();
        }
        if !text.is_empty() && untrack(|| live.is_partial()) {
            waiting.set_value(set_timeout_with_handle(move || find(text), TYPING).ok());
        }
    });
}
