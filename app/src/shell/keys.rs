//! The keys that work on every page, and the list of all keys.

use leptos::ev;
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use crate::base::at;
use crate::components::keyboard::{has_dialog, is_typing};
use crate::projector::Projector;
use crate::route::Router;

const DIALOG_ID: &str = "key-help";

/// Every key by the page on which it works. The Run page and the X-ray page handle their own.
const KEYS: [(&str, &[(&str, &str)]); 6] = [
    (
        "On every page",
        &[
            ("?", "Show this list"),
            ("/", "Search runs"),
            ("n", "Set up a new run"),
            ("h", "Open the Lab page"),
            ("Shift + A", "Open or close the assistant"),
            ("Shift + P", "Present this page, or stop presenting"),
            ("Shift + L", "Layout for a projector, on or off"),
            ("Esc", "Stop following a presentation"),
        ],
    ),
    (
        "Run page",
        &[
            ("Space", "Pause or resume"),
            (".", "Train one step, then pause"),
            ("l", "Set the learning rate"),
            ("e", "Evaluate the validation loss"),
            ("s", "Generate a sample"),
            ("c", "Save a checkpoint"),
            ("f", "Fork the run"),
            ("b", "Roll back to a checkpoint"),
            ("u", "Undo the last change"),
            ("r", "Edit the learning-rate schedule"),
            ("Esc", "Close the open form"),
        ],
    ),
    (
        "Approvals page",
        &[
            ("j k", "Next, previous proposal"),
            ("a", "Go to Approve; Enter presses it"),
            ("e", "Go to Edit"),
            ("r", "Go to Reject"),
            ("Esc", "Close the open form"),
        ],
    ),
    (
        "On a chart",
        &[
            ("← →", "Move the crosshair"),
            ("+ −", "Zoom in, zoom out"),
            ("Shift + ← →", "Move the view"),
            ("0", "Show everything"),
        ],
    ),
    (
        "On a point of the edited schedule",
        &[
            ("← → ↑ ↓", "Move the point"),
            ("Shift + arrow", "Move the point 10 times as far"),
            ("Del", "Remove the point"),
            ("+", "Insert a point after it"),
        ],
    ),
    (
        "X-ray page",
        &[
            ("← →", "Previous, next snapshot"),
            ("Space", "Play the snapshots"),
            ("Esc", "Go one level up"),
            ("← → ↑ ↓", "Move in the focused chart or matrix"),
            ("+ − 0", "On a matrix: zoom in, zoom out, show everything"),
        ],
    ),
];

/// Opens the list of keys.
pub(super) fn open_help() {
    let dialog =
        document().get_element_by_id(DIALOG_ID).and_then(|dialog| dialog.dyn_into::<web_sys::HtmlDialogElement>().ok());
    if let Some(dialog) = dialog.filter(|dialog| !dialog.open()) {
        let _ = dialog.show_modal();
    }
}

/// The list of keys; also listens for the keys that work on every page.
#[component]
pub(super) fn KeyHelp() -> impl IntoView {
    let (router, projector) = (expect_context::<Router>(), expect_context::<Projector>());
    let dialog = NodeRef::<html::Dialog>::new();
    let listener = window_event_listener(ev::keydown, move |event| {
        if is_typing(&event) || event.default_prevented() || has_dialog() {
            return;
        }
        match event.key().as_str() {
            "?" => open_help(),
            "n" => router.go(&at("/start")),
            "h" => router.go(&at("/")),
            "L" => projector.toggle(),
            "/" => {
                event.prevent_default();
                router.go(&at("/"));
                request_animation_frame(|| {
                    let search = document()
                        .get_element_by_id("run-search")
                        .and_then(|search| search.dyn_into::<web_sys::HtmlElement>().ok());
                    let _ = search.map(|search| search.focus());
                });
            }
            _ => {}
        }
    });
    on_cleanup(move || listener.remove());
    let close = move |_| {
        if let Some(dialog) = dialog.get() {
            dialog.close();
        }
    };
    view! {
        <dialog id=DIALOG_ID node_ref=dialog class="keys" aria-labelledby="keys-title">
            <h2 id="keys-title">"Keyboard shortcuts"</h2>
            {KEYS.iter().map(|(place, keys)| view! {
                <h3>{*place}</h3>
                <dl>
                    {keys.iter().map(|(key, does)| view! {
                        <div><dt><kbd>{*key}</kbd></dt><dd>{*does}</dd></div>
                    }).collect_view()}
                </dl>
            }).collect_view()}
            <div class="row end"><button autofocus on:click=close>"Close"</button></div>
        </dialog>
    }
}
