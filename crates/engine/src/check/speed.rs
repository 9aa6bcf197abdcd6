//! Training speed of the device and its limits: the highest matrix-multiplication and memory throughput that burn reaches, tokens per second
//! of a preset on random tokens, and the time from process start to the first step.

use std::time::Instant;

use burn::tensor::{Distribution, FloatDType, Tensor};
use wire::hyperparameters::recipe::{self, OptimizerKind, Precision};
use wire::model::ModelPlan;
use wire::run::preset;

use super::part::{Sink, in_16_bits};
use super::{adapter, tuning};
use crate::data::batch::Batch;
use crate::device::replicas::Replicas;
use crate::device::{EngineDevice, format_of, read};
use crate::error::EngineError;
use crate::kernels::random::Counter;
use crate::model::decoder::Decoder;
use crate::model::gradient::{self, GradientArgs};
use crate::model::params::{self, ParamSpec, Weights};
use crate::optim::optimizer::{self, State};
use crate::optim::step_hyperparameters::StepHyperparameters;

/// Duration of one speed measurement, seconds.
const MEASURED_SECS: f64 = 2.0;
/// Steps between two reads of the loss, as in training.
const STEPS_PER_READ: usize = 8;
/// Maximum rows of a batch.
const MAX_ROWS: usize = 512;

/// Settings of a speed measurement.
#[derive(Debug, Clone, Copy)]
pub(super) struct SpeedArgs {
    /// Rows of the first batch; 0 for the batch size of the preset.
    pub(super) rows: usize,
    /// Double the batch while it fits.
    pub(super) grows: bool,
    /// Disable dropout.
    pub(super) without_dropout: bool,
}

// --- ceilings ---------------------------------------------------------------------------------------------------------------

/// Reports the highest matrix-multiplication throughput over a few sizes, and the memory bandwidth.
///
/// # Errors
/// The device was lost.
pub(super) fn ceilings(device: &EngineDevice, sink: &mut Sink<'_>) -> Result<(), EngineError> {
    let (sizes, floats): (&[usize], usize) =
        if device.is_cpu() { (&[512, 1024], 1 << 24) } else { (&[1024, 2048, 4096, 8192], 1 << 26) };
    let mut best = (0.0, 0);
    for &n in sizes {
        if sink.left() < 2.0 {
            break;
        }
        let flops = 2.0 * (n as f64).powi(3) / matrix_multiplication_secs(device, n, None)?;
        if flops > best.0 {
            best = (flops, n);
        }
    }
    sink.figure(PEAK, best.0 / 1e12, "TFLOP/s", format!("f32, {0} x {0}, the best of {1} sizes", best.1, sizes.len()));
    if !device.is_cpu() {
        half_ceilings(device, sizes, sink)?;
    }
    let secs = copy_secs(device, floats)?;
    sink.figure(
        "memory bandwidth",
        8.0 * floats as f64 / secs / 1e9,
        "GB/s",
        "f32, one read and one write of each value",
    );
    Ok(())
}

/// Name of the figure that other figures are expressed as a fraction of.
pub const PEAK: &str = "matrix multiplication";

/// Reports the throughput of products with 16-bit factors at the largest size, or why there is none.
fn half_ceilings(device: &EngineDevice, sizes: &[usize], sink: &mut Sink<'_>) -> Result<(), EngineError> {
    let n = sizes.last().copied().unwrap_or(1024);
    in_16_bits(
        device,
        2.0,
        sink,
        |precision| format!("{PEAK}, {}", precision.name()),
        |precision, name, sink| {
            let secs = matrix_multiplication_secs(device, n, format_of(precision))?;
            sink.figure(name, 2.0 * (n as f64).powi(3) / secs / 1e12, "TFLOP/s", format!("{n} x {n}"));
            Ok(())
        },
    )
}

/// Minimum time of one product of two `n` x `n` matrices, seconds; in 32 bits without a format.
fn matrix_multiplication_secs(device: &EngineDevice, n: usize, format: Option<FloatDType>) -> Result<f64, EngineError> {
    let matrix = || {
        let values = Tensor::<2>::random([n, n], Distribution::Normal(0.0, 1.0), &device.burn);
        if let Some(format) = format { values.cast(format) } else { values }
    };
    let (a, b) = (matrix(), matrix());
    min_secs(device, 6, || {
        let product = a.clone().matmul(b.clone());
        product.slice([0..1, 0..1]).cast(FloatDType::F32).reshape([1])
    })
}

