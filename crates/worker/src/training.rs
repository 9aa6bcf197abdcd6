//! One run in training: its thread, its orders, and how it ended. What trains is behind [`Trainer`], so that the link and the
//! spool are tested without a tensor; the engine's side of it is `trainer.rs`.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread;

use wire::command::CommandOrder;
use wire::device::DeviceInfo;
use wire::history::Past;
use wire::{Author, Command, Event, RunId, RunPlan, RunState};

use crate::outbox::{Bell, Outbox};
use crate::reporter::{OWN_ORDER, RunReporter};
use crate::spool::Spool;

/// A run to train.
#[derive(Debug, Clone, PartialEq)]
pub struct Work {
    /// Which.
    pub run: RunId,
    /// Every number.
    pub plan: Box<RunPlan>,
    /// What it has behind it; empty for a new run.
    pub past: Box<Past>,
}

/// Something that trains, on one device.
pub trait Trainer: Send + Sync + 'static {
    /// The device.
    fn device(&self) -> DeviceInfo;

    /// Memory in use on the device, bytes; 0 where it cannot be known.
    fn device_bytes(&self) -> u64 {
        0
    }

    /// Trains a run from where its past leaves it until it is over, and reports how it ended. Orders take effect between two steps; a
    /// closed channel of orders does not stop it.
    ///
    /// # Errors
    /// What failed, with the value and the way out, for the journal.
    fn train(&self, work: &Work, orders: &Receiver<CommandOrder>, out: &mut RunReporter) -> Result<(), String>;
}

/// How a training thread ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// As it should; also by an error.
    Returned,
    /// By a panic, with its words.
    Panicked(String),
}

/// A run in training.
#[derive(Debug)]
pub(crate) struct Training {
    pub(crate) outbox: Arc<Outbox>,
    orders: Sender<CommandOrder>,
    ending: Arc<OnceLock<Ending>>,
}

impl Training {
    /// Begins on a thread of its own.
    pub(crate) fn begin(trainer: Arc<dyn Trainer>, work: Work, spool: Spool, bell: Arc<Bell>) -> Self {
        let (orders, received) = channel();
        let outbox = Arc::new(Outbox::new(work.run.clone(), spool, Arc::clone(&bell), false));
        let ending = Arc::new(OnceLock::new());
        let (its_outbox, its_ending) = (Arc::clone(&outbox), Arc::clone(&ending));
        let train = move || {
            let mut out = RunReporter::new(its_outbox);
            let ended = oversee(trainer.as_ref(), &work, &received, &mut out);
            // Set last: who sees it knows that all reports are in the outbox.
            let _ = its_ending.set(ended);
            bell.ring(true);
        };
        // Backward passes recurse over the graph; address space costs nothing.
        if let Err(source) = thread::Builder::new().name("train".into()).stack_size(64 << 20).spawn(train) {
            RunReporter::new(Arc::clone(&outbox))
                .fail(format!("no thread to train on: {source}; end other programs and start the run again"));
            let _ = ending.set(Ending::Returned);
        }
        Self { outbox, orders, ending }
    }

    pub(crate) fn run(&self) -> &RunId {
        &self.outbox.run
    }

    /// Hands an order to the training; it answers with an event.
    pub(crate) fn order(&self, order: CommandOrder) {
        if self.orders.send(order).is_err() {
            tracing::info!(run = %self.run(), "an order came after the end");
        }
    }

    /// Ends it early, in the lab's name.
    pub(crate) fn stop(&self, reason: &str) {
        self.order(CommandOrder {
            command_id: OWN_ORDER,
            author: Author::Lab,
            command: Command::Stop { reason: Some(reason.to_owned()) },
        });
    }

    /// How the thread ended, once it has.
    pub(crate) fn ending(&self) -> Option<&Ending> {
        self.ending.get()
    }
}

fn oversee(trainer: &dyn Trainer, work: &Work, orders: &Receiver<CommandOrder>, out: &mut RunReporter) -> Ending {
    out.say(Event::Starting { device: trainer.device().name }, RunState::Starting);
    // The reporter is only appended to, so a panic leaves it whole.
    let ended = catch_unwind(AssertUnwindSafe(|| trainer.train(work, orders, out)));
    let failure = match &ended {
        Ok(Ok(())) => "the training ended without saying how; please report this".to_owned(),
        Ok(Err(message)) => message.clone(),
        Err(panic) => format!("the engine panicked: {}; all it had reported is kept", words(panic.as_ref())),
    };
    if !out.is_over() {
        out.fail(failure);
    }
    match ended {
        Ok(_) => Ending::Returned,
        Err(panic) => Ending::Panicked(words(panic.as_ref()).to_owned()),
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
