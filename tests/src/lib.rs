//! The support of the scenario tests in `tests/tests`: a lab per test, and the ways to use it.
//!
//! - [`lab`]: the real program `kindling` on a new folder, which can be started, stopped and killed;
//! - [`machine`]: machines that join it; [`network`]: a network between them and the server that misbehaves;
//! - [`proxy`]: nginx, Caddy and tunnels before it; [`provider`]: a provider of OpenID Connect;
//! - [`client`]: HTTP requests; [`socket`]: WebSockets of pages and workers; [`simulated`]: workers that compute nothing;
//! - [`watch`]: starting, steering and waiting for runs, and reading their series and journals;
//! - [`text`]: small texts to train on; [`values`]: what a healthy training reports; [`process`]: CPU time and memory of a process.
//!
//! Everything here may fail the test that calls it, with a message that says what it waited for. Browser tests are in `tests/browser`.

#![allow(clippy::unwrap_used, clippy::panic)] // the whole crate is tests

pub mod client;
pub mod lab;
pub mod machine;
pub mod network;
pub mod process;
pub mod provider;
pub mod proxy;
pub mod simulated;
pub mod socket;
pub mod text;
pub mod values;
pub mod watch;

use std::thread::sleep;
use std::time::{Duration, Instant};

pub use client::{Answer, Client};
pub use lab::Lab;

/// Factor of every timeout, so that a busy machine does not fail a test.
const PATIENCE: u32 = 4;

/// Calls `check` until it returns something.
///
/// # Panics
/// After [`PATIENCE`] times `secs`, with what was waited for.
pub fn wait_for<T>(what: &str, secs: u64, mut check: impl FnMut() -> Option<T>) -> T {
    wait_or(secs, &mut check, |waited| panic!("waited {waited} s for {what}"))
}

/// As [`wait_for`], but calls `give_up` with the seconds waited.
pub(crate) fn wait_or<T>(secs: u64, mut check: impl FnMut() -> Option<T>, give_up: impl FnOnce(u64) -> T) -> T {
    let until = given_up_after(secs);
    loop {
        if let Some(found) = check() {
            return found;
        }
        if Instant::now() > until {
            return give_up(secs * u64::from(PATIENCE));
        }
        sleep(Duration::from_millis(50));
    }
}

/// The time at which a wait of `secs` seconds ends: after `secs` times [`PATIENCE`].
pub fn given_up_after(secs: u64) -> Instant {
    Instant::now() + Duration::from_secs(secs) * PATIENCE
}

/// Sleeps, ms.
pub fn pause_ms(millis: u64) {
    sleep(Duration::from_millis(millis));
}
