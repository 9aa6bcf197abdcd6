//! Disables burn's autotuner, and reads how long it took. The autotuner has no switch at run time, but it stops at the first kernel near the
//! peak throughput of the device, which it reads from a cache. A peak near 0 in that cache makes it accept the first kernel of each shape. A
//! process reads the settings once, before it opens the device.

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

/// Log of the autotuner's decisions, one line of JSON each.
pub(super) struct Log(PathBuf);

/// Duration and extent of the autotuning.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct TuningTime {
    /// Shapes tuned.
    pub(super) shapes: usize,
    /// Kernels compiled and measured.
    pub(super) kernels: usize,
    /// Time to compile and measure them, seconds.
    pub(super) secs: f64,
}

/// Configures the autotuner of this process; a later call has no effect.
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

/// A peak that every kernel reaches.
const REACHED_BY_ALL: ThroughputValue = ThroughputValue { ops_count: 1, duration: Duration::from_secs(3600) };

/// Makes the autotuner use the first kernel that works for each shape. Has no effect on the CPU, which has no autotuner.
///
/// # Errors
/// The device was lost.
pub(super) fn accept_first_kernels(device: &EngineDevice) -> Result<(), EngineError> {
    let Some(client) = client(device)? else { return Ok(()) };
    let cache = ThroughputCache::get_for_device(client.name(), client.properties());
    let mut cache = cache.lock();
    keys(&client).into_iter().for_each(|mode| cache.insert(ThroughputKey { mode }, REACHED_BY_ALL));
    Ok(())
}

/// burn's runtime on a GPU; `None` on the CPU.
pub(super) fn client(device: &EngineDevice) -> Result<Option<Client>, EngineError> {
    if device.is_cpu() {
        return Ok(None);
    }
    GpuTensor::new(Tensor::<1>::zeros([1], &device.burn)).map(|tensor| Some(tensor.client()))
}

/// All quantities whose peak the autotuner reads: launches, memory bandwidth at each power of two, arithmetic of each type, cooperative matrices.
fn keys(client: &Client) -> Vec<ThroughputMode> {
    let features = &client.properties().features;
    let bandwidth = |access| move |bits: u32| ThroughputMode::Memory(MemorySpec::new(access, 1 << bits));
    let mut keys = vec![ThroughputMode::Launch];
    for access in [MemoryAccess::Copy, MemoryAccess::Read, MemoryAccess::Write] {
        keys.extend((8..40).map(bandwidth(access)));
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
    /// The autotuning so far.
    pub(super) fn read(&self) -> TuningTime {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        let mut time = TuningTime::default();
        for decision in text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()) {
            let events = decision["log_context"]["events"].as_array().cloned().unwrap_or_default();
            let steps: Vec<f64> = events.iter().filter_map(|event| secs(&event["TuningStep"][1])).collect();
            time.shapes += 1;
            time.kernels += steps.len();
            time.secs += steps.iter().sum::<f64>();
        }
        time
    }
}

/// Seconds of a duration as serde writes it.
fn secs(duration: &serde_json::Value) -> Option<f64> {
    Some(duration["secs"].as_f64()? + duration["nanos"].as_f64()? / 1e9)
}
