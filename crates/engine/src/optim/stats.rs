//! Statistics of weights, gradients and updates on the CPU: one pass over each tensor in place.

use burn::tensor::Tensor;
use wire::inspect::statistics::Moments;
use wire::inspect::statistics::TensorStats;

use crate::device::host_values;
use crate::kernels::moments::moments;
use crate::model::params::ParamSpec;
use crate::optim::optimizer::Update;

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
    moments(host_values(tensor).as_slice::<f32>().unwrap_or_default())
}

/// The statistics of one parameter.
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
