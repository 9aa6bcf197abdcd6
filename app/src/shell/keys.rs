//! The keys that work on every page, and the list of all keys.

use leptos::ev;
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use crate::components::keyboard::is_typing;
use crate::route::Router;

const DIALOG_ID: &str = "key-help";

/// Every key by the page on which it works. The Run page and the X-ray page handle their own.
const KEYS: [(&str, &[(&str, &str)]); 5] = [
    ("On every page", &[("?", "keyboard shortcuts"), ("/", "search runs"), ("n", "new run"), ("h", "Lab page")]),
    (
        "Run page",
        &[
            ("space", "pause or resume"),
            (".", "train one step and pause"),
            ("l", "learning rate"),
            ("e", "evaluate"),
            ("s", "sample"),
            ("c", "checkpoint"),
            ("f", "fork"),
            ("b", "roll back"),
            ("u", "undo the last change"),
            ("r", "edit the learning-rate schedule"),
            ("Esc", "close the open form"),
        ],
    ),
    (
        "On a chart",
        &[
            ("← →", "move the crosshair"),
            ("+ −", "zoom in, zoom out"),
            ("Shift ← →", "move the view"),
            ("0", "show everything"),
        ],
    ),
    (
        "On a point of the edited schedule",
        &[("arrows", "move it"), ("Shift", "move it further"), ("Del", "remove it"), ("+", "add one after it")],
    ),
    (
        "X-ray page",
        &[
            ("← →", "previous, next snapshot"),
            ("space", "play the snapshots"),
            ("Esc", "one level up"),
            ("arrows", "move in the selected drawing"),
            ("+ − 0", "on a matrix: zoom in, zoom out, show everything"),
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
    let router = expect_context::<Router>();
    let dialog = NodeRef::<html::Dialog>::new();
    let listener = window_event_listener(ev::keydown, move |event| {
        if is_typing(&event) || event.default_prevented() {
            return;
        }
        match event.key().as_str() {
            "?" => open_help(),
            "n" => router.go("/start"),
            "h" => router.go("/"),
            "/" => {
                event.prevent_default();
                router.go("/");
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
