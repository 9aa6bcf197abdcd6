//! The device that a run is planned for: one that has reported, the fastest of a kind (`gpu` or `cpu`), or, before it has reported, a
//! stand-in, with which the run waits.

use store::StoreError;
use wire::device::{DeviceInfo, DeviceKind};
use wire::fleet::LOCAL_POOL;
use wire::{DeviceId, RunId, RunPlan, RunSpec};

use crate::lab::Lab;
use crate::live::clock::now_ms;

/// Id of the stand-in. A run that is queued for it is planned again when its device has reported.
const STAND_IN: &str = "any";

/// Runs at the head of a queue that are considered if the first cannot start yet.
pub(super) const AHEAD: u32 = 20;

/// A spec and the device that it is planned for.
pub struct DeviceChoice {
    /// The spec; it names one device or none.
    pub spec: RunSpec,
    /// The devices that it may be planned for.
    pub devices: Vec<DeviceInfo>,
    /// A note on the choice, for the plan.
    pub note: Option<String>,
}

/// Whether a plan fits the memory of a device. A run that waits for any device of a kind or a pool was planned for another one.
pub(super) fn fits(plan: &RunPlan, device: &DeviceInfo) -> bool {
    plan.device == device.id || device.memory_bytes == 0 || plan.memory_bytes(device.kind) <= device.memory_bytes
}

/// Memory of a device, bytes; `None` if it is unknown.
fn memory(lab: &Lab, device: &DeviceInfo) -> Option<u64> {
    let measured = || lab.workers.telemetry.known(&device.id, now_ms()).telemetry?.memory_total_bytes;
    Some(device.memory_bytes).filter(|bytes| *bytes > 0).or_else(measured)
}

/// Whether a run can start beside those that train on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Enough,
    /// All runs together need more memory than the device has; bytes.
    TooLittle {
        needed: u64,
        available: u64,
    },
    /// The memory of the device is unknown, so it trains one run at a time.
    Unknown,
}

/// Whether a plan fits into the memory of a device beside the runs that train there, by the planner's estimates.
///
/// # Errors
/// An error of the store.
pub(super) async fn room(
    lab: &Lab,
    plan: &RunPlan,
    device: &DeviceInfo,
    training: &[RunId],
) -> Result<Room, StoreError> {
    if training.is_empty() {
        return Ok(Room::Enough);
    }
    let Some(available) = memory(lab, device) else { return Ok(Room::Unknown) };
    let beside = lab.store().planned_memory(training).await?;
    let needed = plan.memory_bytes(device.kind).saturating_add(beside);
    Ok(if needed <= available { Room::Enough } else { Room::TooLittle { needed, available } })
}

/// The devices that a spec may be planned for: those of its pool, all if it names a device or a kind, and otherwise those of the server's own
/// machine, or all where the server trains on none of its own.
pub fn candidates(lab: &Lab, spec: &RunSpec) -> Vec<DeviceInfo> {
    let fleet = &lab.workers.fleet;
    match (&spec.pool, &spec.device) {
        (Some(pool), _) => fleet.infos_of(pool),
        (None, None) if lab.settings.starts_workers => fleet.infos_of(LOCAL_POOL),
        _ => fleet.infos(),
    }
}

/// Chooses the device to plan for. `gpu` and `cpu` stand for any device of that kind: the plan is made for the fastest known one, and the run
/// starts on the first idle one. A run may be planned before its device has reported: for any GPU, whose memory is checked when the run
/// starts, and for a stand-in otherwise.
pub fn choose(spec: &RunSpec, known: &[DeviceInfo]) -> DeviceChoice {
    let mut choice = DeviceChoice { spec: spec.clone(), devices: known.to_vec(), note: None };
    let kind = spec.device.as_ref().and_then(kind_of);
    let of_kind = known.iter().filter(|device| Some(device.kind) == kind);
    let fastest = of_kind.clone().max_by(|a, b| a.flops_per_sec.total_cmp(&b.flops_per_sec));
    match (&spec.device, kind, fastest) {
        (Some(word), Some(_), Some(fastest)) => {
            choice.spec.device = Some(fastest.id.clone());
            if of_kind.count() > 1 {
                choice.note =
                    Some(format!("The run starts on the first idle {word}; the estimate is for {}.", fastest.id));
            }
        }
        (Some(word), Some(DeviceKind::Gpu), None) => {
            choice.devices.push(DeviceInfo::unknown(word.clone(), "any GPU", DeviceKind::Gpu));
            choice.note = Some(
                "No GPU has connected yet: the run waits for one, and its memory requirement is checked then."
                    .to_owned(),
            );
        }
        (_, Some(_), None) => choice.wait(),
        (_, None, _) if known.is_empty() => choice.wait(),
        _ => {}
    }
    choice
}

