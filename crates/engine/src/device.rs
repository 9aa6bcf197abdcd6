//! Where training runs: the processor's cores through burn's flex, or a graphics card through wgpu.

use std::future::Future;
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use burn::tensor::wgpu::{WgpuSetup, wgpu};
use burn::tensor::{Device, DeviceKind as BurnKind};
use wire::device::{DeviceInfo, DeviceKind};
use wire::id::DeviceId;

use crate::batch::Batch;
use crate::cores::Cores;
use crate::error::EngineError;
use crate::gradient::{self, Pass};
use crate::params::{self, Weights};
use crate::random::Counter;

/// A device that has been opened.
pub struct EngineDevice {
    /// What it is.
    pub info: DeviceInfo,
    /// burn's handle, without autodiff.
    pub burn: Device,
    /// The wgpu handles it shares with our own kernels; none on the CPU.
    pub setup: Option<WgpuSetup>,
}

impl EngineDevice {
    /// The processor.
    pub fn processor() -> Self {
        Self { info: cpu(), burn: Device::flex(), setup: None }
    }

    /// Whether arithmetic happens on the processor.
    pub fn is_cpu(&self) -> bool {
        self.setup.is_none()
    }

    /// Memory in use on the device, bytes; 0 on the CPU, where the process's own counts.
    pub fn bytes_in_use(&self) -> u64 {
        self.burn.memory_pool_usage().map_or(0, |usage| usage.bytes_in_use)
    }
}

/// All devices of this machine: the CPU, and every real graphics card. A card played by the processor is listed only where
/// `KINDLING_SOFTWARE_GPU=1` asks for it: it is for tests, thirty times slower than the CPU path.
pub fn list() -> Vec<DeviceInfo> {
    let mut found = vec![cpu()];
    found.extend(adapters().into_iter().map(|(info, _)| info));
    found
}

/// Opens a device of [`list`].
///
/// # Errors
/// A device that is not there, with those that are; a driver that refuses.
pub fn open(id: &DeviceId) -> Result<EngineDevice, EngineError> {
    let processor = EngineDevice::processor();
    if *id == processor.info.id {
        return Ok(processor);
    }
    let cards = adapters();
    let Some((info, kind)) = cards.iter().find(|(info, _)| info.id == *id) else {
        let found: Vec<&str> =
            std::iter::once(processor.info.id.as_str()).chain(cards.iter().map(|(info, _)| info.id.as_str())).collect();
        return Err(EngineError::NoDevice { device: id.to_string(), found: found.join(", ") });
    };
    // Held while the driver opens the card, so that two threads do not open it twice; a panic there leaves nothing half written.
    let mut opened = OPENED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some((_, burn, setup)) = opened.iter().find(|(known, ..)| known == id) {
        return Ok(EngineDevice { info: info.clone(), burn: burn.clone(), setup: Some(setup.clone()) });
    }
    let (burn, setup) = Device::wgpu_options()
        .device_kind(kind.clone())
        .init_with_setup()
        .map_err(|source| EngineError::Device { device: id.to_string(), message: source.to_string() })?;
    opened.push((id.clone(), burn.clone(), setup.clone()));
    Ok(EngineDevice { info: info.clone(), burn, setup: Some(setup) })
}

/// Cards that this process has opened. burn keeps each for the life of the process and refuses to open it again, so a second run on the
/// same card takes the handles of the first.
static OPENED: Mutex<Vec<(DeviceId, Device, WgpuSetup)>> = Mutex::new(vec![]);

/// Training arithmetic per second of a small model here: three steps of nanoGPT's CPU recipe on random tokens, the fastest counts.
///
/// # Errors
/// Where the device cannot train at all.
pub fn measure(device: &EngineDevice) -> Result<f64, EngineError> {
    let mut model = wire::preset::find("nanogpt-cpu", None)
        .map_err(|source| EngineError::Device { device: device.info.id.to_string(), message: source.to_string() })?
        .recipe
        .model;
    model.vocab = 65;
    let specs = params::layout(&model);
    let flat = params::initial(&specs, 1).into_iter().map(|values| params::upload(values, &device.burn)).collect();
    let weights = Weights::new(&specs, flat);
    let (rows, seq) = (12, model.seq);
    let cores = if device.is_cpu() { Some(Cores::new(rows.min(device.info.cores as usize))?) } else { None };
    let mut random = Counter::new(1, 0);
    let mut ids = || (0..rows * seq).map(|_| (random.share() * 65.0) as i32).collect::<Vec<i32>>();
    let batch = Batch { rows, seq, inputs: ids(), targets: ids() };
    let flops = model.flops_per_token() * (rows * seq) as f64;
    let pass = Pass { model, z_loss: 0.0, key: 0 };
    let mut best = 0f64;
    for round in 0..4 {
        let began = Instant::now();
        let gradient = gradient::of_step(&pass, &weights, vec![batch.clone()], cores.as_ref(), &device.burn)?;
        read(gradient.loss)?;
        if round > 0 {
            best = best.max(flops / began.elapsed().as_secs_f64());
        }
    }
    Ok(best)
}

/// Reads a small tensor back.
///
/// # Errors
/// A device that has gone away.
pub fn read(tensor: burn::tensor::Tensor<1>) -> Result<Vec<f32>, EngineError> {
    let data = tensor.try_into_data().map_err(|source| EngineError::ReadBack { message: source.to_string() })?;
    data.try_to_vec::<f32>().map_err(|source| EngineError::ReadBack { message: source.to_string() })
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
    }
}

fn processor_name() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    line.map_or_else(|| format!("{} processor", std::env::consts::ARCH), |(_, name)| name.trim().to_owned())
}

/// Memory free for a run, bytes; 0 where the system does not say.
fn free_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kilobytes| kilobytes * 1024)
}

/// Graphics cards, with the name burn knows each by: its place among those of its type.
fn adapters() -> Vec<(DeviceInfo, BurnKind)> {
    let wants_software = std::env::var("KINDLING_SOFTWARE_GPU").is_ok_and(|value| value == "1");
    // Vulkan, Metal and DX12 only: asking for GL as well makes EGL complain on machines without a display.
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: wgpu::Backends::PRIMARY,
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let found = now(instance.enumerate_adapters(wgpu::Backends::PRIMARY)).unwrap_or_default();
    let (mut discrete, mut integrated, mut virtuals, mut cards) = (0, 0, 0, vec![]);
    let next = |count: &mut usize| {
        *count += 1;
        *count - 1
    };
    for adapter in found {
        let about = adapter.get_info();
        let (kind, id) = match about.device_type {
            wgpu::DeviceType::DiscreteGpu => {
                (BurnKind::DiscreteGpu(next(&mut discrete)), format!("gpu-{}", cards.len()))
            }
            wgpu::DeviceType::IntegratedGpu => {
                (BurnKind::IntegratedGpu(next(&mut integrated)), format!("gpu-{}", cards.len()))
            }
            wgpu::DeviceType::VirtualGpu => (BurnKind::VirtualGpu(next(&mut virtuals)), format!("gpu-{}", cards.len())),
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
        };
        cards.push((info, kind));
    }
    cards
}

/// The value of a future that is ready at once, as wgpu's native enumeration is.
fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
