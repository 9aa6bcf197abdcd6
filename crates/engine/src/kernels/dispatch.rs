//! Reductions on the device of their tensors. All reductions of an inspection are computed together, on a GPU with one transfer.

use burn::tensor::Tensor;

use crate::error::EngineError;
use crate::kernels::gpu::{GpuKernels, GpuTensor};
use crate::kernels::reduce::{ReductionResults, Reductions, on_cpu};

/// Computes all reductions: with `kernels` if the device has any, otherwise on the CPU.
///
/// # Errors
/// The device was lost.
pub fn reduce(
    reductions: Reductions<Tensor<2>>,
    kernels: Option<&GpuKernels>,
) -> Result<ReductionResults, EngineError> {
    match kernels {
        Some(kernels) => kernels.start(&reductions.map(GpuTensor::new)?)?.wait(),
        None => Ok(on_cpu(&reductions)),
    }
}
