//! The measurements of `kindling bench`: speed, loss, memory and operators of a plan on a dataset, by the training loop of every run;
//! [`ceiling`]: what the machine reaches at most; [`growth`]: a step while the sizes of a plan double; [`scaling`]: the speed that other numbers
//! of threads would have.

pub mod ceiling;
pub mod growth;
pub mod scaling;

use std::path::Path;
use std::sync::mpsc;
use std::time::Instant;

use wire::PlanError;
use wire::control::author::Author;
use wire::control::command::{Command, NumberedCommand};
use wire::control::event::Event;
use wire::data::corpus::Source;
use wire::data::import::ImportOptions;
use wire::device::DeviceInfo;
use wire::inspect::update::InspectionUpdate;
use wire::run::RunState;
use wire::run::history::Past;
use wire::run::operators::OperatorTime;
use wire::run::plan::{self, PlanView, RunPlan};
use wire::run::spec::RunSpec;
use wire::series::{Row, name};
use wire::transport::link::Report;

use crate::data::{corpus, dataset, import};
use crate::device::operator_times::OperatorTimes;
use crate::device::{EngineDevice, process_bytes};
use crate::error::{DataError, EngineError};
use crate::model::cpu::workspace::{Workspace, Workspaces};
use crate::model::speed;
use crate::model::variant::Variant;
use crate::train::{Folders, Reporter, Session};

/// Steps before the first one that is measured, unless there are too few: caches and buffers fill in them.
const WARM_UP: u64 = 10;

/// Results of one run. What concerns single steps is that of the steps after the warm-up.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Median speed, tokens per second.
    pub tokens_per_sec: f64,
    /// Mean time of a step, ms.
    pub step_ms: f64,
    /// Times of the operators in it, in the order of a step.
    pub operators: Vec<OperatorTime>,
    /// Last validation loss, nats per token.
    pub valid_nats: Option<f64>,
    /// Last training loss, nats per token.
    pub train_nats: Option<f64>,
    /// Fraction of the time of all steps outside batch, gradient and optimizer.
    pub other_fraction: f64,
    /// Time of all steps, seconds.
    pub training_secs: f64,
    /// Total time, with evaluations, seconds.
    pub secs: f64,
    /// Most resident memory of the process, bytes; 0 if the system does not report it.
    pub peak_bytes: f64,
    /// Why the training paused before its end, where it was stopped.
    pub stopped_by: Option<String>,
}

/// Imports a text file into `corpora` under an id, for benches and tests.
///
/// # Errors
/// The file cannot be read or is not text.
pub fn import_text(corpora: &Path, id: &wire::CorpusId, file: &Path) -> Result<(), DataError> {
    let name = file.file_name().map_or_else(|| "text".to_owned(), |name| name.to_string_lossy().into_owned());
    let files = [(name.clone(), file.to_owned())];
    let from = import::Files { files: &files, options: &ImportOptions::default(), max_text_bytes: u64::MAX };
    import::import_files(corpora, id, &name, Source::Files { names: vec![] }, from, &mut |_, _, _| true)?;
    Ok(())
}

/// A spec resolved on this machine's CPU.
#[derive(Debug, Clone)]
pub struct Resolved {
    pub view: PlanView,
    /// The CPU, with its measured speed.
    pub device: DeviceInfo,
}

/// Resolves a spec on this many threads of this machine's CPU, whose speed is measured for the estimate of the training time. Unless the spec
/// sets replicas, there is one for each thread.
///
/// # Errors
/// The spec does not resolve, or a dataset or the CPU fails.
pub fn resolve(spec: &RunSpec, corpora: &Path, threads: usize) -> Result<PlanView, EngineError> {
    Ok(resolve_on_device(spec, corpora, threads)?.view)
}

/// [`resolve`], with the CPU.
///
/// # Errors
/// Those of [`resolve`].
pub fn resolve_on_device(spec: &RunSpec, corpora: &Path, threads: usize) -> Result<Resolved, EngineError> {
    let mut device = EngineDevice::processor();
    device.info.cores = threads as u32;
    speed::measure(&device)?.note(&mut device.info);
    let view = plan::resolve(spec, &corpus::list(corpora)?, std::slice::from_ref(&device.info))?;
    Ok(Resolved { view, device: device.info })
}

/// Trains a plan to its end on this many threads of this machine's CPU.
///
/// # Errors
/// A dataset or the device fails.
pub fn train(plan: &RunPlan, corpora: &Path, threads: usize) -> Result<Figures, EngineError> {
    train_variant(plan, corpora, threads, Variant::default())
}

