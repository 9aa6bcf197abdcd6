//! Adapter, driver, supported features and memory of the device.

use burn::tensor::wgpu::{WgpuSetup, wgpu};
use burn_cubecl::cubecl::client::Client;
use burn_cubecl::cubecl::ir::{ElemType, FloatKind};

use super::part::Sink;
use super::tuning;
use crate::device::EngineDevice;
use crate::error::EngineError;

/// Reports adapter, driver, limits, features and memory.
///
/// # Errors
/// The device was lost.
pub(super) fn report(device: &EngineDevice, sink: &mut Sink<'_>) -> Result<(), EngineError> {
    let info = &device.info;
    sink.check("device", true, format!("{}: {}, {}", info.id, info.name, info.backend));
    let Some(setup) = &device.setup else {
        sink.check("cores", info.cores > 0, format!("{} used as replicas", info.cores));
        sink.figure("memory free", info.memory_bytes as f64 / 1e9, "GB", "reported by the operating system");
        sink.check("vectors", true, vectors());
        return Ok(());
    };
    report_wgpu(setup, sink);
    if let Some(client) = tuning::client(device)? {
        report_burn(&client, sink);
    }
    match gpu_memory(&info.name) {
        Some(bytes) => sink.figure("GPU memory", bytes as f64 / 1e9, "GB", "reported by its driver"),
        None => sink.not_run("GPU memory", "neither sysfs nor nvidia-smi reports it"),
    }
    Ok(())
}

/// The driver, features and limits that wgpu reports.
fn report_wgpu(setup: &WgpuSetup, sink: &mut Sink<'_>) {
    let (adapter, limits, features) = (setup.adapter.get_info(), setup.device.limits(), setup.adapter.features());
    let driver = format!("{} {}", adapter.driver, adapter.driver_info);
    sink.check("driver", true, format!("{}, {:?} over {:?}", driver.trim(), adapter.device_type, setup.backend));
    let has = |feature| if features.contains(feature) { "yes" } else { "no" };
    sink.check(
        "features of the driver",
        true,
        format!(
            "f16 {}, subgroups {}, cooperative matrices {}, timestamps {}",
            has(wgpu::Features::SHADER_F16),
            has(wgpu::Features::SUBGROUP),
            has(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX),
            has(wgpu::Features::TIMESTAMP_QUERY)
        ),
    );
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    sink.figure("largest storage binding", megabytes(limits.max_storage_buffer_binding_size), "MB", "limit");
    sink.figure("largest buffer", megabytes(limits.max_buffer_size), "MB", "limit");
    sink.figure("workgroup memory", f64::from(limits.max_compute_workgroup_storage_size) / 1e3, "kB", "limit");
    sink.figure("threads of a workgroup", f64::from(limits.max_compute_invocations_per_workgroup), "", "limit");
}

/// The types and instructions that burn uses on the device.
fn report_burn(client: &Client, sink: &mut Sink<'_>) {
    let properties = client.properties();
    let (features, hardware) = (&properties.features, &properties.hardware);
    let float = |kind| if features.supports_type(ElemType::Float(kind)) { "yes" } else { "no" };
    let tiles = features.matmul.cmma.len() + features.matmul.mma.len();
    let planes = format!("{} to {} lanes", hardware.plane_size_min, hardware.plane_size_max);
    sink.check(
        "features that burn uses",
        true,
        format!(
            "f16 {}, bf16 {}, subgroups of {planes}, {tiles} shapes of cooperative matrices, compiler {}",
            float(FloatKind::F16),
            float(FloatKind::BF16),
            client.name()
        ),
    );
    if let Some(count) = hardware.num_streaming_multiprocessors {
        sink.figure("multiprocessors", f64::from(count), "", "reported by burn");
    }
}

/// Memory of a GPU, bytes: from the sysfs files of the AMD driver, or from `nvidia-smi`, which is installed with NVIDIA's driver.
pub(super) fn gpu_memory(name: &str) -> Option<u64> {
    amd_memory().filter(|_| name.to_lowercase().contains("amd") || name.to_lowercase().contains("radeon")).or_else(
        || {
            let words = ["--query-gpu=name,memory.total", "--format=csv,noheader,nounits"];
            let output = std::process::Command::new("nvidia-smi").args(words).output().ok()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let line = text.lines().find(|line| line.split(',').next().is_some_and(|gpu| name.contains(gpu.trim())))?;
            line.rsplit(',').next()?.trim().parse::<u64>().ok().map(|mebibytes| mebibytes << 20)
        },
    )
}

fn amd_memory() -> Option<u64> {
    let cards = std::fs::read_dir("/sys/class/drm").ok()?;
    let sizes = cards.flatten().filter_map(|card| {
        let text = std::fs::read_to_string(card.path().join("device/mem_info_vram_total")).ok()?;
        text.trim().parse().ok()
    });
    sizes.max()
}

#[cfg(target_arch = "x86_64")]
fn vectors() -> String {
    let known =
        [("AVX-512", std::is_x86_feature_detected!("avx512f")), ("AVX2", std::is_x86_feature_detected!("avx2"))];
    known.into_iter().find(|(_, has)| *has).map_or("SSE2", |(name, _)| name).to_owned()
}

#[cfg(not(target_arch = "x86_64"))]
fn vectors() -> String {
    std::env::consts::ARCH.to_owned()
}
