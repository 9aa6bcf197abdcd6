//! Telemetry: measures the device and the machine every [`EVERY`], on a thread of its own, because a call of a driver can block. A value
//! that the platform does not report is absent.
//!
//! - [`host`]: load and memory of the machine, and the disk of the worker's folder; [`processor`]: temperature and clock of the CPU;
//! - [`nvidia`]: NVIDIA GPUs by NVML; [`amd`]: AMD GPUs by the files of their driver; [`sysfs`]: reading such files.
//!
//! GPUs of Apple and Intel are not measured.

mod amd;
mod host;
mod nvidia;
mod processor;
mod sysfs;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use wire::device::DeviceKind;
use wire::telemetry::Telemetry;

use amd::AmdGpu;
use host::Host;
use nvidia::NvidiaGpu;
use processor::Processor;
use sysfs::Folder;

/// Time between two measurements.
const EVERY: Duration = Duration::from_secs(2);

/// The device and the folder whose disk is measured.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) kind: DeviceKind,
    /// Name of the GPU, as its driver gives it.
    pub(crate) name: String,
    /// PCI address of the GPU: `0000:01:00.0`; `None` if it is unknown.
    pub(crate) pci_address: Option<String>,
    /// Folder of the worker.
    pub(crate) folder: PathBuf,
}

/// The newest measurement, which a thread replaces until this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Sampler(Arc<Mutex<Option<Telemetry>>>);

impl Sampler {
    /// Starts to measure. Without a thread nothing is measured; the training does not depend on it.
    pub(crate) fn start(subject: Subject) -> Self {
        let sampler = Self::default();
        let newest = Arc::downgrade(&sampler.0);
        let thread = thread::Builder::new().name("telemetry".to_owned());
        if let Err(error) = thread.spawn(move || measure(&subject, &newest)) {
            tracing::warn!("no telemetry, because its thread could not be started: {error}");
        }
        sampler
    }

    /// The newest measurement, once: while a driver blocks there is none.
    pub(crate) fn take(&self) -> Option<Telemetry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn measure(subject: &Subject, newest: &Weak<Mutex<Option<Telemetry>>>) {
    let system = Folder::new("/sys");
    let mut host = Host::new(subject.folder.clone());
    let mut device = Device::open(subject, &system);
    loop {
        thread::sleep(EVERY);
        let mut telemetry = host.measure();
        device.measure(&mut telemetry);
        // The worker has ended.
        let Some(newest) = newest.upgrade() else { return };
        *newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(telemetry.checked());
    }
}

/// The source of the values of a device.
enum Device {
    Processor(Processor),
    Nvidia(NvidiaGpu),
    Amd(AmdGpu),
    /// The platform reports nothing about it.
    Unknown,
}

impl Device {
    fn open(subject: &Subject, system: &Folder) -> Self {
        if subject.kind != DeviceKind::Gpu {
            return Self::Processor(Processor::open(system));
        }
        let address = subject.pci_address.as_deref();
        if let Some(gpu) = NvidiaGpu::open(address, &subject.name) {
            return Self::Nvidia(gpu);
        }
        AmdGpu::open(system, address).map_or(Self::Unknown, Self::Amd)
    }

    fn measure(&mut self, telemetry: &mut Telemetry) {
        match self {
            Self::Processor(processor) => processor.measure(telemetry),
            Self::Nvidia(gpu) => gpu.measure(telemetry),
            Self::Amd(gpu) => gpu.measure(telemetry),
            Self::Unknown => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_measurement_is_taken_once() {
        let folder = tempfile::tempdir().unwrap();
        let (kind, name, pci_address) = (DeviceKind::Cpu, "cpu".to_owned(), None);
        let sampler = Sampler::start(Subject { kind, name, pci_address, folder: folder.path().to_owned() });
        let end = std::time::Instant::now() + Duration::from_secs(20);
        let telemetry = loop {
            match sampler.take() {
                Some(telemetry) => break telemetry,
                None => assert!(std::time::Instant::now() < end, "nothing was measured"),
            }
            thread::sleep(Duration::from_millis(20));
        };
        assert_eq!(sampler.take(), None);
        assert!(telemetry.cpu_utilization.is_some_and(|share| (0.0..=1.0).contains(&share)), "{telemetry:?}");
        let (used, total) = telemetry.memory(DeviceKind::Cpu).unwrap();
        assert!(used > 0 && used <= total, "{telemetry:?}");
        #[cfg(unix)]
        assert!(telemetry.disk_free_bytes.is_some() && telemetry.disk_free_bytes <= telemetry.disk_total_bytes);
        assert_eq!((telemetry.gpu_utilization, telemetry.memory_total_bytes), (None, None), "a CPU has no GPU values");
    }
}