/// Seconds to read and write `floats` values.
fn copy_secs(device: &EngineDevice, floats: usize) -> Result<f64, EngineError> {
    let values = Tensor::<1>::random([floats], Distribution::Normal(0.0, 1.0), &device.burn);
    min_secs(device, 8, || (values.clone() * 1.5).slice([0..1]))
}

/// Minimum time of `rounds` runs after a first run that compiles kernels. A run ends when its one result has been read back.
fn min_secs(device: &EngineDevice, rounds: usize, mut work: impl FnMut() -> Tensor<1>) -> Result<f64, EngineError> {
    let mut best = f64::INFINITY;
    for round in 0..=rounds {
        synchronize(device)?;
        let began = Instant::now();
        read(work())?;
        synchronize(device)?;
        if round > 0 {
            best = best.min(began.elapsed().as_secs_f64());
        }
    }
    Ok(best)
}

fn synchronize(device: &EngineDevice) -> Result<(), EngineError> {
    device.burn.sync().map_err(|source| EngineError::read_back(source.to_string()))
}

// --- models -----------------------------------------------------------------------------------------------------------------

/// Reports tokens per second, fraction of the peak and time of each phase for the model of a preset.
///
/// # Errors
/// An unknown preset; a device that cannot train it.
pub(super) fn model(
    device: &EngineDevice,
    name: &str,
    args: SpeedArgs,
    peak_flops: f64,
    sink: &mut Sink<'_>,
) -> Result<(), EngineError> {
    let (plan, preset_rows) = shape_of(name, args.without_dropout)?;
    let mut rows = if args.rows > 0 { args.rows } else { preset_rows };
    let mut best = 0.0;
    while rows > 0 && rows <= MAX_ROWS && (best == 0.0 || has_room(device, &plan, rows)) {
        let tokens = (rows * plan.seq) as f64;
        let step_secs = plan.flops_per_token() * tokens / peak_flops.max(1.0) * 2.0;
        // The first step compiles kernels, two steps warm up, and at least two are measured.
        if peak_flops > 0.0 && step_secs * 5.0 > sink.left() {
            if best == 0.0 && rows > 1 {
                rows /= 2;
                continue;
            }
            let why = format!("five steps of {rows} x {} tokens would take about {:.0} s", plan.seq, step_secs * 5.0);
            sink.not_run(format!("{name}, {rows} rows"), why);
            return Ok(());
        }
        let mut bench = Bench::new(device, &plan, rows, Precision::Float32)?;
        let speed = bench.speed(sink)?;
        sink.figure(format!("{name}, {rows} rows"), speed, "tokens/s", format!("f32, {tokens:.0} tokens per step"));
        if speed > best {
            best = speed;
            if peak_flops > 0.0 {
                let percent = plan.flops_per_token() * speed / peak_flops * 100.0;
                let note = "of the matrix-multiplication throughput";
                sink.figure(format!("{name}, {rows} rows: fraction of peak"), percent, "%", note);
            }
            bench.phases(name, rows, sink)?;
        }
        let used = device.burn.memory_pool_usage().map_or(0, |usage| usage.bytes_reserved);
        if used > 0 {
            sink.figure(
                format!("{name}, {rows} rows: memory"),
                used as f64 / 1e9,
                "GB",
                "reserved by burn on the device",
            );
        }
        drop(bench);
        if !args.grows || sink.left() < 4.0 {
            break;
        }
        rows *= 2;
    }
    if device.is_cpu() || best == 0.0 { Ok(()) } else { half_precision(device, name, &plan, preset_rows, sink) }
}

/// Reports tokens per second with 16-bit factors of products, or why there are none.
fn half_precision(
    device: &EngineDevice,
    name: &str,
    plan: &ModelPlan,
    rows: usize,
    sink: &mut Sink<'_>,
) -> Result<(), EngineError> {
    let figure = |precision: Precision| format!("{name}, {rows} rows, {}", precision.name());
    in_16_bits(device, 4.0, sink, figure, |precision, figure, sink| {
        let speed = Bench::new(device, plan, rows, precision)?.speed(sink)?;
        sink.figure(figure, speed, "tokens/s", format!("{} tokens per step", rows * plan.seq));
        Ok(())
    })
}

