//! The search field, the menus of filters and groups, and the filters that are in force.

use std::time::Duration;

use leptos::leptos_dom::helpers::TimeoutHandle;
use leptos::prelude::*;
use wire::run::table::{GroupBy, RunGroup, RunQuery};

use super::state::{TableState, list, toggled};
use crate::components::number::grouped;
use crate::components::{Icon, Menu, isolated, tag_name};
use crate::net::live::Live;
use crate::projects::Projects;

/// Time between the last letter and the request.
const TYPING: Duration = Duration::from_millis(150);

/// The search; `/` focuses it from every page, Escape clears it.
#[component]
pub(super) fn SearchField() -> impl IntoView {
    let table = expect_context::<TableState>();
    let waiting = StoredValue::new(None::<TimeoutHandle>);
    let search = move |text: String| {
        if let Some(handle) = waiting.try_update_value(Option::take).flatten() {
            handle.clear();
        }
        let text = Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let act = move || table.change(|query| query.q.clone_from(&text));
        waiting.set_value(set_timeout_with_handle(act, TYPING).ok());
    };
    let shown = move || table.query.read().q.clone().unwrap_or_default();
    let clear = move |event: leptos::ev::KeyboardEvent| {
        if event.key() == "Escape" {
            table.change(|query| query.q = None);
        }
    };
    view! {
        <input
            id="run-search"
            type="search"
            class="search wide"
            placeholder="Search, or lr>1e-3  /"
            aria-label="Search runs by name, tag, note or hyperparameter"
            title="Words from the name, id, state, preset, dataset, device, tags and notes; tag:NAME; comparisons such as lr>1e-3 or model.layers=6 (/)"
            prop:value=shown
            on:input:target=move |event| search(event.target().value())
            on:keydown=clear
        />
    }
}

/// A filter by a facet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Facet {
    State,
    Tag,
    Dataset,
    Preset,
}

impl Facet {
    const ALL: [Self; 4] = [Self::State, Self::Tag, Self::Dataset, Self::Preset];

    fn label(self) -> &'static str {
        match self {
            Self::State => "State",
            Self::Tag => "Tag",
            Self::Dataset => "Dataset",
            Self::Preset => "Preset",
        }
    }

    fn groups(self, table: TableState) -> Vec<RunGroup> {
        let facets = table.facets.read();
        match self {
            Self::State => facets.states.clone(),
            Self::Tag => facets.tags.clone(),
            Self::Dataset => facets.datasets.clone(),
            Self::Preset => facets.presets.clone(),
        }
    }

    /// The values in force.
    fn values(self, query: &RunQuery) -> Vec<String> {
        match self {
            Self::State => list(query.state.as_deref()),
            Self::Tag => list(query.tag.as_deref()),
            // A dataset's name may contain commas.
            Self::Dataset => query.dataset.clone().into_iter().collect(),
            Self::Preset => query.preset.clone().into_iter().collect(),
        }
    }

    /// A value as it is shown.
    fn shown(self, live: Live, value: &str) -> String {
        if self == Self::Tag { tag_name(live, value) } else { isolated(value) }
    }

    fn toggle(self, query: &mut RunQuery, value: &str) {
        let only = |known: &Option<String>| Some(value.to_owned()).filter(|value| known.as_ref() != Some(value));
        match self {
            Self::State => query.state = toggled(query.state.as_deref(), value),
            Self::Tag => query.tag = toggled(query.tag.as_deref(), value),
            Self::Dataset => query.dataset = only(&query.dataset),
            Self::Preset => query.preset = only(&query.preset),
        }
    }
}

/// A menu for each facet with more than one value.
#[component]
pub(super) fn FilterMenus() -> impl IntoView {
    let table = expect_context::<TableState>();
    Facet::ALL
        .map(|facet| {
            let groups = Memo::new(move |_| facet.groups(table));
            let is_useful = move || groups.read().len() > usize::from(facet != Facet::Tag);
            view! {
                <Show when=is_useful>
                    <Menu label=format!("Filter by {}", facet.label().to_lowercase()) word=facet.label()>
                        {move || groups.get().into_iter().map(|group| view! { <FacetButton facet group /> }).collect_view()}
                    </Menu>
                </Show>
            }
        })
        .collect_view()
}

#[component]
fn FacetButton(facet: Facet, group: RunGroup) -> impl IntoView {
    let (table, live) = (expect_context::<TableState>(), expect_context::<Live>());
    let RunGroup { key, count } = group;
    let value = StoredValue::new(key.clone());
    let is_on = move || facet.values(&table.query.read()).contains(&*value.read_value());
    view! {
        <button
            aria-pressed=move || is_on().to_string()
            title="Show only the runs with this value, or remove the filter"
            on:click=move |_| table.change(|query| facet.toggle(query, &value.read_value()))
        >
            <span class="grow">{move || facet.shown(live, &key)}</span>
            <span class="dim">{grouped(count)}</span>
        </button>
    }
}

/// What a group has in common, its label, and its meaning.
const GROUPS: [(Option<GroupBy>, &str, &str); 6] = [
    (None, "No groups", "List the runs without groups"),
    (Some(GroupBy::Preset), "Preset", "List runs of the same preset together"),
    (Some(GroupBy::Dataset), "Dataset", "List runs of the same datasets together"),
    (Some(GroupBy::Tag), "Tags", "List runs with the same tags together"),
    (Some(GroupBy::Parent), "Parent", "List forks of the same run together"),
    (Some(GroupBy::Project), "Project", "List runs of the same project together"),
];

/// Chooses the column by which the table is grouped.
#[component]
pub(super) fn GroupMenu() -> impl IntoView {
    let (table, projects) = (expect_context::<TableState>(), expect_context::<Projects>());
    let is_offered = move |by: Option<GroupBy>| by != Some(GroupBy::Project) || projects.are_several();
    view! {
        <Menu label="Group the runs" word="Group">
            {move || GROUPS.into_iter().filter(|(by, ..)| is_offered(*by)).map(|(by, label, meaning)| view! {
                <button
                    title=meaning
                    aria-pressed=move || (table.query.read().group == by).to_string()
                    on:click=move |_| table.change(|query| query.group = by)
                >
                    {label}
                </button>
            }).collect_view()}
        </Menu>
    }
}

/// The filters in force; a press removes one.
#[component]
pub(super) fn Chips() -> impl IntoView {
    let (table, live) = (expect_context::<TableState>(), expect_context::<Live>());
    let chips = Memo::new(move |_| {
        let query = table.query.read();
        let of = |facet: Facet| facet.values(&query).into_iter().map(move |value| (facet, value));
        Facet::ALL.into_iter().flat_map(of).collect::<Vec<_>>()
    });
    let chip = move |(facet, value): (Facet, String)| {
        let shown = {
            let value = value.clone();
            move || format!("{}: {}", facet.label().to_lowercase(), facet.shown(live, &value))
        };
        view! {
            <button
                class="chip"
                title="Remove this filter"
                on:click=move |_| table.change(|query| facet.toggle(query, &value))
            >
                {shown}
                <Icon name="close" />
            </button>
        }
    };
    view! {
        <Show when=move || !chips.read().is_empty()>
            <div class="row chips" role="group" aria-label="Active filters">
                {move || chips.get().into_iter().map(chip).collect_view()}
                <button class="quiet" title="Remove the search and all filters" on:click=move |_| table.clear()>
                    "Clear filters"
                </button>
            </div>
        </Show>
    }
}
