//! Measures the training throughput of a device on a small model. The worker reports it to the server.

use std::time::{Duration, Instant};

use crate::data::batch::Batch;
use crate::device::replicas::Replicas;
use crate::device::{EngineDevice, read};
use crate::error::EngineError;
use crate::kernels::random::Counter;
use crate::model::gradient::{self, GradientArgs};
use crate::model::params::{self, Weights};

/// After this time no other step is measured, so that a slow machine connects soon too.
const WITHIN: Duration = Duration::from_millis(400);

/// FLOP/s of training a small model: the fastest of up to three steps of nanoGPT's CPU recipe on random tokens, after one that is not
/// measured.
///
/// # Errors
/// The device cannot train.
pub fn measure(device: &EngineDevice) -> Result<f64, EngineError> {
    let mut model = wire::run::preset::find("nanogpt-cpu", None)?.recipe.model;
    model.vocab = 65;
    let specs = params::layout(&model);
    let weights = Weights::new(&specs, params::initial_on(&specs, 1, &device.burn));
    let (size, seq) = (12, model.seq);
    let replicas = if device.is_cpu() { Some(Replicas::new(size.min(device.info.cores as usize))?) } else { None };
    let mut random = Counter::new(1, 0);
    let mut ids = || (0..size * seq).map(|_| (random.uniform() * 65.0) as i32).collect::<Vec<i32>>();
    let batch = Batch { size, seq, inputs: ids(), targets: ids() };
    let flops = model.flops_per_token() * (size * seq) as f64;
    let args = GradientArgs::new(model);
    let step = || {
        let began = Instant::now();
        let gradient = gradient::of_step(&args, &weights, vec![batch.clone()], replicas.as_ref(), &device.burn)?;
        read(gradient.loss)?;
        Ok::<_, EngineError>(flops / began.elapsed().as_secs_f64())
    };
    // The first one compiles kernels and fills caches.
    step()?;
    let began = Instant::now();
    let mut best = step()?;
    for _ in 1..3 {
        if began.elapsed() < WITHIN {
            best = best.max(step()?);
        }
    }
    Ok(best)
}
