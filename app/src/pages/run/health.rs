//! The health line: how many rules check the run, and what they found. The findings themselves are in a part of the program
//! ([`super::details`]) that is loaded when there is one, or when the line is pressed.

use leptos::prelude::*;
use wire::diagnosis::Health;

use super::RunContext;
use super::details::{Detail, Loaded};
use crate::components::{Icon, clicks, says, shows};

/// The health line before the first step.
const UNCHECKED: &str = "Not checked yet";

/// The line, and below it the findings when it is pressed.
#[component]
pub(super) fn HealthPanel() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let shared = context.findings;
    let health = Memo::new(move |_| context.summary.read().health);
    // Once loaded, it stays: only it knows when its findings are dismissed or abandoned, and takes them from the line and the charts.
    let is_wanted = Memo::new(move |before: Option<&bool>| {
        let Health { notes, alerts, .. } = health.get();
        before == Some(&true) || notes + alerts > 0 || shared.is_open.get()
    });
    let line = says(move || {
        let counted = || health.get().sentence().unwrap_or_else(|| UNCHECKED.to_owned());
        shared.line.get().unwrap_or_else(counted)
    });
    let level = move || match health.get() {
        Health { alerts: 1.., .. } => "alert",
        Health { notes: 1.., .. } => "note",
        Health { checks: 0, .. } => "unchecked",
        _ => "healthy",
    };
    let icon = shows(move || match level() {
        "unchecked" => None,
        "healthy" => Some(view! { <Icon name="finished" /> }),
        _ => Some(view! { <Icon name="warning" /> }),
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
            {shows(move || is_wanted.get().then(|| view! { <Loaded detail=Detail::Findings has_placeholder=false /> }))}
        </section>
    }
}
