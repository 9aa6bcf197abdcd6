//! The result of a bench, as `--json` prints it and `--baseline` reads it.

use std::collections::BTreeMap;
use std::path::Path;

use engine::device::EngineDevice;
use engine::train::bench::Figures;
use engine::train::bench::ceiling::{Ceiling, bfloat16_instructions};
use engine::train::bench::scaling::{self, Scaling};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wire::device::DeviceInfo;
use wire::run::operators::{OperatorTime, StepWork};
use wire::run::plan::PlanView;

use super::BenchError;
use super::other_program::OtherResult;

/// The form of this document; another number is not read.
const FORMAT: u32 = 2;

/// Numbers of threads for which the speed is predicted.
const THREADS: [usize; 8] = [1, 2, 4, 8, 12, 16, 24, 32];

/// All figures of a bench. Times of operators are means over threads; with the time outside of all operators they add up to the step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Document {
    format: u32,
    /// Version of Kindling.
    pub(super) version: String,
    pub(super) machine: Machine,
    pub(super) settings: Settings,
    pub(super) model: ModelFigures,
    pub(super) ceiling: CeilingFigures,
    pub(super) rounds: Vec<Round>,
    /// Median over the rounds.
    pub(super) tokens_per_sec: f64,
    /// FLOP/s of training at this speed, 6 per parameter and token and those of attention, as a fraction of the ceiling.
    pub(super) peak_fraction: f64,
    /// That of the round with the median speed, as the operators in it.
    pub(super) step_ms: f64,
    pub(super) operators: Vec<OperatorFigures>,
    /// Predictions from this round for other numbers of threads.
    pub(super) scaling: Vec<Scaling>,
    /// Most resident memory of the first round, without that before it, bytes. Later rounds find the memory of earlier ones.
    pub(super) memory_bytes: Estimated,
    /// Time of a round with its evaluations, seconds; the median over the rounds.
    pub(super) training_secs: Estimated,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Machine {
    pub(super) processor: String,
    pub(super) cores: u32,
    /// The processor's instructions for products of bfloat16; without them the factors are rounded and multiplied as 32-bit floats.
    pub(super) bfloat16_instructions: Option<String>,
}

impl Machine {
    /// The machine of this process.
    pub(super) fn this() -> Self {
        let DeviceInfo { name, cores, .. } = EngineDevice::processor().info;
        Self { processor: name, cores, bfloat16_instructions: bfloat16_instructions().map(str::to_owned) }
    }
}

/// What was trained: two documents with the same settings can be compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Settings {
    pub(super) preset: String,
    /// Hyperparameters that differ from the preset, by path.
    pub(super) overrides: BTreeMap<String, Value>,
    pub(super) tokenizer: String,
    /// Name of the generated dataset, or of the text file.
    pub(super) dataset: String,
    pub(super) steps: u64,
    /// Format of the factors of products, as in the plan.
    pub(super) precision: String,
    pub(super) threads: usize,
}

/// Sizes of the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ModelFigures {
    pub(super) parameters: u64,
    pub(super) replicas: usize,
    pub(super) tokens_per_step: u64,
    /// Forward and backward.
    pub(super) flops_per_token: f64,
}

/// The most that the threads of the bench reach.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct CeilingFigures {
    /// Products of large square matrices.
    pub(super) flops_per_sec: f64,
    /// Memory bandwidth.
    pub(super) bytes_per_sec: f64,
    /// Bytes of the arrays over which the bandwidth was measured.
    pub(super) array_bytes: u64,
}

/// One training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Round {
    pub(super) seed: u64,
    pub(super) tokens_per_sec: f64,
    pub(super) step_ms: f64,
    pub(super) valid_nats: Option<f64>,
    pub(super) train_nats: Option<f64>,
    /// Fraction of the time of steps outside batch, gradient and optimizer.
    pub(super) other_fraction: f64,
    /// Time of all steps, seconds.
    pub(super) training_secs: f64,
    /// Total time, seconds.
    pub(super) secs: f64,
    pub(super) operators: Vec<OperatorTime>,
    pub(super) other_program: Option<OtherResult>,
}

/// An operator in a phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct OperatorFigures {
    #[serde(flatten)]
    pub(super) time: OperatorTime,
    /// Fraction of the step.
    pub(super) share: f64,
    /// Per step.
    pub(super) flops: f64,
    /// Read and written per step, at least.
    pub(super) bytes: f64,
    pub(super) flops_per_sec: f64,
    /// Fraction of the ceiling.
    pub(super) peak_fraction: f64,
    pub(super) bytes_per_sec: f64,
    /// Fraction of the ceiling. It can be above 1: what is in a cache is not read from memory.
    pub(super) bandwidth_fraction: f64,
}

/// A measured figure beside that of the planner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Estimated {
    /// `None` if the system does not report it.
    pub(super) measured: Option<f64>,
    pub(super) planned: Option<f64>,
    /// `(planned / measured - 1) * 100`.
    pub(super) error_percent: Option<f64>,
}

impl Estimated {
    fn new(measured: Option<f64>, planned: Option<f64>) -> Self {
        let error = |(measured, planned): (f64, f64)| (planned / measured - 1.0) * 100.0;
        Self { measured, planned, error_percent: measured.zip(planned).map(error) }
    }
}

