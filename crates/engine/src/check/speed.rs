//! How fast the device trains, beside what it could do: the largest matrix product and the widest traffic taken by the same library in the
//! same run, tokens per second of a preset's model on random tokens, and the way from the start of a process to its first step.

use std::time::Instant;

use burn::tensor::{Distribution, Tensor};
use wire::hyperparameters::recipe::OptimizerKind;
use wire::model::ModelPlan;
use wire::run::preset;

use super::part::Sink;
use super::{adapter, tuning};
use crate::data::batch::Batch;
use crate::device::replicas::Replicas;
use crate::device::{EngineDevice, read};
use crate::error::EngineError;
use crate::kernels::random::Counter;
use crate::model::decoder::Decoder;
use crate::model::gradient::{self, GradientArgs};
use crate::model::params::{self, ParamSpec, Weights};
use crate::optim::optimizer::{self, State};
use crate::optim::step_hyperparameters::StepHyperparameters;

/// Time that one speed is measured over, seconds.
const MEASURED_SECS: f64 = 2.0;
/// Steps between two reads of the loss, as in training.
const STEPS_PER_READ: usize = 8;
/// Largest batch that is tried.
const MOST_ROWS: usize = 512;

/// How a model is to be measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    /// Rows of the first batch; the preset's own where it is 0.
    pub(super) rows: usize,
    /// Double the batch while it fits.
    pub(super) grows: bool,
    /// Leave dropout out.
    pub(super) without_dropout: bool,
}

// --- ceilings ---------------------------------------------------------------------------------------------------------------

/// Reports the best matrix product and the best traffic, over a few sizes.
///
/// # Errors
/// A device that has gone away.
pub(super) fn ceilings(device: &EngineDevice, sink: &mut Sink<'_>) -> Result<(), EngineError> {
    let (sizes, floats): (&[usize], usize) =
        if device.is_cpu() { (&[512, 1024], 1 << 24) } else { (&[1024, 2048, 4096, 8192], 1 << 26) };
    let mut best = (0.0, 0);
    for &n in sizes {
        if sink.left() < 2.0 {
            break;
        }
        let flops = 2.0 * (n as f64).powi(3) / matrix_product(device, n)?;
        if flops > best.0 {
            best = (flops, n);
        }
    }
    sink.figure(PEAK, best.0 / 1e12, "TFLOP/s", format!("f32, {0} x {0}, the best of {1} sizes", best.1, sizes.len()));
    let secs = traffic(device, floats)?;
    sink.figure("traffic", 8.0 * floats as f64 / secs / 1e9, "GB/s", "f32, one read and one write of each value");
    Ok(())
}

/// Name of the figure that shares of the peak are taken of.
pub const PEAK: &str = "matrix product";

/// Seconds of one product of two matrices of `n` rows and columns: the best of a few.
fn matrix_product(device: &EngineDevice, n: usize) -> Result<f64, EngineError> {
    let matrix = || Tensor::<2>::random([n, n], Distribution::Normal(0.0, 1.0), &device.burn);
    let (a, b) = (matrix(), matrix());
    best_of(device, 6, || {
        let product = a.clone().matmul(b.clone());
        product.slice([0..1, 0..1]).reshape([1])
    })
}

/// Seconds to read so many values and to write as many.
fn traffic(device: &EngineDevice, floats: usize) -> Result<f64, EngineError> {
    let values = Tensor::<1>::random([floats], Distribution::Normal(0.0, 1.0), &device.burn);
    best_of(device, 8, || (values.clone() * 1.5).slice([0..1]))
}

/// The shortest of some runs after a first one that compiles; each is done when the one value that it answers has been read.
fn best_of(device: &EngineDevice, rounds: usize, mut work: impl FnMut() -> Tensor<1>) -> Result<f64, EngineError> {
    let mut best = f64::INFINITY;
    for round in 0..=rounds {
        settle(device)?;
        let began = Instant::now();
        read(work())?;
        settle(device)?;
        if round > 0 {
            best = best.min(began.elapsed().as_secs_f64());
        }
    }
    Ok(best)
}

fn settle(device: &EngineDevice) -> Result<(), EngineError> {
    device.burn.sync().map_err(|source| EngineError::read_back(source.to_string()))
}

