//! The self-check of a device, which a user can run: one tiny training step on it and on the CPU, kernels against their reference implementations, the
//! gradient against a central difference, a resumed training against one that never stopped, memory and speed. It exists because
//! drivers and kernel generators do go wrong silently.
//!
//! The full check, `kindling check --full`, is made of the parts of [`part`], each run in a process of its own: [`adapter`] what the driver
//! says, [`shapes`] parity and resume, [`kernels`] and [`inspections`] against their reference implementations, [`speed`], [`memory`],
//! [`overhead`]. [`tuning`] switches the autotuner off and reads what it took; [`faults`] is what tests plant to see it found.

mod adapter;
mod faults;
mod inspections;
mod kernels;
mod memory;
mod overhead;
pub mod part;
mod plans;
pub mod process;
mod shapes;
mod speed;
mod trial;
mod tuning;

use wire::device::DeviceKind;
use wire::model::{Mlp, ModelPlan, Norm, Positions};

use crate::device::{EngineDevice, read};
use crate::error::EngineError;
use crate::kernels::gpu::GpuKernels;
use crate::model::decoder::Decoder;
use crate::model::params::{self, Weights};
use crate::model::{gradient, speed as throughput};

pub use self::faults::Faults;
pub use self::kernels::{KernelCase, kernel_cases};
pub use self::trial::{Apart, Step, resume_on, step_on};
use self::trial::{batch, first_weights};

/// How far a device may be from the CPU after one step, relative to what it computes.
pub const ALLOWED: f64 = 1e-3;

/// Rows of the batch of the tiny step.
const ROWS: usize = 4;

/// A finding of the check.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Subject, in one or two words.
    pub what: &'static str,
    /// Result, in one line.
    pub found: String,
    /// Whether it is good.
    pub is_good: bool,
}

/// All findings, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CheckReport {
    pub findings: Vec<Finding>,
}

impl CheckReport {
    /// Whether the device can be trusted with a run.
    pub fn is_good(&self) -> bool {
        self.findings.iter().all(|finding| finding.is_good)
    }
}

/// Checks a device. Each finding is reported at once: the first step on a GPU can take a minute, while kernels are compiled and tuned.
///
/// # Errors
/// A device that cannot train at all.
pub fn check(device: &EngineDevice, tell: &mut dyn FnMut(&Finding)) -> Result<CheckReport, EngineError> {
    let mut report = CheckReport::default();
    let mut note = |what, found, is_good| {
        let finding = Finding { what, found, is_good };
        tell(&finding);
        report.findings.push(finding);
    };
    let info = &device.info;
    note(
        "device",
        format!("{}: {}, {}, {}", info.id, info.name, info.backend, counted(info.cores as usize, "core")),
        true,
    );

    let model = tiny();
    let cpu = EngineDevice::processor();
    let replicas = (cpu.info.cores as usize).clamp(2, ROWS);
    let whole = step_on(&cpu, &model, 1)?;
    let (by_formula, by_difference) = slope(&cpu, &model, &whole)?;
    let is_good = (by_formula - by_difference).abs() <= 0.01 * by_formula.abs().max(by_difference.abs());
    note("gradient", format!("{by_formula:.6} by the chain rule, {by_difference:.6} by a central difference"), is_good);
    let parts = step_on(&cpu, &model, replicas)?;
    let apart = whole.apart(&parts);
    note(
        "replicas",
        format!("one step with 1 and with {}: {apart}", counted(replicas, "replica")),
        apart.worst() <= 1e-5,
    );

    if let Some(setup) = &device.setup {
        let apart = whole.apart(&step_on(device, &model, 1)?);
        note("arithmetic", format!("one step here and on the CPU: {apart}"), apart.worst() <= ALLOWED);
        let taps = GpuKernels::new(setup);
        let bad: Vec<String> = kernel_cases(device, &taps)?
            .into_iter()
            .filter(|case| !case.is_same())
            .map(|case| case.to_string())
            .collect();
        note(
            "kernels",
            if bad.is_empty() { "all equal their reference implementations".to_owned() } else { bad.join("; ") },
            bad.is_empty(),
        );
    }
    let apart = resume_on(device, &model)?;
    let bound = if device.is_cpu() { 0.0 } else { ALLOWED };
    note("resume", format!("five steps after a stop and without one: {apart}"), apart.worst() <= bound);
    note("memory", memory(device), true);
    if info.kind == DeviceKind::Software {
        note("speed", "not measured: a software GPU is for tests".to_owned(), true);
    } else {
        let speed = throughput::measure(device)?;
        note("speed", format!("{:.2} GFLOP/s in training nanoGPT's CPU recipe", speed / 1e9), speed > 0.0);
    }
    Ok(report)
}

/// A model with two heads that trains in milliseconds.
pub fn tiny() -> ModelPlan {
    ModelPlan {
        layers: 1,
        heads: 2,
        kv_heads: 2,
        d_model: 16,
        d_ff: 32,
        seq: 8,
        vocab: 13,
        positions: Positions::Learned,
        norm: Norm::Layer,
        mlp: Mlp::Gelu,
        qk_norm: false,
        bias: false,
        tied_head: true,
        logit_softcap: 0.0,
        dropout: 0.0,
        rotary_base: ModelPlan::ROTARY_BASE,
        norm_eps: 0.0,
    }
}

/// The slope of the loss along the largest gradient of the first block's query matrix: by the chain rule, and by a central difference.
fn slope(cpu: &EngineDevice, model: &ModelPlan, step: &Step) -> Result<(f64, f64), EngineError> {
    let specs = params::layout(model);
    let place = specs.iter().position(|spec| spec.name == "block.0.attention.query").unwrap_or(0);
    let largest =
        |values: &[f32]| (0..values.len()).max_by(|a, b| values[*a].abs().total_cmp(&values[*b].abs())).unwrap_or(0);
    let coordinate = largest(&step.gradient[place]);
    let loss_at = |offset: f32| -> Result<f64, EngineError> {
        let mut values = first_weights(&specs);
        values[place][coordinate] += offset;
        let weights =
            Weights::new(&specs, values.into_iter().map(|values| params::upload(values, &cpu.burn)).collect());
        let batch = batch(model, 0);
        let tokens = |ids: &[i32]| gradient::tokens(ids, batch.size, batch.seq, &cpu.burn);
        let sum = Decoder::new(model, &weights).loss_sum(tokens(&batch.inputs), tokens(&batch.targets), 0.0);
        Ok(f64::from(read(sum.nats)?.first().copied().unwrap_or(f32::NAN)) / (batch.size * batch.seq) as f64)
    };
    let h = 0.02;
    Ok((step.gradient[place][coordinate].into(), (loss_at(h)? - loss_at(-h)?) / f64::from(2.0 * h)))
}

fn memory(device: &EngineDevice) -> String {
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    if device.is_cpu() {
        return format!("{} free", megabytes(device.info.memory_bytes));
    }
    let held = device.burn.memory_pool_usage().map_or(0, |usage| usage.bytes_reserved);
    let size = if device.info.memory_bytes > 0 {
        format!("of {}", megabytes(device.info.memory_bytes))
    } else {
        "the size of its memory is unknown".to_owned()
    };
    format!("{} held by this process; {size}", megabytes(held))
}

fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
