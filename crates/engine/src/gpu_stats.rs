//! Weight and gradient statistics on a GPU: looks that start with a step and arrive a few steps later, under their own step's number.
//! The kernel and its read-back are [`crate::taps`]'s; the CPU's twin is [`crate::stats`].

use std::collections::VecDeque;
use std::time::Instant;

use burn::tensor::Tensor;
use burn::tensor::wgpu::WgpuSetup;
use wire::frame::{Moments, TensorStats};

use crate::error::EngineError;
use crate::params::ParamSpec;
use crate::reduce::Wishes;
use crate::stats;
use crate::taps::{Reading, Tap, Taps};

/// Looks under way at once. A third waits for the first: the device is then two looks behind, and has its queue full meanwhile.
const IN_FLIGHT: usize = 2;

/// Statistics of a run on a GPU.
pub struct GpuStats {
    taps: Taps,
    flights: VecDeque<Flight>,
}

struct Flight {
    step: u64,
    reading: Reading,
    /// Time of the training thread, milliseconds.
    cost_ms: f64,
}

/// What a step holds for its look: handles, no copies.
pub struct Before {
    weights: Vec<Tensor<1>>,
    gradient: Vec<Tensor<1>>,
}

impl Before {
    /// Weights and gradient, before the step takes them.
    pub fn new(weights: &[Tensor<1>], gradient: &[Tensor<1>]) -> Self {
        Self { weights: weights.to_vec(), gradient: gradient.to_vec() }
    }
}

/// A look that has arrived.
pub struct Look {
    /// Step it belongs to.
    pub step: u64,
    /// One for each parameter, in the model's order.
    pub tensors: Vec<TensorStats>,
    /// Time that the training thread spent on it, milliseconds.
    pub cost_ms: f64,
}

impl GpuStats {
    /// Compiles the kernel for the run's device.
    pub fn new(setup: &WgpuSetup) -> Self {
        Self { taps: Taps::new(setup), flights: VecDeque::new() }
    }

    /// The kernels, for other looks.
    pub fn taps(&self) -> &Taps {
        &self.taps
    }

    /// Starts the look at a step that has just been taken: three moments for each parameter, of its weights, its gradient and its change.
    ///
    /// # Errors
    /// A device that has gone away.
    pub fn start(&mut self, step: u64, before: Before, after: &[Tensor<1>]) -> Result<(), EngineError> {
        let work = Instant::now();
        let mut taps = Vec::with_capacity(3 * after.len());
        for ((after, old), gradient) in after.iter().zip(before.weights).zip(before.gradient) {
            let change = after.clone() - old;
            taps.extend([Tap::new(after.clone())?, Tap::new(gradient)?, Tap::new(change)?]);
        }
        let reading = self.taps.start(&Wishes { moments: taps, ..Wishes::default() })?;
        self.flights.push_back(Flight { step, reading, cost_ms: millis(work) });
        Ok(())
    }

    /// Looks that have arrived, in order. Waits only for those which are more than two behind, or for all where `is_last`.
    ///
    /// # Errors
    /// A device that has gone away.
    pub fn arrived(&mut self, specs: &[ParamSpec], is_last: bool) -> Result<Vec<Look>, EngineError> {
        let mut looks = vec![];
        while let Some(flight) = self.flights.front() {
            let began = Instant::now();
            let answers = if is_last || self.flights.len() > IN_FLIGHT {
                Some(flight.reading.wait()?)
            } else {
                flight.reading.arrived()?
            };
            let Some(answers) = answers else { break };
            let tensors = specs
                .iter()
                .zip(answers.moments.chunks(3))
                .map(|(spec, of)| entry(spec, of[0], of[1], of[2]))
                .collect();
            looks.push(Look { step: flight.step, tensors, cost_ms: flight.cost_ms + millis(began) });
            self.flights.pop_front();
        }
        Ok(looks)
    }
}

fn entry(spec: &ParamSpec, weight: Moments, gradient: Moments, change: Moments) -> TensorStats {
    let ratio = if weight.rms > 0.0 { change.rms / weight.rms } else { 0.0 };
    stats::entry(spec, weight, gradient, ratio)
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}
