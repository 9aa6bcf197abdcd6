//! A simulated device: it trains runs by [`Model`] and carries out commands over the real link of a worker. Its runs take steps only when
//! steps are granted, so a fast and a slow agent find the same lab.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wire::control::checkpoint::{Cause, CheckpointInfo};
use wire::control::command::NumberedCommand;
use wire::control::live::LiveHyperparameters;
use wire::device::{DeviceInfo, DeviceKind};
use wire::series::Row;
use wire::transport::link::Report;
use wire::{Author, CheckpointId, Command, DeviceId, Event, RunId, RunState};
use worker::{Assignment, RunReporter, TrainError, Trainer};

use super::simulation::{At, Behaviour, CHECKPOINT_EVERY, EVAL_EVERY, Fault, Model};
use crate::live::clock::now_ms;

/// How long a run waits for a command before it looks for granted steps.
const LOOK_EVERY: Duration = Duration::from_millis(4);
/// A number of granted steps that is enough for every run to end.
const ALL: u64 = 1 << 40;
/// Bits per nat.
const BITS: f64 = std::f64::consts::LOG2_E;
/// Dataset without the fault [`Fault::Leak`].
pub(super) const CLEAN: &str = "notes-clean";

/// A run as a scenario plans it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Planned {
    pub(super) behaviour: Behaviour,
    /// Steps that it takes before the agent begins.
    pub(super) begin: u64,
}

/// What the devices of a lab share.
pub(super) struct Simulation {
    /// Planned runs by seed. Other runs are healthy and begin with the first granted step after their start.
    planned: HashMap<u64, Planned>,
    /// Steps granted to each run since the agent began.
    granted: AtomicU64,
    /// The steps of the runs that train now or have trained.
    trainings: Mutex<Vec<Arc<Progress>>>,
    saved: Mutex<HashMap<(RunId, CheckpointId), Saved>>,
    /// Folder of the checkpoints. Theirs are empty, because the states are in memory.
    checkpoints: PathBuf,
}

/// The state that a checkpoint restores.
#[derive(Debug, Clone)]
struct Saved {
    model: Model,
    live: LiveHyperparameters,
}

/// The steps of a training.
#[derive(Debug)]
struct Progress {
    /// Steps that it may take apart from the granted ones.
    begin: u64,
    /// Steps that were granted before it began.
    granted_before: u64,
    taken: AtomicU64,
    /// Whether it takes no steps now: it is paused, stuck or over.
    is_waiting: AtomicBool,
}

impl Progress {
    fn may_step(&self, granted: u64) -> bool {
        let allowed = self.begin + granted.saturating_sub(self.granted_before);
        granted >= ALL || self.taken.load(Ordering::SeqCst) < allowed
    }
}

impl Simulation {
    pub(super) fn new(planned: HashMap<u64, Planned>, checkpoints: PathBuf) -> Arc<Self> {
        let (granted, trainings, saved) = (AtomicU64::new(0), Mutex::default(), Mutex::default());
        Arc::new(Self { planned, granted, trainings, saved, checkpoints })
    }

