//! The training loop of a run: it calls [`Trainer::step`] and, between two steps, handles commands, reports, evaluations, samples,
//! inspections and checkpoints. A run with a past first replays it.
//!
//! The submodules implement the parts: `commands`, `evaluation` (with samples), `inspections`, `reports`, `checkpoints` (written on a separate
//! thread by `checkpoint_writer`) and `replay`.

mod checkpoint_writer;
mod checkpoints;
mod commands;
mod evaluation;
mod inspections;
mod replay;
mod reports;

use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use burn::tensor::Tensor;
use wire::control::command::NumberedCommand;
use wire::control::event::Event;
use wire::id::RunId;
use wire::inspect::request::Inspection;
use wire::inspect::statistics::TensorStats;
use wire::inspect::update::InspectionUpdate;
use wire::run::RunState;
use wire::run::history::Past;
use wire::run::plan::RunPlan;
use wire::series::{Row, name};
use wire::transport::link::Report;

use self::checkpoint_writer::CheckpointWriter;
use self::commands::Next;
use self::inspections::InspectionSchedule;
use self::replay::Replay;
use self::reports::with_scalars;
use super::trainer::{Scalars, StepOutcome, Trainer, millis};
use crate::data::dataset::Dataset;
use crate::data::repeats::Repeats;
use crate::device::operator_times::OperatorTimes;
use crate::device::{EngineDevice, read};
use crate::error::EngineError;
use crate::model::params;
use crate::optim::noise_scale::{NoiseScale, PartNorms};

/// Receives the reports of a run. Calls do not wait for the network; they may block while reports cannot be stored on disk.
pub trait Reporter {
    /// Values of a step.
    fn row(&mut self, row: Row);
    /// Times of the operators of a step; before its values.
    fn operators(&mut self, _step: u64, _times: &OperatorTimes) {}
    /// An event.
    fn report(&mut self, report: Report);
    /// An update of an inspection; a newer one replaces it.
    fn inspection(&mut self, update: InspectionUpdate);
    /// A snapshot, which is kept with the run.
    fn snapshot(&mut self, _update: InspectionUpdate) {}
    /// The requested inspections; `None` if they are unchanged since the last call.
    fn requested_inspections(&mut self) -> Option<Vec<Inspection>> {
        None
    }
    /// What the run does between two steps and how far it is; `None` when it is done. Only work that takes long is shown.
    fn activity(&mut self, _what: Option<String>) {}
    /// The reason why reports cannot currently be stored (a full disk). The run pauses until this is `None` again.
    fn blocked(&self) -> Option<String> {
        None
    }
}

/// On a GPU, losses are read back together after this many steps, so that the GPU is never idle.
const STEPS_PER_READ: usize = 8;

/// The folders of a run.
#[derive(Debug, Clone)]
pub struct Folders {
    /// Datasets and their token shards.
    pub corpora: PathBuf,
    /// Checkpoints by run; `None` saves no checkpoints.
    pub checkpoints: Option<PathBuf>,
}

/// A run, loaded on its device.
pub struct Session {
    run: RunId,
    folders: Folders,
    trainer: Trainer,
    /// Current segment of the run's history.
    segment: u32,
    /// Newest segment; a rollback opens the next.
    last_segment: u32,
    writer: Option<CheckpointWriter>,
    replay: Replay,
    /// A periodic checkpoint waits until the writer is free.
    is_checkpoint_due: bool,
    loss_train: Option<f64>,
    loss_valid: Option<f64>,
    best_valid: Option<f64>,
    /// Validation loss of each dataset in the last evaluation; empty before the first and for a single dataset.
    valid_by_dataset: Vec<f64>,
    /// Epochs of each dataset so far.
    epochs: Vec<f64>,
    /// Windows so far whose text came before; a fork counts from its checkpoint on.
    repeats: Repeats,
    noise_scale: NoiseScale,
    /// The event that reports the start of the run.
    start: Event,
    /// Training time so far, seconds.
    secs: f64,
    /// Steps left of a `step` command; `None` while no `step` command is active.
    steps_left: Option<u64>,
    is_paused: bool,
    unread: Vec<UnreadStep>,
    /// Segment and step of the last weight edit. The checkpoint of that step has the weights before the edit.
    edited_at: Option<(u32, u64)>,
    /// The newest statistics of every parameter, and the step that measured them.
    newest_stats: Option<(u64, Vec<TensorStats>)>,
    inspections: InspectionSchedule,
}

/// A step on a GPU whose loss and gradient norm have not been read back yet.
pub(super) struct UnreadStep {
    row: Row,
    /// Loss, gradient norm, the mean of the squares of `part_norms`, and the loss scale, without those that the step does not have.
    scalars: Tensor<1>,
    part_norms: Option<PartNorms>,
    has_loss_scale: bool,
}

