//! Which devices may continue the run of a worker that was lost.

use store::{Store, StoreError, Successor};
use wire::DeviceId;
use wire::device::{DeviceInfo, DeviceKind};

/// The devices that may continue the run of a lost one: those of its pool; where its worker was removed, those of its kind.
///
/// # Errors
/// An error of the store.
pub(super) async fn of(store: &Store, known: &[DeviceInfo], device: &DeviceId) -> Result<Successor, StoreError> {
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
            rates: None,
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
