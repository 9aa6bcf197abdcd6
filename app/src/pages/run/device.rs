//! The device of the run: what it is, its load and its memory.

use figure::number;
use leptos::prelude::*;
use wire::device::DeviceView;

use super::RunContext;
use crate::components::number::clock;
use crate::net::live::Live;

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
                None => view! { <p class="none">"No worker reports this device at present."</p> }.into_any(),
            }}
        </section>
    }
}

fn rows(device: &DeviceView) -> impl IntoView + use<> {
    let load = device.load;
    let memory = |bytes: u64| if bytes == 0 { "unknown".to_owned() } else { number::bytes(bytes) };
    let rows = [
        ("CPU load", format!("{:.0} %", load.cpu_share * 100.0), "Fraction of the CPU time of the machine in use."),
        ("Cores", device.info.cores.to_string(), "CPU cores, each of which trains a replica."),
        ("Process memory", memory(load.process_bytes), "Resident memory of the worker process."),
        ("Device memory", memory(load.device_bytes), "Memory in use on the device."),
        ("Free memory", memory(load.host_free_bytes), "Free memory of the machine."),
        ("Backend", device.info.backend.clone(), "Library that computes on the device."),
    ];
    let unreachable = (!device.is_connected).then(|| {
        let since = clock(device.seen_ms as f64);
        view! { <p class="away">{format!("The worker of this device last reported at {since}.")}</p> }
    });
    view! {
        {unreachable}
        <dl class="pairs">
            {rows.map(|(name, value, meaning)| view! {
                <div title=meaning><dt>{name}</dt><dd class="mono">{value}</dd></div>
            })}
        </dl>
    }
}
