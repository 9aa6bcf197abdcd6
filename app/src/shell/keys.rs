//! The keys that work everywhere, and the list of all keys.

use leptos::ev;
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use crate::route::Router;

const DIALOG_ID: &str = "key-help";

/// Every key, by where it works. The Run page handles its own.
const KEYS: [(&str, &[(&str, &str)]); 4] = [
    ("Everywhere", &[("?", "this list"), ("/", "search the runs"), ("n", "new run"), ("h", "to the Lab")]),
    (
        "On a run",
        &[
            ("space", "pause or resume"),
            (".", "one step, then hold"),
            ("l", "learning rate"),
            ("e", "evaluate now"),
            ("s", "sample now"),
            ("c", "checkpoint now"),
            ("f", "fork"),
            ("b", "roll back"),
            ("u", "undo the last change"),
            ("r", "draw the rate ahead"),
            ("Esc", "close what is open"),
        ],
    ),
    (
        "In the X-ray",
        &[
            ("← →", "the kept step before, after"),
            ("space", "play the kept steps"),
            ("Esc", "one level up"),
            ("arrows", "on a picture: go through it"),
            ("+ − 0", "on a matrix: closer, further, all"),
        ],
    ),
    (
        "On a point of the drawn rate",
        &[("arrows", "move it"), ("shift", "further"), ("Del", "take it away"), ("+", "add one after it")],
    ),
];

/// Whether the person is typing, so that a letter is text and not a command.
pub(crate) fn is_typing(event: &ev::KeyboardEvent) -> bool {
    let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
    let is_text = target.is_some_and(|target| matches!(target.tag_name().as_str(), "INPUT" | "TEXTAREA" | "SELECT"));
    is_text || event.ctrl_key() || event.meta_key() || event.alt_key()
}

/// Opens the list.
pub(super) fn open_help() {
    let dialog =
        document().get_element_by_id(DIALOG_ID).and_then(|dialog| dialog.dyn_into::<web_sys::HtmlDialogElement>().ok());
    if let Some(dialog) = dialog.filter(|dialog| !dialog.open()) {
        let _ = dialog.show_modal();
    }
}

/// The list of keys, closed until `?`; also listens for the keys that work everywhere.
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
            <h2 id="keys-title">"Keys"</h2>
            {KEYS.iter().map(|(place, keys)| view! {
                <h3>{*place}</h3>
                <dl>
                    {keys.iter().map(|(key, does)| view! { <div><dt><kbd>{*key}</kbd></dt><dd>{*does}</dd></div> }).collect_view()}
                </dl>
            }).collect_view()}
            <div class="row end"><button autofocus on:click=close>"Close"</button></div>
        </dialog>
    }
}
