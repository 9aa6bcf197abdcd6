//! Telemetry: what a worker measures of its device and machine, the history of it, how the time of a device was used, and findings.

use serde::{Deserialize, Serialize};

use crate::device::{DeviceInfo, DeviceKind};
use crate::id::{DeviceId, RunId, WorkerId};
use crate::run::RunState;

/// Most reasons for a lowered clock in one measurement, and the longest of them, bytes.
const REASONS: usize = 8;
const REASON_BYTES: usize = 80;

/// One measurement of a device and its machine. A value that the platform does not report is absent, never 0.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Telemetry {
    /// Fraction of the time in which the GPU was computing, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu_utilization: Option<f64>,
    /// Memory of the GPU in use by all programs, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_used_bytes: Option<u64>,
    /// Memory of the GPU, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_total_bytes: Option<u64>,
    /// Temperature of the GPU, or of the processor on a CPU device, °C.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature_c: Option<f64>,
    /// Power that the GPU draws, W.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_w: Option<f64>,
    /// Power at which the GPU lowers its clock, W.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_limit_w: Option<f64>,
    /// Clock of the GPU's cores, or the mean clock of the processor's cores on a CPU device, MHz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_mhz: Option<f64>,
    /// Memory errors since the driver was loaded that ECC could not correct.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ecc_uncorrected: Option<u64>,
    /// Why the clock is lowered now: `temperature`, `power limit`, ...; empty if it is not, or if the platform does not report it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub throttle_reasons: Vec<String>,
    /// Fraction of the machine's CPU time in use by all programs, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_utilization: Option<f64>,
    /// Memory of the machine in use, bytes; in a container with a memory limit, the memory of the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_memory_used_bytes: Option<u64>,
    /// Memory of the machine, bytes; in a container with a memory limit, the limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_memory_total_bytes: Option<u64>,
    /// Free space of the disk with the worker's folder, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_free_bytes: Option<u64>,
    /// Size of that disk, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_total_bytes: Option<u64>,
}

impl Telemetry {
    /// Without values that no device has: a driver may return them, and another program may send them.
    pub fn checked(self) -> Self {
        let share = |value: Option<f64>| value.filter(|value| value.is_finite()).map(|value| value.clamp(0.0, 1.0));
        let within = |value: Option<f64>, most: f64| value.filter(|value| (0.0..=most).contains(value));
        let mut throttle_reasons = self.throttle_reasons;
        throttle_reasons.retain(|reason| reason.len() <= REASON_BYTES);
        throttle_reasons.truncate(REASONS);
        Self {
            gpu_utilization: share(self.gpu_utilization),
            cpu_utilization: share(self.cpu_utilization),
            temperature_c: self.temperature_c.filter(|value| (-100.0..=300.0).contains(value)),
            power_w: within(self.power_w, 1e5),
            power_limit_w: within(self.power_limit_w, 1e5),
            clock_mhz: within(self.clock_mhz, 1e5),
            throttle_reasons,
            ..self
        }
    }

    /// The utilization of a device of this kind, 0 to 1: of the GPU, or of the CPU.
    pub fn utilization(&self, kind: DeviceKind) -> Option<f64> {
        match kind {
            DeviceKind::Gpu => self.gpu_utilization,
            DeviceKind::Cpu | DeviceKind::Software => self.cpu_utilization,
        }
    }

    /// The memory of a device of this kind: used and total bytes of the GPU, or of the machine. `None` unless both are known.
    pub fn memory(&self, kind: DeviceKind) -> Option<(u64, u64)> {
        let (used, total) = match kind {
            DeviceKind::Gpu => (self.memory_used_bytes?, self.memory_total_bytes?),
            DeviceKind::Cpu | DeviceKind::Software => (self.host_memory_used_bytes?, self.host_memory_total_bytes?),
        };
        (total > 0).then_some((used, total))
    }
}

/// How the time of a device was used, seconds. Time without a connected worker is in none of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Usage {
    /// A run trained or was being loaded.
    pub busy_secs: f64,
    /// Nothing was to be done.
    pub idle_secs: f64,
    /// Nothing was trained although something was to be done: a run waited that the device could have trained, or a paused run
    /// reserved the device.
    pub wasted_secs: f64,
}

