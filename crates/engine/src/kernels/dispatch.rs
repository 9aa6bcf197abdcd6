//! The choice of an implementation by device: reductions of inspections, which are computed together, on a GPU with one transfer, and the
//! operators of the decoder.

use burn::tensor::module::layer_norm;
use burn::tensor::{Int, Tensor, activation};
use wire::model::Norm;

use crate::error::EngineError;
use crate::kernels::gpu::{GpuKernels, GpuTensor};
use crate::kernels::reduce::{ReductionResults, Reductions, on_cpu};
use crate::kernels::reference::{self, AdamwStep, HeadLoss, Loss, Product};
use crate::kernels::{fused, gpu};

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

/// The implementation of the decoder's operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operators {
    /// [`reference`], by burn's operators: on any device and with gradients.
    Burn,
    /// [`fused`], on the CPU, without gradients.
    Cpu,
    /// Kernels of [`gpu`], with gradients.
    Gpu,
}

impl Operators {
    /// The operators for values without gradients.
    pub fn without_gradients(are_on_cpu: bool) -> Self {
        if are_on_cpu { Self::Cpu } else { Self::Gpu }
    }

    /// The operators for values with gradients.
    pub fn with_gradients(are_on_cpu: bool) -> Self {
        if are_on_cpu { Self::Burn } else { Self::Gpu }
    }

    /// Layer norm or root-mean-square norm over the last dimension, with a gain.
    ///
    /// # Shapes
    /// `[.., d]` and `[d]` to `[.., d]`.
    pub fn norm<const D: usize>(self, norm: Norm, x: Tensor<D>, gain: Tensor<1>, eps: f64) -> Tensor<D> {
        match (self, norm) {
            (Self::Burn, Norm::Layer) => layer_norm(x, gain, None, eps),
            (Self::Burn, Norm::Rms) => reference::rms(x, eps) * gain.unsqueeze(),
            (Self::Cpu, Norm::Layer) => fused::layer_norm(x, gain, eps as f32),
            (Self::Cpu, Norm::Rms) => fused::rms_norm(x, gain, eps as f32),
            (Self::Gpu, norm) => gpu::norm::norm(x, gain, eps as f32, norm == Norm::Layer),
        }
    }

    /// GELU, tanh form.
    pub fn gelu<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Burn => activation::gelu_approximate(x),
            Self::Cpu => fused::gelu(x),
            Self::Gpu => gpu::activation::gelu(x),
        }
    }

    /// `silu(gate) * up` of two tensors of one shape.
    pub fn swiglu<const D: usize>(self, gate: Tensor<D>, up: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Burn | Self::Cpu => activation::silu(gate) * up,
            Self::Gpu => gpu::activation::swiglu(gate, up),
        }
    }

    /// Attention of the last queries to all keys; causal if there are several queries.
    ///
    /// # Shapes
    /// Queries `[batch, heads, seq, d_head]`, keys and values `[batch, kv_heads, keys, d_head]` to `[batch, seq, heads * d_head]`.
    pub fn attention(self, query: Tensor<4>, key: Tensor<4>, value: Tensor<4>, scale: f64) -> Tensor<3> {
        let [_, _, seq, d_head] = query.dims();
        let is_whole = seq > 1 && key.dims()[2] == seq;
        match self {
            Self::Cpu if is_whole => fused::causal_attention(query, key, value, scale as f32),
            Self::Gpu if is_whole && gpu::attention::supports(d_head) => {
                gpu::attention::causal_attention(query, key, value, scale as f32)
            }
            _ => reference::attention(query, key, value, scale),
        }
    }

    /// The head with its loss, summed over all rows.
    ///
    /// # Shapes
    /// `x` `[rows, d_model]`, `matrix` `[d_model, vocab]`, `targets` `[rows, 1]`.
    pub fn head_loss(
        self,
        x: Tensor<2>,
        matrix: Tensor<2>,
        targets: Tensor<2, Int>,
        head: HeadLoss,
        product: Product<'_>,
    ) -> Loss {
        match self {
            Self::Burn | Self::Cpu => reference::head_loss(x, matrix, targets, head, product),
            Self::Gpu => gpu::head::head_loss(x, matrix, targets, head, product),
        }
    }

    /// AdamW: the new weight and moments.
    ///
    /// # Shapes
    /// Weight, moments and gradient `[n]`, `scale` `[1]`.
    pub fn adamw(
        self,
        parameter: [Tensor<1>; 3],
        gradient: Tensor<1>,
        scale: Tensor<1>,
        step: AdamwStep,
    ) -> [Tensor<1>; 3] {
        match self {
            Self::Burn | Self::Cpu => reference::adamw(parameter, gradient, scale, step),
            Self::Gpu => gpu::adamw::adamw(parameter, gradient, scale, step),
        }
    }
}
