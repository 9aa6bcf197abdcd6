//! Parity of two tiny shapes with the CPU, and resume: the loss and every gradient of the first step, the losses of the steps after it, the
//! gradient against a central difference, and a resumed training beside one that never stopped.

use wire::model::{Mlp, ModelPlan, Norm, Positions};

use super::faults::Faults;
use super::part::{Sink, is_software};
use super::trial::{self, Trial};
use super::{ALLOWED, ROWS, slope, tiny};
use crate::device::EngineDevice;
use crate::error::EngineError;

/// How far the loss of a later step may be from the CPU's, relative to it: rounding errors grow with each step.
const ALLOWED_LATER: f64 = 5e-3;
/// Batches that are repeated, so that the loss falls.
const BATCHES: u64 = 4;

/// The two shapes that presets are made of, small enough to train in milliseconds.
fn models() -> [(&'static str, ModelPlan); 2] {
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
    [("GPT-2", gpt2), ("Llama", llama)]
}

fn steps(device: &EngineDevice) -> u64 {
    if is_software(device) { 20 } else { 50 }
}

/// Parity: on a graphics card with the CPU, on the CPU between one core and several.
///
/// # Errors
/// A device that cannot train.
pub(super) fn training(device: &EngineDevice, faults: Faults, sink: &mut Sink<'_>) -> Result<(), EngineError> {
    let cpu = EngineDevice::processor();
    let several = if device.is_cpu() { (cpu.info.cores as usize).clamp(2, ROWS) } else { 1 };
    for (name, model) in models() {
        if sink.left() <= 0.0 {
            sink.not_run(format!("{name} shape"), "no time left");
            continue;
        }
        let mut reference = Trial::new(&cpu, &model, 1)?.repeating(BATCHES);
        let mut here = Trial::new(device, &model, several)?.repeating(BATCHES).with_faults(faults);
        let step = trial::step_with(device, &model, several, faults)?;
        let first = trial::step_on(&cpu, &model, 1)?.apart(&step);
        sink.check(format!("{name} shape, loss and gradients"), first.worst() <= ALLOWED, first.to_string());
        let (by_formula, by_difference) = slope(&cpu, &model, &step)?;
        let size = by_formula.abs().max(by_difference.abs());
        sink.check(
            format!("{name} shape, one gradient by a central difference"),
            (by_formula - by_difference).abs() <= 0.01 * size,
            format!("{by_formula:.6} by the chain rule, {by_difference:.6} by the difference of two losses"),
        );
        let steps = steps(device);
        let (expected, found) = (reference.losses(steps)?, here.losses(steps)?);
        let (is_good, words) = compared(&expected, &found);
        sink.check(format!("{name} shape, {steps} training steps"), is_good, words);
    }
    Ok(())
}

/// The losses of two trainings.
fn compared(expected: &[f64], found: &[f64]) -> (bool, String) {
    let apart = |(a, b): (&f64, &f64)| {
        let relative = (a - b).abs() / a.abs().max(1e-12);
        if relative.is_finite() { relative } else { f64::INFINITY }
    };
    let worst = expected.iter().zip(found).map(apart).fold(0.0, f64::max);
    let ends =
        |losses: &[f64]| (losses.first().copied().unwrap_or(f64::NAN), losses.last().copied().unwrap_or(f64::NAN));
    let ((from, to), (_, here)) = (ends(expected), ends(found));
    let learns = to < from;
    let is_good = worst <= ALLOWED_LATER && learns && expected.len() == found.len();
    (is_good, format!("loss {from:.4} to {to:.4} on the CPU and {here:.4} here, at most {worst:.1e} apart at a step"))
}

/// A training that goes on from numbers that were on the host, beside the one that never stopped.
///
/// # Errors
/// A device that cannot train.
pub(super) fn resume(device: &EngineDevice, faults: Faults, sink: &mut Sink<'_>) -> Result<(), EngineError> {
    let allowed = if device.is_cpu() { 0.0 } else { ALLOWED };
    for (name, model) in models() {
        let apart = trial::resume_with(device, &model, faults)?;
        sink.check(
            format!("{name} shape, five steps after a stop and without one"),
            apart.worst() <= allowed,
            apart.to_string(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_that_part_or_do_not_fall_are_found() {
        assert!(compared(&[4.0, 3.0], &[4.0, 3.001]).0);
        assert!(!compared(&[4.0, 3.0], &[4.0, 3.1]).0);
        assert!(!compared(&[3.0, 4.0], &[3.0, 4.0]).0);
        assert!(!compared(&[4.0, 3.0], &[4.0, f64::NAN]).0);
    }
}
