//! NVIDIA GPUs: the management library of the driver (NVML), which is loaded at run time. A machine without the driver has none.

use nvml_wrapper::Nvml;
use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::enum_wrappers::device::{Clock, EccCounter, MemoryError, TemperatureSensor};
use wire::telemetry::Telemetry;

/// Reasons for a lowered clock that a person can do something about, in words. The library reports idleness and chosen clocks as well.
const REASONS: [(ThrottleReasons, &str); 5] = [
    (ThrottleReasons::SW_THERMAL_SLOWDOWN.union(ThrottleReasons::HW_THERMAL_SLOWDOWN), "temperature"),
    (ThrottleReasons::SW_POWER_CAP, "power limit"),
    (ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN, "power brake of the power supply"),
    (ThrottleReasons::HW_SLOWDOWN, "hardware slowdown"),
    (ThrottleReasons::SYNC_BOOST, "another GPU of its sync boost group"),
];

pub(super) struct NvidiaGpu {
    nvml: Nvml,
    index: u32,
}

impl NvidiaGpu {
    /// The GPU at a PCI address; without an address, the only one of that name.
    pub(super) fn open(address: Option<&str>, name: &str) -> Option<Self> {
        let nvml = Nvml::init().ok()?;
        let index = match address {
            Some(address) => nvml.device_by_pci_bus_id(address).ok()?.index().ok()?,
            None => only_named(&nvml, name)?,
        };
        Some(Self { nvml, index })
    }

    pub(super) fn measure(&self, telemetry: &mut Telemetry) {
        // A GPU that has fallen off the bus.
        let Ok(gpu) = self.nvml.device_by_index(self.index) else { return };
        let watts = |milliwatts: u32| f64::from(milliwatts) / 1e3;
        let memory = gpu.memory_info().ok();
        telemetry.gpu_utilization = gpu.utilization_rates().ok().map(|rates| f64::from(rates.gpu) / 100.0);
        telemetry.memory_used_bytes = memory.as_ref().map(|memory| memory.used);
        telemetry.memory_total_bytes = memory.as_ref().map(|memory| memory.total);
        telemetry.temperature_c = gpu.temperature(TemperatureSensor::Gpu).ok().map(f64::from);
        telemetry.power_w = gpu.power_usage().ok().map(watts);
        telemetry.power_limit_w = gpu.enforced_power_limit().ok().map(watts);
        telemetry.clock_mhz = gpu.clock_info(Clock::SM).ok().map(f64::from);
        telemetry.ecc_uncorrected = gpu.total_ecc_errors(MemoryError::Uncorrected, EccCounter::Volatile).ok();
        telemetry.throttle_reasons = gpu.current_throttle_reasons().map(reasons).unwrap_or_default();
    }
}

fn only_named(nvml: &Nvml, name: &str) -> Option<u32> {
    let is_named = |index: &u32| nvml.device_by_index(*index).is_ok_and(|gpu| gpu.name().is_ok_and(|of| of == name));
    let mut found = (0..nvml.device_count().ok()?).filter(is_named);
    found.next().filter(|_| found.next().is_none())
}

fn reasons(found: ThrottleReasons) -> Vec<String> {
    REASONS.into_iter().filter(|(reason, _)| found.intersects(*reason)).map(|(_, word)| word.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reasons_that_lower_the_clock_are_named() {
        let quiet = ThrottleReasons::GPU_IDLE | ThrottleReasons::APPLICATIONS_CLOCKS_SETTING | ThrottleReasons::NONE;
        assert!(reasons(quiet).is_empty());
        let hot = ThrottleReasons::HW_THERMAL_SLOWDOWN | ThrottleReasons::HW_SLOWDOWN | ThrottleReasons::GPU_IDLE;
        assert_eq!(reasons(hot), ["temperature", "hardware slowdown"]);
        assert_eq!(reasons(ThrottleReasons::SW_POWER_CAP), ["power limit"]);
    }

    #[test]
    fn a_machine_without_the_gpu_has_no_values() {
        assert!(NvidiaGpu::open(None, "no GPU has this name").is_none());
    }
}