/// Whether the estimated memory of a batch fits the device; true if the memory size is unknown.
fn has_room(device: &EngineDevice, plan: &ModelPlan, rows: usize) -> bool {
    let size = if device.is_cpu() { Some(device.info.memory_bytes) } else { adapter::gpu_memory(&device.info.name) };
    let batch = recipe::Batch { size: rows, accumulation: 1, replicas: 1 };
    size.is_none_or(|bytes| plan.training_bytes(device.info.kind, &batch, &recipe::Compute::default()) <= bytes)
}

/// The model of a preset with its usual vocabulary size, and its batch size.
fn shape_of(name: &str, without_dropout: bool) -> Result<(ModelPlan, usize), EngineError> {
    let preset = preset::find(name, None)?;
    let mut model = preset.recipe.model;
    model.vocab = match name {
        "gpt2" => 50_257,
        "llama-small" => 8192,
        _ => 65,
    };
    if without_dropout {
        model.dropout = 0.0;
    }
    Ok((model, preset.recipe.batch.size))
}

const HYPERPARAMETERS: StepHyperparameters = StepHyperparameters {
    kind: OptimizerKind::Adamw,
    learning_rate: 1e-4,
    beta1: 0.9,
    beta2: 0.95,
    eps: 1e-8,
    weight_decay: 0.1,
    grad_clip: 1.0,
};

/// A training run on random tokens.
struct Bench<'a> {
    device: &'a EngineDevice,
    plan: &'a ModelPlan,
    specs: Vec<ParamSpec>,
    layout: Weights,
    state: State,
    cores: Option<Replicas>,
    rows: usize,
    random: Counter,
    precision: Precision,
    /// Factor of the loss with float16 products.
    loss_scale: Option<Tensor<1>>,
}

/// Factor of the loss with float16 products: like the first one of a run, but constant.
const LOSS_SCALE: f32 = 1024.0;

impl<'a> Bench<'a> {
    fn new(
        device: &'a EngineDevice,
        plan: &'a ModelPlan,
        rows: usize,
        precision: Precision,
    ) -> Result<Self, EngineError> {
        let specs = params::layout(plan);
        let cores = if device.is_cpu() { Some(Replicas::new(rows.min(device.info.cores as usize))?) } else { None };
        Ok(Self {
            layout: Weights::new(&specs, vec![]),
            state: State::new(params::initial_on(&specs, 1, &device.burn)),
            specs,
            device,
            plan,
            cores,
            rows,
            random: Counter::new(1, 0),
            precision,
            loss_scale: (precision == Precision::Float16).then(|| params::upload(vec![LOSS_SCALE], &device.burn)),
        })
    }

    fn batch(&mut self) -> Batch {
        let (count, vocab) = (self.rows * self.plan.seq, self.plan.vocab as u64);
        let mut ids = || (0..count).map(|_| self.random.below(vocab) as i32).collect::<Vec<i32>>();
        Batch { size: self.rows, seq: self.plan.seq, inputs: ids(), targets: ids() }
    }

    fn gradient(&self, batch: Batch) -> Result<gradient::Gradient, EngineError> {
        let args = GradientArgs {
            dropout_seed: self.state.steps,
            compute: recipe::Compute { precision: self.precision, recompute: false },
            loss_scale: self.loss_scale.clone(),
            ..GradientArgs::new(self.plan.clone())
        };
        let weights = self.layout.with(self.state.weights.clone());
        gradient::of_step(&args, &weights, vec![batch], self.cores.as_ref(), &self.device.burn)
    }

    fn update(&mut self, gradient: gradient::Gradient) -> Result<(), EngineError> {
        match &self.cores {
            Some(cores) => {
                let scale = optimizer::clip_scale(optimizer::norm_on_cpu(&gradient), HYPERPARAMETERS.grad_clip);
                self.state.step_on_cpu(&self.specs, gradient.flat, scale, HYPERPARAMETERS, cores)?;
            }
            None => {
                let scale =
                    ((optimizer::norm_on_gpu(&gradient) + 1e-6).recip() * HYPERPARAMETERS.grad_clip).clamp_max(1.0);
                self.state.step_on_gpu(&self.specs, gradient.flat, scale, HYPERPARAMETERS);
            }
        }
        Ok(())
    }

