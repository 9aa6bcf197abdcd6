//! A group of switches of which one is on.

use leptos::prelude::*;

use super::clicks;

/// Switches that set a signal, each with its value, word and meaning. `label` names the group for screen readers.
pub(crate) fn switches<T: Copy + PartialEq + Send + Sync + 'static>(
    label: &'static str,
    entries: &[(T, &'static str, &'static str)],
    chosen: RwSignal<T>,
) -> AnyView {
    let switch = |&(value, word, meaning): &(T, &'static str, &'static str)| {
        view! {
            <button
                class="switch"
                title=meaning
                aria-pressed=move || (chosen.get() == value).to_string()
                on:click=clicks(move |_| chosen.set(value))
            >
                {word}
            </button>
        }
    };
    let switches = entries.iter().map(switch).collect_view();
    view! { <div class="range" role="group" aria-label=label>{switches}</div> }.into_any()
}