impl Usage {
    /// Time with a connected worker, s.
    pub fn total_secs(&self) -> f64 {
        self.busy_secs + self.idle_secs + self.wasted_secs
    }
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.busy_secs += other.busy_secs;
        self.idle_secs += other.idle_secs;
        self.wasted_secs += other.wasted_secs;
    }
}

/// The values of one quantity in a bucket of the history.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Aggregate {
    pub min: f64,
    pub mean: f64,
    pub max: f64,
}

/// A bucket of the history of a device. A quantity without a measurement is absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct HistoryBucket {
    /// Its start by the server's clock, ms since 1970.
    pub at_ms: i64,
    /// Utilization of the device, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utilization: Option<Aggregate>,
    /// Utilization of the machine's CPU, 0 to 1; on a GPU only, elsewhere it is that of the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_utilization: Option<Aggregate>,
    /// Memory of the device in use, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_used_bytes: Option<Aggregate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature_c: Option<Aggregate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_w: Option<Aggregate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_mhz: Option<Aggregate>,
    pub usage: Usage,
}

/// A range of the history, up to now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum HistoryRange {
    /// The last hour in buckets of 10 s.
    #[default]
    Hour,
    /// The last day in buckets of 5 min.
    Day,
}

impl HistoryRange {
    /// Both ranges.
    pub const ALL: [Self; 2] = [Self::Hour, Self::Day];

    /// Length of the range, s.
    pub const fn secs(self) -> i64 {
        match self {
            Self::Hour => 3600,
            Self::Day => 24 * 3600,
        }
    }

    /// Length of its buckets, s.
    pub const fn bucket_secs(self) -> i64 {
        match self {
            Self::Hour => 10,
            Self::Day => 300,
        }
    }

    /// The word in queries.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

/// Buckets of the measurements of a device, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceHistory {
    pub range: HistoryRange,
    /// Length of a bucket, s.
    pub bucket_secs: i64,
    /// The server's clock, ms since 1970.
    pub now_ms: i64,
    /// Buckets in order. Those without a measurement are left out; the last one is still being filled.
    pub buckets: Vec<HistoryBucket>,
}

/// What a rule has found about a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Finding {
    pub kind: FindingKind,
    /// What was found, with its value, as a sentence.
    pub found: String,
    /// What to do about it, as a sentence.
    pub remedy: String,
}

/// The rule of a [`Finding`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// The worker has sent nothing for 15 s.
    NoReports,
    /// More than 92 % of the device's memory is in use.
    MemoryNearlyFull,
    /// The disk of the worker's folder has less than 2 GB or 2 % free.
    DiskNearlyFull,
    /// ECC could not correct an error of the GPU's memory.
    EccErrors,
    /// The clock of the device is lowered.
    Throttled,
    /// The clock of the machine differs from the server's by more than 2 s.
    ClockSkew,
}

impl FindingKind {
    /// All rules, the most urgent first.
    pub const ALL: [Self; 6] = [
        Self::NoReports,
        Self::MemoryNearlyFull,
        Self::DiskNearlyFull,
        Self::EccErrors,
        Self::Throttled,
        Self::ClockSkew,
    ];

    /// The word in JSON and in labels of metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NoReports => "no_reports",
            Self::MemoryNearlyFull => "memory_nearly_full",
            Self::DiskNearlyFull => "disk_nearly_full",
            Self::EccErrors => "ecc_errors",
            Self::Throttled => "throttled",
            Self::ClockSkew => "clock_skew",
        }
    }
}

/// The run on a device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceRun {
    pub id: RunId,
    pub name: String,
    pub state: RunState,
    /// Steps done.
    pub step: u64,
    /// Planned steps.
    pub steps: u64,
    /// Tokens trained on per second; `None` before the first step.
    pub tokens_per_sec: Option<f64>,
}

