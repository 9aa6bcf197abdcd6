//! One run in training: its thread, its commands, and how it ended. The training itself is a [`Trainer`], so that the link and the spool
//! are tested without tensors; the engine implements it in `trainer.rs`.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use wire::control::checkpoint::{CheckpointId, CheckpointRef};
use wire::control::command::NumberedCommand;
use wire::device::DeviceInfo;
use wire::{Author, Command, Event, RunId, RunState};

use crate::assignment::Assignment;
use crate::error::TrainError;
use crate::outbox::{Outbox, Signal};
use crate::reporter::{OWN_COMMAND, RunReporter};
use crate::spool::Spool;
use crate::transfer::Transfer;
use crate::transfer::download::Watch;

/// How long a rollback waits for its checkpoint: its sender waits 30 s for the answer.
const FETCH_WITHIN: Duration = Duration::from_secs(25);

/// Trains runs on one device.
pub trait Trainer: Send + Sync + 'static {
    /// The description of the device.
    fn device(&self) -> DeviceInfo;

    /// Memory in use on the device, bytes; 0 if it is unknown.
    fn device_bytes(&self) -> u64 {
        0
    }

    /// PCI address of the device: `0000:01:00.0`; `None` if it has none or it is unknown.
    fn pci_address(&self) -> Option<String> {
        None
    }

    /// Notes how many runs train on the device now, in this process and in others; each computes with its share of the cores.
    fn share(&self, _running: usize) {}

    /// Trains a run from its past until it ends, and reports how it ended. Commands take effect between two steps; a closed channel of
    /// commands does not stop the run.
    ///
    /// # Errors
    /// The failure, whose message is written to the journal.
    fn train(
        &self,
        assignment: &Assignment,
        commands: &Receiver<NumberedCommand>,
        out: &mut RunReporter,
    ) -> Result<(), TrainError>;
}

/// The end of the training thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It returned, with or without an error.
    Returned,
    /// It panicked, with this message.
    Panicked(String),
}

/// A run in training.
#[derive(Debug)]
pub(crate) struct Training {
    pub(crate) outbox: Arc<Outbox>,
    commands: Sender<NumberedCommand>,
    ending: Arc<OnceLock<Ending>>,
}

impl Training {
    /// Starts training on a separate thread.
    pub(crate) fn begin(trainer: Arc<dyn Trainer>, assignment: Assignment, spool: Spool, signal: Arc<Signal>) -> Self {
        let (commands, received) = channel();
        let outbox = Arc::new(Outbox::new(assignment.run.clone(), spool, Arc::clone(&signal), false));
        let ending = Arc::new(OnceLock::new());
        let (thread_outbox, thread_ending) = (Arc::clone(&outbox), Arc::clone(&ending));
        let train = move || {
            let mut out = RunReporter::new(thread_outbox);
            let ended = run_trainer(trainer.as_ref(), &assignment, &received, &mut out);
            // Set last: once it is set, all reports are in the outbox.
            let _ = thread_ending.set(ended);
            signal.notify(true);
        };
        // The backward pass recurses over the graph; unused address space costs nothing.
        if let Err(source) = thread::Builder::new().name("train".into()).stack_size(64 << 20).spawn(train) {
            RunReporter::new(Arc::clone(&outbox)).fail(format!(
                "the training thread cannot be started: {source}; end other programs and start the run again"
            ));
            let _ = ending.set(Ending::Returned);
        }
        Self { outbox, commands, ending }
    }

    pub(crate) fn run(&self) -> &RunId {
        &self.outbox.run
    }

    /// Passes a command to the training, which answers with an event.
    pub(crate) fn command(&self, command: NumberedCommand) {
        let ends = matches!(command.command, Command::Stop { .. } | Command::Suspend { .. });
        if self.commands.send(command).is_err() {
            tracing::info!(run = %self.run(), "a command arrived after the end of the run");
        }
        if ends {
            self.outbox.ask_to_end();
        }
    }

    /// Passes a rollback to the training once its checkpoint is on this machine, or cannot be had in time; the training then refuses it.
    pub(crate) fn command_with_checkpoint(&self, command: NumberedCommand, transfer: Transfer, id: CheckpointId) {
        let (commands, at) = (self.commands.clone(), CheckpointRef { run: self.run().clone(), checkpoint: id });
        let fetch = move || {
            if let Err(error) = transfer.checkpoint(&at, &Watch::within(FETCH_WITHIN)) {
                tracing::warn!("checkpoint {id} of {} could not be fetched: {error}", at.run);
            }
            // The run may have ended meanwhile.
            let _ = commands.send(command);
        };
        if let Err(source) = thread::Builder::new().name("fetch".into()).spawn(fetch) {
            tracing::error!("no thread for the checkpoint of a rollback can be started: {source}");
        }
    }

    /// Passes a command with the system as the author.
    pub(crate) fn command_by_system(&self, command: Command) {
        self.command(NumberedCommand { command_id: OWN_COMMAND, author: Author::System, command });
    }

    /// How the thread ended; `None` while it runs.
    pub(crate) fn ending(&self) -> Option<&Ending> {
        self.ending.get()
    }
}

fn run_trainer(
    trainer: &dyn Trainer,
    assignment: &Assignment,
    commands: &Receiver<NumberedCommand>,
    out: &mut RunReporter,
) -> Ending {
    // A resumed run or a fork starts at its newest checkpoint.
    if let Some(newest) = assignment.past.checkpoints.first() {
        let of_this_run = newest.at.run == assignment.run;
        out.begin_at(if of_this_run { newest.at.checkpoint.segment } else { 0 }, newest.at.checkpoint.step);
    }
    out.report_event(Event::Starting { device: trainer.device().name }, RunState::Starting);
    // The reporter only appends, so it is intact after a panic.
    let ended = catch_unwind(AssertUnwindSafe(|| trainer.train(assignment, commands, out)));
    let failure = match &ended {
        Ok(Ok(())) => "the training ended without reporting how; this is a bug, please report it".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(panic) => {
            format!("the engine panicked: {}; everything reported before is stored", panic_message(panic.as_ref()))
        }
    };
    if !out.is_over() {
        out.fail(failure);
    }
    match ended {
        Ok(_) => Ending::Returned,
        Err(panic) => Ending::Panicked(panic_message(panic.as_ref()).to_owned()),
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