// --- models -----------------------------------------------------------------------------------------------------------------

/// Reports tokens per second, share of the peak and time by phase of a preset's model.
///
/// # Errors
/// A preset that there is not, a device that cannot train it.
pub(super) fn model(
    device: &EngineDevice,
    name: &str,
    wanted: Wanted,
    peak_flops: f64,
    sink: &mut Sink<'_>,
) -> Result<(), EngineError> {
    let (plan, preset_rows) = shape_of(name, wanted.without_dropout)?;
    let mut rows = if wanted.rows > 0 { wanted.rows } else { preset_rows };
    let mut best = 0.0;
    while rows > 0 && rows <= MOST_ROWS && (best == 0.0 || has_room(device, &plan, rows)) {
        let tokens = (rows * plan.seq) as f64;
        let likely = plan.flops_per_token() * tokens / peak_flops.max(1.0) * 2.0;
        // A first step compiles, two warm up, two at least are measured.
        if peak_flops > 0.0 && likely * 5.0 > sink.left() {
            if best == 0.0 && rows > 1 {
                rows /= 2;
                continue;
            }
            let why = format!("five steps of {rows} x {} tokens would take about {:.0} s", plan.seq, likely * 5.0);
            sink.not_run(format!("{name}, {rows} rows"), why);
            return Ok(());
        }
        let mut bench = Bench::new(device, &plan, rows)?;
        let speed = bench.speed(sink)?;
        sink.figure(format!("{name}, {rows} rows"), speed, "tokens/s", format!("f32, {tokens:.0} tokens a step"));
        if speed > best {
            best = speed;
            if peak_flops > 0.0 {
                let share = plan.flops_per_token() * speed / peak_flops * 100.0;
                sink.figure(format!("{name}, {rows} rows: share of peak"), share, "%", "of the largest matrix product");
            }
            bench.phases(name, rows, sink)?;
        }
        let used = device.burn.memory_pool_usage().map_or(0, |usage| usage.bytes_reserved);
        if used > 0 {
            sink.figure(format!("{name}, {rows} rows: memory"), used as f64 / 1e9, "GB", "held by burn on the device");
        }
        if !wanted.grows || sink.left() < 4.0 {
            break;
        }
        rows *= 2;
    }
    Ok(())
}

/// Whether a batch fits into the memory that the device tells of; where it tells nothing, it is tried.
fn has_room(device: &EngineDevice, plan: &ModelPlan, rows: usize) -> bool {
    let told = if device.is_cpu() { Some(device.info.memory_bytes) } else { adapter::card_memory(&device.info.name) };
    told.is_none_or(|bytes| plan.training_bytes(rows, 1) <= bytes)
}

/// The model of a preset with the vocabulary that it usually has, and the rows of its batch.
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

const DIAL: StepHyperparameters = StepHyperparameters {
    kind: OptimizerKind::Adamw,
    learning_rate: 1e-4,
    beta1: 0.9,
    beta2: 0.95,
    eps: 1e-8,
    weight_decay: 0.1,
    grad_clip: 1.0,
};

/// A training on random tokens.
struct Bench<'a> {
    device: &'a EngineDevice,
    plan: &'a ModelPlan,
    specs: Vec<ParamSpec>,
    layout: Weights,
    state: State,
    cores: Option<Replicas>,
    rows: usize,
    random: Counter,
}

impl<'a> Bench<'a> {
    fn new(device: &'a EngineDevice, plan: &'a ModelPlan, rows: usize) -> Result<Self, EngineError> {
        let specs = params::layout(plan);
        let put = |values| params::upload(values, &device.burn);
        let cores = if device.is_cpu() { Some(Replicas::new(rows.min(device.info.cores as usize))?) } else { None };
        Ok(Self {
            layout: Weights::new(&specs, vec![]),
            state: State::new(params::initial(&specs, 1).into_iter().map(put).collect()),
            specs,
            device,
            plan,
            cores,
            rows,
            random: Counter::new(1, 0),
        })
    }

    fn batch(&mut self) -> Batch {
        let (count, vocab) = (self.rows * self.plan.seq, self.plan.vocab as u64);
        let mut ids = || (0..count).map(|_| self.random.below(vocab) as i32).collect::<Vec<i32>>();
        Batch { size: self.rows, seq: self.plan.seq, inputs: ids(), targets: ids() }
    }

