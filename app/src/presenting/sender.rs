//! Sends what this page shows while it presents: when something has changed, and at most 20 times a second.

use std::time::Duration;

use leptos::ev;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wire::access::address::MAX_ADDRESS_CHARS;
use wire::transport::presenting::PresenterState;

use super::Presenting;
use super::anchor::{covered_spot_at, spot_at, upper_edge};

/// Shortest time between two messages.
const EVERY: Duration = Duration::from_millis(50);

/// What was sent last, and what is to be sent.
#[derive(Clone, Copy)]
struct Sender {
    presenting: Presenting,
    /// The pointer in the window, pixels.
    pointer: StoredValue<Option<(f64, f64)>>,
    last: StoredValue<Option<PresenterState>>,
    /// Whether a message was sent within [`EVERY`], and whether something has changed since.
    waits: StoredValue<(bool, bool)>,
}

/// Sends for as long as the page lives, while it presents.
pub(super) fn start(presenting: Presenting) {
    let sender = Sender {
        presenting,
        pointer: StoredValue::new(None),
        last: StoredValue::new(None),
        waits: StoredValue::new((false, false)),
    };
    Effect::new(move || {
        if presenting.own.read().is_none() {
            sender.last.set_value(None);
            return;
        }
        let view = presenting.view;
        let _ = (view.path(), view.step(), view.crosshair());
        sender.change();
    });
    let listeners = [
        window_event_listener(ev::pointermove, move |event| {
            sender.point(Some((event.client_x().into(), event.client_y().into())));
        }),
        window_event_listener(ev::pointerdown, move |event| {
            sender.point(Some((event.client_x().into(), event.client_y().into())));
        }),
    ];
    let others = [
        window_event_listener_untyped("scroll", move |_| sender.change()),
        window_event_listener_untyped("resize", move |_| sender.change()),
        window_event_listener_untyped("mouseout", move |event| {
            // Out of the window, not only of an element.
            let is_gone = event.dyn_ref::<web_sys::MouseEvent>().is_some_and(|event| event.related_target().is_none());
            if is_gone {
                sender.point(None);
            }
        }),
    ];
    on_cleanup(move || {
        listeners.into_iter().for_each(|listener| listener.remove());
        others.into_iter().for_each(|listener| listener.remove());
    });
}

impl Sender {
    fn point(self, at: Option<(f64, f64)>) {
        if self.pointer.try_set_value(at).is_none() {
            self.change();
        }
    }

    /// Something has changed: sends it, at once or when the time has passed.
    fn change(self) {
        if self.presenting.own.try_get_untracked().flatten().is_none() {
            return;
        }
        match self.waits.get_value() {
            (true, _) => self.waits.set_value((true, true)),
            (false, _) => {
                self.waits.set_value((true, false));
                self.send();
                set_timeout(move || self.passed(), EVERY);
            }
        }
    }

    fn passed(self) {
        if let Some((_, is_changed)) = self.waits.try_get_value() {
            self.waits.set_value((false, false));
            if is_changed {
                self.change();
            }
        }
    }

    fn send(self) {
        let Some(presentation) = self.presenting.own.get_untracked() else { return };
        let state = untrack(|| self.state());
        if self.last.with_value(|last| last.as_ref() != Some(&state)) {
            self.last.set_value(Some(state.clone()));
            self.presenting.live.present(presentation, state);
        }
    }

    fn state(self) -> PresenterState {
        let view = self.presenting.view;
        let is_at_top = window().scroll_y().unwrap_or(0.0) <= 1.0;
        let middle = window().inner_width().ok().and_then(|width| width.as_f64()).unwrap_or(0.0) / 2.0;
        let scroll = (!is_at_top).then(|| covered_spot_at(middle, upper_edge())).flatten();
        let pointer = self.pointer.get_value().and_then(|(x, y)| spot_at(x, y));
        PresenterState { path: Some(shortened(view.path())), step: view.step(), x: view.crosshair(), scroll, pointer }
    }
}

/// A path that the server accepts: one with a long prompt is sent without its query.
fn shortened(path: String) -> String {
    match path.len() > MAX_ADDRESS_CHARS {
        true => path.split('?').next().unwrap_or_default().to_owned(),
        false => path,
    }
}
