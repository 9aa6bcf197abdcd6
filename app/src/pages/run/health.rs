//! The health line: how many rules check the run, and what they found. The findings themselves are in a part of the program
//! ([`super::findings`]) that is loaded when there is one, or when the line is pressed.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::diagnosis::Health;

use super::RunContext;
use super::findings::{Build, load};
use crate::components::{Icon, Toasts, clicks, says, shows};

/// The health line before the first step.
const UNCHECKED: &str = "Not checked yet";
const NOT_LOADED: &str = "The findings could not be loaded. Reload the page: the server may have been updated.";

/// The line, and below it the findings when it is pressed.
#[component]
pub(super) fn HealthPanel() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let toasts = expect_context::<Toasts>();
    let shared = context.findings;
    let health = Memo::new(move |_| context.summary.read().health);
    let is_wanted = Memo::new(move |_| {
        let Health { notes, alerts, .. } = health.get();
        notes + alerts > 0 || shared.is_open.get()
    });
    let built = RwSignal::new_local(None::<Build>);
    Effect::new(move || {
        // A press on the line tries again where the part could not be loaded.
        let is_due = is_wanted.get() | shared.is_open.get();
        if !is_due || built.with_untracked(Option::is_some) {
            return;
        }
        spawn_local(async move {
            match load().await {
                Ok(build) => drop(built.try_set(Some(build))),
                Err(_) => toasts.say(NOT_LOADED),
            }
        });
    });
    let line = says(move || {
        let counted = || health.get().sentence().unwrap_or_else(|| UNCHECKED.to_owned());
        shared.line.get().unwrap_or_else(counted)
    });
    let level = move || match health.get() {
        Health { alerts: 1.., .. } => "alert",
        Health { notes: 1.., .. } => "note",
        _ => "healthy",
    };
    let icon = shows(move || match level() {
        "healthy" => view! { <Icon name="finished" /> },
        _ => view! { <Icon name="warning" /> },
    });
    view! {
        <section class="panel health" aria-label="Health">
            <button
                class="quiet health-line"
                data-level=level
                aria-expanded=says(move || shared.is_open.get().to_string())
                title="Rules check each step of the run. Show what they found, what to do about it, and the settings of the rules."
                on:click=clicks(move |_| shared.is_open.update(|is_open| *is_open = !*is_open))
            >
                {icon}
                <span class="grow">{line}</span>
            </button>
            {shows(move || built.get().map(|build| build(())))}
        </section>
    }
}
