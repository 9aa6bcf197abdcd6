//! Totals over all devices.

use leptos::prelude::*;
use wire::telemetry::{FleetState, Usage};

use super::feed::FleetFeed;
use super::values::percent;
use crate::components::Number;
use crate::components::number::duration;

/// The totals; a lab with one device needs none.
#[component]
pub(super) fn Totals(feed: FleetFeed) -> impl IntoView {
    let figures =
        Memo::new(move |_| feed.state.read().as_ref().filter(|state| state.devices().count() > 1).map(figures));
    move || {
        figures.get().map(|figures| {
            let rows = figures.into_iter().map(|(name, text, meaning)| {
                view! { <div><dt>{name}</dt><dd><Number text meaning /></dd></div> }
            });
            view! { <dl class="figures across fleet-totals">{rows.collect_view()}</dl> }
        })
    }
}

/// Name, value and meaning of each.
fn figures(state: &FleetState) -> Vec<(&'static str, String, String)> {
    let (all, connected) = (state.devices().count(), state.devices().filter(|device| device.is_connected).count());
    let busy = state.devices().filter(|device| device.is_connected && device.run.is_some()).count();
    let findings: usize = state.devices().map(|device| device.findings.len()).sum();
    let mut hour = Usage::default();
    state.devices().for_each(|device| hour += device.hour);
    let devices = if all == connected { all.to_string() } else { format!("{all}, {connected} connected") };
    let share = |secs: f64| if hour.total_secs() > 0.0 { percent(secs / hour.total_secs()) } else { "–".to_owned() };
    vec![
        ("Devices", devices, "Devices that have connected since the server started".to_owned()),
        ("Busy", busy.to_string(), "Connected devices with a run".to_owned()),
        ("Idle", (connected - busy).to_string(), "Connected devices without a run".to_owned()),
        (
            "Busy, last hour",
            share(hour.busy_secs),
            format!("Time with a run: {} of all devices together", duration(hour.busy_secs)),
        ),
        (
            "Wasted, last hour",
            share(hour.wasted_secs),
            format!(
                "Time in which a device was idle while a run that it could have trained waited, or was reserved by a paused run: {} of all \
                 devices together",
                duration(hour.wasted_secs)
            ),
        ),
        ("Findings", findings.to_string(), "What needs attention; it is listed below each device".to_owned()),
    ]
}
