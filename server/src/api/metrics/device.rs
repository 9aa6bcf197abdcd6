//! Metrics of the devices, each with the labels device, host, pool and name.

use wire::telemetry::{FindingKind, FleetDevice, FleetMachine, FleetState, Telemetry, Usage};

use super::Text;

type Read = fn(&FleetDevice) -> Option<f64>;

/// A measurement of a device as a metric.
macro_rules! measured {
    ($name:literal, $help:literal, $read:expr) => {
        (concat!("kindling_device_", $name), $help, (|device| device.telemetry.as_ref().and_then($read)) as Read)
    };
}

/// Metrics with one value for each device that reports it: name, meaning, value.
const METRICS: &[(&str, &str, Read)] = &[
    measured!("gpu_utilization_ratio", "Fraction of the time in which the GPU was computing.", |of: &Telemetry| of
        .gpu_utilization),
    measured!("cpu_utilization_ratio", "Fraction of the machine's CPU time in use.", |of: &Telemetry| of
        .cpu_utilization),
    measured!("memory_used_bytes", "Memory of the GPU in use.", |of: &Telemetry| of
        .memory_used_bytes
        .map(|bytes| bytes as f64)),
    measured!("memory_total_bytes", "Memory of the GPU.", |of: &Telemetry| of
        .memory_total_bytes
        .map(|bytes| bytes as f64)),
    measured!("temperature_celsius", "Temperature of the GPU, or of the processor.", |of: &Telemetry| of.temperature_c),
    measured!("power_watts", "Power that the GPU draws.", |of: &Telemetry| of.power_w),
    measured!("power_limit_watts", "Power at which the GPU lowers its clock.", |of: &Telemetry| of.power_limit_w),
    measured!("clock_hertz", "Clock of the cores.", |of: &Telemetry| of.clock_mhz.map(|clock| clock * 1e6)),
    measured!(
        "ecc_uncorrected_errors",
        "Memory errors since the driver was loaded that ECC could not correct.",
        |of: &Telemetry| of.ecc_uncorrected.map(|count| count as f64)
    ),
    measured!(
        "throttled",
        "1 while the clock is lowered by temperature, power or another device.",
        |of: &Telemetry| Some(f64::from(u8::from(!of.throttle_reasons.is_empty())))
    ),
    measured!("host_memory_used_bytes", "Memory of the machine in use.", |of: &Telemetry| of
        .host_memory_used_bytes
        .map(|bytes| bytes as f64)),
    measured!("host_memory_total_bytes", "Memory of the machine.", |of: &Telemetry| of
        .host_memory_total_bytes
        .map(|bytes| bytes as f64)),
    measured!("disk_free_bytes", "Free space of the disk with the worker's folder.", |of: &Telemetry| of
        .disk_free_bytes
        .map(|bytes| bytes as f64)),
    measured!("disk_total_bytes", "Size of the disk with the worker's folder.", |of: &Telemetry| of
        .disk_total_bytes
        .map(|bytes| bytes as f64)),
    ("kindling_device_clock_ahead_seconds", "The machine's clock minus the server's.", |device| {
        device.clock_ahead_secs
    }),
    ("kindling_device_runs", "Runs that the device trains.", |device| {
        Some(if device.is_connected { device.runs.len() as f64 } else { 0.0 })
    }),
    ("kindling_device_training", "1 while the device trains a run.", |device| {
        Some(f64::from(u8::from(device.is_connected && device.run.is_some())))
    }),
    ("kindling_device_tokens_per_second", "Training speed of its runs together.", |device| device.tokens_per_sec()),
];

/// Seconds of a usage by state.
const USAGES: [(&str, fn(&Usage) -> f64); 3] =
    [("busy", |usage| usage.busy_secs), ("idle", |usage| usage.idle_secs), ("wasted", |usage| usage.wasted_secs)];

/// Writes the metrics of all devices.
pub(super) fn write(text: &mut Text, fleet: &FleetState, now_ms: i64) {
    for (name, help, read) in METRICS {
        text.family(name, "gauge", help);
        each(fleet, |labels, device| {
            if let Some(value) = read(device) {
                text.value(&format!("{{{labels}}}"), value);
            }
        });
    }
    text.family("kindling_device_report_age_seconds", "gauge", "Time since the last heartbeat of the device's worker.");
    each(fleet, |labels, device| text.value(&format!("{{{labels}}}"), (now_ms - device.seen_ms).max(0) as f64 / 1e3));
    text.family(
        "kindling_device_usage_seconds",
        "gauge",
        "Time of the last hour in which the device was busy, idle, or wasted: idle while a run waited, or reserved by a paused run.",
    );
    each(fleet, |labels, device| {
        for (state, read) in USAGES {
            text.value(&format!("{{{labels},state=\"{state}\"}}"), read(&device.hour));
        }
    });
    text.family("kindling_device_findings", "gauge", "Findings about the device by kind.");
    each(fleet, |labels, device| {
        for kind in FindingKind::ALL {
            let count = device.findings.iter().filter(|finding| finding.kind == kind).count();
            text.value(&format!("{{{labels},kind=\"{}\"}}", kind.word()), count as f64);
        }
    });
}

fn each(fleet: &FleetState, mut act: impl FnMut(&str, &FleetDevice)) {
    for machine in &fleet.machines {
        machine.devices.iter().for_each(|device| act(&labels(machine, device), device));
    }
}

fn labels(machine: &FleetMachine, device: &FleetDevice) -> String {
    format!(
        "device=\"{}\",host=\"{}\",pool=\"{}\",name=\"{}\"",
        device.info.id,
        escaped(&machine.host),
        escaped(&device.pool),
        escaped(&device.info.name)
    )
}

/// A text between quotation marks in Prometheus' text format.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_machines_are_escaped() {
        assert_eq!(escaped("a \"b\" \\ c\nd"), "a \\\"b\\\" \\\\ c\\nd");
    }
}
