//! AMD GPUs: the files that the kernel's driver `amdgpu` writes for each PCI device. It writes no reason for a lowered clock.

use wire::telemetry::Telemetry;

use super::sysfs::Folder;

const VENDOR: &str = "0x1002";

pub(super) struct AmdGpu {
    device: Folder,
    /// Its sensors; `None` if the driver has none for it.
    sensors: Option<Folder>,
}

impl AmdGpu {
    /// The GPU at a PCI address; without an address, the only one of the machine.
    pub(super) fn open(system: &Folder, address: Option<&str>) -> Option<Self> {
        let devices = system.folder("bus/pci/devices");
        let is_gpu = |device: &Folder| {
            device.text("vendor").as_deref() == Some(VENDOR) && device.text("gpu_busy_percent").is_some()
        };
        let mut found = devices.folders(&address.unwrap_or_default().to_lowercase()).into_iter().filter(is_gpu);
        let device = found.next()?;
        if found.next().is_some() {
            return None;
        }
        let sensors = device.folder("hwmon").folders("hwmon").into_iter().next();
        Some(Self { device, sensors })
    }

    pub(super) fn measure(&self, telemetry: &mut Telemetry) {
        let Self { device, sensors } = self;
        telemetry.gpu_utilization = device.scaled("gpu_busy_percent", 100.0);
        telemetry.memory_used_bytes = device.integer("mem_info_vram_used");
        telemetry.memory_total_bytes = device.integer("mem_info_vram_total");
        telemetry.ecc_uncorrected = device.text("ras/umc_err_count").as_deref().and_then(uncorrected);
        let Some(sensors) = sensors else { return };
        telemetry.temperature_c = sensors.scaled("temp1_input", 1e3);
        // Newer GPUs report the present power, older ones a mean.
        let power = sensors.scaled("power1_average", 1e6).or_else(|| sensors.scaled("power1_input", 1e6));
        telemetry.power_w = power;
        telemetry.power_limit_w = sensors.scaled("power1_cap", 1e6);
        telemetry.clock_mhz = sensors.scaled("freq1_input", 1e6);
    }
}

/// The number after `ue:` in the error counts of a memory controller.
fn uncorrected(counts: &str) -> Option<u64> {
    counts.lines().find_map(|line| line.trim().strip_prefix("ue:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::sysfs::tests::write;
    use super::*;

    const GPU: &[(&str, &str)] = &[
        ("bus/pci/devices/0000:03:00.0/vendor", "0x1002\n"),
        ("bus/pci/devices/0000:03:00.0/gpu_busy_percent", "87\n"),
        ("bus/pci/devices/0000:03:00.0/mem_info_vram_used", "8589934592\n"),
        ("bus/pci/devices/0000:03:00.0/mem_info_vram_total", "25753026560\n"),
        ("bus/pci/devices/0000:03:00.0/ras/umc_err_count", "ue: 2\nce: 5\n"),
        ("bus/pci/devices/0000:03:00.0/hwmon/hwmon4/temp1_input", "71000\n"),
        ("bus/pci/devices/0000:03:00.0/hwmon/hwmon4/power1_average", "303000000\n"),
        ("bus/pci/devices/0000:03:00.0/hwmon/hwmon4/power1_cap", "327000000\n"),
        ("bus/pci/devices/0000:03:00.0/hwmon/hwmon4/freq1_input", "2460000000\n"),
        // The sound device of the same card, and a GPU of another vendor.
        ("bus/pci/devices/0000:03:00.1/vendor", "0x1002\n"),
        ("bus/pci/devices/0000:01:00.0/vendor", "0x10de\n"),
    ];

    fn measured(gpu: &AmdGpu) -> Telemetry {
        let mut telemetry = Telemetry::default();
        gpu.measure(&mut telemetry);
        telemetry
    }

    #[test]
    fn a_gpu_is_found_by_its_address_or_as_the_only_one() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), GPU);
        let system = Folder::new(root.path());
        let expected = Telemetry {
            gpu_utilization: Some(0.87),
            memory_used_bytes: Some(8_589_934_592),
            memory_total_bytes: Some(25_753_026_560),
            temperature_c: Some(71.0),
            power_w: Some(303.0),
            power_limit_w: Some(327.0),
            clock_mhz: Some(2460.0),
            ecc_uncorrected: Some(2),
            ..Telemetry::default()
        };
        for address in [None, Some("0000:03:00.0")] {
            assert_eq!(measured(&AmdGpu::open(&system, address).unwrap()), expected, "{address:?}");
        }
        for address in ["0000:01:00.0", "0000:03:00.1", "0000:99:00.0"] {
            assert!(AmdGpu::open(&system, Some(address)).is_none(), "{address}");
        }
        let second = [
            ("bus/pci/devices/0000:43:00.0/vendor", "0x1002\n"),
            ("bus/pci/devices/0000:43:00.0/gpu_busy_percent", "0\n"),
        ];
        write(root.path(), &second);
        assert!(AmdGpu::open(&system, None).is_none(), "of two GPUs without an address neither is guessed");
        let bare = measured(&AmdGpu::open(&system, Some("0000:43:00.0")).unwrap());
        assert_eq!(bare, Telemetry { gpu_utilization: Some(0.0), ..Telemetry::default() });
    }
}
