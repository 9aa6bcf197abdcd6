//! A list to choose from whose entries can change while it is shown.

use leptos::html;
use leptos::prelude::*;

/// A list of entries, each a value and its text.
///
/// When an entry is added before the selected one, the browser keeps the position of the selection and not its value, so the list would show
/// another entry than the one that is sent. The value is therefore set again after each change of the entries.
#[component]
pub(crate) fn Select(
    /// Value and text of each entry.
    #[prop(into)]
    entries: Signal<Vec<(String, String)>>,
    /// The value of the selected entry.
    #[prop(into)]
    chosen: Signal<String>,
    /// Called with the value of the entry that the user selects.
    choose: impl Fn(String) + 'static,
) -> impl IntoView {
    let list = NodeRef::<html::Select>::new();
    Effect::new(move || {
        // Read, not only tracked: a memo that nobody reads is never computed, and never changes.
        entries.with(|_| ());
        let chosen = chosen.get();
        // In the next frame, when the entries are in the document.
        request_animation_frame(move || {
            if let Some(list) = list.try_get_untracked().flatten() {
                list.set_value(&chosen);
            }
        });
    });
    view! {
        <select node_ref=list on:change:target=move |event| choose(event.target().value())>
            <For each=move || entries.get() key=Clone::clone let((value, text))>
                <option value=value.clone() selected=chosen.get_untracked() == value>{text}</option>
            </For>
        </select>
    }
}
