//! Faults that tests plant into a check, to see each of them found. The program always passes none: there is no way to them from the
//! command line.

use burn::tensor::Tensor;
use burn::tensor::wgpu::WgpuSetup;

use crate::kernels::gpu::GpuKernels;
use crate::model::params::ParamSpec;

/// What is planted; nothing by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// The kernel `moments` sums values where it should sum their squares.
    pub kernel: bool,
    /// The gradient of one matrix is five per cent too large.
    pub gradient: bool,
    /// A resumed training counts one step too few, so that its bias corrections are wrong.
    pub resume: bool,
    /// Bytes of the host's memory that each training step keeps for good.
    pub leak_bytes_per_step: usize,
}

/// The parameter whose gradient is altered.
const ALTERED: &str = "block.0.mlp.up";

impl Faults {
    /// Alters a gradient, where that is planted.
    pub(super) fn alter(&self, specs: &[ParamSpec], gradient: &mut [Tensor<1>]) {
        let place = specs.iter().position(|spec| spec.name == ALTERED);
        if let Some(values) = place.filter(|_| self.gradient).and_then(|place| gradient.get_mut(place)) {
            *values = values.clone() * 1.05;
        }
    }

    /// The kernels, one of them wrong where that is planted.
    pub(super) fn kernels(&self, setup: &WgpuSetup) -> GpuKernels {
        if !self.kernel {
            return GpuKernels::new(setup);
        }
        GpuKernels::compiled(setup, &|kernel| {
            kernel.source.replace("next.squares += value * value", "next.squares += value")
        })
    }

    /// Keeps memory, where that is planted.
    pub(super) fn leak(&self, kept: &mut Vec<Vec<u8>>) {
        if self.leak_bytes_per_step > 0 {
            kept.push(vec![1; self.leak_bytes_per_step]);
        }
    }
}