/// [`train`], with gradients by a variant; losses of validation are those of every training.
///
/// # Errors
/// The errors of [`train`].
pub fn train_variant(plan: &RunPlan, corpora: &Path, threads: usize, variant: Variant) -> Result<Figures, EngineError> {
    dataset::prepare(corpora, &plan.corpora(), plan.tokenizer, &mut |_, _, _| true)?;
    let device = EngineDevice::processor();
    device.threads.set(Some(threads));
    let run = "bench".parse().map_err(|source: wire::id::IdError| PlanError::new("run", source.to_string()))?;
    let folders = Folders { corpora: corpora.to_owned(), checkpoints: None };
    let mut session = Session::load(&run, plan, &Past::default(), folders, device)?;
    if let Some(replicas) = &session.trainer_mut().replicas {
        let choose = |kept: &mut Workspaces| kept.gradient = Workspace::of(variant);
        (0..replicas.count()).for_each(|replica| replicas.with_kept(replica, choose));
    }
    let (commands, received) = mpsc::channel();
    let mut recorder = Recorder::new(WARM_UP.min(plan.steps / 2), commands);
    let began = Instant::now();
    session.run(&received, &mut recorder)?;
    Ok(recorder.figures(began.elapsed().as_secs_f64()))
}

/// Collects the values of a bench.
struct Recorder {
    commands: mpsc::Sender<NumberedCommand>,
    /// The first step that is measured.
    first: u64,
    /// Tokens per second of the measured steps.
    speeds: Vec<f64>,
    /// Time of the measured steps.
    measured_ms: f64,
    operators: OperatorTimes,
    /// Time of all steps, and its part outside batch, gradient and optimizer.
    total_ms: f64,
    other_ms: f64,
    figures: Figures,
}

impl Reporter for Recorder {
    fn row(&mut self, row: Row) {
        for (name, value) in row.values {
            match name.as_str() {
                name::TOKENS_PER_SEC if row.step >= self.first => self.speeds.push(value),
                name::STEP_MS => {
                    self.total_ms += value;
                    self.measured_ms += if row.step >= self.first { value } else { 0.0 };
                }
                name::OTHER_MS => self.other_ms += value,
                name::TRAIN => self.figures.train_nats = Some(value),
                name::PROCESS_BYTES => self.figures.peak_bytes = self.figures.peak_bytes.max(value),
                _ => {}
            }
        }
    }

    fn operators(&mut self, step: u64, times: &OperatorTimes) {
        if step >= self.first {
            self.operators.add(times, 1.0);
        }
    }

    fn report(&mut self, report: Report) {
        // Nobody could resume a run that has paused: at a breakpoint, or for a loss that is not finite.
        if report.state == Some(RunState::Paused) {
            let command = Command::Stop { reason: None };
            // Sending fails only if the run has ended.
            let _ = self.commands.send(NumberedCommand { command_id: 1, author: Author::System, command });
            self.figures.stopped_by = Some(match &report.event {
                Event::NonFinite { what } => format!("{what} is not finite"),
                _ => format!("it paused, {}", report.reason.as_deref().unwrap_or("without a reason")),
            });
        }
        if let Event::Evaluated { loss_nats, .. } = report.event {
            self.figures.valid_nats = Some(loss_nats);
            self.figures.peak_bytes = self.figures.peak_bytes.max(process_bytes());
        }
    }

    fn inspection(&mut self, _update: InspectionUpdate) {}
}

impl Recorder {
    fn new(first: u64, commands: mpsc::Sender<NumberedCommand>) -> Self {
        Self {
            commands,
            first,
            speeds: vec![],
            measured_ms: 0.0,
            operators: OperatorTimes::default(),
            total_ms: 0.0,
            other_ms: 0.0,
            figures: Figures::default(),
        }
    }

    fn figures(mut self, secs: f64) -> Figures {
        self.speeds.sort_by(f64::total_cmp);
        let steps = self.speeds.len().max(1) as f64;
        Figures {
            tokens_per_sec: self.speeds.get(self.speeds.len() / 2).copied().unwrap_or_default(),
            step_ms: self.measured_ms / steps,
            operators: self.operators.per_step(steps),
            other_fraction: self.other_ms / self.total_ms.max(1e-9),
            training_secs: self.total_ms / 1000.0,
            secs,
            ..self.figures
        }
    }
}