/// A device with its newest measurement, usage and findings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FleetDevice {
    /// Description by its worker.
    pub info: DeviceInfo,
    pub worker: WorkerId,
    /// Pool of its worker.
    pub pool: String,
    /// Whether its worker takes no new run.
    pub is_draining: bool,
    /// Whether its worker is connected.
    pub is_connected: bool,
    /// Time of its last heartbeat, ms since 1970.
    pub seen_ms: i64,
    /// The run that it trains; the first of several.
    pub run: Option<DeviceRun>,
    /// All runs that it trains, each by a worker process of its own.
    #[serde(default)]
    pub runs: Vec<DeviceRun>,
    /// Runs that it trains at once, at most: the setting of its pool.
    #[serde(default = "one")]
    pub runs_at_once: u32,
    /// The newest measurement; `None` if there is none of the last 10 s.
    pub telemetry: Option<Telemetry>,
    /// The machine's clock minus the server's, s; `None` before the first note of the worker.
    pub clock_ahead_secs: Option<f64>,
    /// Usage of the last hour.
    pub hour: Usage,
    /// Usage of the last day.
    pub day: Usage,
    /// Mean utilization of each of the last 60 minutes, 0 to 1, oldest first; `None` in one without a measurement.
    pub minutes: Vec<Option<f32>>,
    /// The most urgent first.
    pub findings: Vec<Finding>,
}

fn one() -> u32 {
    1
}

impl FleetDevice {
    /// Tokens per second of all its runs together; `None` if none has reported its speed.
    pub fn tokens_per_sec(&self) -> Option<f64> {
        self.runs.iter().filter_map(|run| run.tokens_per_sec).reduce(|a, b| a + b)
    }
}

/// A machine with its devices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FleetMachine {
    /// Host name.
    pub host: String,
    pub devices: Vec<FleetDevice>,
}

impl FleetMachine {
    /// Findings about all of its devices.
    pub fn finding_count(&self) -> usize {
        self.devices.iter().map(|device| device.findings.len()).sum()
    }
}

/// All machines and devices that have connected since the server started.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FleetState {
    /// The server's clock, ms since 1970.
    pub now_ms: i64,
    /// By host name.
    pub machines: Vec<FleetMachine>,
}

impl FleetState {
    /// All devices, machine by machine.
    pub fn devices(&self) -> impl Iterator<Item = &FleetDevice> {
        self.machines.iter().flat_map(|machine| &machine.devices)
    }

    /// A device with its machine.
    pub fn device(&self, id: &DeviceId) -> Option<(&FleetMachine, &FleetDevice)> {
        let machines = self.machines.iter();
        machines
            .flat_map(|machine| machine.devices.iter().map(move |device| (machine, device)))
            .find(|(_, device)| device.info.id == *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_values_are_absent_and_unknown_fields_are_ignored() {
        let telemetry = Telemetry { gpu_utilization: Some(0.0), power_w: Some(61.5), ..Telemetry::default() };
        let text = serde_json::to_string(&telemetry).unwrap();
        assert_eq!(text, r#"{"gpu_utilization":0.0,"power_w":61.5}"#);
        let read: Telemetry = serde_json::from_str(r#"{"gpu_utilization":0.0,"power_w":61.5,"later":[1]}"#).unwrap();
        assert_eq!(read, telemetry);
        let bucket: HistoryBucket = serde_json::from_str(r#"{"at_ms":10}"#).unwrap();
        assert_eq!(bucket, HistoryBucket { at_ms: 10, ..HistoryBucket::default() });
    }

    #[test]
    fn values_that_no_device_has_are_dropped() {
        let telemetry = Telemetry {
            gpu_utilization: Some(1.7),
            cpu_utilization: Some(f64::NAN),
            temperature_c: Some(65535.0),
            power_w: Some(-1.0),
            clock_mhz: Some(f64::INFINITY),
            throttle_reasons: vec!["temperature".into(), "x".repeat(1000)],
            ..Telemetry::default()
        };
        let expected = Telemetry {
            gpu_utilization: Some(1.0),
            throttle_reasons: vec!["temperature".into()],
            ..Telemetry::default()
        };
        assert_eq!(telemetry.checked(), expected);
    }

    #[test]
    fn words_are_those_of_the_json() {
        for kind in FindingKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.word());
        }
        for range in HistoryRange::ALL {
            assert_eq!(serde_json::to_value(range).unwrap(), range.word());
        }
    }
}
