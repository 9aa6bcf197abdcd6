//! Values of a device as they are shown, each with its meaning in a tooltip.

use figure::number::{bytes, short};
use leptos::prelude::*;
use wire::device::{DeviceInfo, DeviceKind};
use wire::telemetry::{Finding, FleetDevice, Telemetry};

use crate::components::number::{THIN, counted};
use crate::components::{Icon, Number, Progress};

/// A fraction as a percentage.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0}{THIN}%", share * 100.0)
}

/// The kind of a device in words.
pub(super) fn kind(info: &DeviceInfo) -> String {
    match info.kind {
        DeviceKind::Cpu => format!("CPU, {}", counted(info.cores.into(), "core")),
        DeviceKind::Gpu => "GPU".to_owned(),
        DeviceKind::Software => "software adapter, for tests".to_owned(),
    }
}

/// Utilization as a bar with its number; a dash if it is unknown.
pub(super) fn utilization(device: &FleetDevice) -> AnyView {
    let share = device.telemetry.as_ref().and_then(|telemetry| telemetry.utilization(device.info.kind));
    let (label, meaning) = match device.info.kind {
        DeviceKind::Gpu => ("GPU load", "Fraction of the last seconds in which the GPU was computing"),
        _ => ("CPU load", "CPU time of the machine in use, by all programs"),
    };
    let is_live = device.run.is_some() && device.is_connected;
    bar(label, share, share.map(percent), meaning, is_live)
}

/// Memory as a bar with its number; a dash if it is unknown.
pub(super) fn memory(device: &FleetDevice) -> AnyView {
    let memory = device.telemetry.as_ref().and_then(|telemetry| telemetry.memory(device.info.kind));
    let share = memory.map(|(used, total)| used as f64 / total as f64);
    let text = memory.map(|(used, total)| format!("{} / {}", bytes(used), bytes(total)));
    let (label, meaning) = match device.info.kind {
        DeviceKind::Gpu => ("GPU memory", "Memory of the GPU in use by all programs / memory of the GPU"),
        _ => ("Machine memory", "Memory of the machine in use by all programs / memory of the machine"),
    };
    bar(label, share, text, meaning, false)
}

fn bar(label: &'static str, share: Option<f64>, text: Option<String>, meaning: &'static str, is_live: bool) -> AnyView {
    let value = match text {
        Some(text) => view! { <Number text meaning /> }.into_any(),
        None => view! { <span class="dim" title="The platform does not report it">"–"</span> }.into_any(),
    };
    view! {
        <div class="fleet-bar">
            <span class="small dim">{label}</span>
            <span class="small">{value}</span>
            {share.map(|share| view! { <Progress share=Some(share) label is_live /> })}
        </div>
    }
    .into_any()
}

/// Temperature, power and clock, those that are reported: value, meaning.
pub(super) fn sensors(telemetry: &Telemetry, kind: DeviceKind) -> Vec<(String, String)> {
    let what = if kind == DeviceKind::Gpu { "GPU" } else { "processor" };
    let power = telemetry.power_w.map(|power| match telemetry.power_limit_w {
        Some(limit) => (
            format!("{power:.0} / {limit:.0}{THIN}W"),
            "Power that the GPU draws / power limit at which the GPU lowers its clock".to_owned(),
        ),
        None => (format!("{power:.0}{THIN}W"), "Power that the GPU draws".to_owned()),
    });
    let temperature = telemetry
        .temperature_c
        .map(|temperature| (format!("{temperature:.0}{THIN}°C"), format!("Temperature of the {what}")));
    let clock = telemetry.clock_mhz.map(|clock| {
        (format!("{}{THIN}GHz", short((clock / 10.0).round() / 100.0)), format!("Clock of the {what}'s cores"))
    });
    [temperature, power, clock].into_iter().flatten().collect()
}

/// Findings as a list; nothing without one.
pub(super) fn finding_list(findings: &[Finding]) -> AnyView {
    if findings.is_empty() {
        return ().into_any();
    }
    let lines = findings.iter().map(|finding| {
        view! {
            <li>
                <Icon name="warning" />
                <p><strong>{finding.found.clone()}</strong>" "<span class="dim">{finding.remedy.clone()}</span></p>
            </li>
        }
    });
    view! { <ul class="findings" aria-label="Findings">{lines.collect_view()}</ul> }.into_any()
}
