//! The keys of the X-ray page: arrows move through the snapshots, space plays them, Escape goes one level up. Text
//! fields, canvases and open dialogs keep their own keys.

use leptos::ev;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::Element;

use super::location::Location;
use super::state::XrayState;

/// Listens for as long as the page lives.
pub(super) fn listen(xray: XrayState) {
    let listener = window_event_listener(ev::keydown, move |event| {
        if !is_taken(&event) && press(xray, &event) {
            event.prevent_default();
        }
    });
    on_cleanup(move || listener.remove());
}

fn target(event: &ev::KeyboardEvent) -> Option<Element> {
    event.target().and_then(|target| target.dyn_into().ok())
}

/// Whether a control, a canvas or a dialog has the key. A slider has no use for the space bar.
fn is_taken(event: &ev::KeyboardEvent) -> bool {
    let is_slider = target(event).is_some_and(|at| at.matches("[type=range]") == Ok(true));
    let is_typing = crate::components::keyboard::is_typing(event) && !(is_slider && event.key() == " ");
    is_typing || event.default_prevented() || document().query_selector("dialog[open]").ok().flatten().is_some()
}

/// Whether the key did something.
fn press(xray: XrayState, event: &ev::KeyboardEvent) -> bool {
    let is_on_button = target(event).is_some_and(|at| matches!(at.tag_name().as_str(), "BUTTON" | "A" | "SUMMARY"));
    match event.key().as_str() {
        "ArrowLeft" => xray.step_by(-1),
        "ArrowRight" => xray.step_by(1),
        " " if !is_on_button => xray.playback.toggle(),
        "Escape" => match xray.location.with_untracked(Location::up) {
            Some(up) => xray.go(&up),
            None => return false,
        },
        _ => return false,
    }
    true
}
