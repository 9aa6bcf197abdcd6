//! The device check (`kindling check`). It compares one training step of a tiny model with the CPU, kernels with their reference
//! implementations, the gradient with a central difference, and a resumed run with an uninterrupted one, and reports memory and speed.
//! Drivers and kernel generators can compute wrong results without an error.
//!
//! The full check, `kindling check --full`, runs each of the parts of [`part`] in a separate process. [`adapter`]: adapter, driver and limits;
//! [`parity`]: parity and resume; [`kernels`], [`operators`] and [`inspections`]: comparison with the reference implementations; [`speed`], [`mod@memory`],
//! [`overhead`]. [`tuning`]: disables the autotuner and reads its time; [`faults`]: errors that tests inject.

mod adapter;
mod faults;
mod inspections;
mod kernels;
mod memory;
mod operators;
mod overhead;
mod parity;
pub mod part;
mod plans;
pub mod process;
mod speed;
mod trial;
mod tuning;

use wire::device::DeviceKind;
use wire::model::ModelPlan;

use crate::device::{EngineDevice, read};
use crate::error::EngineError;
use crate::kernels::gpu::GpuKernels;
use crate::model::decoder::Decoder;
use crate::model::params::{self, Weights};
use crate::model::{gradient, speed as throughput};

pub use self::faults::Faults;
pub use self::inspections::INSPECTIONS;
pub use self::kernels::{KernelCase, kernel_cases};
pub use self::operators::{OperatorCase, operator_cases};
pub use self::trial::{Difference, Step, resume_on, step_on};
use self::trial::{batch, first_weights};

/// Maximum relative difference from the CPU after one step.
pub const TOLERANCE: f64 = 1e-3;

/// Rows of the batch of the tiny step.
const ROWS: usize = 4;

/// A result of the check.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Name of the check, in one or two words.
    pub what: &'static str,
    /// Result, in one line.
    pub found: String,
    /// Whether the check passed.
    pub is_good: bool,
}

/// All findings, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    /// Whether every check passed.
    pub fn is_good(&self) -> bool {
        self.0.iter().all(|finding| finding.is_good)
    }
}

/// Checks a device. Each finding is reported as soon as it is known: the first step on a GPU can take a minute, while kernels are compiled and
/// tuned.
///
/// # Errors
/// The device cannot train.
pub fn check(device: &EngineDevice, report_finding: &mut dyn FnMut(&Finding)) -> Result<Findings, EngineError> {
    let mut findings = Findings::default();
    let mut note = |what, found, is_good| {
        let finding = Finding { what, found, is_good };
        report_finding(&finding);
        findings.0.push(finding);
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
    let (analytic, numeric) = slope(&cpu, &model, &whole)?;
    let is_good = (analytic - numeric).abs() <= 0.01 * analytic.abs().max(numeric.abs());
    note("gradient", format!("{analytic:.6} by backpropagation, {numeric:.6} by a central difference"), is_good);
    let difference = whole.compare(&step_on(&cpu, &model, replicas)?);
    note(
        "replicas",
        format!("one step with 1 and with {}: {difference}", counted(replicas, "replica")),
        difference.worst() <= 1e-5,
    );

    if let Some(setup) = &device.setup {
        let difference = whole.compare(&step_on(device, &model, 1)?);
        note("arithmetic", format!("one step here and on the CPU: {difference}"), difference.worst() <= TOLERANCE);
        let kernels = GpuKernels::new(setup);
        let failed: Vec<String> = kernel_cases(device, &kernels)?
            .into_iter()
            .filter(|case| !case.is_same())
            .map(|case| case.to_string())
            .collect();
        note(
            "kernels",
            if failed.is_empty() { "all equal their reference implementations".to_owned() } else { failed.join("; ") },
            failed.is_empty(),
        );
    }
    let difference = resume_on(device, &model)?;
    let bound = if device.is_cpu() { 0.0 } else { TOLERANCE };
    note(
        "resume",
        format!("resumed and uninterrupted run, five steps later: {difference}"),
        difference.worst() <= bound,
    );
    note("memory", memory(device), true);
    if info.kind == DeviceKind::Software {
        note("speed", "not measured: the device is a software adapter".to_owned(), true);
    } else {
        let speed = throughput::measure(device)?.flops_per_sec;
        note("speed", format!("{:.2} GFLOP/s in training nanoGPT's CPU recipe", speed / 1e9), speed > 0.0);
    }
    Ok(findings)
}

/// A model with two heads, small enough that a training step takes milliseconds.
pub fn tiny() -> ModelPlan {
    ModelPlan {
        heads: 2,
        kv_heads: 2,
        d_model: 16,
        d_ff: 32,
        seq: 8,
        vocab: 13,
        tied_head: true,
        ..ModelPlan::smallest()
    }
}

/// The derivative of the loss with respect to the weight of the first block's query matrix that has the largest gradient: by
/// backpropagation, and by a central difference.
fn slope(cpu: &EngineDevice, model: &ModelPlan, step: &Step) -> Result<(f64, f64), EngineError> {
    let specs = params::layout(model);
    let query = specs.iter().position(|spec| spec.name == "block.0.attention.query").unwrap_or(0);
    let largest =
        |values: &[f32]| (0..values.len()).max_by(|a, b| values[*a].abs().total_cmp(&values[*b].abs())).unwrap_or(0);
    let coordinate = largest(&step.gradient[query]);
    let loss_at = |offset: f32| -> Result<f64, EngineError> {
        let mut values = first_weights(&specs);
        values[query][coordinate] += offset;
        let weights =
            Weights::new(&specs, values.into_iter().map(|values| params::upload(values, &cpu.burn)).collect());
        let batch = batch(model, 0);
        let tokens = |ids: &[i32]| gradient::tokens(ids, batch.size, batch.seq, &cpu.burn);
        let sum = Decoder::new(model, &weights).loss_sum(tokens(&batch.inputs), tokens(&batch.targets), 0.0);
        Ok(f64::from(read(sum.nats)?.first().copied().unwrap_or(f32::NAN)) / (batch.size * batch.seq) as f64)
    };
    let h = 0.02;
    Ok((step.gradient[query][coordinate].into(), (loss_at(h)? - loss_at(-h)?) / f64::from(2.0 * h)))
}

fn memory(device: &EngineDevice) -> String {
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    if device.is_cpu() {
        return format!("{} free", megabytes(device.info.memory_bytes));
    }
    let allocated = device.burn.memory_pool_usage().map_or(0, |usage| usage.bytes_reserved);
    let size = if device.info.memory_bytes > 0 {
        format!("of {}", megabytes(device.info.memory_bytes))
    } else {
        "the size of its memory is unknown".to_owned()
    };
    format!("{} allocated by this process; {size}", megabytes(allocated))
}

fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
