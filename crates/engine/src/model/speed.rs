//! Measures how fast a device trains a small model, and on a CPU the speeds of its operators, from which the planner computes the time of other
//! plans. The worker reports them to the server.

use std::time::{Duration, Instant};

use memmap2::MmapMut;
use wire::device::{DeviceInfo, OperatorRates};
use wire::model::ModelPlan;
use wire::run::operators::StepWork;

use crate::data::batch::Batch;
use crate::device::operator_times::{self, OperatorTimes};
use crate::device::replicas::Replicas;
use crate::device::{EngineDevice, read};
use crate::error::EngineError;
use crate::kernels::random::Counter;
use crate::model::gradient::{self, GradientArgs};
use crate::model::params::{self, Weights};

/// Steps that are measured: an odd number, of which the median counts, since a training runs at the usual speed and not at the best.
const STEPS: usize = 9;
/// After this time no other step is measured, so that a slow machine connects soon too.
const WITHIN: Duration = Duration::from_millis(400);
/// Sequences of a batch, as in nanoGPT's CPU recipe.
const SIZE: usize = 12;
/// Bytes of the arrays over which the bandwidth of memory is measured, more than most caches; at most an eighth of the free memory.
const ARRAY_BYTES: u64 = 256 << 20;

/// The speed of a device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Speed {
    /// FLOP/s of training a small model.
    pub flops_per_sec: f64,
    /// Those of its operators; `None` on a GPU.
    pub rates: Option<OperatorRates>,
}

impl Speed {
    /// Adds it to the description of the device.
    pub fn note(self, info: &mut DeviceInfo) {
        (info.flops_per_sec, info.rates) = (self.flops_per_sec, self.rates);
    }
}

/// Measures a device by the median of up to nine steps of nanoGPT's CPU recipe on random tokens, after one that is not measured.
///
/// # Errors
/// The device cannot train.
pub fn measure(device: &EngineDevice) -> Result<Speed, EngineError> {
    let mut model = wire::run::preset::find("nanogpt-cpu", None)?.recipe.model;
    model.vocab = 65;
    let threads = SIZE.min(device.info.cores as usize);
    let replicas = if device.is_cpu() { Some(Replicas::new(threads)?) } else { None };
    let step = median_step(&model, device, replicas.as_ref())?;
    let tokens = SIZE * model.seq;
    let rates = replicas.map(|replicas| {
        let work = StepWork::of_gradient(&model, tokens, threads);
        let (times, bandwidth) =
            (step.operators.per_step(1.0), memory_bytes_per_sec(&replicas, device.info.memory_bytes)?);
        Ok::<_, EngineError>(OperatorRates::of_gradient(&work, &times, step.secs, threads, bandwidth))
    });
    let flops_per_sec = model.flops_per_token() * tokens as f64 / step.secs;
    Ok(Speed { flops_per_sec, rates: rates.transpose()?.flatten() })
}

/// The time of a step, and those of its operators.
struct Step {
    secs: f64,
    operators: OperatorTimes,
}

fn median_step(model: &ModelPlan, device: &EngineDevice, replicas: Option<&Replicas>) -> Result<Step, EngineError> {
    let specs = params::layout(model);
    let weights = Weights::new(&specs, params::initial_on(&specs, 1, &device.burn));
    let mut random = Counter::new(1, 0);
    let mut ids = || (0..SIZE * model.seq).map(|_| (random.uniform() * 65.0) as i32).collect::<Vec<i32>>();
    let batch = Batch { size: SIZE, seq: model.seq, inputs: ids(), targets: ids() };
    let args = GradientArgs::new(model.clone());
    let step = || {
        let began = Instant::now();
        let compute = || {
            let gradient = gradient::of_step(&args, &weights, vec![batch.clone()], replicas, &device.burn)?;
            read(gradient.loss).map(drop)
        };
        let (done, operators) = operator_times::collect(compute);
        done.map(|()| Step { secs: began.elapsed().as_secs_f64(), operators })
    };
    // The first one compiles kernels and fills caches.
    step()?;
    let began = Instant::now();
    let mut steps = vec![step()?];
    while steps.len() < STEPS && began.elapsed() < WITHIN {
        steps.push(step()?);
    }
    steps.sort_by(|a, b| a.secs.total_cmp(&b.secs));
    Ok(steps.swap_remove(steps.len() / 2))
}

/// Bytes per second of `sum += other` over large arrays, split over the cores as the update of the parameters is; the fastest of three passes
/// after one that is not measured. Each value is read where it is written, so the pass has no other traffic.
fn memory_bytes_per_sec(replicas: &Replicas, free_bytes: u64) -> Result<f64, EngineError> {
    let bytes = if free_bytes > 0 { ARRAY_BYTES.min(free_bytes / 8) } else { ARRAY_BYTES };
    let len = bytes as usize / 8 / replicas.count();
    let pass = || {
        let began = Instant::now();
        let passed = replicas.map_keeping(move |_, arrays: &mut Arrays| arrays.add(len))?;
        passed.into_iter().collect::<Result<(), _>>()?;
        Ok::<_, EngineError>(12.0 * (len * replicas.count()) as f64 / began.elapsed().as_secs_f64())
    };
    pass()?;
    let mut fastest: f64 = 0.0;
    for _ in 0..3 {
        fastest = fastest.max(pass()?);
    }
    Ok(fastest)
}

/// Two arrays of a thread, mapped by the system, so that their memory is free again when they are dropped and not kept by the allocator.
#[derive(Default)]
struct Arrays(Option<[MmapMut; 2]>);

impl Arrays {
    /// `sum += other`, over `len` values.
    fn add(&mut self, len: usize) -> Result<(), EngineError> {
        let map = || {
            let mut array = MmapMut::map_anon(4 * len.max(1)).map_err(|source| EngineError::Memory { source })?;
            // Pages that were never written are all one page.
            bytemuck::cast_slice_mut::<u8, f32>(&mut array).fill(1.0);
            Ok::<_, EngineError>(array)
        };
        let arrays = match self.0.take() {
            Some(arrays) => arrays,
            None => [map()?, map()?],
        };
        let [sum, other] = self.0.insert(arrays);
        let (sum, other) = (bytemuck::cast_slice_mut::<u8, f32>(sum), bytemuck::cast_slice::<u8, f32>(other));
        sum.iter_mut().zip(other).for_each(|(sum, other)| *sum += *other);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_has_the_rates_of_all_operators() {
        let mut device = EngineDevice::processor();
        device.info.cores = 2;
        let speed = measure(&device).unwrap();
        let rates = speed.rates.unwrap();
        let all = [
            rates.product_flops_per_sec,
            rates.attention_flops_per_sec,
            rates.elementwise_bytes_per_sec,
            rates.memory_bytes_per_sec,
        ];
        assert!(all.into_iter().all(|rate| rate.is_finite() && rate > 1e6), "{rates:?}");
        assert!(speed.flops_per_sec < 2.0 * rates.product_flops_per_sec, "products are the fastest: {speed:?}");
    }
}
