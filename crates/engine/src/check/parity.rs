//! Parity of two tiny models with the CPU: the loss and every gradient of the first step, the losses of later steps, and the gradient compared
//! with a central difference. Also a resumed run, compared with an uninterrupted one.

use wire::hyperparameters::recipe::Precision;
use wire::model::{Mlp, ModelPlan, Norm, Positions, RotaryScaling};

use super::faults::Faults;
use super::part::{Sink, in_16_bits, is_software};
use super::trial::{self, Trial};
use super::{ROWS, TOLERANCE, slope, tiny};
use crate::device::EngineDevice;
use crate::error::EngineError;

/// Maximum relative difference of the losses of later steps: rounding errors grow with each step.
const LATER_TOLERANCE: f64 = 5e-3;
/// Number of batches that the runs repeat, so that the loss falls.
const BATCHES: u64 = 4;

/// The two architectures of the presets, and the options of imported models, small enough to train in milliseconds.
fn models() -> [(&'static str, ModelPlan); 3] {
    let gpt2 = ModelPlan { layers: 2, d_model: 32, d_ff: 128, seq: 16, vocab: 65, bias: true, ..tiny() };
    let llama = ModelPlan {
        heads: 4,
        kv_heads: 2,
        d_ff: 96,
        positions: Positions::Rotary,
        norm: Norm::Rms,
        mlp: Mlp::Swiglu,
        bias: false,
        ..gpt2.clone()
    };
    let imported = ModelPlan {
        mlp: Mlp::GeluExact,
        qkv_bias: true,
        rotary_scaling: RotaryScaling::Llama3,
        rotary_original_seq: 8,
        rotary_base: 50.0,
        ..llama.clone()
    };
    [("GPT-2", gpt2), ("Llama", llama), ("Llama 3 scaling, QKV biases, exact GELU", imported)]
}

fn steps(device: &EngineDevice) -> u64 {
    if is_software(device) { 20 } else { 50 }
}

/// Parity: a GPU compared with the CPU, several replicas of the CPU compared with one.
///
/// # Errors
/// The device cannot train.
pub(super) fn training(device: &EngineDevice, faults: Faults, sink: &mut Sink<'_>) -> Result<(), EngineError> {
    let cpu = EngineDevice::processor();
    let replicas = if device.is_cpu() { (cpu.info.cores as usize).clamp(2, ROWS) } else { 1 };
    for (name, model) in models() {
        if sink.left() <= 0.0 {
            sink.not_run(format!("{name} model"), "time limit reached");
            continue;
        }
        let mut reference = Trial::new(&cpu, &model, 1)?.repeating(BATCHES);
        let mut here = Trial::new(device, &model, replicas)?.repeating(BATCHES).with_faults(faults);
        let step = trial::step_with(device, &model, replicas, faults)?;
        let first = trial::step_on(&cpu, &model, 1)?.compare(&step);
        sink.check(format!("{name} model, loss and gradients"), first.worst() <= TOLERANCE, first.to_string());
        let (analytic, numeric) = slope(&cpu, &model, &step)?;
        let size = analytic.abs().max(numeric.abs());
        sink.check(
            format!("{name} model, one gradient by a central difference"),
            (analytic - numeric).abs() <= 0.01 * size,
            format!("{analytic:.6} by backpropagation, {numeric:.6} by a central difference"),
        );
        let steps = steps(device);
        let (expected, actual) = (reference.losses(steps)?, here.losses(steps)?);
        let (is_good, found) = compare_losses(&expected, &actual);
        sink.check(format!("{name} model, {steps} training steps"), is_good, found);
    }
    if device.is_cpu() { Ok(()) } else { half_precision(device, faults, sink) }
}

/// Loss and gradients with 16-bit factors of products, compared with those of the CPU in 32 bits.
fn half_precision(device: &EngineDevice, faults: Faults, sink: &mut Sink<'_>) -> Result<(), EngineError> {
    let (_, model) = &models()[0];
    let name = |precision: Precision| format!("GPT-2 model with {} products, loss and gradients", precision.name());
    in_16_bits(device, 1.0, sink, name, |precision, name, sink| {
        let expected = trial::step_on(&EngineDevice::processor(), model, 1)?;
        let found = expected.compare(&trial::step_in_format(device, model, precision, faults)?);
        // A rounded factor is up to half a unit of its last digit apart, and a gradient passes through about a dozen products.
        let digits = if precision == Precision::Float16 { 11 } else { 8 };
        let bound = 40.0 * 0.5f64.powi(digits);
        sink.check(name, found.loss.max(found.gradient) <= bound, found.to_string());
        Ok(())
    })
}

/// Whether the losses of a run agree with the expected ones and fall, with a sentence for the report.
fn compare_losses(expected: &[f64], actual: &[f64]) -> (bool, String) {
    let difference = |(a, b): (&f64, &f64)| {
        let relative = (a - b).abs() / a.abs().max(1e-12);
        if relative.is_finite() { relative } else { f64::INFINITY }
    };
    let worst = expected.iter().zip(actual).map(difference).fold(0.0, f64::max);
    let ends =
        |losses: &[f64]| (losses.first().copied().unwrap_or(f64::NAN), losses.last().copied().unwrap_or(f64::NAN));
    let ((from, to), (_, here)) = (ends(expected), ends(actual));
    let learns = to < from;
    let is_good = worst <= LATER_TOLERANCE && learns && expected.len() == actual.len();
    (
        is_good,
        format!(
            "loss {from:.4} to {to:.4} on the CPU and {here:.4} here; maximum relative difference of a step {worst:.1e}"
        ),
    )
}

/// A run that is resumed from a copy of its state on the host, compared with an uninterrupted one.
///
/// # Errors
/// The device cannot train.
pub(super) fn resume(device: &EngineDevice, faults: Faults, sink: &mut Sink<'_>) -> Result<(), EngineError> {
    let tolerance = if device.is_cpu() { 0.0 } else { TOLERANCE };
    for (name, model) in models() {
        let difference = trial::resume_with(device, &model, faults)?;
        sink.check(
            format!("{name} model, five steps after a resume"),
            difference.worst() <= tolerance,
            difference.to_string(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_that_differ_or_do_not_fall_fail() {
        assert!(compare_losses(&[4.0, 3.0], &[4.0, 3.001]).0);
        assert!(!compare_losses(&[4.0, 3.0], &[4.0, 3.1]).0);
        assert!(!compare_losses(&[3.0, 4.0], &[3.0, 4.0]).0);
        assert!(!compare_losses(&[4.0, 3.0], &[4.0, f64::NAN]).0);
    }
}