    /// Lets every run take further steps, and waits until they are taken; at most 5 s.
    pub(super) async fn grant(&self, steps: u64) {
        self.granted.fetch_add(steps, Ordering::SeqCst);
        for _ in 0..2_500 {
            if self.has_caught_up() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Lets every run train to its end.
    pub(super) fn grant_all(&self) {
        self.granted.store(ALL, Ordering::SeqCst);
    }

    fn has_caught_up(&self) -> bool {
        let granted = self.granted.load(Ordering::SeqCst);
        let is_idle = |one: &Arc<Progress>| one.is_waiting.load(Ordering::SeqCst) || !one.may_step(granted);
        lock(&self.trainings).iter().all(is_idle)
    }

    /// The behaviour of a run, and the steps of a planned run before the agent begins.
    fn behaviour(&self, assignment: &Assignment) -> (Behaviour, Option<u64>) {
        let plan = &assignment.plan;
        let Some(Planned { mut behaviour, begin }) = self.planned.get(&plan.seed).copied() else {
            return (Behaviour::USUAL, None);
        };
        if behaviour.fault == Fault::Leak && plan.mix.iter().all(|part| part.corpus.as_str() == CLEAN) {
            behaviour.fault = Fault::None;
        }
        // A run that the agent copies has the same seed and dataset, and begins when it starts.
        let is_first = plan.origin.is_none() && assignment.past.recorded == 0 && !self.has_begun();
        (behaviour, is_first.then_some(begin))
    }

    fn has_begun(&self) -> bool {
        self.granted.load(Ordering::SeqCst) > 0
    }
}

// The values are plain and consistent also after a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A device of a lab.
pub(super) struct SimulatedDevice {
    pub(super) id: DeviceId,
    /// Nominal speed, FLOP/s. The fastest device is the default one of new runs.
    pub(super) flops_per_sec: f64,
    pub(super) simulation: Arc<Simulation>,
}

impl Trainer for SimulatedDevice {
    fn device(&self) -> DeviceInfo {
        let name = format!("Simulated device {}", self.id);
        DeviceInfo { flops_per_sec: self.flops_per_sec, ..DeviceInfo::unknown(self.id.clone(), &name, DeviceKind::Cpu) }
    }

    fn train(
        &self,
        assignment: &Assignment,
        commands: &Receiver<NumberedCommand>,
        out: &mut RunReporter,
    ) -> Result<(), TrainError> {
        let mut training = Training::begin(&self.simulation, assignment);
        training.report_begin(out);
        while training.step < training.live.steps {
            let command = match training.may_step() {
                true => match commands.try_recv() {
                    Ok(command) => Some(command),
                    Err(TryRecvError::Empty) => None,
                    Err(TryRecvError::Disconnected) => return Err(training.closed()),
                },
                false => match commands.recv_timeout(LOOK_EVERY) {
                    Ok(command) => Some(command),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => return Err(training.closed()),
                },
            };
            match command {
                Some(command) => {
                    if training.carry_out(command, out) {
                        return Ok(());
                    }
                }
                None if training.may_step() => training.take_step(out),
                None => {}
            }
        }
        training.save(Cause::End, out);
        training.progress.is_waiting.store(true, Ordering::SeqCst);
        out.report(training.report(Event::Finished, Some(RunState::Finished)));
        Ok(())
    }
}

/// A run on a simulated device.
struct Training<'a> {
    simulation: &'a Simulation,
    run: &'a RunId,
    behaviour: Behaviour,
    dataset: String,
    seed: u64,
    progress: Arc<Progress>,
    model: Model,
    live: LiveHyperparameters,
    segment: u32,
    step: u64,
    is_paused: bool,
    /// Step before which it pauses again, after a command to train some steps.
    pauses_at: Option<u64>,
    /// The first step of the run; that of a fork is the step of its checkpoint.
    first: u64,
    best_valid: Option<f64>,
    last_valid: Option<f64>,
}

impl<'a> Training<'a> {
    fn begin(simulation: &'a Simulation, assignment: &'a Assignment) -> Self {
        let Assignment { run, plan, past } = assignment;
        let (behaviour, begin) = simulation.behaviour(assignment);
        let granted_before = if begin.is_some() { 0 } else { simulation.granted.load(Ordering::SeqCst) };
        let (taken, is_waiting) = (AtomicU64::new(0), AtomicBool::new(past.is_paused));
        let progress = Arc::new(Progress { begin: begin.unwrap_or(0), granted_before, taken, is_waiting });
        lock(&simulation.trainings).push(Arc::clone(&progress));
        let mut live = plan.live();
        past.changes.iter().for_each(|record| live.apply(&record.event, record.step));
        let newest = past.checkpoints.first().map(|path| path.at.clone());
        let newest = newest.or_else(|| plan.origin.as_ref().map(|origin| origin.from.clone()));
        let saved = newest.as_ref().and_then(|at| {
            let saved = lock(&simulation.saved).get(&(at.run.clone(), at.checkpoint)).cloned();
            saved.map(|saved| (at.checkpoint.step, saved.model))
        });
        let (from, model) = saved.unwrap_or((0, Model::new(&behaviour, plan.recipe.model.vocab)));
        let dataset = plan.mix.first().map(|part| part.corpus.to_string()).unwrap_or_default();
        let mut training = Self {
            simulation,
            run,
            behaviour,
            dataset,
            seed: plan.seed,
            progress,
            model,
            live,
            segment: past.last_segment,
            step: from,
            is_paused: past.is_paused,
            pauses_at: None,
            first: plan.origin.as_ref().map_or(0, |origin| origin.from.checkpoint.step),
            best_valid: plan.origin.as_ref().and_then(|origin| origin.best_valid),
            last_valid: None,
        };
        // Steps after the checkpoint whose values are stored are trained again and not reported.
        while training.step < past.recorded {
            training.advance();
        }
        training
    }

