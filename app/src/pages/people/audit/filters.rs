//! The filters of the audit log: words, a person, a time span, only what was refused.

use std::collections::BTreeSet;
use std::time::Duration;

use leptos::leptos_dom::helpers::TimeoutHandle;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::access::audit::AuditQuery;

use super::AuditLog;
use super::span::SpanFilter;
use crate::components::isolated;
use crate::net::api::people;

/// Time between the last letter and the request.
const TYPING: Duration = Duration::from_millis(250);

#[component]
pub(super) fn Filters() -> impl IntoView {
    let log = expect_context::<AuditLog>();
    let is_filtered = move || *log.query.read() != AuditQuery::default();
    view! {
        <div class="row audit-filters" role="group" aria-label="Filters">
            <SearchField />
            <WhoFilter />
            <SpanFilter />
            <label class="check" title="Only requests that were refused or failed">
                <input
                    type="checkbox"
                    prop:checked=move || log.query.read().refused == Some(true)
                    on:change:target=move |event| {
                        let refused = event.target().checked().then_some(true);
                        log.change(|query| query.refused = refused);
                    }
                />
                "Only refused"
            </label>
            <Show when=is_filtered>
                <button class="quiet" title="Show all entries" on:click=move |_| log.change(|query| *query = AuditQuery::default())>
                    "Clear filters"
                </button>
            </Show>
        </div>
    }
}

#[component]
fn SearchField() -> impl IntoView {
    let log = expect_context::<AuditLog>();
    let waiting = StoredValue::new(None::<TimeoutHandle>);
    let search = move |text: String| {
        if let Some(handle) = waiting.try_update_value(Option::take).flatten() {
            handle.clear();
        }
        let text = Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let act = move || log.change(|query| query.q.clone_from(&text));
        waiting.set_value(set_timeout_with_handle(act, TYPING).ok());
    };
    on_cleanup(move || {
        if let Some(handle) = waiting.try_update_value(Option::take).flatten() {
            handle.clear();
        }
    });
    view! {
        <input
            type="search"
            class="search wide"
            placeholder="Search"
            aria-label="Search the audit log"
            title="Words of the person, action, target or address"
            prop:value=move || log.query.read().q.clone().unwrap_or_default()
            on:input:target=move |event| search(event.target().value())
        />
    }
}

/// The people with accounts, and everyone whom the entries name.
#[component]
fn WhoFilter() -> impl IntoView {
    let log = expect_context::<AuditLog>();
    let names = RwSignal::new(BTreeSet::<String>::new());
    spawn_local(async move {
        // Without the list there are the names of the entries.
        if let Ok(found) = people::list().await {
            names.try_update(|names| names.extend(found.into_iter().map(|person| person.name)));
        }
    });
    Effect::new(move || {
        let entries = log.entries.read();
        let found = entries.iter().flatten().filter(|entry| !entry.who.is_empty()).map(|entry| entry.who.clone());
        let fresh: Vec<String> = names.with_untracked(|names| found.filter(|name| !names.contains(name)).collect());
        if !fresh.is_empty() {
            names.update(|names| names.extend(fresh));
        }
    });
    let is_chosen = move |name: &str| log.query.read().who.as_deref().unwrap_or_default() == name;
    view! {
        <select
            aria-label="Person or token"
            title="Only what this person or token did"
            on:change:target=move |event| {
                let who = Some(event.target().value()).filter(|who| !who.is_empty());
                log.change(|query| query.who = who);
            }
        >
            <option value="" prop:selected=move || is_chosen("")>"Everyone"</option>
            {move || names.get().into_iter().map(|name| {
                let (value, shown) = (name.clone(), isolated(&name));
                view! { <option value=value prop:selected=move || is_chosen(&name)>{shown}</option> }
            }).collect_view()}
        </select>
    }
}
