//! Statistics of weights, gradients and updates on a GPU: started with a step, and read back a few steps later under the number of their step.
//! [`crate::kernels::gpu`] runs the kernel and reads its results back; [`crate::optim::stats`] implements the same on the CPU.

use std::collections::VecDeque;
use std::time::Instant;

use burn::tensor::Tensor;
use burn::tensor::wgpu::WgpuSetup;
use wire::inspect::statistics::Moments;
use wire::inspect::statistics::TensorStats;

use crate::error::EngineError;
use crate::kernels::gpu::{GpuKernels, GpuTensor, PendingResults};
use crate::kernels::reduce::Reductions;
use crate::model::params::ParamSpec;
use crate::optim::stats;

/// Maximum number of statistics in flight. Starting a third waits for the first; the GPU still has work in its queue then.
const IN_FLIGHT: usize = 2;

/// Statistics of a run on a GPU.
pub struct GpuStats {
    kernels: GpuKernels,
    pending: VecDeque<Pending>,
}

struct Pending {
    step: u64,
    results: PendingResults,
    /// Time of the training thread, milliseconds.
    cost_ms: f64,
}

/// Handles of weights and gradient before a step; no copies.
pub struct Before {
    weights: Vec<Tensor<1>>,
    gradient: Vec<Tensor<1>>,
}

impl Before {
    /// Takes the handles before the step replaces the tensors.
    pub fn new(weights: &[Tensor<1>], gradient: &[Tensor<1>]) -> Self {
        Self { weights: weights.to_vec(), gradient: gradient.to_vec() }
    }
}

/// Statistics that have arrived.
pub struct ArrivedStats {
    /// Step of the statistics.
    pub step: u64,
    /// Statistics of each parameter, in the model's order.
    pub tensors: Vec<TensorStats>,
    /// Time that the training thread spent on the statistics, milliseconds.
    pub cost_ms: f64,
}

impl GpuStats {
    /// Compiles the kernel for the run's device.
    pub fn new(setup: &WgpuSetup) -> Self {
        Self { kernels: GpuKernels::new(setup), pending: VecDeque::new() }
    }

    /// The kernels, for inspections.
    pub fn kernels(&self) -> &GpuKernels {
        &self.kernels
    }

    /// Starts the statistics of the last step: three moments for each parameter, of its weights, gradient and update.
    ///
    /// # Errors
    /// The device was lost.
    pub fn start(&mut self, step: u64, before: Before, after: &[Tensor<1>]) -> Result<(), EngineError> {
        let work = Instant::now();
        let mut tensors = Vec::with_capacity(3 * after.len());
        for ((after, old), gradient) in after.iter().zip(before.weights).zip(before.gradient) {
            let change = after.clone() - old;
            tensors.extend([GpuTensor::new(after.clone())?, GpuTensor::new(gradient)?, GpuTensor::new(change)?]);
        }
        let results = self.kernels.start(&Reductions { moments: tensors, ..Reductions::default() })?;
        self.pending.push_back(Pending { step, results, cost_ms: millis(work) });
        Ok(())
    }

    /// The statistics that have arrived, in order. Waits only for those beyond the maximum in flight, or for all if `is_last`.
    ///
    /// # Errors
    /// The device was lost.
    pub fn arrived(&mut self, specs: &[ParamSpec], is_last: bool) -> Result<Vec<ArrivedStats>, EngineError> {
        let mut all = vec![];
        while let Some(pending) = self.pending.front() {
            let began = Instant::now();
            let results = if is_last || self.pending.len() > IN_FLIGHT {
                Some(pending.results.wait()?)
            } else {
                pending.results.arrived()?
            };
            let Some(results) = results else { break };
            let tensors = specs
                .iter()
                .zip(results.moments.chunks(3))
                .map(|(spec, of)| entry(spec, of[0], of[1], of[2]))
                .collect();
            all.push(ArrivedStats { step: pending.step, tensors, cost_ms: pending.cost_ms + millis(began) });
            self.pending.pop_front();
        }
        Ok(all)
    }
}

fn entry(spec: &ParamSpec, weight: Moments, gradient: Moments, change: Moments) -> TensorStats {
    let ratio = if weight.rms > 0.0 { change.rms / weight.rms } else { 0.0 };
    stats::entry(spec, weight, gradient, ratio)
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}
