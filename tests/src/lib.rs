//! What the stories in `tests/tests` stand on: a lab of one's own, and the ways to talk to it.
//!
//! - [`lab`] the real program `kindling` on a fresh folder: started, stopped, killed, started again;
//! - [`client`] one request, one answer; [`socket`] pages and workers on their sockets;
//! - [`watch`] what people do with a run: start it, steer it, wait for it, read its curves and its journal;
//! - [`text`] small texts to learn.
//!
//! Everything here may fail the test that calls it, and says what it was waiting for when it does.
//! The stories in a browser are in `tests/browser`.

#![allow(clippy::unwrap_used, clippy::panic)] // the whole crate is tests

pub mod client;
pub mod lab;
pub mod socket;
pub mod text;
pub mod watch;

use std::thread::sleep;
use std::time::{Duration, Instant};

pub use client::{Answer, Client};
pub use lab::Lab;

/// What a wait is stretched by, so that a machine that is also building does not fail a story.
const PATIENCE: u32 = 4;

/// Asks again and again until there is something.
///
/// # Panics
/// After `secs` seconds of a quiet machine, with what was waited for.
pub fn wait_for<T>(what: &str, secs: u64, mut look: impl FnMut() -> Option<T>) -> T {
    wait_or(secs, &mut look, |waited| panic!("waited {waited} s for {what}"))
}

/// As [`wait_for`], with other last words.
pub(crate) fn wait_or<T>(secs: u64, mut look: impl FnMut() -> Option<T>, give_up: impl FnOnce(u64) -> T) -> T {
    let patience = Duration::from_secs(secs) * PATIENCE;
    let until = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return found;
        }
        if Instant::now() > until {
            return give_up(patience.as_secs());
        }
        sleep(Duration::from_millis(50));
    }
}

/// Waits a while, in milliseconds.
pub fn pause_ms(millis: u64) {
    sleep(Duration::from_millis(millis));
}
