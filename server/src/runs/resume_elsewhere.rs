//! A run whose worker on another machine was lost continues on another device: from the newest checkpoint whose files are here, with the
//! reports that were stored. What the lost worker had not sent is trained again; its replicas are those of the plan, so on the CPU every
//! value is the same.

use store::{Store, StoreError, Successor};
use wire::device::{DeviceInfo, DeviceKind};
use wire::run::history::Past;
use wire::{DeviceId, RunId};

use crate::error::ApiError;
use crate::lab::Lab;

/// The past for the device that is about to train a run: all of it for the one that trained it before, whose folder has the checkpoints that
/// were not uploaded; else what can be fetched from here.
///
/// # Errors
/// An error of the store.
pub async fn past(lab: &Lab, run: &RunId, before: &DeviceId, device: &DeviceId) -> Result<Past, ApiError> {
    let store = lab.store();
    Ok(if before == device { store.past(run).await? } else { store.past_elsewhere(run).await? })
}

/// The devices that may continue the run of a lost one: those of its pool; where its worker was removed, those of its kind.
///
/// # Errors
/// An error of the store.
pub async fn successor(store: &Store, known: &[DeviceInfo], device: &DeviceId) -> Result<Successor, StoreError> {
    Ok(match store.worker_of_device(device).await? {
        Some(record) => Successor::Pool(record.pool),
        None => Successor::Kind(kind_of(device, known)),
    })
}

/// The kind of a device. One that has not connected since the server started is known by its id alone, whose last part names its kind.
fn kind_of(device: &DeviceId, known: &[DeviceInfo]) -> DeviceKind {
    let found = known.iter().find(|info| info.id == *device).map(|info| info.kind);
    let by_name = if device.as_str().rsplit('-').next() == Some("cpu") { DeviceKind::Cpu } else { DeviceKind::Gpu };
    found.unwrap_or(by_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_has_not_connected_is_known_by_its_id() {
        let info = |id: &str, kind| DeviceInfo {
            id: id.parse().unwrap(),
            name: String::new(),
            kind,
            backend: String::new(),
            cores: 1,
            memory_bytes: 0,
            flops_per_sec: 0.0,
        };
        let known = [info("box-vulkan-0", DeviceKind::Software), info("box-cpu", DeviceKind::Cpu)];
        for (id, kind) in [
            ("box-vulkan-0", DeviceKind::Software),
            ("box-cpu", DeviceKind::Cpu),
            ("far-cpu", DeviceKind::Cpu),
            ("far-vulkan-1", DeviceKind::Gpu),
        ] {
            assert_eq!(kind_of(&id.parse().unwrap(), &known), kind, "{id}");
        }
    }
}
