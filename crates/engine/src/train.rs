//! The training loop, in one file that reads downwards: orders, batch, gradient, clip, step, report, then evaluation and samples.
//!
//! Everything a person can do happens between two optimizer steps, in [`Training::obey`], and comes back as a report. The loop knows
//! nothing of links, stores or pages: it is given orders on a channel and a [`Reporter`]. Beside the loop:
//! [`checkpoints`] what it keeps and goes back to, with [`keeper`] the thread that writes; [`replay`] where a run with a past goes on, and
//! what it repeats in silence; [`looks`] validation and samples; [`probes`] looks inside; [`reports`] what it says of all this.

mod checkpoints;
mod keeper;
mod looks;
mod probes;
mod replay;
mod reports;

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use burn::tensor::Tensor;
use wire::checkpoint::Cause;
use wire::command::{Command, CommandOrder};
use wire::dials::Dials;
use wire::edit::{self, Edit};
use wire::event::Event;
use wire::frame::{Frame, Moments, TensorStats};
use wire::history::Past;
use wire::id::RunId;
use wire::link::Report;
use wire::look::Look;
use wire::plan::RunPlan;
use wire::run::RunState;
use wire::series::{Row, name};

use self::keeper::{Asker, Keeper};
use self::probes::Probes;
use self::replay::Replay;
use self::reports::with_scalars;
use crate::cores::Cores;
use crate::dataset::Dataset;
use crate::device::{EngineDevice, read};
use crate::error::EngineError;
use crate::gpu_stats::{Before, GpuStats};
use crate::gradient::{self, Gradient, Pass};
use crate::lesion;
use crate::optimizer::{self, Dial, State};
use crate::params::{self, ParamSpec, Weights};
use crate::stats;

/// Where a run's reports go. Calls return at once: a reporter never makes training wait.
pub trait Reporter {
    /// Values of a step.
    fn row(&mut self, row: Row);
    /// Something happened.
    fn report(&mut self, report: Report);
    /// A look inside; the latest wins.
    fn look(&mut self, frame: Frame);
    /// A look to be kept with the run, so that it can be gone through from its first step.
    fn keep(&mut self, _frame: Frame) {}
    /// The looks that somebody watches, where these have changed since the last call.
    fn wanted(&mut self) -> Option<Vec<Look>> {
        None
    }
    /// Why reports cannot be kept at present (a full disk): the run holds until this is `None` again.
    fn blocked(&self) -> Option<String> {
        None
    }
}

/// On a GPU, losses are read back together after this many steps, so that the queue does not run dry.
const STEPS_PER_READ: usize = 8;

/// While a run holds, it looks up this often for orders and for those who want to look inside.
const HOLDING: Duration = Duration::from_millis(100);
/// The same while a checkpoint is being written, so that its end is told at once.
const WRITING: Duration = Duration::from_millis(20);

/// Where a run finds its text and keeps its states.
#[derive(Debug, Clone)]
pub struct Folders {
    /// Texts and their tokens.
    pub corpora: PathBuf,
    /// Checkpoints by run; none are kept where there is no folder.
    pub checkpoints: Option<PathBuf>,
}

/// A run, loaded on its device.
pub struct Training {
    run: RunId,
    plan: RunPlan,
    folders: Folders,
    dials: Dials,
    /// Stretch of the run's history that it is on.
    segment: u32,
    /// Newest stretch; going back opens the next.
    last_segment: u32,
    keeper: Option<Keeper>,
    replay: Replay,
    /// A checkpoint on the cadence waits for the writer.
    is_checkpoint_due: bool,
    loss_train: Option<f64>,
    loss_valid: Option<f64>,
    best_valid: Option<f64>,
    /// Times that each text has been read.
    epochs: Vec<f64>,
    /// What the start is told with.
    began: Event,
    data: Dataset,
    device: EngineDevice,
    cores: Option<Cores>,
    specs: Vec<ParamSpec>,
    layout: Weights,
    state: State,
    /// Seconds at work so far.
    secs: f64,
    /// Steps left before it holds; none while it runs freely.
    budget: Option<u64>,
    is_held: bool,
    unread: Vec<Unread>,
    /// Looks at weights and gradients under way; none on the CPU, where they are taken at once.
    gpu_stats: Option<GpuStats>,
    /// Where hands were laid last. A checkpoint is named by its place, and there it holds the weights as they were before.
    hands_at: Option<(u32, u64)>,
    /// What was measured last of every parameter, and by which step.
    newest_stats: Option<(u64, Vec<TensorStats>)>,
    probes: Probes,
}

