//! What the rules found in a run, as a mark in lists of runs: an icon and a word, with the numbers in the tooltip.

use leptos::prelude::*;
use wire::diagnosis::Health;

use super::Icon;
use super::number::counted;

/// The levels of findings: a note of a person is another thing.
const LEVELS: &str = "A note is worth knowing. An alert needs action: the run is failing, its result is wrong, or it wastes much of its \
                      training.";

/// The mark of a run.
#[component]
pub(crate) fn HealthMark(health: Health) -> impl IntoView {
    let (level, icon, text) = match health {
        Health { checks: 0, .. } => return unchecked(),
        Health { alerts: 0, notes: 0, .. } => ("healthy", "finished", "healthy".to_owned()),
        Health { alerts: 0, notes, .. } => ("note", "flag", counted(notes.into(), "note")),
        Health { alerts, .. } => ("alert", "warning", counted(alerts.into(), "alert")),
    };
    let title = health.sentence().map(|sentence| format!("{sentence}. {LEVELS}"));
    view! {
        <span class="health-mark" data-level=level title=title>
            <Icon name=icon />
            {text}
        </span>
    }
    .into_any()
}

fn unchecked() -> AnyView {
    view! { <span class="dim" title="No rule has checked this run yet">"–"</span> }.into_any()
}
