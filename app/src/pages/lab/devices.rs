//! The devices with their load and memory.

use figure::number::with_unit;
use leptos::prelude::*;
use wire::device::{DeviceKind, DeviceView};

use crate::components::number::{ago, bytes, counted, short};
use crate::components::{Number, Progress, run_name};
use crate::net::live::Live;
use crate::route::{device_path, run_path};
use crate::session::Session;

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
                        "No device is connected yet. The server connects this machine's devices within a few seconds."
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
    let (live, session) = (expect_context::<Live>(), expect_context::<Session>());
    move || {
        device.get().map(|device| {
        let DeviceView { info, load, .. } = &device;
        let kind = match info.kind {
            DeviceKind::Cpu => counted(info.cores.into(), "core"),
            DeviceKind::Gpu => "GPU".to_owned(),
            DeviceKind::Software => "software adapter, for tests".to_owned(),
        };
        let is_paused = |run: &wire::RunId| {
            let lab = live.lab.read();
            let found = lab.as_ref().and_then(|lab| lab.runs.iter().find(|known| known.id == *run).map(|run| run.state));
            found == Some(wire::RunState::Paused)
        };
        // One run alone has its speed in the list of runs, beside the card.
        let has_several = device.runs.len() > 1;
        let speed = |run: &wire::RunId| {
            let lab = live.lab.read();
            let run = lab.as_ref()?.runs.iter().find(|known| known.id == *run && known.state == wire::RunState::Running)?;
            let text = short(run.tokens_per_sec.filter(|_| has_several)?);
            Some(view! { " · "<Number text unit="tok/s" meaning="Tokens trained on per second" /> })
        };
        let status = match (device.runs.is_empty(), device.is_connected) {
            (_, false) => view! {
                <p><span class="over">{format!("not connected, last report {}", ago(device.seen_ms as f64))}</span></p>
            }.into_any(),
            (false, _) => device.runs.iter().map(|run| view! {
                <p>
                    {if is_paused(run) { "reserved by " } else { "training " }}
                    <a href=run_path(run)>{run_name(live, run)}</a>
                    {is_paused(run).then_some(" (paused)")}
                    {speed(run)}
                </p>
            }).collect_view().into_any(),
            (true, _) if device.is_taken => {
                view! { <p><span class="dim">"training a run of another project"</span></p> }.into_any()
            }
            (true, _) => view! { <p><span class="dim">"idle"</span></p> }.into_any(),
        };
        let is_training = (!device.runs.is_empty() || device.is_taken) && device.is_connected;
        view! {
            <article class="sheet padded device">
                <h3 title=info.name.clone()>
                    {match session.can_view_lab() {
                        true => view! {
                            <a href=device_path(&info.id) aria-label=format!("{}, on the Fleet page", info.name)>{info.name.clone()}</a>
                        }.into_any(),
                        false => info.name.clone().into_any(),
                    }}
                </h3>
                <p class="small dim" title=format!("Device {}, backend Burn ({}), on the machine {}", info.id, info.backend, device.host)>
                    {format!("{} · {kind} · host {}", info.id, device.host)}
                </p>
                {status}
                <Meter
                    label="CPU load"
                    share=load.cpu_share
                    text=format!("{:.0}\u{202f}%", load.cpu_share * 100.0)
                    meaning="CPU time of the machine in use, by all programs"
                    is_live=is_training
                />
                {memory(&device).map(|(label, share, text, meaning)| view! {
                    <Meter label share text meaning is_live=false />
                })}
                {(info.flops_per_sec > 0.0).then(|| view! {
                    <p class="small dim">
                        "Measured speed "
                        <Number
                            text=with_unit(info.flops_per_sec, "FLOP/s")
                            meaning="Floating-point operations per second while training a small model on this device"
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
fn memory(device: &DeviceView) -> Option<(&'static str, f64, String, &'static str)> {
    let (load, all) = (&device.load, device.info.memory_bytes);
    let (label, used, meaning) = match load.device_bytes {
        0 => {
            let meaning = "Memory of the worker, all its processes together / memory that the device can use";
            ("Worker memory", load.process_bytes, meaning)
        }
        bytes => ("Device memory", bytes, "Memory in use on the device / memory of the device"),
    };
    (all > 0).then(|| (label, used as f64 / all as f64, format!("{} / {}", bytes(used), bytes(all)), meaning))
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
