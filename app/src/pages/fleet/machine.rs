//! One machine: its load, and its devices.

use figure::number::bytes;
use leptos::prelude::*;
use wire::device::DeviceKind;
use wire::telemetry::{FleetMachine, Telemetry};

use super::feed::FleetFeed;
use super::row::DeviceRow;
use super::values::percent;
use crate::components::{Number, isolated};
use crate::net::live::Live;

#[component]
pub(super) fn Machine(host: String) -> impl IntoView {
    let feed = expect_context::<FleetFeed>();
    let (name, title) = (isolated(&host), host.clone());
    let machine = Memo::new(move |before: Option<&Option<FleetMachine>>| {
        let state = feed.state.read();
        let found = state.iter().flat_map(|state| &state.machines).find(|machine| machine.host == host).cloned();
        found.or_else(|| before.cloned().flatten())
    });
    let live = expect_context::<Live>();
    let devices =
        Memo::new(move |_| machine.read().as_ref().map(|machine| feed.devices(live, machine)).unwrap_or_default());
    view! {
        <section class="sheet machine" aria-label=format!("Machine {title}")>
            <header class="row">
                <h2 class="wrap" title="Host name of the machine">{name}</h2>
                <p class="small dim">{move || machine.read().as_ref().map(load)}</p>
            </header>
            <ul>
                <For each=move || devices.get() key=Clone::clone let(id)>
                    <DeviceRow id />
                </For>
            </ul>
        </section>
    }
}

/// CPU and memory of a machine with a GPU, since the row of a CPU shows them anyway; free space of its disk.
fn load(machine: &FleetMachine) -> AnyView {
    let has_gpu = machine.devices.iter().any(|device| device.info.kind == DeviceKind::Gpu);
    let Some(telemetry) = machine.devices.iter().find_map(|device| device.telemetry.as_ref()) else {
        return ().into_any();
    };
    let mut values = if has_gpu { processor(telemetry) } else { vec![] };
    if let (Some(free), Some(total)) = (telemetry.disk_free_bytes, telemetry.disk_total_bytes) {
        let meaning = "Free space of the disk with the worker's folder / size of that disk";
        values.push(("disk", format!("{} free of {}", bytes(free), bytes(total)), meaning));
    }
    let shown = values.into_iter().map(|(name, text, meaning)| {
        view! { <span>{name}" "<Number text meaning /></span> }
    });
    view! { <span class="machine-load">{shown.collect_view()}</span> }.into_any()
}

fn processor(telemetry: &Telemetry) -> Vec<(&'static str, String, &'static str)> {
    let load = telemetry
        .cpu_utilization
        .map(|share| ("CPU", percent(share), "CPU time of the machine in use, by all programs"));
    let memory = telemetry.host_memory_used_bytes.zip(telemetry.host_memory_total_bytes).map(|(used, total)| {
        (
            "memory",
            format!("{} / {}", bytes(used), bytes(total)),
            "Memory of the machine in use / memory of the machine",
        )
    });
    load.into_iter().chain(memory).collect()
}
