//! What the lab knows of the machines that train.

use serde::{Deserialize, Serialize};

use crate::id::{DeviceId, RunId, WorkerId};

/// What does the arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// The processor's cores (burn's flex).
    Cpu,
    /// A graphics card (wgpu).
    Gpu,
    /// A graphics card played by the processor; for tests, never chosen by itself.
    Software,
}

/// One device, as its worker found it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceInfo {
    /// Id, unique in the lab.
    pub id: DeviceId,
    /// Name for people: the processor's or the card's own.
    pub name: String,
    /// What does the arithmetic.
    pub kind: DeviceKind,
    /// `flex`, `wgpu (Vulkan)`, ...
    pub backend: String,
    /// Cores that train side by side; 1 on a graphics card.
    pub cores: u32,
    /// Memory it can use, bytes; 0 where it cannot be known.
    pub memory_bytes: u64,
    /// Training arithmetic per second that a small model reached here; 0 before it was measured.
    pub flops_per_sec: f64,
}

/// A device with its present load, as pages show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceView {
    /// What it is.
    pub info: DeviceInfo,
    /// The worker that holds it.
    pub worker: WorkerId,
    /// Machine it stands on.
    pub host: String,
    /// Whether its worker is connected.
    pub is_connected: bool,
    /// What it trains now.
    pub run: Option<RunId>,
    /// Last word from it.
    pub load: DeviceLoad,
    /// When that came, in milliseconds since 1970.
    pub seen_ms: i64,
}

/// Load of a device and its process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceLoad {
    /// Share of the machine's processor time in use, 0 to 1.
    pub cpu_share: f64,
    /// Memory of the worker process, bytes.
    pub process_bytes: u64,
    /// Memory in use on the device, bytes; 0 where it cannot be known.
    pub device_bytes: u64,
    /// Memory free on the machine, bytes.
    pub host_free_bytes: u64,
}
