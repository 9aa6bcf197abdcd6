//! The size of an element and whether it is visible, as signals: what is drawn on a canvas depends on both. What is not on the screen is
//! drawn as well, but less often, so that a page that is printed or captured as a whole has no empty chart.

use std::time::Duration;

use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::prelude::*;

/// Time between two drawings of an element that is not on the screen.
const HIDDEN_EVERY_MS: f64 = 2_000.0;

/// Width and height in CSS pixels, and whether any part is visible.
#[derive(Clone, Copy)]
pub(crate) struct Observed {
    /// Width and height in CSS pixels; 0 until it is measured.
    pub(crate) size: RwSignal<(f64, f64)>,
    /// Whether any part of it is on the screen.
    pub(crate) is_visible: RwSignal<bool>,
    /// Notified when a drawing that was put off is due.
    later: Trigger,
    /// When the last drawing off the screen began, and whether the next is waited for.
    hidden: StoredValue<(f64, bool)>,
}

impl Observed {
    /// Whether to draw now: always on the screen, else if the last drawing is long enough ago. If not, the effect that asks runs again
    /// when it is.
    pub(crate) fn is_due(self) -> bool {
        self.later.track();
        if self.is_visible.get() {
            return true;
        }
        // Not laid out yet.
        if self.size.get().0 == 0.0 {
            return false;
        }
        let (drawn_ms, is_waiting) = self.hidden.get_value();
        let wait_ms = drawn_ms + HIDDEN_EVERY_MS - js_sys::Date::now();
        if wait_ms <= 0.0 {
            self.hidden.set_value((js_sys::Date::now(), is_waiting));
            return true;
        }
        if !is_waiting {
            self.hidden.set_value((drawn_ms, true));
            set_timeout(move || self.retry(), Duration::from_millis(wait_ms as u64 + 1));
        }
        false
    }

    fn retry(self) {
        if self.hidden.try_update_value(|hidden| hidden.1 = false).is_some() {
            self.later.notify();
        }
    }
}

/// Observes an element until the surrounding component goes. With `with_parent`, its parent counts as visible instead
/// of itself.
pub(crate) fn observe(element: NodeRef<html::Div>, with_parent: bool) -> Observed {
    let observed = Observed {
        size: RwSignal::new((0.0, 0.0)),
        is_visible: RwSignal::new(false),
        later: Trigger::new(),
        hidden: StoredValue::new((0.0, false)),
    };
    let Observed { size, is_visible, .. } = observed;
    Effect::new(move || {
        let Some(element) = element.get() else { return };
        let measured = element.clone();
        let on_size = Closure::<dyn Fn()>::new(move || {
            let now = (f64::from(measured.client_width()), f64::from(measured.client_height()));
            if size.try_get_untracked().is_some_and(|known| known != now) {
                size.set(now);
            }
        });
        let on_visible = Closure::<dyn Fn(js_sys::Array)>::new(move |entries: js_sys::Array| {
            let last = entries.iter().last().map(JsCast::unchecked_into::<web_sys::IntersectionObserverEntry>);
            is_visible.try_set(last.is_some_and(|entry| entry.is_intersecting()));
        });
        let sizes = web_sys::ResizeObserver::new(on_size.as_ref().unchecked_ref()).ok();
        let visibility = web_sys::IntersectionObserver::new(on_visible.as_ref().unchecked_ref()).ok();
        sizes.iter().for_each(|sizes| sizes.observe(&element));
        let parent = element.parent_element().filter(|_| with_parent);
        let seen = parent.unwrap_or_else(|| (*element).clone().into());
        visibility.iter().for_each(|visibility| visibility.observe(&seen));
        // The observers call the closures, so they are dropped together.
        let held = StoredValue::new_local((sizes, visibility, on_size, on_visible));
        on_cleanup(move || {
            held.with_value(|(sizes, visibility, ..)| {
                sizes.iter().for_each(web_sys::ResizeObserver::disconnect);
                visibility.iter().for_each(web_sys::IntersectionObserver::disconnect);
            });
        });
    });
    observed
}
