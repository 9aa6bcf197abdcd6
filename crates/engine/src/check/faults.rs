//! Errors that tests inject, to verify that the check detects them. The program always passes `Faults::default()`; no option of the command
//! line sets them.

use burn::tensor::Tensor;
use burn::tensor::wgpu::WgpuSetup;

use crate::kernels::gpu::GpuKernels;
use crate::model::params::ParamSpec;

/// The errors to inject; none by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// The kernel `moments` sums values instead of their squares.
    pub kernel: bool,
    /// The gradient of one matrix is five per cent too large.
    pub gradient: bool,
    /// A resumed run counts one step too few, so that its bias corrections are wrong.
    pub resume: bool,
    /// Bytes of host memory that each training step allocates and never frees.
    pub leak_bytes_per_step: usize,
}

/// The parameter whose gradient [`Faults::alter`] changes.
const ALTERED: &str = "block.0.mlp.up";

impl Faults {
    /// Changes the gradient of one parameter if the fault is set.
    pub(super) fn alter(&self, specs: &[ParamSpec], gradient: &mut [Tensor<1>]) {
        let index = specs.iter().position(|spec| spec.name == ALTERED);
        if let Some(values) = index.filter(|_| self.gradient).and_then(|index| gradient.get_mut(index)) {
            *values = values.clone() * 1.05;
        }
    }

    /// The kernels; `moments` is wrong if the fault is set.
    pub(super) fn kernels(&self, setup: &WgpuSetup) -> GpuKernels {
        if !self.kernel {
            return GpuKernels::new(setup);
        }
        GpuKernels::with_sources(setup, &|kernel| {
            kernel.source.replace("next.squares += value * value", "next.squares += value")
        })
    }

    /// Adds a block of memory to `leaked` if the fault is set.
    pub(super) fn leak(&self, leaked: &mut Vec<Vec<u8>>) {
        if self.leak_bytes_per_step > 0 {
            leaked.push(vec![1; self.leak_bytes_per_step]);
        }
    }
}
