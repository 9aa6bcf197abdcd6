//! Shows what the followed presenter shows, and notices when the reader looks around.

use std::time::Duration;

use leptos::ev;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::Element;
use wire::transport::presenting::PresenterState;

use super::Presenting;
use super::anchor::{place_of, upper_edge};
use crate::components::{Toasts, interval};
use crate::net::live::Connection;

/// A page is not complete when it is opened, and a live one grows: the position is corrected so often.
const SETTLE: Duration = Duration::from_millis(250);
/// Distance at which the position is corrected, pixels.
const SLACK: f64 = 3.0;
/// After a reconnection the presenter's page may come some seconds later.
const RETRY: Duration = Duration::from_secs(2);
const RETRY_FOR_MS: f64 = 30_000.0;

/// The state of following.
#[derive(Clone, Copy)]
pub(super) struct Follower {
    presenting: Presenting,
    toasts: Toasts,
    /// The path that was shown last, since following began or the reader has returned.
    path: StoredValue<Option<String>>,
    /// When the connection was opened, ms since 1970.
    connected_ms: StoredValue<f64>,
    /// The presenter's pointer in this window, pixels.
    pub(super) pointer: RwSignal<Option<(f64, f64)>>,
    /// Whether the presenter shows a page that this reader may not see.
    pub(super) is_hidden: RwSignal<bool>,
}

impl Follower {
    /// Follows for as long as the surrounding component lives.
    pub(super) fn start(presenting: Presenting) -> Self {
        let follower = Self {
            presenting,
            toasts: expect_context(),
            path: StoredValue::new(None),
            connected_ms: StoredValue::new(0.0),
            pointer: RwSignal::new(None),
            is_hidden: RwSignal::new(false),
        };
        follower.show_changes();
        follower.follow_end();
        follower.notice();
        interval::every(SETTLE, move || follower.settle());
        follower
    }

    /// Shows each state that arrives, and the newest one when the reader returns.
    fn show_changes(self) {
        let (live, presenting_view) = (self.presenting.live, self.presenting.view);
        Effect::new(move || {
            if !self.presenting.is_following() {
                if self.path.get_value().is_some() {
                    self.path.set_value(None);
                    self.pointer.set(None);
                    presenting_view.point(None);
                }
                return;
            }
            let followed = self.presenting.followed.read().as_ref().map(|followed| followed.id);
            if let Some((id, state)) = live.presentations.shown.get()
                && Some(id) == followed
            {
                untrack(|| self.show(&state));
            }
        });
    }

    fn show(self, state: &PresenterState) {
        self.is_hidden.set(state.path.is_none());
        let Some(path) = &state.path else { return self.pointer.set(None) };
        let view = self.presenting.view;
        if self.path.with_value(|shown| shown.as_ref() != Some(path)) {
            self.path.set_value(Some(path.clone()));
            view.show(path);
        }
        view.show_step(state.step);
        view.point(state.x);
        self.place(state);
    }

    /// Scrolls to where the presenter is, and moves the pointer.
    fn place(self, state: &PresenterState) {
        let by = match &state.scroll {
            None => -window().scroll_y().unwrap_or(0.0),
            Some(spot) => place_of(spot).map_or(0.0, |(_, y)| y - upper_edge()),
        };
        if by.abs() > SLACK {
            window().scroll_by_with_x_and_y(0.0, by);
        }
        let pointer = state.pointer.as_ref().and_then(place_of);
        if self.pointer.get_untracked() != pointer {
            self.pointer.set(pointer);
        }
    }

    fn settle(self) {
        if !untrack(|| self.presenting.is_following()) {
            return;
        }
        let shown = self.presenting.live.presentations.shown.get_untracked();
        if let Some((_, state)) = shown.filter(|(_, state)| state.path.is_some()) {
            // A page that was opened a moment ago has its step and its charts by now.
            self.presenting.view.show_step(state.step);
            self.presenting.view.point(state.x);
            self.place(&state);
        }
    }

    /// Leaves a presentation that has ended, unless this page was reconnected a moment ago: the presenter's may be, too.
    fn follow_end(self) {
        let (presenting, live) = (self.presenting, self.presenting.live);
        Effect::new(move || {
            if matches!(live.connection.get(), Connection::Open | Connection::Polling) {
                self.connected_ms.set_value(js_sys::Date::now());
            }
        });
        Effect::new(move || {
            let Some(ended) = live.presentations.ended.get() else { return };
            live.presentations.ended.set(None);
            let Some(followed) = presenting.followed.get_untracked().filter(|followed| followed.id == ended) else {
                return;
            };
            let connected_ms = self.connected_ms.get_value();
            let is_reconnected = followed.since_ms < connected_ms && js_sys::Date::now() - connected_ms < RETRY_FOR_MS;
            if is_reconnected {
                set_timeout(move || self.retry(ended), RETRY);
            } else {
                presenting.leave();
                self.toasts.say(format!("{} stopped presenting", followed.presenter));
            }
        });
    }

    fn retry(self, id: u64) {
        let followed = self.presenting.followed.try_get_untracked().flatten();
        if followed.is_some_and(|followed| followed.id == id) {
            self.presenting.live.follow(id);
        }
    }

    /// Notices what the reader does: then the page is theirs. Scrolling by this page is not among the events.
    fn notice(self) {
        let looks = move |event: &web_sys::Event| {
            if !is_in_bar(event) {
                self.presenting.pause(true);
            }
        };
        let listeners = [
            window_event_listener_untyped("wheel", move |event| looks(&event)),
            window_event_listener_untyped("touchmove", move |event| looks(&event)),
            window_event_listener_untyped("pointerdown", move |event| looks(&event)),
            window_event_listener_untyped("popstate", move |event| looks(&event)),
        ];
        let keys = window_event_listener(ev::keydown, move |event| {
            // Tab alone leads to the buttons of the bar.
            let is_quiet = matches!(event.key().as_str(), "Shift" | "Control" | "Alt" | "Meta" | "Tab");
            if is_leaving(&event) && untrack(|| self.presenting.followed.read().is_some()) {
                event.prevent_default();
                self.presenting.leave();
            } else if !is_quiet {
                looks(&event);
            }
        });
        on_cleanup(move || {
            listeners.into_iter().for_each(|listener| listener.remove());
            keys.remove();
        });
    }
}

/// Whether a key press leaves: Escape, where nothing is open that it closes.
fn is_leaving(event: &ev::KeyboardEvent) -> bool {
    let is_open = document().query_selector("dialog[open], .drawer, .menu-list").ok().flatten().is_some();
    event.key() == "Escape" && !event.default_prevented() && !is_open
}

/// Whether an event is one of the bar, whose buttons leave the page as it is.
fn is_in_bar(event: &web_sys::Event) -> bool {
    let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
    target.and_then(|target| target.closest(".presentation").ok().flatten()).is_some()
}
