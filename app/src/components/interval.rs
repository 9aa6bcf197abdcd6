//! Periodic actions: what the live stream does not contain is fetched every few seconds.

use std::time::Duration;

use leptos::prelude::*;

/// Acts periodically until the surrounding component goes.
pub(crate) fn every(interval: Duration, act: impl Fn() + 'static) {
    let handle = set_interval_with_handle(act, interval);
    on_cleanup(move || {
        if let Ok(handle) = handle {
            handle.clear();
        }
    });
}
