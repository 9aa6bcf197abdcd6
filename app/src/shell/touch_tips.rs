//! Explanations on touch screens, where no pointer can rest on an element: a tap on a label, a field or a value shows its tooltip, and on a
//! button or link a long press does. A link also keeps the menu of the browser, with which it can be opened in another tab.

use leptos::ev;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use crate::components::shows;

/// Elements whose tap does something else.
const PRESSED: &str = "a, button, summary";
const LINK: &str = "a[href]";

/// The explanation that was asked for last, until the next touch.
#[component]
pub(super) fn TouchTips() -> impl IntoView {
    let shown = RwSignal::new(None::<String>);
    // A click does not say everywhere whether a finger or a mouse caused it.
    let is_touch = StoredValue::new(false);
    let pressed = window_event_listener(ev::pointerdown, move |event| {
        is_touch.set_value(event.pointer_type() == "touch");
        shown.set(None);
    });
    let tapped = window_event_listener(ev::click, move |event| {
        if is_touch.get_value() {
            shown.set(explanation(&event, |target| !is_within(target, PRESSED)));
        }
    });
    let held = window_event_listener(ev::contextmenu, move |event| {
        if !is_touch.get_value() {
            return;
        }
        let found = explanation(&event, |target| is_within(target, PRESSED));
        if found.is_some() {
            if !target_of(&event).is_some_and(|target| is_within(&target, LINK)) {
                event.prevent_default();
            }
            shown.set(found);
        }
    });
    on_cleanup(move || [pressed, tapped, held].into_iter().for_each(|listener| listener.remove()));
    shows(move || shown.get().map(|text| view! { <p class="touch-tip" role="status">{text}</p> }))
}

/// The tooltip at the target of an event, if it is wanted there.
fn explanation(event: &web_sys::Event, is_wanted: impl Fn(&web_sys::Element) -> bool) -> Option<String> {
    let target = target_of(event).filter(is_wanted)?;
    let explained = target.closest("[title]").ok().flatten()?;
    explained.get_attribute("title").filter(|text| !text.trim().is_empty())
}

fn target_of(event: &web_sys::Event) -> Option<web_sys::Element> {
    event.target()?.dyn_into::<web_sys::Element>().ok()
}

fn is_within(target: &web_sys::Element, selector: &str) -> bool {
    target.closest(selector).is_ok_and(|found| found.is_some())
}
