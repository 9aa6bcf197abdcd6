//! The layout for a projector: larger text and charts, without secondary panels. The choice is stored in this browser; the style sheet
//! `share.css` has the layout.

use leptos::prelude::*;

const KEY: &str = "kindling.projector";

/// The windows in which the layout has an effect, as in the style sheet.
const WIDE: &str = "(min-width: 961px)";

/// How much larger charts are drawn than on a screen on a desk.
const SCALE: f64 = 1.5;

/// The layout, in the context of all components.
#[derive(Clone, Copy)]
pub(crate) struct Projector {
    /// Whether it is on.
    pub(crate) is_on: RwSignal<bool>,
}

impl Projector {
    /// Reads the stored choice, and applies every change to the document and the storage.
    pub(crate) fn start() -> Self {
        let stored = storage().and_then(|storage| storage.get_item(KEY).ok().flatten());
        let projector = Self { is_on: RwSignal::new(stored.as_deref() == Some("on")) };
        Effect::new(move || write(projector.is_on.get()));
        projector
    }

    /// Turns it on or off.
    pub(crate) fn toggle(self) {
        self.is_on.update(|is_on| *is_on = !*is_on);
    }

    /// Size of what charts draw, relative to their usual size.
    pub(crate) fn scale(self) -> f64 {
        if self.is_on.get() && is_wide() { SCALE } else { 1.0 }
    }
}

/// Whether the window is one in which the layout has an effect.
fn is_wide() -> bool {
    window().match_media(WIDE).ok().flatten().is_some_and(|query| query.matches())
}

fn write(is_on: bool) {
    if let Some(root) = document().document_element() {
        let _ = root.toggle_attribute_with_force("data-projector", is_on);
    }
    // Without storage the choice lasts until the page is closed.
    let _ = storage().map(|storage| match is_on {
        true => storage.set_item(KEY, "on"),
        false => storage.remove_item(KEY),
    });
}

fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}
