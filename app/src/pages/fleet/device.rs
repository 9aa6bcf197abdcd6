//! The page of one device: what it does, its values now, its history, how its time was used, and the log of its worker.

use figure::number::with_unit;
use leptos::prelude::*;
use wire::DeviceId;
use wire::telemetry::FleetDevice;

use super::charts::DeviceCharts;
use super::feed::FleetFeed;
use super::log::WorkerLines;
use super::row::DeviceState;
use super::usage::usage_bar;
use super::values::{finding_list, kind, memory, sensors, utilization};
use super::worker::{WorkerMarks, WorkerMenu};
use crate::base::at;
use crate::components::number::ago;
use crate::components::{Empty, Failure, Number, Skeleton, isolated};

#[component]
pub(crate) fn DevicePage(device: DeviceId) -> impl IntoView {
    let feed = FleetFeed::start();
    provide_context(feed);
    let found = feed.device(device.clone());
    // 0: loading, 1: it could not be fetched, 2: unknown, 3: known.
    let stage = Memo::new(move |_| {
        match (found.read().is_some(), feed.state.read().is_some(), feed.failure.read().is_some()) {
            (true, ..) => 3,
            (false, true, _) => 2,
            (false, false, true) => 1,
            _ => 0,
        }
    });
    let to_fleet =
        || view! { <a class="button" href=at("/fleet") title="All machines and devices">"Open the Fleet page"</a> };
    view! {
        <main class="page fleet stack">
            {move || match stage.get() {
                0 => view! { <h1 class="unseen">{device.to_string()}</h1><Skeleton rows=4 class="tall" /> }.into_any(),
                1 => view! {
                    <h1 class="unseen">{device.to_string()}</h1>
                    {feed.failure.get().map(|failure| view! {
                        <Failure what="The device could not be opened" failure retry=move |()| feed.fetch() />
                    })}
                }.into_any(),
                2 => view! {
                    <h1 class="unseen">"Device not found"</h1>
                    <Empty title="Device not found" text=format!("No device {device} has connected since the server started.")>
                        {to_fleet()}
                    </Empty>
                }.into_any(),
                _ => view! { <Known id=device.clone() device=found feed /> }.into_any(),
            }}
        </main>
    }
}

#[component]
fn Known(id: DeviceId, device: Memo<Option<FleetDevice>>, feed: FleetFeed) -> impl IntoView {
    let worker = feed.worker(id.clone());
    let cell = move |show: fn(&FleetDevice) -> AnyView| move || device.read().as_ref().map(show);
    let name = Memo::new(move |_| device.read().as_ref().map(|device| device.info.name.clone()).unwrap_or_default());
    let (charted, shown_id) = (id.clone(), id.to_string());
    let host = Memo::new(move |_| {
        let state = feed.state.read();
        state
            .as_ref()
            .and_then(|state| state.device(&id))
            .map(|(machine, _)| isolated(&machine.host))
            .unwrap_or_default()
    });
    let has_findings = Memo::new(move |_| device.read().as_ref().is_some_and(|device| !device.findings.is_empty()));
    view! {
        <header class="device-head">
            <a href=at("/fleet") title="All machines and devices">"Fleet"</a>
            <div class="row">
                <h1 class="wrap">{name}</h1>
                <WorkerMarks worker />
                <span class="grow"></span>
                <WorkerMenu worker feed />
            </div>
            <p class="dim">{shown_id}" · "{cell(|device| kind(&device.info).into_any())}" · machine "{host}</p>
        </header>
        <div class="device-grid">
            <DeviceCharts id=charted device />
            <aside class="stack" aria-label="State of the device">
                <section class="sheet padded stack" aria-labelledby="now-title">
                    <h2 id="now-title">"Now"</h2>
                    <div class="device-state"><DeviceState device /></div>
                    {cell(utilization)}
                    {cell(memory)}
                    {cell(now)}
                </section>
                {move || has_findings.get().then(|| view! {
                    <section class="sheet padded stack" aria-labelledby="findings-title">
                        <h2 id="findings-title">"Findings"</h2>
                        {cell(|device| finding_list(&device.findings))}
                    </section>
                })}
                <section class="sheet padded stack" aria-labelledby="usage-title">
                    <h2 id="usage-title">"Usage"</h2>
                    {cell(|device| usage_bar(&device.hour, "last hour", 3600.0))}
                    {cell(|device| usage_bar(&device.day, "last day", 86_400.0))}
                </section>
                <WorkerLines worker />
            </aside>
        </div>
    }
}

/// What the bars do not show: name, value, meaning.
fn now(device: &FleetDevice) -> AnyView {
    let mut rows: Vec<(String, String)> = vec![];
    if let Some(telemetry) = &device.telemetry {
        rows.extend(sensors(telemetry, device.info.kind));
        rows.extend(telemetry.ecc_uncorrected.map(|count| {
            (
                format!("{count} ECC errors"),
                "Memory errors since the driver was loaded that ECC could not correct".to_owned(),
            )
        }));
    }
    if device.info.flops_per_sec > 0.0 {
        let meaning = "Floating-point operations per second while training a small model on this device";
        rows.push((with_unit(device.info.flops_per_sec, "FLOP/s"), meaning.to_owned()));
    }
    rows.push((
        format!("last report {}", ago(device.seen_ms as f64)),
        "Time of the last heartbeat of the worker".to_owned(),
    ));
    rows.push((format!("backend {}", device.info.backend), "What computes on the device".to_owned()));
    let rows = rows.into_iter().map(|(text, meaning)| view! { <li><Number text meaning /></li> });
    view! { <ul class="device-values small">{rows.collect_view()}</ul> }.into_any()
}
