//! The device under the run: what it is, how busy, how full.

use figure::number;
use leptos::prelude::*;
use wire::device::DeviceView;

use super::Desk;
use crate::live::Live;
use crate::parts::number::clock;

/// The device.
#[component]
pub(crate) fn Machine() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let live = expect_context::<Live>();
    let device = Memo::new(move |_| {
        let wanted = desk.summary.read().device.clone();
        live.lab.read().as_ref().and_then(|lab| lab.devices.iter().find(|device| device.info.id == wanted).cloned())
    });
    let name = desk.run.read_untracked().view.device_name.clone();
    view! {
        <section class="panel machine" aria-labelledby="machine-title">
            <h2 id="machine-title">"Device"</h2>
            <p class="dim">{name}</p>
            {move || match device.get() {
                Some(device) => rows(&device).into_any(),
                None => view! { <p class="none">"Not in the lab at present."</p> }.into_any(),
            }}
        </section>
    }
}

fn rows(device: &DeviceView) -> impl IntoView + use<> {
    let load = device.load;
    let memory = |bytes: u64| if bytes == 0 { "not known".to_owned() } else { number::bytes(bytes) };
    let rows = [
        ("processor", format!("{:.0} %", load.cpu_share * 100.0), "Share of the machine's processor time in use."),
        ("cores", device.info.cores.to_string(), "Cores that train side by side."),
        ("training process", memory(load.process_bytes), "Resident memory of the worker's process."),
        ("on the device", memory(load.device_bytes), "Memory in use on the device."),
        ("free on the machine", memory(load.host_free_bytes), "Memory free on the machine."),
        ("backend", device.info.backend.clone(), "What does the arithmetic."),
    ];
    let unreachable = (!device.is_connected).then(|| view! { <p class="away">{format!("Its worker has not been heard of since {}.", clock(device.seen_ms as f64))}</p> });
    view! {
        {unreachable}
        <dl class="pairs">{rows.map(|(name, value, meaning)| view! { <div title=meaning><dt>{name}</dt><dd class="mono">{value}</dd></div> })}</dl>
    }
}