    fn report_begin(&self, out: &mut RunReporter) {
        let event = match self.step > self.first {
            true => Event::Continued { checkpoint: None, recorded: self.step, damaged: vec![] },
            false => Event::Started { parameters: 100_000 },
        };
        let state = if self.is_paused { RunState::Paused } else { RunState::Running };
        out.report(self.report(event, Some(state)));
    }

    fn report(&self, event: Event, state: Option<RunState>) -> Report {
        let (segment, step, at_ms, author) = (self.segment, self.step, now_ms(), Author::System);
        Report { segment, step, at_ms, author, command_id: None, reason: None, event, state }
    }

    fn closed(&self) -> TrainError {
        self.progress.is_waiting.store(true, Ordering::SeqCst);
        TrainError::engine("the simulated device was closed")
    }

    fn may_step(&self) -> bool {
        let can = !self.is_paused && self.behaviour.takes(self.step);
        self.progress.is_waiting.store(!can, Ordering::SeqCst);
        can && self.progress.may_step(self.simulation.granted.load(Ordering::SeqCst))
    }

    fn at(&self) -> At {
        let rate = self.live.schedule.learning_rate(self.step);
        At { step: self.step, batch: self.step + self.live.skipped_at(self.step), rate }
    }

    fn advance(&mut self) {
        let at = self.at();
        self.model.advance(&self.behaviour, at);
        self.step += 1;
    }

    fn take_step(&mut self, out: &mut RunReporter) {
        let at = self.at();
        self.advance();
        let values = self.model.values(&self.behaviour, at, self.seed, &self.dataset);
        out.row(Row { segment: self.segment, step: at.step, values });
        if self.step.is_multiple_of(EVAL_EVERY) {
            let event = self.evaluate();
            out.report(self.report(event, None));
        }
        if self.step.is_multiple_of(CHECKPOINT_EVERY) && self.step < self.live.steps {
            self.save(Cause::Interval, out);
        }
        if self.pauses_at.take_if(|at| *at <= self.step).is_some() && self.step < self.live.steps {
            self.is_paused = true;
            out.report(self.report(Event::Paused, Some(RunState::Paused)));
        }
        self.progress.taken.fetch_add(1, Ordering::SeqCst);
    }

    fn evaluate(&mut self) -> Event {
        let loss_nats = self.model.validation(&self.behaviour, self.seed, self.step.saturating_sub(1));
        self.last_valid = Some(loss_nats);
        self.best_valid = [self.best_valid, self.last_valid].into_iter().flatten().reduce(f64::min);
        Event::Evaluated { loss_nats, bits_per_byte: loss_nats * BITS, windows: None }
    }

    fn save(&self, cause: Cause, out: &mut RunReporter) {
        let event = self.checkpoint(cause);
        out.report(self.report(event, None));
    }

