//! One device in one row; on a phone, one card.

use leptos::prelude::*;
use wire::device::DeviceKind;
use wire::telemetry::FleetDevice;
use wire::{DeviceId, RunId, RunState};

use super::feed::{FleetFeed, health_of};
use super::usage::usage_bar;
use super::values::{finding_list, kind, memory, sensors, utilization};
use super::worker::{WorkerMarks, WorkerMenu};
use crate::components::number::{ago, short};
use crate::components::{HealthMark, Number, Sparkline, StateMark, run_name};
use crate::net::live::Live;
use crate::route::{device_path, run_path};

/// The row of one device; each cell updates by itself.
#[component]
pub(super) fn DeviceRow(id: DeviceId) -> impl IntoView {
    let feed = expect_context::<FleetFeed>();
    let (device, worker) = (feed.device(id.clone()), feed.worker(id.clone()));
    let cell = move |show: fn(&FleetDevice) -> AnyView| move || device.read().as_ref().map(show);
    let name = Memo::new(move |_| device.read().as_ref().map(|device| device.info.name.clone()).unwrap_or_default());
    let about = id.to_string();
    let values = Memo::new(move |_| device.read().as_ref().map(minutes).unwrap_or_default());
    let load = Memo::new(move |_| match device.read().as_ref().map(|device| device.info.kind) {
        Some(DeviceKind::Gpu) => "GPU load",
        _ => "CPU load",
    });
    let label = Signal::derive(move || format!("{} of {} in the last hour", load.get(), name.get()));
    let is_connected = Memo::new(move |_| device.read().as_ref().is_some_and(|device| device.is_connected));
    let has_findings = Memo::new(move |_| device.read().as_ref().is_some_and(|device| !device.findings.is_empty()));
    view! {
        <li class="fleet-device" class:absent=move || !is_connected.get()>
            <div class="d-name">
                <a class="run-name" href=device_path(&id) title="Charts of the last hour and day, and the log of its worker">{name}</a>
                <span class="small dim">{about}" · "{cell(|device| kind(&device.info).into_any())}</span>
                <WorkerMarks worker />
            </div>
            <div class="d-state"><DeviceState device /></div>
            <div class="d-curve" title=move || format!(
                "{} by all programs of the machine in the last hour, by minute; bottom 0, top 100 %. For the share of the time in which \
                 a run trained, see “busy” below.",
                load.get()
            )>
                <Sparkline values label is_live=false ends=(0.0, 1.0) />
            </div>
            <div class="d-load">{cell(utilization)}</div>
            <div class="d-memory">{cell(memory)}</div>
            <div class="d-sensors small">{cell(sensor_line)}</div>
            <div class="d-usage">{cell(|device| usage_bar(&device.hour, "last hour", 3600.0))}</div>
            <div class="d-menu"><WorkerMenu worker feed /></div>
            {move || has_findings.get().then(|| view! {
                <div class="d-findings">{cell(|device| finding_list(&device.findings))}</div>
            })}
        </li>
    }
}

fn minutes(device: &FleetDevice) -> Vec<f32> {
    device.minutes.iter().map(|value| value.unwrap_or(f32::NAN)).collect()
}

fn sensor_line(device: &FleetDevice) -> AnyView {
    let known = device.telemetry.as_ref().map(|telemetry| sensors(telemetry, device.info.kind)).unwrap_or_default();
    known.into_iter().map(|(text, meaning)| view! { <Number text meaning /> }).collect_view().into_any()
}

/// The runs of a device, each with its state and speed, or that it is idle or not connected.
#[component]
pub(super) fn DeviceState(device: Memo<Option<FleetDevice>>) -> impl IntoView {
    let live = expect_context::<Live>();
    let runs = Memo::new(move |_| {
        let device = device.read();
        let device = device.as_ref().filter(|device| device.is_connected);
        device
            .map(|device| device.runs.iter().map(|run| (run.id.clone(), run.state)).collect::<Vec<_>>())
            .unwrap_or_default()
    });
    let speed = move |id: &RunId| {
        let device = device.read();
        let run = device.as_ref()?.runs.iter().find(|run| run.id == *id && run.state == RunState::Running)?;
        let text = short(run.tokens_per_sec?);
        Some(view! { <Number text unit="tok/s" meaning="Tokens trained on per second" /> })
    };
    let otherwise = move || {
        let device = device.read();
        device.as_ref().map(|device| match device.is_connected {
            true => view! { <span class="dim" title="The device is connected and has no run">"idle"</span> }.into_any(),
            false => view! {
                <span class="over">{format!("not connected, last report {}", ago(device.seen_ms as f64))}</span>
            }
            .into_any(),
        })
    };
    let line = move |(id, state): (RunId, RunState)| {
        let (path, shown, checked) = (run_path(&id), id.clone(), id.clone());
        view! {
            <a class="wrap" href=path title="Open the run">{move || run_name(live, &id)}</a>
            <span class="row">
                <StateMark state />
                <span class="small">{move || speed(&shown)}</span>
                {move || health_of(live, &checked).map(|health| view! { <HealthMark health /> })}
            </span>
        }
    };
    move || match runs.get() {
        runs if runs.is_empty() => view! { {otherwise} }.into_any(),
        runs => view! {
            {runs.into_iter().map(line).collect_view()}
            {move || device.read().as_ref().and_then(several)}
        }
        .into_any(),
    }
}

/// How many runs the device trains, where it may train several at once.
fn several(device: &FleetDevice) -> Option<AnyView> {
    let (runs, most) = (device.runs.len(), device.runs_at_once);
    (runs > 1 || most > 1).then(|| {
        view! {
            <span class="small dim" title="Runs that the device trains now, and how many its pool allows at once">
                {format!("{runs} of {most} at once")}
            </span>
        }
        .into_any()
    })
}
