//! Follows the stream of the run, and pauses live inspections while the page is hidden.

use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use wire::Event;
use wire::run::Cursor;
use wire::transport::live::Tick;

use super::state::XrayState;
use crate::net::api::{self, ApiFailure};
use crate::net::live::{Live, RunUpdate, Watch};

/// Follows the stream from a cursor on, for as long as the page lives.
/// `gone` is called once the run is not there any more: it was deleted, or this person may not see it any more.
pub(super) fn follow(xray: XrayState, cursor: Cursor, gone: Callback<ApiFailure>) {
    let live = expect_context::<Live>();
    let current = StoredValue::new(None::<Watch>);
    let watch = live.watch_run(xray.run.get_value(), cursor, move |update| match update {
        RunUpdate::Tick(tick) => receive(xray, *tick),
        RunUpdate::Resync => spawn_local(async move {
            match api::run(&xray.run.get_value()).await {
                Ok(view) => {
                    xray.summary.try_set(view.summary);
                    if let Some(watch) = current.try_get_value().flatten() {
                        watch.go_on(view.cursor);
                    }
                }
                Err(failure) if failure.status == 404 => drop(gone.try_run(failure)),
                Err(_) => {}
            }
        }),
    });
    current.set_value(Some(watch));
    on_cleanup(move || watch.leave());
    follow_visibility(xray);
}

fn receive(xray: XrayState, tick: Tick) {
    let step = tick.summary.step;
    let is_rolled_back = tick.events.iter().any(|record| matches!(record.event, Event::RolledBack { .. }));
    if xray.summary.try_set(tick.summary).is_some() {
        return;
    }
    xray.inspections.receive(step, tick.updates);
    if is_rolled_back {
        xray.inspections.reset();
    }
}

fn follow_visibility(xray: XrayState) {
    let on_change = Closure::<dyn Fn()>::new(move || {
        xray.inspections.hide(document().visibility_state() != web_sys::VisibilityState::Visible);
    });
    let _ = document().add_event_listener_with_callback("visibilitychange", on_change.as_ref().unchecked_ref());
    let on_change = StoredValue::new_local(on_change);
    on_cleanup(move || {
        on_change.with_value(|on_change| {
            let listener = on_change.as_ref().unchecked_ref();
            let _ = document().remove_event_listener_with_callback("visibilitychange", listener);
        });
    });
}
