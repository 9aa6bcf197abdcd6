//! The list from which runs are selected, with a search.

use leptos::prelude::*;

use super::Choice;
use crate::components::{RunSearch, StateMark, matches, name_of};
use crate::net::live::Live;

/// Maximum number of listed runs; a search finds the rest.
const MAX_LISTED: usize = 60;

/// The list.
#[component]
pub(super) fn Picker() -> impl IntoView {
    let choice = expect_context::<Choice>();
    let live = expect_context::<Live>();
    let search = RwSignal::new(String::new());
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
