//! The connection of the page to the server: its state, the attempts to open it, and the heartbeat that it must deliver.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;

use super::socket::Socket;
use super::{Live, SILENCE_MS, State, later, now_ms};
use crate::net::api;

/// As [`SILENCE_MS`], for a page that becomes visible again.
const RETURN_SILENCE_MS: f64 = 2_500.0;
/// Sockets in a row without a message after which the page polls.
const FAILURES: u32 = 2;
/// Shortest and longest wait between attempts.
const FIRST_WAIT_MS: f64 = 250.0;
const LONGEST_WAIT_MS: f64 = 8_000.0;

/// The state of the socket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Connection {
    /// Not open yet.
    Connecting {
        /// Attempts so far.
        retry: u32,
    },
    Open,
    /// No socket can be opened, and the page polls.
    Polling,
    /// It was open and is closed.
    Lost {
        /// Attempts since then.
        retry: u32,
        /// Time of the last message, ms since 1970.
        since_ms: i64,
    },
}

impl Live {
    /// The next attempt: a socket, or polls where sockets delivered nothing.
    fn attempt(self) {
        let fails = |state: &mut State| {
            let fails = state.failures >= FAILURES;
            if fails {
                // Should the polls fail too, the next attempt is a socket again.
                state.failures = 0;
            }
            fails
        };
        if self.with_state(fails) == Some(true) { self.poll() } else { self.open() }
    }

    /// Opens a socket and replaces the previous one.
    pub(super) fn open(self) {
        let Some(fresh) = Socket::open(
            move || self.opened(),
            move |event| {
                self.with_state(|state| state.failures = 0);
                self.received(&event);
            },
            move || self.closed(),
        ) else {
            return;
        };
        let old = self.with_state(|state| {
            state.last_message_ms = now_ms();
            state.next_attempt = None;
            state.socket.replace(fresh)
        });
        // One of its closures may be running now: it is dropped after it has returned.
        later(move || drop(old));
    }

    /// Sends all requests.
    fn opened(self) {
        self.presentations.forget();
        self.connection.set(Connection::Open);
        for message in self.with_state(State::connected).unwrap_or_default() {
            self.send(&message);
        }
    }

    /// The socket is closed: plans the next attempt, each later than the previous one.
    pub(super) fn closed(self) {
        let planned = self.with_state(|state| {
            if state.is_closed || state.next_attempt.is_some() {
                return None;
            }
            state.retry += 1;
            state.failures += 1;
            Some((state.retry, state.last_message_ms))
        });
        let Some((retry, last_message_ms)) = planned.flatten() else { return };
        // A socket does not say why it was closed. If this browser is no longer signed in, any request is answered with
        // 401, and the shell then shows the sign-in page.
        spawn_local(async { drop(api::me().await) });
        self.connection.update(|connection| {
            *connection = match *connection {
                Connection::Connecting { .. } => Connection::Connecting { retry },
                Connection::Open | Connection::Polling => Connection::Lost { retry, since_ms: last_message_ms as i64 },
                Connection::Lost { since_ms, .. } => Connection::Lost { retry, since_ms },
            }
        });
        let longest = (FIRST_WAIT_MS * 2f64.powi(retry.min(16) as i32 - 1)).min(LONGEST_WAIT_MS);
        // Many pages lose a server at the same time; they should not all reconnect at the same time.
        let wait_ms = longest * (0.6 + 0.4 * js_sys::Math::random());
        let next_attempt = set_timeout_with_handle(move || self.attempt(), Duration::from_millis(wait_ms as u64)).ok();
        self.with_state(|state| state.next_attempt = next_attempt);
    }

    /// Tries now instead of after the wait.
    fn retry_now(self) {
        let is_needed = self.with_state(|state| {
            if let Some(waiting) = state.next_attempt.take() {
                waiting.clear();
                return true;
            }
            false
        });
        if is_needed == Some(true) {
            self.attempt();
        } else {
            self.close_silent(RETURN_SILENCE_MS);
        }
    }

    /// Closes a socket that has been silent for this long.
    fn close_silent(self, silence_ms: f64) {
        let dead = self.with_state(|state| {
            let is_silent = state.next_attempt.is_none() && now_ms() - state.last_message_ms > silence_ms;
            if is_silent { state.socket.take() } else { None }
        });
        if dead.flatten().is_some() {
            self.closed();
        }
    }

    /// Watches the heartbeat, and the moments at which the page becomes visible or online.
    pub(super) fn watch(self) {
        let beat = set_interval_with_handle(move || self.close_silent(SILENCE_MS), Duration::from_secs(1)).ok();
        let online = window_event_listener_untyped("online", move |_| self.retry_now());
        let shown = window_event_listener_untyped("pageshow", move |_| self.retry_now());
        let on_sight = Closure::<dyn Fn()>::new(move || {
            if document().visibility_state() == web_sys::VisibilityState::Visible {
                self.retry_now();
            }
        });
        let _ = document().add_event_listener_with_callback("visibilitychange", on_sight.as_ref().unchecked_ref());
        let on_sight = StoredValue::new_local(on_sight);
        on_cleanup(move || {
            if let Some(beat) = beat {
                beat.clear();
            }
            online.remove();
            shown.remove();
            on_sight.with_value(|on_sight| {
                let _ = document()
                    .remove_event_listener_with_callback("visibilitychange", on_sight.as_ref().unchecked_ref());
            });
            let socket = self.with_state(|state| {
                state.is_closed = true;
                state.polling = None;
                state.watched.clear();
                if let Some(waiting) = state.next_attempt.take() {
                    waiting.clear();
                }
                state.socket.take()
            });
            drop(socket);
        });
    }
}