    /// Runs one step and returns its loss, a tensor on the device.
    fn step(&mut self) -> Result<Tensor<1>, EngineError> {
        let batch = self.batch();
        let gradient = self.gradient(batch)?;
        let loss = gradient.loss.clone();
        self.update(gradient)?;
        Ok(loss)
    }

    /// Tokens per second over `MEASURED_SECS`, after three steps that compile kernels and warm up.
    fn speed(&mut self, sink: &Sink<'_>) -> Result<f64, EngineError> {
        for _ in 0..3 {
            read(self.step()?)?;
        }
        synchronize(self.device)?;
        let (began, mut steps) = (Instant::now(), 0);
        let secs = || began.elapsed().as_secs_f64();
        let mut unread = vec![];
        while steps < 2 || secs() < MEASURED_SECS && secs() < sink.left() {
            unread.push(self.step()?);
            steps += 1;
            if unread.len() == STEPS_PER_READ {
                read(Tensor::cat(std::mem::take(&mut unread), 0))?;
            }
        }
        if !unread.is_empty() {
            read(Tensor::cat(unread, 0))?;
        }
        synchronize(self.device)?;
        Ok((steps * self.rows * self.plan.seq) as f64 / secs())
    }

    /// Reports the time of each phase: batch, forward pass alone, forward and backward, optimizer. The device is synchronized after each.
    fn phases(&mut self, name: &str, rows: usize, sink: &mut Sink<'_>) -> Result<(), EngineError> {
        let mut ms = [f64::INFINITY; 4];
        for _ in 0..3 {
            let mut note = |at: usize, since: Instant| {
                ms[at] = ms[at].min(since.elapsed().as_secs_f64() * 1000.0);
            };
            let began = Instant::now();
            let batch = self.batch();
            note(0, began);
            if !self.device.is_cpu() {
                let began = Instant::now();
                self.forward(&batch)?;
                note(1, began);
            }
            let began = Instant::now();
            let gradient = self.gradient(batch)?;
            read(gradient.loss.clone())?;
            synchronize(self.device)?;
            note(2, began);
            let began = Instant::now();
            self.update(gradient)?;
            synchronize(self.device)?;
            note(3, began);
        }
        for (phase, ms) in ["batch", "forward alone", "forward and backward", "optimizer"].into_iter().zip(ms) {
            if ms.is_finite() {
                sink.figure(
                    format!("{name}, {rows} rows: {phase}"),
                    ms,
                    "ms",
                    "the device is synchronized after this phase",
                );
            }
        }
        Ok(())
    }

    fn forward(&self, batch: &Batch) -> Result<(), EngineError> {
        let weights = self.layout.with(self.state.weights.clone());
        let tokens = |ids: &[i32]| gradient::tokens(ids, batch.size, batch.seq, &self.device.burn);
        let loss = Decoder::new(self.plan, &weights).loss_sum(tokens(&batch.inputs), tokens(&batch.targets), 0.0);
        read(loss.nats)?;
        synchronize(self.device)
    }
}

// --- start-up ---------------------------------------------------------------------------------------------------------------

/// Reports the time from process start to the end of the first step of nanogpt-char (nanogpt-cpu on the CPU), how much of it the autotuner
/// used, and the time of the second step.
///
/// # Errors
/// The device cannot train.
pub(super) fn first_step(
    device: &EngineDevice,
    began: Instant,
    log: &tuning::Log,
    sink: &mut Sink<'_>,
) -> Result<(), EngineError> {
    let name = if device.is_cpu() { "nanogpt-cpu" } else { "nanogpt-char" };
    let (plan, rows) = shape_of(name, false)?;
    sink.figure("device opened", began.elapsed().as_secs_f64(), "s", "since the start of the process");
    let mut bench = Bench::new(device, &plan, rows, Precision::Float32)?;
    read(bench.step()?)?;
    synchronize(device)?;
    sink.figure(
        "first step done",
        began.elapsed().as_secs_f64(),
        "s",
        format!("{name}, since the start of the process"),
    );
    if !device.is_cpu() {
        let tuning = log.read();
        let note = format!("{} kernels measured for {} shapes", tuning.kernels, tuning.shapes);
        sink.figure("first step, time of the autotuner", tuning.secs, "s", note);
    }
    let second = Instant::now();
    read(bench.step()?)?;
    synchronize(device)?;
    sink.figure("second step", second.elapsed().as_secs_f64(), "s", name);
    Ok(())
}
