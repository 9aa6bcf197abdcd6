//! The device of the run: what it is, its load and its memory.

use figure::number;
use leptos::prelude::*;
use wire::device::{DeviceInfo, DeviceKind, DeviceView};

use super::RunContext;
use crate::components::number::clock;
use crate::net::live::Live;

/// The row that only a device with several runs has.
const RUNS: &str = "Runs at once";

#[component]
pub(super) fn DevicePanel() -> impl IntoView {
    let context = expect_context::<RunContext>();
    let live = expect_context::<Live>();
    let device = Memo::new(move |_| {
        let wanted = context.summary.read().device.clone();
        live.lab.read().as_ref().and_then(|lab| lab.devices.iter().find(|device| device.info.id == wanted).cloned())
    });
    let name = context.run.read_untracked().view.device_name.clone();
    view! {
        <section class="panel machine" aria-labelledby="device-title">
            <h2 id="device-title">"Device"</h2>
            <p class="dim">{name}</p>
            {move || match device.get() {
                Some(device) => rows(&device).into_any(),
                None => view! { <p class="none">"The worker of this device is not connected."</p> }.into_any(),
            }}
        </section>
    }
}

fn backend_meaning(device: &DeviceInfo) -> &'static str {
    match device.kind {
        DeviceKind::Cpu => {
            "Burn is the tensor library of this program; in parentheses its backend, which computes on the CPU."
        }
        DeviceKind::Gpu => {
            "Burn is the tensor library of this program; in parentheses its backend, which computes on the GPU."
        }
        DeviceKind::Software => {
            "Burn is the tensor library of this program; this adapter of its backend computes in software and is for tests."
        }
    }
}

fn rows(device: &DeviceView) -> impl IntoView + use<> {
    let (load, is_cpu) = (device.load, device.info.kind == DeviceKind::Cpu);
    let has_several = device.runs.len() > 1;
    let memory = |bytes: u64| if bytes == 0 { "unknown".to_owned() } else { number::bytes(bytes) };
    let rows = [
        (
            "CPU load",
            format!("{:.0}\u{202f}%", load.cpu_share * 100.0),
            "CPU time of the machine in use, by all programs.",
        ),
        ("Cores", device.info.cores.to_string(), "CPU cores that train in parallel; 1 on a GPU."),
        (
            RUNS,
            device.runs.len().to_string(),
            "Runs that train on this device now. The cores of a CPU are divided between those that are not paused.",
        ),
        ("Process memory", memory(load.process_bytes), "Resident memory of the processes that train on this device."),
        ("Device memory", memory(load.device_bytes), "GPU memory in use."),
        ("Free memory", memory(load.host_free_bytes), "Free memory of the machine."),
        ("Backend", format!("Burn ({})", device.info.backend), backend_meaning(&device.info)),
    ];
    let unreachable = (!device.is_connected).then(|| {
        let since = clock(device.seen_ms as f64);
        view! { <p class="away">{format!("The worker of this device last reported at {since}.")}</p> }
    });
    view! {
        {unreachable}
        <dl class="pairs">
            {rows.into_iter().filter(|(name, ..)| (*name != "Device memory" || !is_cpu) && (*name != RUNS || has_several)).map(|(name, value, meaning)| view! {
                <div title=meaning><dt>{name}</dt><dd class="mono">{value}</dd></div>
            }).collect_view()}
        </dl>
    }
}
