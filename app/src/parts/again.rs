//! Asking again: what the live stream does not bring is fetched every few seconds while it may still change.

use std::time::Duration;

use leptos::prelude::*;

/// Acts every so often until the surrounding component goes.
pub(crate) fn every(interval: Duration, act: impl Fn() + 'static) {
    let turn = set_interval_with_handle(act, interval);
    on_cleanup(move || {
        if let Ok(turn) = turn {
            turn.clear();
        }
    });
}