impl DeviceChoice {
    /// Plans for the stand-in.
    fn wait(&mut self) {
        let reason = waits_for(&self.spec, None);
        self.note = Some(format!("The run {reason}; its replicas, memory and time are known only then."));
        let Some(id) = stand_in() else { return };
        // The device stands for the pool.
        (self.spec.device, self.spec.pool) = (Some(id.clone()), None);
        self.devices.push(DeviceInfo::unknown(id, "the first device", DeviceKind::Cpu));
    }
}

/// The device of a fork that has not reported yet: the one or the kind that it names, or that of its parent. A fork keeps the replicas of its
/// parent, so it is planned without knowing the device. Where others have reported, a device that is named and has not is unknown.
pub fn missing(spec: &RunSpec, parent: &DeviceId, known: &[DeviceInfo]) -> Option<DeviceInfo> {
    let id = spec.device.as_ref().unwrap_or(parent);
    let kind = spec.device.as_ref().and_then(kind_of);
    let is_missing = match kind {
        Some(kind) => known.iter().all(|device| device.kind != kind),
        None => known.is_empty(),
    };
    is_missing.then(|| DeviceInfo::unknown(id.clone(), id.as_str(), kind.unwrap_or(DeviceKind::Cpu)))
}

/// Id of the stand-in.
pub fn stand_in() -> Option<DeviceId> {
    STAND_IN.parse().ok()
}

/// Whether a plan was made for the stand-in.
pub fn is_stand_in(device: &DeviceId) -> bool {
    device.as_str() == STAND_IN
}

/// Whether a run of this spec can be planned: the device or kind that it names, or any of its candidates, has reported.
pub fn has_reported(spec: &RunSpec, known: &[DeviceInfo]) -> bool {
    match (&spec.device, spec.device.as_ref().and_then(kind_of)) {
        (_, Some(kind)) => known.iter().any(|device| device.kind == kind),
        (Some(id), None) => known.iter().any(|device| device.id == *id),
        (None, None) => known.iter().any(|device| device.kind != DeviceKind::Software),
    }
}

/// Why a run of this spec cannot start, where its device has not reported since the server started.
pub fn reason_to_wait(lab: &Lab, spec: &RunSpec, planned: &DeviceId) -> Option<String> {
    let is_known = lab.workers.fleet.infos().iter().any(|device| device.id == *planned);
    let planned = Some(planned).filter(|device| !is_stand_in(device));
    (!is_known).then(|| waits_for(spec, planned))
}

fn waits_for(spec: &RunSpec, planned: Option<&DeviceId>) -> String {
    if let Some(pool) = &spec.pool {
        return format!("waits for the first worker of the pool {pool} to report");
    }
    match spec.device.as_ref().or(planned) {
        Some(word) if kind_of(word).is_some() => format!("waits for the first {word} to report"),
        Some(id) => format!("waits for the device {id} to report"),
        None => "waits for the first device to report".to_owned(),
    }
}

fn kind_of(word: &DeviceId) -> Option<DeviceKind> {
    match word.as_str() {
        "gpu" => Some(DeviceKind::Gpu),
        "cpu" => Some(DeviceKind::Cpu),
        _ => None,
    }
}

