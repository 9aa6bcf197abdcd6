//! The keys of the page. The shell lists them.

use leptos::ev;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wire::{Command, LivePath};

use super::command::pause_or_resume;
use super::drawer::toggled;
use super::schedule_edit;
use super::{Drawer, RunContext};

/// Listens to the keys of this page, except while a text field has the focus; a focused button keeps its own space key.
pub(super) fn listen_to_keys(context: RunContext) {
    let listener = window_event_listener(ev::keydown, move |event| {
        if !is_taken(&event) && press(context, event.key().as_str()) {
            event.prevent_default();
        }
    });
    on_cleanup(move || listener.remove());
}

fn is_taken(event: &ev::KeyboardEvent) -> bool {
    let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
    let tag = target.as_ref().map(web_sys::Element::tag_name).unwrap_or_default();
    let is_field = matches!(tag.as_str(), "INPUT" | "TEXTAREA" | "SELECT");
    let is_pressed = matches!(tag.as_str(), "BUTTON" | "A" | "SUMMARY") && event.key() == " ";
    let shows = |selector| document().query_selector(selector).ok().flatten().is_some();
    let has_dialog = shows("dialog[open]");
    let is_escape = event.key() == "Escape";
    // Keys that are meant for a form that is still loading do nothing.
    let is_loading = !is_escape && shows(".drawer .skeleton");
    event.default_prevented()
        || event.repeat()
        || event.ctrl_key()
        || event.meta_key()
        || event.alt_key()
        || is_pressed
        || has_dialog
        || is_loading
        || (is_field && !is_escape)
}

/// Handles a key of this page. Returns whether it was handled.
fn press(context: RunContext, key: &str) -> bool {
    let learning_rate = Drawer::Hyperparameter(LivePath::LEARNING_RATE);
    match key {
        " " => pause_or_resume(context),
        "." => context.send(Command::Step { steps: 1 }),
        "l" => context.drawer.update(|drawer| *drawer = toggled(*drawer, learning_rate)),
        "e" => context.send(Command::Evaluate),
        "s" => context.drawer.update(|drawer| *drawer = toggled(*drawer, Drawer::Sample)),
        "c" => context.save(),
        "f" => open_drawer(context, Drawer::Fork),
        "b" => open_drawer(context, Drawer::Rollback),
        "u" => open_drawer(context, Drawer::Undo),
        "r" => schedule_edit::toggle(context),
        "Escape" if context.drawer.get_untracked().is_none() && context.draft.with_untracked(Option::is_some) => {
            schedule_edit::leave(context)
        }
        "Escape" => context.drawer.set(None),
        _ => return false,
    }
    true
}

/// Opens a form that needs a checkpoint, without a selected one.
fn open_drawer(context: RunContext, drawer: Drawer) {
    context.chosen.set(None);
    context.drawer.update(|open| *open = toggled(*open, drawer));
}
