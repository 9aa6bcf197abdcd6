//! The table of many runs: search, filters, chosen columns, groups, pages, and actions on several runs. The server filters and sorts; the
//! page shows 100 runs at a time, kept up to date by the live stream. The address has the query, so that a view can be shared.
//!
//! - [`state`] the query, the page of runs, and when they are fetched;
//! - [`filters`] search, filters and groups; [`saved`] saved filters; [`columns`] the menu of columns and the headings; [`rows`] the rows;
//!   [`bulk`] actions on the selected runs, which [`super::selection`] has.

mod bulk;
mod columns;
mod filters;
mod rows;
mod saved;
mod state;

use leptos::prelude::*;

use crate::components::number::grouped;
use crate::components::{Empty, Failure, Skeleton};
use crate::pages::lab::project_filter::ProjectFilter;
use crate::session::Session;
use bulk::BulkBar;
use columns::ColumnsMenu;
use filters::{Chips, FilterMenus, GroupMenu, SearchField};
use rows::RunRows;
use saved::SavedFilters;
pub(super) use state::TableState;
use state::{PAGE, Stage};

/// The table with its tools.
#[component]
pub(super) fn RunBrowser() -> impl IntoView {
    let (table, session) = (expect_context::<TableState>(), expect_context::<Session>());
    view! {
        <div class="row table-tools">
            <SearchField />
            <ProjectFilter choose=move |project| table.change(|query| query.project = project) />
            <FilterMenus />
            <GroupMenu />
            <ColumnsMenu />
            <Show when=move || session.can_view_lab()><SavedFilters /></Show>
        </div>
        <Chips />
        <BulkBar />
        {move || match table.stage.get() {
            Stage::Loading => view! { <Skeleton rows=8 /> }.into_any(),
            Stage::Failed => view! { <Failed /> }.into_any(),
            Stage::Empty => view! { <NoMatch /> }.into_any(),
            Stage::Rows => view! { <RunRows /><Pager /> }.into_any(),
        }}
    }
}

#[component]
fn Failed() -> impl IntoView {
    let table = expect_context::<TableState>();
    move || {
        let failure = table.failure.get()?;
        Some(view! { <Failure what="The runs could not be listed" failure retry=move |()| table.fetch() /> })
    }
}

#[component]
fn NoMatch() -> impl IntoView {
    let table = expect_context::<TableState>();
    view! {
        <div class="sheet">
            <Empty
                title="No runs match"
                text="The search covers name, id, state, preset, dataset, device, tags and notes. It also accepts tag:NAME and \
                      comparisons such as lr>1e-3 or model.layers=6."
            >
                <button title="Remove the search and all filters" on:click=move |_| table.clear()>"Clear filters"</button>
            </Empty>
        </div>
    }
}

/// The position in the list, and the ways to the pages before and after.
#[component]
fn Pager() -> impl IntoView {
    let table = expect_context::<TableState>();
    let before = move || table.cursors.read().len();
    let next = move || table.page.read().as_ref().and_then(|page| page.next.clone());
    let place = move || {
        let page = table.page.read();
        let (shown, total) = page.as_ref().map_or((0, 0), |page| (page.rows.len() as u64, page.total));
        let first = before() as u64 * u64::from(PAGE);
        format!("{}–{} of {} runs", grouped(first + 1), grouped(first + shown), grouped(total))
    };
    let forward = move |_| {
        if let Some(next) = untrack(next) {
            table.cursors.update(|cursors| cursors.push(next));
        }
    };
    let back = move |_| table.cursors.update(|cursors| drop(cursors.pop()));
    view! {
        <nav class="row pager" aria-label="Pages of the table">
            <span class="dim" role="status">{place}</span>
            <button title="Show the 100 runs before these" disabled={move || before() == 0} on:click=back>"Previous"</button>
            <button title="Show the next 100 runs" disabled={move || next().is_none()} on:click=forward>"Next"</button>
        </nav>
    }
}
