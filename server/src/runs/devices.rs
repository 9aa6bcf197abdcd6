//! Specs that name a kind of device, `gpu` or `cpu`, instead of one device.

use wire::device::{DeviceInfo, DeviceKind};
use wire::{DeviceId, PlanError, RunSpec};

use crate::lab::Lab;

/// A spec and the device that it is planned for.
pub struct DeviceChoice {
    /// The spec; it names one device or none.
    pub spec: RunSpec,
    /// The devices that it may be planned for.
    pub devices: Vec<DeviceInfo>,
    /// A note on the choice, for the plan.
    pub note: Option<String>,
}

/// Chooses the device to plan for. `gpu` and `cpu` stand for any device of that kind: the plan is made for the fastest known one, and the run
/// starts on the first idle one. A run may wait for a GPU before any has connected; a CPU must be known, because its cores are part of the
/// plan.
///
/// # Errors
/// `cpu` before a CPU has connected.
pub fn choose(spec: &RunSpec, known: &[DeviceInfo]) -> Result<DeviceChoice, PlanError> {
    let mut choice = DeviceChoice { spec: spec.clone(), devices: known.to_vec(), note: None };
    let Some(word) = &spec.device else { return Ok(choice) };
    let Some(kind) = kind_of(word) else { return Ok(choice) };
    let of_kind = known.iter().filter(|device| device.kind == kind);
    match (of_kind.clone().max_by(|a, b| a.flops_per_sec.total_cmp(&b.flops_per_sec)), kind) {
        (Some(fastest), _) => {
            choice.spec.device = Some(fastest.id.clone());
            if of_kind.count() > 1 {
                choice.note =
                    Some(format!("The run starts on the first idle {word}; the estimate is for {}.", fastest.id));
            }
        }
        (None, DeviceKind::Gpu) => {
            choice.devices.push(DeviceInfo {
                id: word.clone(),
                name: "any GPU".to_owned(),
                kind,
                backend: String::new(),
                cores: 1,
                memory_bytes: 0,
                flops_per_sec: 0.0,
            });
            choice.note = Some(
                "No GPU has connected yet: the run waits for one, and its memory is checked only then.".to_owned(),
            );
        }
        (None, _) => {
            return Err(PlanError::new("device", "no CPU has connected yet, and its cores are part of a plan")
                .hint("wait until its worker has started, or start one with `kindling worker`"));
        }
    }
    Ok(choice)
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
        None => lab.workers.fleet.name_of(device),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(id: &str, kind: DeviceKind, flops_per_sec: f64) -> DeviceInfo {
        let name = id.to_owned();
        let id = id.parse().unwrap();
        DeviceInfo { id, name, kind, backend: String::new(), cores: 2, memory_bytes: 0, flops_per_sec }
    }

    #[test]
    fn a_kind_stands_for_its_fastest_device_and_only_a_gpu_may_be_unknown() {
        let known = [
            device("cpu", DeviceKind::Cpu, 1.0),
            device("vulkan-0", DeviceKind::Gpu, 5.0),
            device("vulkan-1", DeviceKind::Gpu, 9.0),
        ];
        let chosen = |word: &str, known: &[DeviceInfo]| {
            let spec = RunSpec { device: Some(word.parse().unwrap()), ..RunSpec::default() };
            choose(&spec, known).map(|choice| (choice.spec.device.unwrap().to_string(), choice.note.is_some()))
        };
        assert_eq!(chosen("gpu", &known), Ok(("vulkan-1".into(), true)));
        assert_eq!(chosen("cpu", &known), Ok(("cpu".into(), false)));
        assert_eq!(chosen("vulkan-0", &known), Ok(("vulkan-0".into(), false)));
        assert_eq!(chosen("gpu", &[]), Ok(("gpu".into(), true)));
        assert_eq!(chosen("cpu", &[]).unwrap_err().field, "device");
    }
}