impl Round {
    pub(super) fn new(seed: u64, figures: Figures, other_program: Option<OtherResult>) -> Self {
        let Figures { tokens_per_sec, step_ms, valid_nats, train_nats, other_fraction, training_secs, secs, .. } =
            figures;
        Self {
            seed,
            tokens_per_sec,
            step_ms,
            valid_nats,
            train_nats,
            other_fraction,
            training_secs,
            secs,
            operators: figures.operators,
            other_program,
        }
    }

    /// Time of an operator, ms; 0 if it did not occur.
    pub(super) fn ms_of(&self, of: &OperatorTime) -> f64 {
        let same = |time: &&OperatorTime| (time.phase, time.operator) == (of.phase, of.operator);
        self.operators.iter().find(same).map_or(0.0, |time| time.ms)
    }
}

/// What a document is made of, besides rounds.
pub(super) struct Measured<'a> {
    pub(super) machine: Machine,
    pub(super) settings: Settings,
    pub(super) view: &'a PlanView,
    pub(super) ceiling: Ceiling,
    pub(super) array_bytes: u64,
    /// Memory that the first round added, bytes.
    pub(super) memory_bytes: Option<f64>,
}

impl Document {
    /// A document of at least one round.
    pub(super) fn new(measured: Measured, rounds: Vec<Round>) -> Self {
        let Measured { machine, settings, view, ceiling, array_bytes, memory_bytes } = measured;
        let of_rounds = |value: &dyn Fn(&Round) -> f64| median(rounds.iter().map(value).collect());
        let (model, tokens_per_sec) = (&view.plan.recipe.model, of_rounds(&|round| round.tokens_per_sec));
        let typical = rounds.iter().find(|round| round.tokens_per_sec == tokens_per_sec);
        let (step_ms, times) = typical.map_or((0.0, vec![]), |round| (round.step_ms, round.operators.clone()));
        let work = StepWork::new(&view.plan);
        let scaling = predict(&settings, view, step_ms, &times);
        let operators = times.into_iter().map(|time| OperatorFigures::new(time, &work, step_ms, ceiling));
        Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            machine,
            settings,
            model: ModelFigures {
                parameters: view.estimate.parameters,
                replicas: view.plan.recipe.batch.replicas,
                tokens_per_step: view.plan.tokens_per_step(),
                flops_per_token: model.flops_per_token(),
            },
            tokens_per_sec,
            peak_fraction: model.flops_per_token() * tokens_per_sec / ceiling.flops_per_sec,
            step_ms,
            operators: operators.collect(),
            scaling,
            memory_bytes: Estimated::new(memory_bytes, Some(view.estimate.memory_bytes as f64)),
            training_secs: Estimated::new(Some(of_rounds(&|round| round.secs)), view.estimate.secs),
            ceiling: CeilingFigures {
                flops_per_sec: ceiling.flops_per_sec,
                bytes_per_sec: ceiling.bytes_per_sec,
                array_bytes,
            },
            rounds,
        }
    }

    /// Reads a document that `--json` printed.
    ///
    /// # Errors
    /// The file cannot be read, or is none of this form.
    pub(super) fn read(path: &Path) -> Result<Self, BenchError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| BenchError::BaselineFile { path: path.to_owned(), source })?;
        let document: Self =
            serde_json::from_str(&text).map_err(|source| BenchError::BaselineForm { path: path.to_owned(), source })?;
        match document.format {
            FORMAT => Ok(document),
            format => Err(BenchError::BaselineFormat { path: path.to_owned(), format, version: document.version }),
        }
    }

    /// Time of a step outside of all operators, ms: waiting for other threads, statistics of weights, reports.
    pub(super) fn other_ms(&self) -> f64 {
        self.step_ms - self.operators.iter().map(|operator| operator.time.ms).sum::<f64>()
    }
}

/// The speed with other numbers of threads, with as many replicas unless the settings fix them.
fn predict(settings: &Settings, view: &PlanView, step_ms: f64, operators: &[OperatorTime]) -> Vec<Scaling> {
    let recipe = &view.plan.recipe;
    let measured = scaling::Measured { recipe, threads: settings.threads, step_ms, operators };
    let is_fixed = settings.overrides.get("batch.replicas").is_some_and(|replicas| replicas.as_u64() != Some(0));
    scaling::predict(&measured, is_fixed.then_some(recipe.batch.replicas), &THREADS)
}

impl OperatorFigures {
    fn new(time: OperatorTime, work: &StepWork, step_ms: f64, ceiling: Ceiling) -> Self {
        let (work, secs) = (work.of(time.phase, time.operator), time.ms / 1000.0);
        let (flops_per_sec, bytes_per_sec) = (per(work.flops, secs), per(work.bytes, secs));
        Self {
            time,
            share: per(time.ms, step_ms),
            flops: work.flops,
            bytes: work.bytes,
            flops_per_sec,
            peak_fraction: flops_per_sec / ceiling.flops_per_sec,
            bytes_per_sec,
            bandwidth_fraction: bytes_per_sec / ceiling.bytes_per_sec,
        }
    }
}

/// A quotient; 0 for a divisor of 0.
fn per(amount: f64, divisor: f64) -> f64 {
    if divisor > 0.0 { amount / divisor } else { 0.0 }
}

/// The median; the upper of the two in the middle of an even number. 0 for no values.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
