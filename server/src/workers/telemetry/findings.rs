//! Rules that find what is wrong with a device, each with the value and with what to do. Pure functions.

use figure::number::{bytes, duration, short};
use wire::device::DeviceKind;
use wire::telemetry::{Finding, FindingKind, Telemetry};

/// A worker sends a heartbeat each second.
const SILENT_SECS: f64 = 15.0;
/// Fraction of the memory in use from which on a larger batch may not fit.
const MEMORY_SHARE: f64 = 0.92;
/// Free space of the disk below which checkpoints may not fit.
const DISK_BYTES: u64 = 2_000_000_000;
const DISK_SHARE: f64 = 0.02;
const CLOCK_SECS: f64 = 2.0;

/// Measurements and times that decide the findings of a device.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    pub kind: DeviceKind,
    /// Time since the last heartbeat, s.
    pub silent_secs: f64,
    /// The newest measurement, if it is recent.
    pub telemetry: Option<&'a Telemetry>,
    /// The machine's clock minus this server's, s.
    pub clock_ahead_secs: Option<f64>,
}

/// What the rules find, the most urgent first. About a worker that is silent nothing else is known.
pub fn findings(facts: &Facts) -> Vec<Finding> {
    if facts.silent_secs > SILENT_SECS {
        return vec![silent(facts.silent_secs)];
    }
    let of_telemetry = facts
        .telemetry
        .into_iter()
        .flat_map(|telemetry| [memory(facts.kind, telemetry), disk(telemetry), ecc(telemetry), throttled(telemetry)]);
    let clock = facts.clock_ahead_secs.and_then(clock);
    let mut found: Vec<Finding> = of_telemetry.chain([clock]).flatten().collect();
    found.sort_by_key(|finding| finding.kind);
    found
}

fn finding(kind: FindingKind, found: String, remedy: &str) -> Finding {
    Finding { kind, found, remedy: remedy.to_owned() }
}

fn silent(secs: f64) -> Finding {
    finding(
        FindingKind::NoReports,
        format!("The worker has sent nothing for {}.", duration(secs)),
        "Check that the machine is on, that it reaches this server, and that its worker runs.",
    )
}

fn memory(kind: DeviceKind, telemetry: &Telemetry) -> Option<Finding> {
    let (used, total) = telemetry.memory(kind)?;
    let share = used as f64 / total as f64;
    let what = if kind == DeviceKind::Gpu { "the GPU" } else { "the machine" };
    (share > MEMORY_SHARE).then(|| {
        finding(
            FindingKind::MemoryNearlyFull,
            format!("{} of the memory of {what} is in use ({} of {}).", percent(share), bytes(used), bytes(total)),
            "Set a smaller batch.size or model.seq for the next run, or end other programs on the machine.",
        )
    })
}

fn disk(telemetry: &Telemetry) -> Option<Finding> {
    let (free, total) = (telemetry.disk_free_bytes?, telemetry.disk_total_bytes?);
    let share = free as f64 / total.max(1) as f64;
    (free < DISK_BYTES || share < DISK_SHARE).then(|| {
        finding(
            FindingKind::DiskNearlyFull,
            format!("The disk with the folder of the worker has {} free ({} of it).", bytes(free), percent(share)),
            "Free some space. A run pauses when its reports cannot be written, and its checkpoints need space too.",
        )
    })
}

fn ecc(telemetry: &Telemetry) -> Option<Finding> {
    let count = telemetry.ecc_uncorrected.filter(|count| *count > 0)?;
    let errors = if count == 1 { "1 memory error".to_owned() } else { format!("{count} memory errors") };
    Some(finding(
        FindingKind::EccErrors,
        format!("ECC could not correct {errors} since the driver was loaded."),
        "Reset the GPU or restart the machine. If errors come back, have the GPU replaced.",
    ))
}

fn throttled(telemetry: &Telemetry) -> Option<Finding> {
    let reasons = &telemetry.throttle_reasons;
    if reasons.is_empty() {
        return None;
    }
    let power = match (telemetry.power_w, telemetry.power_limit_w) {
        (Some(power), Some(limit)) => Some(format!("{power:.0} of {limit:.0} W")),
        (power, _) => power.map(|power| format!("{power:.0} W")),
    };
    let values = [
        telemetry.temperature_c.map(|value| format!("{value:.0} °C")),
        power,
        telemetry.clock_mhz.map(|value| format!("{} MHz", short(value.round()))),
    ];
    let values: Vec<String> = values.into_iter().flatten().collect();
    let values = if values.is_empty() { String::new() } else { format!(" ({})", values.join(", ")) };
    let is_power_alone = reasons.iter().all(|reason| reason == "power limit");
    Some(finding(
        FindingKind::Throttled,
        format!("The clock is lowered: {}{values}.", reasons.join(", ")),
        match is_power_alone {
            true => {
                "This is normal for a GPU under full load. A higher power limit gives more speed, if the cooling allows it."
            }
            false => "Check the cooling and the power supply of the machine.",
        },
    ))
}

