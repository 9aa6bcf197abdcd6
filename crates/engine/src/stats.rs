//! Weight and gradient statistics: one pass over each tensor where it lies.

use wire::frame::{Moments, TensorStats};

use crate::optimizer::{self, Update};
use crate::params::ParamSpec;
use burn::tensor::Tensor;

/// Moments and extrema of values on the host: the twin of the `moments` kernel, and the CPU's own path.
pub fn moments(values: &[f32]) -> Moments {
    let (mut count, mut sum, mut squares) = (0u64, 0f64, 0f64);
    let (mut min, mut max) = (f32::INFINITY, f32::NEG_INFINITY);
    for chunk in values.chunks(4096) {
        let (mut chunk_sum, mut chunk_squares) = (0f32, 0f32);
        for &value in chunk.iter().filter(|value| value.is_finite()) {
            count += 1;
            chunk_sum += value;
            chunk_squares += value * value;
            min = min.min(value);
            max = max.max(value);
        }
        sum += f64::from(chunk_sum);
        squares += f64::from(chunk_squares);
    }
    let bad = values.len() as u64 - count;
    if count == 0 {
        return Moments { bad, ..Moments::default() };
    }
    let n = count as f64;
    Moments { count, bad, mean: sum / n, rms: (squares / n).sqrt(), min: f64::from(min), max: f64::from(max) }
}

/// Statistics of every parameter on the CPU.
pub fn on_cpu(specs: &[ParamSpec], weights: &[Tensor<1>], gradient: &[Moments], updates: &[Update]) -> Vec<TensorStats> {
    let parts = specs.iter().zip(weights).zip(gradient).zip(updates);
    parts.map(|(((spec, weight), gradient), update)| entry(spec, of_tensor(weight), *gradient, ratio(update))).collect()
}

/// Moments of a CPU tensor.
pub fn of_tensor(tensor: &Tensor<1>) -> Moments {
    moments(optimizer::values(tensor).as_slice::<f32>().unwrap_or_default())
}

/// One parameter's line.
pub fn entry(spec: &ParamSpec, weight: Moments, gradient: Moments, update_ratio: f64) -> TensorStats {
    TensorStats { name: spec.name.clone(), shape: spec.shape.iter().map(|d| *d as u64).collect(), weight, gradient, update_ratio }
}

fn ratio(update: &Update) -> f64 {
    if update.weight_squared > 0.0 { (update.change_squared / update.weight_squared).sqrt() } else { 0.0 }
}