impl Session {
    /// Loads datasets and state: from the newest intact checkpoint of its past, else from the seed.
    ///
    /// # Errors
    /// A dataset is missing or altered, the device cannot start a thread, or a fork has no intact checkpoint to start from.
    pub fn load(
        run: &RunId,
        plan: &RunPlan,
        past: &Past,
        folders: Folders,
        device: EngineDevice,
    ) -> Result<Self, EngineError> {
        let data = Dataset::open(&folders.corpora, &plan.corpora(), plan.tokenizer)?;
        let specs = params::layout(&plan.recipe.model);
        let begin = replay::begin(run, plan, past, folders.checkpoints.as_deref(), &specs, &device.burn)?;
        let first = plan.origin.as_ref().map_or(0, |origin| origin.from.checkpoint.step);
        let start = match past.recorded > first {
            true => Event::Continued { checkpoint: begin.checkpoint, recorded: past.recorded, damaged: begin.damaged },
            false => Event::Started { parameters: params::count(&specs) },
        };
        let mut session = Self {
            run: run.clone(),
            trainer: Trainer::new(plan.clone(), begin.live, data, device, specs, begin.state)?,
            writer: folders.checkpoints.clone().map(CheckpointWriter::start).transpose()?,
            folders,
            segment: begin.segment,
            last_segment: past.last_segment,
            replay: begin.replay,
            is_checkpoint_due: false,
            loss_train: None,
            loss_valid: begin.loss_valid,
            best_valid: begin.best_valid.or(plan.origin.as_ref().and_then(|origin| origin.best_valid)),
            valid_by_dataset: vec![],
            epochs: vec![],
            repeats: Repeats::default(),
            noise_scale: begin.noise_scale,
            start,
            secs: past.secs,
            steps_left: None,
            is_paused: false,
            unread: vec![],
            edited_at: None,
            newest_stats: None,
            inspections: InspectionSchedule::default(),
        };
        session.trainer.restore_loss_scale(begin.loss_scale);
        session.count_data();
        Ok(session)
    }

    /// Parameters of the model.
    pub fn parameters(&self) -> u64 {
        self.trainer.parameters()
    }

    /// Number of steps done.
    pub fn steps(&self) -> u64 {
        self.trainer.state.steps
    }

    /// Weights and data between two calls of [`Self::run`]. A change of them leaves no event: measurements plant faults with it.
    pub fn trainer_mut(&mut self) -> &mut Trainer {
        &mut self.trainer
    }

    /// Trains until the plan is done or the run is stopped. A closed command channel does not stop the run.
    ///
    /// # Errors
    /// The device was lost, or a replica panicked.
    pub fn run(&mut self, commands: &Receiver<NumberedCommand>, out: &mut dyn Reporter) -> Result<(), EngineError> {
        self.emit(out, self.start.clone(), Some(RunState::Running));
        self.pause_at_breakpoint(out);
        self.inspect(out)?;
        loop {
            if let Next::Stop = self.process_commands(commands, out)? {
                return Ok(());
            }
            if self.steps() >= self.trainer.live.steps || self.is_budget_used(out) {
                return self.finish(out);
            }
            self.train_step(out)?;
            self.after_step(out)?;
            self.inspect(out)?;
            self.count_down(out);
            self.pause_at_breakpoint(out);
        }
    }

    /// Runs one step and reports it.
    fn train_step(&mut self, out: &mut dyn Reporter) -> Result<(), EngineError> {
        let began = Instant::now();
        let report = match self.trainer.step()? {
            StepOutcome::Taken(report) => report,
            StepOutcome::NonFinite { loss, norm } => {
                self.pause_on_non_finite(loss, norm, out);
                return Ok(());
            }
        };
        self.count_step(report.step);
        out.operators(report.step, &report.operators);
        if let Some((tensors, cost_ms)) = report.stats {
            self.report_stats(report.step, tensors, cost_ms, out);
        }
        self.secs += began.elapsed().as_secs_f64();
        let mut row = self.row(report.step, &report.times, &report.operators, millis(began));
        let inspections_ms = self.inspections.take_unreported_ms();
        if inspections_ms > 0.0 {
            row.values.push((name::INSPECTIONS_MS.to_owned(), inspections_ms));
        }
        match report.scalars {
            Scalars::Host { loss, norm } => {
                self.loss_train = Some(loss);
                if let Some(norms) = report.part_norms {
                    let squares = read(norms.squares.clone())?[0];
                    self.measure_noise(&norms, squares, norm, &mut row);
                }
                out.row(with_scalars(row, loss, norm));
            }
            Scalars::Device { loss, norm, loss_scale } => {
                let squares = report.part_norms.as_ref().map(|norms| norms.squares.clone());
                let has_loss_scale = loss_scale.is_some();
                let scalars = Tensor::cat([loss, norm].into_iter().chain(squares).chain(loss_scale).collect(), 0);
                self.unread.push(UnreadStep { row, scalars, part_norms: report.part_norms, has_loss_scale });
                if self.unread.len() >= STEPS_PER_READ {
                    self.read_steps(out)?;
                }
                self.read_stats(false, out)?;
            }
        }
        Ok(())
    }

    fn pause_on_non_finite(&mut self, loss: f64, norm: f64, out: &mut dyn Reporter) {
        let what = if loss.is_finite() { format!("gradient norm ({norm})") } else { format!("training loss ({loss})") };
        (self.is_paused, self.steps_left) = (true, None);
        self.emit(out, Event::NonFinite { what }, Some(RunState::Paused));
    }
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