/// Display name of the device of a new run.
pub fn name_of(lab: &Lab, spec: &RunSpec, device: &DeviceId) -> String {
    match spec.device.as_ref().filter(|word| *word == device && kind_of(word) == Some(DeviceKind::Gpu)) {
        Some(_) => "any GPU".to_owned(),
        None if is_stand_in(device) => match &spec.pool {
            Some(pool) => format!("the first device of the pool {pool}"),
            None => "the first device".to_owned(),
        },
        None => lab.workers.fleet.name_of(device),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(id: &str, kind: DeviceKind, flops_per_sec: f64) -> DeviceInfo {
        let name = id.to_owned();
        let id = id.parse().unwrap();
        DeviceInfo { id, name, kind, backend: String::new(), cores: 2, memory_bytes: 0, flops_per_sec, rates: None }
    }

    #[test]
    fn a_fork_waits_for_a_device_that_has_not_reported() {
        let cpu = device("cpu", DeviceKind::Cpu, 1.0);
        let check = |word: Option<&str>, known: &[DeviceInfo], expected: Option<(&str, DeviceKind)>| {
            let spec = RunSpec { device: word.map(|word| word.parse().unwrap()), ..RunSpec::default() };
            let found = missing(&spec, &"far-cpu".parse().unwrap(), known);
            let found = found.as_ref().map(|device| (device.id.as_str(), device.kind));
            assert_eq!(found, expected, "{word:?} of {}", known.len());
        };
        check(None, &[], Some(("far-cpu", DeviceKind::Cpu)));
        check(Some("vulkan-0"), &[], Some(("vulkan-0", DeviceKind::Cpu)));
        check(Some("cpu"), &[], Some(("cpu", DeviceKind::Cpu)));
        check(Some("gpu"), &[], Some(("gpu", DeviceKind::Gpu)));
        check(Some("gpu"), &[cpu.clone()], Some(("gpu", DeviceKind::Gpu)));
        check(Some("cpu"), &[cpu.clone()], None);
        check(Some("vulkan-0"), &[cpu.clone()], None);
        check(None, &[cpu], None);
    }

    #[test]
    fn a_kind_stands_for_its_fastest_device_and_an_unknown_device_is_waited_for() {
        let cpu = device("cpu", DeviceKind::Cpu, 1.0);
        let gpus = [device("vulkan-0", DeviceKind::Gpu, 5.0), device("vulkan-1", DeviceKind::Gpu, 9.0)];
        let all = [&[cpu.clone()], &gpus[..]].concat();
        let check = |word: Option<&str>, known: &[DeviceInfo], device: Option<&str>, note: &str| {
            let spec = RunSpec { device: word.map(|word| word.parse().unwrap()), ..RunSpec::default() };
            let choice = choose(&spec, known);
            assert_eq!(choice.spec.device.as_ref().map(DeviceId::as_str), device, "{word:?} of {}", known.len());
            let is_known = device.is_none_or(|id| choice.devices.iter().any(|device| device.id.as_str() == id));
            assert!(is_known || known.len() == 3, "{word:?}");
            assert!(choice.note.unwrap_or_default().contains(note), "{word:?} of {}", known.len());
        };
        check(Some("gpu"), &all, Some("vulkan-1"), "first idle gpu");
        check(Some("cpu"), &all, Some("cpu"), "");
        check(Some("vulkan-0"), &all, Some("vulkan-0"), "");
        check(Some("vulkan-9"), &all, Some("vulkan-9"), "");
        check(None, &all, None, "");
        check(Some("gpu"), &[], Some("gpu"), "No GPU has connected yet");
        check(Some("gpu"), &[cpu], Some("gpu"), "No GPU has connected yet");
        check(Some("cpu"), &[], Some(STAND_IN), "waits for the first cpu to report");
        check(Some("cpu"), &gpus, Some(STAND_IN), "waits for the first cpu to report");
        check(Some("vulkan-0"), &[], Some(STAND_IN), "waits for the device vulkan-0 to report");
        check(None, &[], Some(STAND_IN), "waits for the first device to report");
    }
}