/// A step on a GPU whose loss and gradient norm have not been read back yet.
struct Unread {
    row: Row,
    loss_and_norm: Tensor<1>,
}

/// How the loop goes on after its orders.
enum Next {
    Train,
    Stop,
}

/// Milliseconds of each part of a step.
#[derive(Default)]
struct Phases {
    batch: f64,
    gradient: f64,
    optimizer: f64,
}

impl Training {
    /// Loads text and state: from the newest whole checkpoint of its past, else from the seed.
    ///
    /// # Errors
    /// Text that is missing or altered; a device without threads; a fork whose first state is gone.
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
        let cores = if device.is_cpu() { Some(Cores::new(plan.recipe.batch.shards)?) } else { None };
        let first = plan.origin.as_ref().map_or(0, |origin| origin.from.checkpoint.step);
        let began = match past.recorded > first {
            true => Event::Continued { checkpoint: begin.checkpoint, recorded: past.recorded, damaged: begin.damaged },
            false => Event::Started { parameters: specs.iter().map(|spec| spec.len() as u64).sum() },
        };
        let mut training = Self {
            run: run.clone(),
            gpu_stats: device.setup.as_ref().map(GpuStats::new),
            hands_at: None,
            newest_stats: None,
            layout: Weights::new(&specs, vec![]),
            keeper: folders.checkpoints.clone().map(Keeper::start).transpose()?,
            folders,
            dials: begin.dials,
            segment: begin.segment,
            last_segment: past.last_segment,
            replay: begin.replay,
            is_checkpoint_due: false,
            loss_train: None,
            loss_valid: begin.loss_valid,
            best_valid: begin.best_valid.or(plan.origin.as_ref().and_then(|origin| origin.best_valid)),
            epochs: vec![],
            began,
            state: begin.state,
            plan: plan.clone(),
            data,
            device,
            cores,
            specs,
            secs: past.secs,
            budget: None,
            is_held: false,
            unread: vec![],
            probes: Probes::default(),
        };
        training.count_epochs();
        Ok(training)
    }

    /// Trained numbers.
    pub fn parameters(&self) -> u64 {
        self.specs.iter().map(|spec| spec.len() as u64).sum()
    }

    /// Steps done.
    pub fn step(&self) -> u64 {
        self.state.steps
    }

    /// Trains until the plan is done or the run is stopped. A closed channel of orders does not stop it.
    ///
    /// # Errors
    /// A device that has gone away, a part that panicked.
    pub fn run(&mut self, orders: &Receiver<CommandOrder>, out: &mut dyn Reporter) -> Result<(), EngineError> {
        self.tell(out, self.began.clone(), Some(RunState::Running));
        self.hold_as_planned(out);
        self.probe(out)?;
        loop {
            if let Next::Stop = self.obey(orders, out)? {
                return Ok(());
            }
            if self.step() >= self.dials.steps || self.is_budget_used(out) {
                return self.finish(out);
            }
            self.train_step(out)?;
            self.look_around(out)?;
            self.probe(out)?;
            self.count_down(out);
            self.hold_as_planned(out);
        }
    }

    // --- orders -------------------------------------------------------------------------------------------------------------

    /// Carries out what was asked since the last step; waits here while the run holds.
    fn obey(&mut self, orders: &Receiver<CommandOrder>, out: &mut dyn Reporter) -> Result<Next, EngineError> {
        loop {
            if let Some(reason) = out.blocked() {
                self.hold_until_reports_are_kept(reason, out);
            }
            self.repeat_changes();
            if self.replay.holds(self.step()) {
                self.is_held = true;
                self.tell(out, Event::Paused, Some(RunState::Paused));
            }
            self.tell_of_checkpoints(out);
            let order = if self.is_held {
                self.read_unread(out)?;
                self.probe(out)?;
                let is_writing = self.keeper.as_ref().is_some_and(Keeper::is_busy);
                match orders.recv_timeout(if is_writing { WRITING } else { HOLDING }) {
                    Ok(order) => Some(order),
                    Err(RecvTimeoutError::Timeout) => continue,
                    Err(RecvTimeoutError::Disconnected) => {
                        std::thread::sleep(Duration::from_secs(1));
                        continue;
                    }
                }
            } else {
                match orders.try_recv() {
                    Ok(order) => Some(order),
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => None,
                }
            };
            let Some(order) = order else { return Ok(Next::Train) };
            if let Next::Stop = self.carry_out(order, out)? {
                return Ok(Next::Stop);
            }
        }
    }

    fn carry_out(&mut self, order: CommandOrder, out: &mut dyn Reporter) -> Result<Next, EngineError> {
        self.read_unread(out)?;
        if let Some(message) = self.hindrance(&order.command) {
            self.answer(order.clone(), refuse(&order, &message), None, out);
            return Ok(Next::Train);
        }
        // Hands have no other way back, so the state before them is kept in any case.
        let is_of_hands = matches!(order.command, Command::Edit { .. });
        if is_of_hands || order.command.is_risky() && self.plan.recipe.keep.before_changes {
            self.checkpoint(Cause::BeforeChange, Asker::lab())?;
        }
        let (event, state) = match &order.command {
            Command::Pause { .. } if self.is_held => (refuse(&order, "the run already holds"), None),
            Command::Pause { .. } => {
                (self.is_held, self.budget) = (true, None);
                (Event::Paused, Some(RunState::Paused))
            }
            Command::Resume { .. } if !self.is_held => (refuse(&order, "the run is not paused"), None),
            Command::Resume { .. } => {
                (self.is_held, self.budget) = (false, None);
                (Event::Resumed, Some(RunState::Running))
            }
            Command::Step { steps: 0 } => (refuse(&order, "0 steps: give 1 or more"), None),
            Command::Step { steps } => {
                (self.is_held, self.budget) = (false, Some(*steps));
                (Event::Stepping { steps: *steps }, Some(RunState::Running))
            }
            Command::Stop { .. } => (Event::Stopped, Some(RunState::Stopped)),
            Command::Release { .. } => (Event::Released, Some(RunState::Parked)),
            Command::Set { .. } | Command::Redraw { .. } => (self.change(&order), None),
            Command::Edit { edits, .. } => (self.lay_hands(&order, edits), None),
            Command::Checkpoint { reason } => {
                let asker =
                    Asker { command_id: Some(order.command_id), author: order.author.clone(), reason: reason.clone() };
                // Answered when it is safe on disk.
                self.checkpoint(Cause::Asked, asker)?;
                return Ok(Next::Train);
            }
            Command::Rollback { checkpoint, skip_batches, .. } => {
                (self.roll_back(&order, *checkpoint, *skip_batches, out)?, None)
            }
            Command::Undo { .. } => (refuse(&order, "the lab turns an undo into the change that it is"), None),
            Command::Evaluate => (self.evaluate_now(out)?, None),
            Command::Sample { prompt: Some(prompt), .. } if !self.strangers(prompt).is_empty() => {
                let message = format!("the text never had {}: leave that out", self.strangers(prompt));
                (refuse(&order, &message), None)
            }
            Command::Sample { prompt, tokens, temperature } => {
                (self.sample_now(prompt.as_deref(), *tokens, *temperature)?, None)
            }
            Command::Annotate { text } => (Event::Annotated { text: text.clone() }, None),
        };
        let ends = matches!(state, Some(RunState::Stopped | RunState::Parked));
        if ends {
            self.keep_the_end(out)?;
        }
        self.answer(order, event, state, out);
        Ok(if ends { Next::Stop } else { Next::Train })
    }

    fn answer(&self, order: CommandOrder, event: Event, state: Option<RunState>, out: &mut dyn Reporter) {
        let reason = order.command.reason().map(str::to_owned);
        out.report(Report {
            command_id: Some(order.command_id),
            author: order.author,
            reason,
            ..self.line(event, state)
        });
    }

    /// Why something cannot be done at this moment.
    fn hindrance(&self, command: &Command) -> Option<String> {
        let needs_folder =
            matches!(command, Command::Checkpoint { .. } | Command::Rollback { .. } | Command::Release { .. });
        if needs_folder && self.keeper.is_none() {
            return Some("this run keeps no checkpoints".into());
        }
        if self.has_hands_here() && matches!(command, Command::Checkpoint { .. } | Command::Edit { .. }) {
            let step = self.step();
            return Some(format!(
                "hands were laid on the weights of step {step}, whose checkpoint holds them as they were before: take a step first, or go back to that checkpoint"
            ));
        }
        if matches!(command, Command::Edit { .. }) && self.step() >= self.dials.steps {
            return Some(format!("the run is at its end, step {}: fork it with these changes", self.step()));
        }
        let last = self.replay.catching_up(self.step()).filter(|_| command.is_risky())?;
        Some(format!("the run repeats what was known up to step {last} and is at {}; try again then", self.step()))
    }

    /// Characters of a prompt that this run's tokenizer has no number for, quoted.
    fn strangers(&self, prompt: &str) -> String {
        let (_, unknown) = self.data.tokenizer().encode_known(prompt);
        unknown.iter().map(|c| format!("{c:?}")).collect::<Vec<_>>().join(", ")
    }

    fn change(&mut self, order: &CommandOrder) -> Event {
        match self.dials.change(&order.command, self.step()) {
            Ok(Some(event)) => {
                self.take_effect(&event, self.step());
                event
            }
            Ok(None) => refuse(order, "it changes nothing"),
            Err(message) => refuse(order, &message),
        }
    }

    fn lay_hands(&mut self, order: &CommandOrder, edits: &[Edit]) -> Event {
        if let Err(message) = edit::check_lasting(edits, &self.plan.recipe.model) {
            return refuse(order, &message);
        }
        let event = Event::Edited { edits: edits.to_vec() };
        self.take_effect(&event, self.step());
        self.probes.look_anew();
        event
    }

    /// Whether hands were laid on the very weights at hand.
    fn has_hands_here(&self) -> bool {
        self.hands_at == Some((self.segment, self.step()))
    }

    /// A change of the run's path: of its dials, or of its weights.
    fn take_effect(&mut self, event: &Event, step: u64) {
        if let Event::Edited { edits } = event {
            // A journal from elsewhere may ask for parts that there are not.
            if edit::check_lasting(edits, &self.plan.recipe.model).is_ok() {
                lesion::apply(&self.plan.recipe.model, &self.specs, &mut self.state.weights, edits);
            }
            self.hands_at = Some((self.segment, self.step()));
            // They were of other weights.
            (self.loss_train, self.loss_valid) = (None, None);
        }
        self.dials.apply(event, step);
    }

    /// Holds while reports cannot be kept: nothing is trained that nobody could ever see.
    fn hold_until_reports_are_kept(&mut self, reason: String, out: &mut dyn Reporter) {
        self.tell(out, Event::Annotated { text: format!("held: {reason}") }, Some(RunState::Paused));
        while out.blocked().is_some() {
            std::thread::sleep(Duration::from_millis(500));
        }
        let state = if self.is_held { RunState::Paused } else { RunState::Running };
        self.tell(out, Event::Annotated { text: "reports are kept again: going on".into() }, Some(state));
    }

    /// Counts the steps of a `step` command down, and holds again after the last.
    fn count_down(&mut self, out: &mut dyn Reporter) {
        let Some(left) = self.budget.as_mut() else { return };
        *left -= 1;
        if *left == 0 {
            (self.budget, self.is_held) = (None, true);
            self.tell(out, Event::Paused, Some(RunState::Paused));
        }
    }

    /// Holds at the steps that the plan names, at each once on a way.
    fn hold_as_planned(&mut self, out: &mut dyn Reporter) {
        let step = self.step();
        let is_due = self.plan.recipe.cadence.hold_at.contains(&step)
            && self.replay.catching_up(step).is_none()
            && !self.replay.knows(&Event::Paused, self.segment, step);
        if is_due && !self.is_held {
            (self.is_held, self.budget) = (true, None);
            let reason = Some("the plan holds here".to_owned());
            out.report(Report { reason, ..self.line(Event::Paused, Some(RunState::Paused)) });
        }
    }

    // --- one step -----------------------------------------------------------------------------------------------------------

    fn train_step(&mut self, out: &mut dyn Reporter) -> Result<(), EngineError> {
        let began = Instant::now();
        let step = self.step();
        let mut phases = Phases::default();

        let batches = timed(&mut phases.batch, || self.batches(step));
        let gradient = timed(&mut phases.gradient, || self.gradient(step, batches))?;
        let wants_stats = is_due(step, self.plan.recipe.cadence.stats_every);
        let optimizing = Instant::now();
        let taken = match &self.cores {
            Some(_) => self.take_step_on_cpu(gradient, wants_stats, out)?,
            None => Some(self.take_step_on_gpu(gradient, wants_stats)?),
        };
        phases.optimizer = millis(optimizing);
        let Some(taken) = taken else { return Ok(()) };
        self.read_texts(step);

        if let Some((tensors, cost_ms)) = taken.stats {
            self.report_stats(step, tensors, cost_ms, out);
        }
        self.secs += began.elapsed().as_secs_f64();
        let mut row = self.row(step, &phases, millis(began));
        let looks_ms = self.probes.told_ms();
        if looks_ms > 0.0 {
            row.values.push((name::LOOKS_MS.to_owned(), looks_ms));
        }
        match taken.scalars {
            Scalars::Known { loss, norm } => {
                self.loss_train = Some(loss);
                out.row(with_scalars(row, loss, norm));
            }
            Scalars::OnDevice(loss_and_norm) => {
                self.unread.push(Unread { row, loss_and_norm });
                if self.unread.len() >= STEPS_PER_READ {
                    self.read_unread(out)?;
                }
                self.read_looks(false, out)?;
            }
        }
        Ok(())
    }

    fn batches(&self, step: u64) -> Vec<crate::batch::Batch> {
        let (rows, seq) = (self.plan.recipe.batch.rows, self.plan.recipe.model.seq);
        let mix = self.dials.mix.at(step);
        // Batches left out on purpose are those that would have come next.
        let place = step + self.dials.skipped;
        let pass = |pass| self.data.train_batch(self.plan.seed, place, pass, rows, seq, &mix);
        (0..self.dials.passes.at(step)).map(pass).collect()
    }

    fn gradient(&self, step: u64, batches: Vec<crate::batch::Batch>) -> Result<Gradient, EngineError> {
        let pass = Pass::of_step(&self.plan, step);
        gradient::of_step(&pass, &self.weights(), batches, self.cores.as_ref(), &self.device.burn)
    }

    /// None where the loss or the norm is not a number: nothing is changed, and the run holds.
    fn take_step_on_cpu(
        &mut self,
        gradient: Gradient,
        wants_stats: bool,
        out: &mut dyn Reporter,
    ) -> Result<Option<Taken>, EngineError> {
        let Some(cores) = &self.cores else { return Ok(None) };
        let loss = f64::from(read(gradient.loss.clone())?[0]);
        let norm = optimizer::norm_on_cpu(&gradient);
        if !loss.is_finite() || !norm.is_finite() {
            self.hold_on_bad_number(loss, norm, out);
            return Ok(None);
        }
        let dial = self.dial();
        let mut cost_ms = [0.0; 2];
        let gradient_moments: Option<Vec<Moments>> =
            wants_stats.then(|| timed(&mut cost_ms[0], || gradient.flat.iter().map(stats::of_tensor).collect()));
        let scale = optimizer::clip_scale(norm, dial.clip);
        let updates = self.state.step_on_cpu(&self.specs, gradient.flat, scale, dial, cores)?;
        let on_cpu = |moments: Vec<Moments>| stats::on_cpu(&self.specs, &self.state.weights, &moments, &updates);
        let stats = gradient_moments.map(|moments| timed(&mut cost_ms[1], || on_cpu(moments)));
        let cost_ms: f64 = cost_ms.iter().sum();
        Ok(Some(Taken { scalars: Scalars::Known { loss, norm }, stats: stats.map(|stats| (stats, cost_ms)) }))
    }

    fn take_step_on_gpu(&mut self, gradient: Gradient, wants_stats: bool) -> Result<Taken, EngineError> {
        let dial = self.dial();
        let norm = optimizer::norm_on_gpu(&gradient);
        let scale =
            if dial.clip > 0.0 { ((norm.clone() + 1e-6).recip() * dial.clip).clamp_max(1.0) } else { norm.ones_like() };
        let loss_and_norm = Tensor::cat(vec![gradient.loss.clone(), norm], 0);
        let (step, before) = (self.step(), wants_stats.then(|| Before::new(&self.state.weights, &gradient.flat)));
        self.state.step_on_gpu(&self.specs, gradient.flat, scale, dial);
        if let (Some(stats), Some(before)) = (&mut self.gpu_stats, before) {
            stats.start(step, before, &self.state.weights)?;
        }
        Ok(Taken { scalars: Scalars::OnDevice(loss_and_norm), stats: None })
    }

    fn hold_on_bad_number(&mut self, loss: f64, norm: f64, out: &mut dyn Reporter) {
        let what = if loss.is_finite() { format!("gradient norm ({norm})") } else { format!("training loss ({loss})") };
        (self.is_held, self.budget) = (true, None);
        self.tell(out, Event::NonFinite { what }, Some(RunState::Paused));
    }

    fn weights(&self) -> Weights {
        self.layout.with(self.state.weights.clone())
    }

    fn dial(&self) -> Dial {
        let optimizer = &self.plan.recipe.optimizer;
        let rate = self.dials.schedule.rate(self.step());
        Dial {
            kind: optimizer.kind,
            rate,
            beta1: optimizer.beta1,
            beta2: optimizer.beta2,
            eps: optimizer.eps,
            weight_decay: self.dials.weight_decay,
            clip: self.dials.clip,
        }
    }
}

/// What an optimizer step left to report.
struct Taken {
    scalars: Scalars,
    /// A look, and the milliseconds it took.
    stats: Option<(Vec<TensorStats>, f64)>,
}

enum Scalars {
    Known { loss: f64, norm: f64 },
    OnDevice(Tensor<1>),
}

fn refuse(order: &CommandOrder, message: &str) -> Event {
    Event::Refused { command: order.command.clone(), message: message.to_owned() }
}

fn is_due(step: u64, every: u64) -> bool {
    every > 0 && step % every == 0
}

/// Milliseconds since 1970.
fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

fn timed<T>(millis: &mut f64, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let value = work();
    *millis = began.elapsed().as_secs_f64() * 1000.0;
    value
}