fn clock(ahead_secs: f64) -> Option<Finding> {
    (ahead_secs.abs() > CLOCK_SECS).then(|| {
        let direction = if ahead_secs > 0.0 { "ahead of" } else { "behind" };
        finding(
            FindingKind::ClockSkew,
            format!("The clock of the machine is {} {direction} that of this server.", duration(ahead_secs.abs())),
            "Synchronize both clocks by NTP. Times of reports are converted, so runs are not affected.",
        )
    })
}

fn percent(share: f64) -> String {
    match share * 100.0 {
        percent if percent < 1.0 => format!("{percent:.1} %"),
        percent => format!("{percent:.0} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use FindingKind::{ClockSkew, DiskNearlyFull, EccErrors, MemoryNearlyFull, NoReports, Throttled};

    const GB: u64 = 1_000_000_000;

    fn check(silent_secs: f64, telemetry: &Telemetry, ahead_secs: f64, expected: &[FindingKind]) -> String {
        let facts = Facts {
            kind: DeviceKind::Gpu,
            silent_secs,
            telemetry: Some(telemetry),
            clock_ahead_secs: Some(ahead_secs),
        };
        let found = findings(&facts);
        let kinds: Vec<FindingKind> = found.iter().map(|finding| finding.kind).collect();
        assert_eq!(kinds, expected, "{silent_secs} s, {ahead_secs} s, {telemetry:?}");
        assert!(found.iter().all(|finding| finding.found.ends_with('.') && finding.remedy.ends_with('.')), "{found:?}");
        found.into_iter().map(|finding| finding.found.replace('\u{202f}', " ")).collect::<Vec<_>>().join(" ")
    }

    fn gpu(used_gb: u64, free_gb: u64) -> Telemetry {
        Telemetry {
            memory_used_bytes: Some(used_gb * GB),
            memory_total_bytes: Some(80 * GB),
            disk_free_bytes: Some(free_gb * GB),
            disk_total_bytes: Some(1000 * GB),
            ..Telemetry::default()
        }
    }

    #[test]
    fn nothing_is_found_about_a_device_that_works_or_reports_nothing() {
        check(1.0, &gpu(73, 20), 2.0, &[]);
        check(1.0, &Telemetry::default(), -1.9, &[]);
        check(15.0, &gpu(10, 500), 0.0, &[]);
    }

    #[test]
    fn each_limit_is_found_with_its_value() {
        let text = check(1.0, &gpu(74, 500), 0.0, &[MemoryNearlyFull]);
        assert!(text.contains("92 % of the memory of the GPU is in use (74 GB of 80 GB)"), "{text}");
        let text = check(1.0, &gpu(1, 19), 0.0, &[DiskNearlyFull]);
        assert!(text.contains("19 GB free (2 % of it)"), "{text}");
        let small = Telemetry { disk_total_bytes: Some(10 * GB), ..gpu(1, 1) };
        check(1.0, &small, 0.0, &[DiskNearlyFull]);
        let broken = Telemetry { ecc_uncorrected: Some(1), ..gpu(1, 500) };
        assert!(check(1.0, &broken, 0.0, &[EccErrors]).contains("1 memory error since"));
        let text = check(1.0, &gpu(1, 500), -65.0, &[ClockSkew]);
        assert!(text.contains("65 s behind that of this server"), "{text}");
        let text = check(200.0, &gpu(79, 0), 60.0, &[NoReports]);
        assert!(text.contains("nothing for 3 min"), "{text}");
    }

    #[test]
    fn the_reasons_of_a_lowered_clock_are_named_with_the_values_at_hand() {
        let hot = Telemetry {
            throttle_reasons: vec!["temperature".into(), "hardware slowdown".into()],
            temperature_c: Some(93.4),
            clock_mhz: Some(1095.0),
            power_w: Some(312.4),
            power_limit_w: Some(700.0),
            ..gpu(1, 500)
        };
        let text = check(1.0, &hot, 0.0, &[Throttled]);
        assert!(text.contains("temperature, hardware slowdown (93 °C, 312 of 700 W, 1 095 MHz)"), "{text}");
        let bare = Telemetry { throttle_reasons: vec!["power limit".into()], ..Telemetry::default() };
        assert_eq!(check(1.0, &bare, 0.0, &[Throttled]), "The clock is lowered: power limit.");
    }

    #[test]
    fn the_memory_of_a_cpu_is_that_of_its_machine() {
        let telemetry = Telemetry {
            host_memory_used_bytes: Some(15 * GB),
            host_memory_total_bytes: Some(16 * GB),
            ..Telemetry::default()
        };
        let facts = |kind| Facts { kind, silent_secs: 0.0, telemetry: Some(&telemetry), clock_ahead_secs: None };
        assert_eq!(findings(&facts(DeviceKind::Cpu))[0].kind, MemoryNearlyFull);
        assert!(findings(&facts(DeviceKind::Gpu)).is_empty());
    }
}
