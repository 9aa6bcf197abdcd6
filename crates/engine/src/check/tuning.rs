//! burn's autotuner: switched off, and what it took. It has no switch of its own at run time. But it stops at the first kernel that is near
//! the device's peak, and takes that peak from a cache: filled with a peak that any kernel reaches, it compiles one kernel for each shape
//! and measures none. The settings are read once a process, before the device is opened.

use std::path::{Path, PathBuf};
use std::time::Duration;

use burn::tensor::Tensor;
use burn_cubecl::cubecl::client::Client;
use burn_cubecl::cubecl::config::{CubeClRuntimeConfig, RuntimeConfig, autotune::AutotuneLevel};
use burn_cubecl::cubecl::ir::{ElemType, FloatKind};
use burn_cubecl::cubecl::throughput::{
    CmmaDims, ComputeCmmaConfig, MemoryAccess, MemorySpec, ThroughputCache, ThroughputKey, ThroughputMode,
    ThroughputValue,
};

use crate::device::EngineDevice;
use crate::error::EngineError;
use crate::kernels::gpu::GpuTensor;

/// Where the autotuner writes what it decided, a line of JSON each.
pub(super) struct Log(PathBuf);

/// What tuning took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Took {
    /// Shapes tuned.
    pub(super) shapes: usize,
    /// Kernels compiled and measured.
    pub(super) kernels: usize,
    /// Time of that, seconds.
    pub(super) secs: f64,
}

/// Sets the autotuner for this process; a later call changes nothing.
pub(super) fn configure(is_on: bool, folder: &Path) -> Log {
    let log = Log(folder.join(format!("autotune-{}.jsonl", std::process::id())));
    let mut config = CubeClRuntimeConfig::default();
    config.autotune.decisions.file = Some(log.0.clone());
    if !is_on {
        config.autotune.level = AutotuneLevel::Minimal;
        (config.autotune.bench.min_samples, config.autotune.bench.max_samples) = (1, 1);
        config.autotune.bench.short_circuit_samples = 1;
    }
    CubeClRuntimeConfig::try_set(config);
    log
}

/// A peak so low that the first kernel that works is as near to it as can be wished.
const REACHED_BY_ALL: ThroughputValue = ThroughputValue { ops_count: 1, duration: Duration::from_secs(3600) };

/// Has the autotuner take the first kernel that works, for each shape. Nothing on the CPU, which has no autotuner.
///
/// # Errors
/// A device that has gone away.
pub(super) fn take_the_first(device: &EngineDevice) -> Result<(), EngineError> {
    let Some(client) = client(device)? else { return Ok(()) };
    let cache = ThroughputCache::get_for_device(client.name(), client.properties());
    let mut cache = cache.lock();
    keys(&client).into_iter().for_each(|mode| cache.insert(ThroughputKey { mode }, REACHED_BY_ALL));
    Ok(())
}

/// burn's runtime on a graphics card; none on the CPU.
pub(super) fn client(device: &EngineDevice) -> Result<Option<Client>, EngineError> {
    if device.is_cpu() {
        return Ok(None);
    }
    GpuTensor::new(Tensor::<1>::zeros([1], &device.burn)).map(|tap| Some(tap.client()))
}

/// All that the autotuner asks the peak of: launches, traffic at each power of two, arithmetic of each type, cooperative matrices.
fn keys(client: &Client) -> Vec<ThroughputMode> {
    let features = &client.properties().features;
    let traffic = |access| move |bits: u32| ThroughputMode::Memory(MemorySpec::new(access, 1 << bits));
    let mut keys = vec![ThroughputMode::Launch];
    for access in [MemoryAccess::Copy, MemoryAccess::Read, MemoryAccess::Write] {
        keys.extend((8..40).map(traffic(access)));
    }
    keys.push(ThroughputMode::ComputeDirect { dtype: ElemType::Float(FloatKind::F32) });
    keys.extend(features.types.elem.keys().map(|dtype| ThroughputMode::ComputeDirect { dtype: *dtype }));
    keys.extend(features.matmul.cmma.iter().map(|tile| ThroughputMode::ComputeCmma {
        dtype: tile.a_type,
        config: ComputeCmmaConfig {
            accumulator_type: tile.cd_type,
            cmma_dims: CmmaDims { m: tile.m as usize, n: tile.n as usize, k: tile.k as usize },
        },
    }));
    keys
}

impl Log {
    /// What has been tuned so far.
    pub(super) fn read(&self) -> Took {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        let mut took = Took::default();
        for decision in text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()) {
            let events = decision["log_context"]["events"].as_array().cloned().unwrap_or_default();
            let steps: Vec<f64> = events.iter().filter_map(|event| secs(&event["TuningStep"][1])).collect();
            took.shapes += 1;
            took.kernels += steps.len();
            took.secs += steps.iter().sum::<f64>();
        }
        took
    }
}

/// A duration as serde writes it.
fn secs(duration: &serde_json::Value) -> Option<f64> {
    Some(duration["secs"].as_f64()? + duration["nanos"].as_f64()? / 1e9)
}
