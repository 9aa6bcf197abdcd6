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

/// Acts periodically while runs grow, and once more when they have ended: their last values come with their end.
pub(crate) fn while_growing(interval: Duration, is_growing: Signal<bool>, act: impl Fn() + Copy + 'static) {
    every(interval, move || {
        if is_growing.try_get_untracked() == Some(true) {
            act();
        }
    });
    Effect::new(move |was_growing: Option<bool>| {
        let is_growing = is_growing.get();
        if was_growing == Some(true) && !is_growing {
            act();
        }
        is_growing
    });
}