    /// Saves a checkpoint. The event describes it.
    fn checkpoint(&self, cause: Cause) -> Event {
        let id = CheckpointId { segment: self.segment, step: self.step };
        let saved = Saved { model: self.model, live: self.live.clone() };
        lock(&self.simulation.saved).insert((self.run.clone(), id), saved);
        let folder = self.simulation.checkpoints.join(self.run.as_str()).join(id.to_string());
        if let Err(source) = std::fs::create_dir_all(&folder) {
            return Event::CheckpointFailed { checkpoint: id, message: source.to_string() };
        }
        let (loss_train, loss_valid, best_valid) = (None, self.last_valid, self.best_valid);
        let (at_ms, hash, changes) = (now_ms(), String::new(), self.live.changes);
        let checkpoint =
            CheckpointInfo { id, cause, at_ms, bytes: 1, hash, changes, loss_train, loss_valid, best_valid };
        Event::Checkpointed { checkpoint }
    }

    /// Carries out a command, and reports its event. Returns whether it ends the training.
    fn carry_out(&mut self, sent: NumberedCommand, out: &mut RunReporter) -> bool {
        let NumberedCommand { command_id, author, command } = sent;
        let reason = command.reason().map(str::to_owned);
        let (event, state) = self.outcome(command);
        self.live.apply(&event, self.step);
        let report = self.report(event, state);
        if matches!(state, Some(RunState::Stopped | RunState::Suspended)) {
            self.save(Cause::End, out);
            self.progress.is_waiting.store(true, Ordering::SeqCst);
        }
        out.report(Report { author, command_id: Some(command_id), reason, ..report });
        matches!(state, Some(RunState::Stopped | RunState::Suspended))
    }

    /// The event of a command, and the state after it.
    fn outcome(&mut self, command: Command) -> (Event, Option<RunState>) {
        match command {
            Command::Pause { .. } => {
                (self.is_paused, self.pauses_at) = (true, None);
                (Event::Paused, Some(RunState::Paused))
            }
            Command::Resume { .. } => {
                (self.is_paused, self.pauses_at) = (false, None);
                (Event::Resumed, Some(RunState::Running))
            }
            Command::Step { steps } => {
                (self.is_paused, self.pauses_at) = (false, Some(self.step + steps.max(1)));
                (Event::Stepping { steps }, Some(RunState::Running))
            }
            Command::Stop { .. } => (Event::Stopped, Some(RunState::Stopped)),
            Command::Suspend { .. } => (Event::Suspended, Some(RunState::Suspended)),
            Command::Checkpoint { .. } => (self.checkpoint(Cause::Requested), None),
            Command::Evaluate => (self.evaluate(), None),
            Command::Annotate { text } => (Event::Annotated { text }, None),
            Command::Rollback { checkpoint, skip_batches, .. } => (self.roll_back(checkpoint, skip_batches), None),
            other => match self.live.change(&other, self.step) {
                Ok(Some(event)) => (event, None),
                Ok(None) => (refused(other, "a simulated device cannot do this"), None),
                Err(error) => (refused(other, &error.to_string()), None),
            },
        }
    }

    fn roll_back(&mut self, checkpoint: CheckpointId, skip_batches: u64) -> Event {
        let Some(saved) = lock(&self.simulation.saved).get(&(self.run.clone(), checkpoint)).cloned() else {
            let message = "the simulated device does not have this checkpoint".to_owned();
            return Event::CheckpointFailed { checkpoint, message };
        };
        let (from_segment, from_step) = (self.segment, self.step);
        (self.model, self.live) = (saved.model, saved.live);
        (self.segment, self.step) = (self.segment + 1, checkpoint.step);
        Event::RolledBack { checkpoint, from_segment, from_step, skip_batches, best_valid: None }
    }
}

fn refused(command: Command, message: &str) -> Event {
    Event::Refused { command, message: message.to_owned() }
}
