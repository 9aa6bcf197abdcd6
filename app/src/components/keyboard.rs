//! Which key presses belong to a text field and which are commands.

use leptos::ev;
use wasm_bindgen::JsCast;

/// Whether a key press is text input or a shortcut of the browser, so that it is not a command of the page.
pub(crate) fn is_typing(event: &ev::KeyboardEvent) -> bool {
    let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
    let is_text = target.is_some_and(|target| matches!(target.tag_name().as_str(), "INPUT" | "TEXTAREA" | "SELECT"));
    is_text || event.ctrl_key() || event.meta_key() || event.alt_key()
}

/// Whether a dialog is open, which has the keys then.
pub(crate) fn has_dialog() -> bool {
    leptos::prelude::document().query_selector("dialog[open]").ok().flatten().is_some()
}
