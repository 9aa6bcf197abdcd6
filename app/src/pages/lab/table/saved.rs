//! Saved filters: the queries of the table under a name, for everyone who uses the lab.

use leptos::ev;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::run::table::{FILTER_NAME_CHARS, NewFilter, SavedFilter};

use super::state::TableState;
use crate::components::{Icon, Menu, Toasts, isolated};
use crate::net::api;
use crate::session::Session;

/// The menu of the saved filters, with a field that saves the present one.
#[component]
pub(super) fn SavedFilters() -> impl IntoView {
    let table = expect_context::<TableState>();
    let session = expect_context::<Session>();
    let toasts = expect_context::<Toasts>();
    let save = Callback::new(move |name: String| {
        let filter = NewFilter { name, query: table.query.get_untracked() };
        spawn_local(async move {
            match api::runs::save_filter(&filter).await {
                Ok(saved) => {
                    toasts.say(format!("The filter {} was saved", isolated(&saved.name)));
                    table.fetch_filters();
                }
                Err(failure) => toasts.fail("The filter was not saved", &failure),
            }
        });
    });
    let delete = Callback::new(move |filter: SavedFilter| {
        spawn_local(async move {
            match api::runs::delete_filter(filter.id).await {
                Ok(()) => {
                    table.fetch_filters();
                    let again = NewFilter { name: filter.name.clone(), query: filter.query };
                    toasts.undoable(format!("The filter {} was deleted", isolated(&filter.name)), move || {
                        let again = again.clone();
                        spawn_local(async move {
                            match api::runs::save_filter(&again).await {
                                Ok(_) => table.fetch_filters(),
                                Err(failure) => toasts.fail("The filter was not restored", &failure),
                            }
                        });
                    });
                }
                Err(failure) => toasts.fail("The filter was not deleted", &failure),
            }
        });
    });
    view! {
        <Menu label="Saved filters" word="Filters">
            {move || table.filters.get().into_iter().map(|filter| view! { <FilterLine filter delete /> }).collect_view()}
            {move || table.filters.read().is_empty().then(|| view! {
                <p class="dim padded">"No saved filters. A saved filter keeps search, filters, order, groups and columns."</p>
            })}
            {session.can_steer_lab().then(|| view! { <SaveField save /> })}
        </Menu>
    }
}

#[component]
fn FilterLine(filter: SavedFilter, delete: Callback<SavedFilter>) -> impl IntoView {
    let table = expect_context::<TableState>();
    let session = expect_context::<Session>();
    let (name, query) = (isolated(&filter.name), filter.query.clone());
    let label = format!("Delete the filter {name}");
    view! {
        <div class="row nowrap">
            <button
                class="grow"
                title="Show the runs of this filter, with its order, groups and columns"
                on:click=move |_| table.query.set(query.clone())
            >
                {name}
            </button>
            {session.can_steer_lab().then(|| view! {
                <button
                    class="icon-only"
                    aria-label=label.clone()
                    title=label
                    on:click=move |_| delete.run(filter.clone())
                >
                    <Icon name="close" />
                </button>
            })}
        </div>
    }
}

#[component]
fn SaveField(save: Callback<String>) -> impl IntoView {
    let name = RwSignal::new(String::new());
    let is_empty = move || name.read().trim().is_empty();
    let submit = move |event: ev::SubmitEvent| {
        event.prevent_default();
        if !untrack(is_empty) {
            save.run(name.get_untracked());
            name.set(String::new());
        }
    };
    view! {
        // A press inside does not close the menu.
        <form class="row nowrap save-filter" on:submit=submit on:click=|event| event.stop_propagation()>
            <input
                class="grow"
                maxlength=FILTER_NAME_CHARS.to_string()
                placeholder="Name of this filter"
                aria-label="Name of the filter to save"
                title="Saves search, filters, order, groups and columns under this name. An existing filter with this name is replaced."
                prop:value=name
                on:input:target=move |event| name.set(event.target().value())
            />
            <button type="submit" title="Save the current filter for everyone who uses the lab" disabled=is_empty>"Save"</button>
        </form>
    }
}
