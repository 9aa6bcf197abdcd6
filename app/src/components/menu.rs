//! A button that opens a short list of actions; Escape, a choice, or a press elsewhere closes it.

use leptos::ev;
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use super::Icon;

/// A menu; its children are buttons and links.
#[component]
pub(crate) fn Menu(
    /// Name of the menu: "Actions of amber-fox".
    label: String,
    children: ChildrenFn,
) -> impl IntoView {
    let is_open = RwSignal::new(false);
    let root = NodeRef::<html::Div>::new();
    let outside = window_event_listener(ev::pointerdown, move |event| {
        let target = event.target().and_then(|target| target.dyn_into::<web_sys::Node>().ok());
        let is_inside = root.get_untracked().is_some_and(|root| root.contains(target.as_ref()));
        if !is_inside && is_open.get_untracked() {
            is_open.set(false);
        }
    });
    on_cleanup(move || outside.remove());
    let close_on_escape = move |event: ev::KeyboardEvent| {
        if event.key() == "Escape" && is_open.get_untracked() {
            event.stop_propagation();
            is_open.set(false);
        }
    };
    view! {
        <div class="menu" node_ref=root on:keydown=close_on_escape>
            <button
                class="quiet icon-only"
                aria-label=label.clone()
                title=label
                aria-haspopup="true"
                aria-expanded=move || is_open.get().to_string()
                on:click=move |_| is_open.update(|open| *open = !*open)
            >
                <Icon name="more" />
            </button>
            <Show when=move || is_open.get()>
                <div class="menu-list" on:click=move |_| is_open.set(false)>
                    {children()}
                </div>
            </Show>
        </div>
    }
}
