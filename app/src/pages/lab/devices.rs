//! The devices with their load and memory.

use leptos::prelude::*;
use wire::device::{DeviceKind, DeviceView};

use crate::components::number::{ago, bytes, short};
use crate::components::{Number, Progress};
use crate::net::live::Live;
use crate::route::run_path;

/// All devices of the lab.
#[component]
pub(super) fn DeviceList() -> impl IntoView {
    let live = expect_context::<Live>();
    let ids = Memo::new(move |_| {
        live.lab.read().as_ref().map(|lab| lab.devices.iter().map(|device| device.worker.clone()).collect::<Vec<_>>())
    });
    view! {
        <section class="stack" aria-labelledby="devices-title">
            <h2 id="devices-title">"Devices"</h2>
            {move || match ids.get() {
                None => view! { <div class="skeleton tall"></div> }.into_any(),
                Some(ids) if ids.is_empty() => view! {
                    <p class="sheet padded dim">
                        "No devices yet. The server starts one worker for each device; this takes some seconds after \
                         its start."
                    </p>
                }.into_any(),
                Some(ids) => ids.into_iter().map(|id| {
                    let device = Memo::new(move |_| {
                        let lab = live.lab.read();
                        lab.as_ref().and_then(|lab| lab.devices.iter().find(|device| device.worker == id).cloned())
                    });
                    view! { <DeviceCard device /> }
                }).collect_view().into_any(),
            }}
        </section>
    }
}

#[component]
fn DeviceCard(device: Memo<Option<DeviceView>>) -> impl IntoView {
    let live = expect_context::<Live>();
    let run_name = move |id: &wire::RunId| {
        live.lab.read().as_ref().and_then(|lab| lab.runs.iter().find(|run| run.id == *id).map(|run| run.name.clone()))
    };
    move || {
        device.get().map(|device| {
        let DeviceView { info, load, .. } = &device;
        let kind = match info.kind {
            DeviceKind::Cpu => format!("CPU, {} cores", info.cores),
            DeviceKind::Gpu => "GPU".to_owned(),
            DeviceKind::Software => "software adapter, for tests".to_owned(),
        };
        let status = match (&device.run, device.is_connected) {
            (_, false) => view! {
                <span class="over">{format!("not connected, last report {}", ago(device.seen_ms as f64))}</span>
            }.into_any(),
            (Some(run), _) => view! {
                "training "
                <a href=run_path(run)>{run_name(run).unwrap_or_else(|| run.to_string())}</a>
            }.into_any(),
            (None, _) => view! { <span class="dim">"free"</span> }.into_any(),
        };
        let is_training = device.run.is_some() && device.is_connected;
        view! {
            <article class="sheet padded device">
                <h3 title=info.name.clone()>{info.name.clone()}</h3>
                <p class="small dim">{format!("{} · {kind} · {} · {}", info.id, info.backend, device.host)}</p>
                <p>{status}</p>
                <Meter
                    label="CPU load"
                    share=load.cpu_share
                    text=format!("{:.0}\u{202f}%", load.cpu_share * 100.0)
                    meaning="Fraction of the CPU time of the machine in use"
                    is_live=is_training
                />
                {memory(&device).map(|(share, text, meaning)| view! {
                    <Meter label="memory" share text meaning is_live=false />
                })}
                {(info.flops_per_sec > 0.0).then(|| view! {
                    <p class="small dim">
                        "measured speed "
                        <Number
                            text=short(info.flops_per_sec)
                            unit="FLOP/s"
                            meaning="Floating-point operations per second that training of a small model reached on \
                                     this device"
                        />
                    </p>
                })}
            </article>
        }
    })
    }
}

/// Fraction, text and meaning of the memory in use: that of the device if it is known, else that of the worker
/// process.
fn memory(device: &DeviceView) -> Option<(f64, String, &'static str)> {
    let (load, all) = (&device.load, device.info.memory_bytes);
    let (used, meaning) = match load.device_bytes {
        0 => (load.process_bytes, "Memory of the worker process / memory that the device can use"),
        bytes => (bytes, "Memory in use on the device / memory of the device"),
    };
    (all > 0).then(|| (used as f64 / all as f64, format!("{} / {}", bytes(used), bytes(all)), meaning))
}

#[component]
fn Meter(label: &'static str, share: f64, text: String, meaning: &'static str, is_live: bool) -> impl IntoView {
    view! {
        <div class="meter">
            <span class="small dim">{label}</span>
            <Progress share=Some(share) label is_live />
            <span class="small"><Number text meaning /></span>
        </div>
    }
}
