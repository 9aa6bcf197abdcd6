//! The devices of a lab: description and load.

use serde::{Deserialize, Serialize};

use crate::fleet::LOCAL_POOL;
use crate::id::{DeviceId, RunId, WorkerId};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// CPU cores (burn's flex backend).
    Cpu,
    /// A GPU (wgpu).
    Gpu,
    /// A software GPU driver; for tests, never chosen automatically.
    Software,
}

/// The description of a device, by its worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceInfo {
    /// Id, unique in the lab.
    pub id: DeviceId,
    /// Name of the CPU or GPU.
    pub name: String,
    pub kind: DeviceKind,
    /// Backend: `flex`, `wgpu (Vulkan)`, ...
    pub backend: String,
    /// CPU cores that train in parallel; 1 on a GPU.
    pub cores: u32,
    /// Memory that it can use, bytes; 0 if it is unknown.
    pub memory_bytes: u64,
    /// Training FLOP/s, measured with a small model; 0 before the measurement.
    pub flops_per_sec: f64,
    /// Speeds of the operators of a step; `None` before the measurement, and on a GPU.
    #[serde(default)]
    pub rates: Option<OperatorRates>,
}

/// Speeds of the operators of a training step on a CPU, measured with a small model. The planner computes the time of a step from them.
/// Those of a core are measured while all cores compute, and include the time that a core waits for others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OperatorRates {
    /// FLOP/s of matrix products on one core.
    pub product_flops_per_sec: f64,
    /// FLOP/s of attention on one core.
    pub attention_flops_per_sec: f64,
    /// Bytes per second that norms, activations and embeddings read and write on one core; small tensors stay in its caches.
    pub elementwise_bytes_per_sec: f64,
    /// Memory bandwidth of all cores together, bytes per second.
    pub memory_bytes_per_sec: f64,
}

impl DeviceInfo {
    /// A device of which only the id is known: it has not reported.
    pub fn unknown(id: DeviceId, name: &str, kind: DeviceKind) -> Self {
        let (name, backend) = (name.to_owned(), String::new());
        Self { id, name, kind, backend, cores: 1, memory_bytes: 0, flops_per_sec: 0.0, rates: None }
    }
}

/// A device with its current load, as pages show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceView {
    /// Description by its worker; it does not change while the worker runs.
    pub info: DeviceInfo,
    pub worker: WorkerId,
    /// Host name of its machine.
    pub host: String,
    /// Whether its worker is connected.
    pub is_connected: bool,
    /// The run that it trains, the first of several; `None` for one that the asker may not see.
    pub run: Option<RunId>,
    /// Whether it trains a run that the asker may not see.
    #[serde(default)]
    pub is_taken: bool,
    /// Load in its last heartbeat.
    pub load: DeviceLoad,
    /// Time of its last heartbeat, ms since 1970.
    pub seen_ms: i64,
    /// Pool of its worker.
    #[serde(default = "local_pool")]
    pub pool: String,
    /// Name of its worker, as people see it.
    #[serde(default)]
    pub worker_name: String,
    /// Whether its worker takes no new run.
    #[serde(default)]
    pub is_draining: bool,
    /// All runs that it trains and the asker may see, each by a worker process of its own.
    #[serde(default)]
    pub runs: Vec<RunId>,
    /// Runs that it trains at once, at most: the setting of its pool.
    #[serde(default = "one")]
    pub runs_at_once: u32,
}

fn one() -> u32 {
    1
}

fn local_pool() -> String {
    LOCAL_POOL.to_owned()
}

/// Load of a device and its process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceLoad {
    /// Fraction of the machine's CPU time in use, 0 to 1.
    pub cpu_share: f64,
    /// Memory of the worker process, bytes.
    pub process_bytes: u64,
    /// Memory in use on the device, bytes; 0 if it is unknown.
    pub device_bytes: u64,
    /// Available memory of the machine, bytes.
    pub host_free_bytes: u64,
}
