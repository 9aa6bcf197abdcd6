//! Devices: the CPU with burn's flex backend, or a GPU with wgpu. [`replicas`]: the threads that split a batch on the CPU;
//! [`partition`]: the parameters over these threads; [`operator_times`]: where the time of a step goes on them.

pub mod operator_times;
pub mod partition;
pub mod replicas;

use std::future::Future;
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::wgpu::{WgpuSetup, wgpu};
use burn::tensor::{Device, DeviceKind as BurnKind, FloatDType, Tensor};
use wire::device::{DeviceInfo, DeviceKind};
use wire::hyperparameters::recipe::Precision;
use wire::id::DeviceId;

use crate::error::EngineError;
use replicas::ThreadLimit;

/// An open device.
pub struct EngineDevice {
    /// Its description.
    pub info: DeviceInfo,
    /// burn's handle, without autodiff.
    pub burn: Device,
    /// The wgpu handles that burn and our kernels share; `None` on the CPU.
    pub setup: Option<WgpuSetup>,
    /// Threads that a training may use; on the CPU alone.
    pub threads: ThreadLimit,
}

impl EngineDevice {
    /// The CPU.
    pub fn processor() -> Self {
        Self { info: cpu(), burn: Device::flex(), setup: None, threads: ThreadLimit::default() }
    }

    /// Whether it is the CPU.
    pub fn is_cpu(&self) -> bool {
        self.setup.is_none()
    }

    /// Whether the device computes products with factors of this format. burn reports it from the features of the adapter and of its compiler.
    pub fn has_format(&self, precision: Precision) -> bool {
        match format_of(precision) {
            None => true,
            Some(format) if self.is_cpu() => format == FloatDType::BF16,
            Some(format) => self.burn.supports_dtype(format),
        }
    }

    /// Returns an error if the device does not compute products with factors of this format.
    ///
    /// # Errors
    /// [`EngineError::NoFormat`].
    pub fn require_format(&self, precision: Precision) -> Result<(), EngineError> {
        if self.has_format(precision) {
            return Ok(());
        }
        let others = [Precision::Bfloat16, Precision::Float16];
        let others = others.into_iter().filter(|other| *other != precision && self.has_format(*other));
        let formats: Vec<&str> = others.chain([Precision::Float32]).map(Precision::name).collect();
        Err(EngineError::NoFormat {
            device: self.info.name.clone(),
            format: precision.name(),
            others: formats.join(" or "),
        })
    }

    /// PCI address of a GPU, `0000:01:00.0`; `None` on the CPU, and where the driver does not give it.
    pub fn pci_address(&self) -> Option<String> {
        let about = self.setup.as_ref()?.adapter.get_info();
        Some(about.device_pci_bus_id).filter(|address| !address.is_empty())
    }

    /// Memory in use on the device, bytes; 0 on the CPU, where the memory of the process counts.
    pub fn bytes_in_use(&self) -> u64 {
        self.burn.memory_pool_usage().map_or(0, |usage| usage.bytes_in_use)
    }
}

/// The 16-bit format of a precision; `None` for 32 bits.
pub fn format_of(precision: Precision) -> Option<FloatDType> {
    match precision {
        Precision::Float32 => None,
        Precision::Bfloat16 => Some(FloatDType::BF16),
        Precision::Float16 => Some(FloatDType::F16),
    }
}

/// All devices of this machine: the CPU and every hardware GPU. A software adapter is listed only with `KINDLING_SOFTWARE_GPU=1`: it is
/// for tests, and thirty times slower than the CPU.
pub fn list() -> Vec<DeviceInfo> {
    let mut found = vec![cpu()];
    found.extend(adapters().into_iter().map(|(info, _)| info));
    found
}

/// Opens a device of [`list`].
///
/// # Errors
/// This machine does not have the device, or the driver cannot open it.
pub fn open(id: &DeviceId) -> Result<EngineDevice, EngineError> {
    let processor = EngineDevice::processor();
    if *id == processor.info.id {
        return Ok(processor);
    }
    let gpus = adapters();
    let Some((info, kind)) = gpus.iter().find(|(info, _)| info.id == *id) else {
        let found: Vec<&str> =
            std::iter::once(processor.info.id.as_str()).chain(gpus.iter().map(|(info, _)| info.id.as_str())).collect();
        return Err(EngineError::NoDevice { device: id.to_string(), found: found.join(", ") });
    };
    // Locked while the driver opens the GPU, so that two threads do not open it twice. A panic meanwhile leaves the list consistent.
    let mut opened = OPENED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some((_, burn, setup)) = opened.iter().find(|(known, ..)| known == id) {
        let (burn, setup) = (burn.clone(), Some(setup.clone()));
        return Ok(EngineDevice { info: info.clone(), burn, setup, threads: ThreadLimit::default() });
    }
    let (burn, setup) = Device::wgpu_options()
        .device_kind(kind.clone())
        .init_with_setup()
        .map_err(|source| EngineError::Device { device: id.to_string(), source: source.to_string().into() })?;
    opened.push((id.clone(), burn.clone(), setup.clone()));
    Ok(EngineDevice { info: info.clone(), burn, setup: Some(setup), threads: ThreadLimit::default() })
}