    fn gradient(&self, batch: Batch) -> Result<gradient::Gradient, EngineError> {
        let pass = GradientArgs { model: self.plan.clone(), z_loss: 0.0, dropout_seed: self.state.steps };
        let weights = self.layout.with(self.state.weights.clone());
        gradient::of_step(&pass, &weights, vec![batch], self.cores.as_ref(), &self.device.burn)
    }

    fn update(&mut self, learned: gradient::Gradient) -> Result<(), EngineError> {
        match &self.cores {
            Some(cores) => {
                let scale = optimizer::clip_scale(optimizer::norm_on_cpu(&learned), DIAL.grad_clip);
                self.state.step_on_cpu(&self.specs, learned.flat, scale, DIAL, cores)?;
            }
            None => {
                let scale = ((optimizer::norm_on_gpu(&learned) + 1e-6).recip() * DIAL.grad_clip).clamp_max(1.0);
                self.state.step_on_gpu(&self.specs, learned.flat, scale, DIAL);
            }
        }
        Ok(())
    }

    /// One step; its loss is on the device.
    fn step(&mut self) -> Result<Tensor<1>, EngineError> {
        let batch = self.batch();
        let learned = self.gradient(batch)?;
        let loss = learned.loss.clone();
        self.update(learned)?;
        Ok(loss)
    }

    /// Tokens per second over some seconds, after three steps that compile and warm up.
    fn speed(&mut self, sink: &Sink<'_>) -> Result<f64, EngineError> {
        for _ in 0..3 {
            read(self.step()?)?;
        }
        settle(self.device)?;
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
        settle(self.device)?;
        Ok((steps * self.rows * self.plan.seq) as f64 / secs())
    }

    /// Time of each phase, the device waited for after each: batch, forward pass alone, forward and backward, optimizer.
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
            let learned = self.gradient(batch)?;
            read(learned.loss.clone())?;
            settle(self.device)?;
            note(2, began);
            let began = Instant::now();
            self.update(learned)?;
            settle(self.device)?;
            note(3, began);
        }
        for (phase, ms) in ["batch", "forward alone", "forward and backward", "optimizer"].into_iter().zip(ms) {
            if ms.is_finite() {
                sink.figure(format!("{name}, {rows} rows: {phase}"), ms, "ms", "the device waited for after it");
            }
        }
        Ok(())
    }

    fn forward(&self, batch: &Batch) -> Result<(), EngineError> {
        let weights = self.layout.with(self.state.weights.clone());
        let tokens = |ids: &[i32]| gradient::tokens(ids, batch.size, batch.seq, &self.device.burn);
        let loss = Decoder::new(self.plan, &weights).loss_sum(tokens(&batch.inputs), tokens(&batch.targets), 0.0);
        read(loss.nats)?;
        settle(self.device)
    }
}

// --- start-up ---------------------------------------------------------------------------------------------------------------

/// Reports the time from the start of the process to the end of the first step of nanogpt-char (on the CPU of nanogpt-cpu), how much of it
/// the autotuner took, and the time of the second step.
///
/// # Errors
/// A device that cannot train.
pub(super) fn first_step(
    device: &EngineDevice,
    began: Instant,
    log: &tuning::Log,
    sink: &mut Sink<'_>,
) -> Result<(), EngineError> {
    let name = if device.is_cpu() { "nanogpt-cpu" } else { "nanogpt-char" };
    let (plan, rows) = shape_of(name, false)?;
    sink.figure("device opened", began.elapsed().as_secs_f64(), "s", "since the start of the process");
    let mut bench = Bench::new(device, &plan, rows)?;
    read(bench.step()?)?;
    settle(device)?;
    sink.figure(
        "first step done",
        began.elapsed().as_secs_f64(),
        "s",
        format!("{name}, since the start of the process"),
    );
    if !device.is_cpu() {
        let took = log.read();
        let note = format!("{} kernels measured for {} shapes", took.kernels, took.shapes);
        sink.figure("of that in the autotuner", took.secs, "s", note);
    }
    let second = Instant::now();
    read(bench.step()?)?;
    settle(device)?;
    sink.figure("second step", second.elapsed().as_secs_f64(), "s", name);
    Ok(())
}
