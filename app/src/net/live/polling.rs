//! Polls, where no socket delivers a message. A socket that does takes over again.

use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use wire::transport::live::{FromPage, Poll};

use super::connection::Connection;
use super::socket::Socket;
use super::{Live, SILENCE_MS, later};
use crate::net::api;

/// Shortest and longest time of polling before a socket is tried again.
const FIRST_TRIAL_MS: u32 = 30_000;
const LAST_TRIAL_MS: u32 = 600_000;

/// The polls of this page.
pub(super) struct Polling {
    /// Number of the page, chosen at random.
    page: u64,
    messages: Vec<FromPage>,
}

impl Polling {
    /// Adds a message; what a presenter shows replaces what it showed before.
    pub(super) fn add(&mut self, message: FromPage) {
        if matches!(message, FromPage::Present { .. }) {
            self.messages.retain(|known| !matches!(known, FromPage::Present { .. }));
        }
        self.messages.push(message);
    }
}

impl Live {
    /// Polls until a poll fails, or a socket delivers messages again.
    pub(super) fn poll(self) {
        self.presentations.forget();
        let page = (js_sys::Math::random() * 9e15) as u64;
        let begun = self.with_state(|state| {
            state.next_attempt = None;
            state.polling = Some(Polling { page, messages: state.connected() });
            state.socket.take()
        });
        later(move || drop(begun));
        spawn_local(async move {
            let mut begins = true;
            while let Some(messages) = self.messages_of(page) {
                match api::polling::poll(&Poll { page, begins, messages }).await {
                    // A socket may have taken over meanwhile; what it has sent is not repeated.
                    Ok(received) if self.polls(page) => received.into_iter().for_each(|message| self.take(message)),
                    Ok(_) => {}
                    Err(_) if self.polls(page) => {
                        self.with_state(|state| state.polling = None);
                        self.closed();
                    }
                    Err(_) => {}
                }
                if begins && self.polls(page) {
                    self.connection.set(Connection::Polling);
                    self.try_socket(page, FIRST_TRIAL_MS);
                }
                begins = false;
            }
        });
    }

    /// The messages for the next poll; `None` where the page does not poll any more under this number.
    fn messages_of(self, page: u64) -> Option<Vec<FromPage>> {
        self.with_state(|state| {
            let polling = state.polling.as_mut().filter(|polling| polling.page == page)?;
            Some(std::mem::take(&mut polling.messages))
        })
        .flatten()
    }

    /// Whether the page polls under this number.
    fn polls(self, page: u64) -> bool {
        self.with_state(|state| state.polling.as_ref().is_some_and(|polling| polling.page == page)).unwrap_or(false)
    }

    /// Opens a socket beside the polls after `wait_ms`. It takes over with its first message, which is a heartbeat.
    fn try_socket(self, page: u64, wait_ms: u32) {
        let trial = move || {
            if !self.polls(page) {
                return;
            }
            let takes_over = move || {
                if self.polls(page) {
                    self.with_state(|state| {
                        state.polling = None;
                        state.failures = 0;
                    });
                    later(move || self.open());
                }
            };
            let tried = Socket::open(|| {}, move |_| takes_over(), || {});
            // It is closed before the next trial; the socket that takes over is another one.
            let close = move || {
                drop(tried);
                self.try_socket(page, (wait_ms * 2).min(LAST_TRIAL_MS));
            };
            set_timeout(close, Duration::from_millis(SILENCE_MS as u64));
        };
        set_timeout(trial, Duration::from_millis(wait_ms.into()));
    }
}
