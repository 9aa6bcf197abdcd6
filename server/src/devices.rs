//! Devices, and the lab in one answer.

use axum::Json;
use axum::extract::State;
use wire::device::{DeviceInfo, DeviceKind, DeviceView};
use wire::live::LabState;
use wire::{DeviceId, PlanError, RunSpec};

use crate::api_error::ApiError;
use crate::app_state::AppState;
use crate::auth::Viewer;

/// Devices with their load, and what each trains.
#[utoipa::path(get, path = "/devices", tag = "lab", responses((status = 200, body = Vec<DeviceView>)))]
pub async fn list_devices(_: Viewer, State(state): State<AppState>) -> Json<Vec<DeviceView>> {
    Json(state.fleet.views())
}

/// Runs, devices and jobs in one answer.
#[utoipa::path(get, path = "/lab", tag = "lab", responses((status = 200, body = LabState)))]
pub async fn get_lab(_: Viewer, State(state): State<AppState>) -> Result<Json<LabState>, ApiError> {
    lab(&state).await.map(Json)
}

/// The lab as it stands.
pub async fn lab(state: &AppState) -> Result<LabState, ApiError> {
    let runs = state.store.runs(true).await.map_err(|source| ApiError::internal("listing the runs", source))?;
    Ok(LabState { runs, devices: state.fleet.views(), jobs: state.jobs.list() })
}

/// A spec with the device to plan it for, where it names a kind.
pub struct Wanted {
    /// With a single device.
    pub spec: RunSpec,
    /// What may be planned for.
    pub devices: Vec<DeviceInfo>,
    /// What is to be said of it.
    pub note: Option<String>,
}

/// `gpu` and `cpu` stand for any of that kind: the plan is made for the fastest one that is known, and the run starts on the first
/// that is free. Before any GPU has reported, a run may wait for one; a CPU's cores are part of the plan, so that one must be known.
pub fn for_kind(spec: &RunSpec, known: &[DeviceInfo]) -> Result<Wanted, PlanError> {
    let mut wanted = Wanted { spec: spec.clone(), devices: known.to_vec(), note: None };
    let Some(word) = &spec.device else { return Ok(wanted) };
    let Some(kind) = kind_of(word) else { return Ok(wanted) };
    let of_kind = known.iter().filter(|device| device.kind == kind);
    match (of_kind.clone().max_by(|a, b| a.flops_per_sec.total_cmp(&b.flops_per_sec)), kind) {
        (Some(fastest), _) => {
            wanted.spec.device = Some(fastest.id.clone());
            if of_kind.count() > 1 {
                wanted.note = Some(format!("It starts on the first free {word}; the numbers are for {}.", fastest.id));
            }
        }
        (None, DeviceKind::Gpu) => {
            wanted.devices.push(DeviceInfo {
                id: word.clone(),
                name: "any GPU".to_owned(),
                kind,
                backend: String::new(),
                cores: 1,
                memory_bytes: 0,
                flops_per_sec: 0.0,
            });
            wanted.note =
                Some("No GPU has reported yet: it waits until one does, and only then is seen whether it fits.".to_owned());
        }
        (None, _) => {
            return Err(PlanError::new("device", "no CPU has reported yet, and its cores are part of a plan")
                .hint("wait for the worker to start, or start one: kindling worker"));
        }
    }
    Ok(wanted)
}

fn kind_of(word: &DeviceId) -> Option<DeviceKind> {
    match word.as_str() {
        "gpu" => Some(DeviceKind::Gpu),
        "cpu" => Some(DeviceKind::Cpu),
        _ => None,
    }
}

/// The device of a new run in words.
pub fn name_of(state: &AppState, spec: &RunSpec, device: &DeviceId) -> String {
    match spec.device.as_ref().filter(|word| *word == device && kind_of(word) == Some(DeviceKind::Gpu)) {
        Some(_) => "any GPU".to_owned(),
        None => state.fleet.name_of(device),
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
    fn a_kind_stands_for_its_fastest_and_only_a_gpu_can_be_waited_for_unseen() {
        let known = [
            device("cpu", DeviceKind::Cpu, 1.0),
            device("vulkan-0", DeviceKind::Gpu, 5.0),
            device("vulkan-1", DeviceKind::Gpu, 9.0),
        ];
        let wanted = |word: &str, known: &[DeviceInfo]| {
            let spec = RunSpec { device: Some(word.parse().unwrap()), ..RunSpec::default() };
            for_kind(&spec, known).map(|wanted| (wanted.spec.device.unwrap().to_string(), wanted.note.is_some()))
        };
        assert_eq!(wanted("gpu", &known), Ok(("vulkan-1".into(), true)));
        assert_eq!(wanted("cpu", &known), Ok(("cpu".into(), false)));
        assert_eq!(wanted("vulkan-0", &known), Ok(("vulkan-0".into(), false)));
        assert_eq!(wanted("gpu", &[]), Ok(("gpu".into(), true)));
        assert_eq!(wanted("cpu", &[]).unwrap_err().field, "device");
    }
}
