//! Weight and gradient statistics: one pass over each tensor where it lies.

use wire::frame::{Moments, TensorStats};

use crate::optimizer::{self, Update};
use crate::params::ParamSpec;
use burn::tensor::Tensor;

/// Moments and extrema of values on the host: the twin of the `moments` kernel, and the CPU's own path. Sums are in 64 bits, where no
/// 32-bit float's square overflows or vanishes, over eight lanes, so that no addition waits for the one before.
pub fn moments(values: &[f32]) -> Moments {
    const LANES: usize = 8;
    let (mut count, mut sums, mut squares) = (0u64, [0f64; LANES], [0f64; LANES]);
    let (mut min, mut max) = (f32::INFINITY, f32::NEG_INFINITY);
    for (place, &value) in values.iter().enumerate().filter(|(_, value)| value.is_finite()) {
        let wide = f64::from(value);
        count += 1;
        sums[place % LANES] += wide;
        squares[place % LANES] += wide * wide;
        min = min.min(value);
        max = max.max(value);
    }
    let bad = values.len() as u64 - count;
    if count == 0 {
        return Moments { bad, ..Moments::default() };
    }
    let n = count as f64;
    let (sum, squares): (f64, f64) = (sums.iter().sum(), squares.iter().sum());
    Moments { count, bad, mean: sum / n, rms: (squares / n).sqrt(), min: f64::from(min), max: f64::from(max) }
}

/// Statistics of every parameter on the CPU.
pub fn on_cpu(
    specs: &[ParamSpec],
    weights: &[Tensor<1>],
    gradient: &[Moments],
    updates: &[Update],
) -> Vec<TensorStats> {
    let parts = specs.iter().zip(weights).zip(gradient).zip(updates);
    parts.map(|(((spec, weight), gradient), update)| entry(spec, of_tensor(weight), *gradient, ratio(update))).collect()
}

/// Moments of a CPU tensor.
pub fn of_tensor(tensor: &Tensor<1>) -> Moments {
    moments(optimizer::values(tensor).as_slice::<f32>().unwrap_or_default())
}

/// One parameter's line.
pub fn entry(spec: &ParamSpec, weight: Moments, gradient: Moments, update_ratio: f64) -> TensorStats {
    TensorStats {
        name: spec.name.clone(),
        shape: spec.shape.iter().map(|d| *d as u64).collect(),
        weight,
        gradient,
        update_ratio,
    }
}

fn ratio(update: &Update) -> f64 {
    if update.weight_squared > 0.0 { (update.change_squared / update.weight_squared).sqrt() } else { 0.0 }
}