/// GPUs that this process has opened. burn keeps each GPU open for the lifetime of the process and cannot open it again, so a second run on
/// the same GPU uses the handles of the first.
static OPENED: Mutex<Vec<(DeviceId, Device, WgpuSetup)>> = Mutex::new(vec![]);

/// Reads a small tensor back.
///
/// # Errors
/// The device was lost.
pub fn read(tensor: Tensor<1>) -> Result<Vec<f32>, EngineError> {
    let data = tensor.try_into_data().map_err(|source| EngineError::read_back(source.to_string()))?;
    data.try_to_vec::<f32>().map_err(|source| EngineError::read_back(source.to_string()))
}

/// The values of a CPU tensor, without a copy if they are contiguous.
///
/// # Panics
/// If the tensor is on another device.
pub fn host_values(tensor: &Tensor<1>) -> FlexTensor {
    contiguous(tensor.clone().try_into_primitive::<Flex>().expect("only CPU tensors are read in place"))
}

/// Calls `work` with the values of a CPU matrix, row by row; they are copied only if they are not contiguous.
///
/// # Panics
/// If the tensor is on another device.
pub fn with_host_values<R>(tensor: &Tensor<2>, work: impl FnOnce(&[f32]) -> R) -> R {
    let values = contiguous(tensor.clone().try_into_primitive::<Flex>().expect("only CPU tensors are read in place"));
    work(values.as_slice::<f32>().unwrap_or_default())
}

fn contiguous(tensor: FlexTensor) -> FlexTensor {
    if tensor.as_slice::<f32>().is_some() { tensor } else { tensor.to_contiguous() }
}

fn cpu() -> DeviceInfo {
    let cores = std::thread::available_parallelism().map_or(1, |count| count.get() as u32);
    let id = "cpu".parse().expect("a plain word is an id");
    DeviceInfo {
        id,
        name: processor_name(),
        kind: DeviceKind::Cpu,
        backend: "flex".into(),
        cores,
        memory_bytes: free_memory(),
        flops_per_sec: 0.0,
        rates: None,
    }
}

fn processor_name() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    line.map_or_else(|| format!("{} processor", std::env::consts::ARCH), |(_, name)| name.trim().to_owned())
}

/// Free memory, bytes; 0 if the system does not report it.
fn free_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kilobytes| kilobytes * 1024)
}

/// Resident memory of this process, bytes; 0 if the system does not report it.
pub fn process_bytes() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|pages| pages.parse::<f64>().ok()).unwrap_or(0.0) * 4096.0
}

/// GPUs, with burn's identifier of each: its type and its index among the GPUs of that type.
fn adapters() -> Vec<(DeviceInfo, BurnKind)> {
    let wants_software = std::env::var("KINDLING_SOFTWARE_GPU").is_ok_and(|value| value == "1");
    // Vulkan, Metal and DX12 only: with GL, EGL prints errors on machines without a display.
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: wgpu::Backends::PRIMARY,
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let found = now(instance.enumerate_adapters(wgpu::Backends::PRIMARY)).unwrap_or_default();
    let (mut discrete, mut integrated, mut virtuals, mut gpus) = (0, 0, 0, vec![]);
    let next = |count: &mut usize| {
        *count += 1;
        *count - 1
    };
    for adapter in found {
        let about = adapter.get_info();
        let (kind, id) = match about.device_type {
            wgpu::DeviceType::DiscreteGpu => {
                (BurnKind::DiscreteGpu(next(&mut discrete)), format!("gpu-{}", gpus.len()))
            }
            wgpu::DeviceType::IntegratedGpu => {
                (BurnKind::IntegratedGpu(next(&mut integrated)), format!("gpu-{}", gpus.len()))
            }
            wgpu::DeviceType::VirtualGpu => (BurnKind::VirtualGpu(next(&mut virtuals)), format!("gpu-{}", gpus.len())),
            wgpu::DeviceType::Cpu if wants_software => (BurnKind::Cpu, "software".to_owned()),
            _ => continue,
        };
        let is_software = about.device_type == wgpu::DeviceType::Cpu;
        let Ok(id) = id.parse() else { continue };
        let info = DeviceInfo {
            id,
            name: about.name,
            kind: if is_software { DeviceKind::Software } else { DeviceKind::Gpu },
            backend: format!("wgpu ({:?})", about.backend),
            cores: 1,
            memory_bytes: 0,
            flops_per_sec: 0.0,
            rates: None,
        };
        gpus.push((info, kind));
    }
    gpus
}

/// The value of a future that is ready at once, as wgpu's native enumeration is.
fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
