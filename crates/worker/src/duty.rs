//! What this worker has on its hands: the run it trains, the one that comes next, and the reports still to be delivered.
//! Decides; opens no socket (see `link.rs`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use wire::command::CommandOrder;
use wire::link::{FromServer, FromWorker, PROTOCOL};
use wire::look::Look;
use wire::{RunId, WorkerId};

use crate::config::{WorkerConfig, host_name};
use crate::error::WorkerError;
use crate::load::LoadMeter;
use crate::outbox::{Bell, Outbox};
use crate::spool::{self, Most, Spool, SpoolError};
use crate::training::{Ending, Trainer, Training, Work};

/// Reports in one message: small enough that a beat gets through between two.
const MOST_IN_MESSAGE: Most = Most { records: 4096, bytes: 1 << 20 };
/// Messages of a run on their way without an answer: one that is being stored and one that comes next. What happens meanwhile goes out
/// together, so that a server which stores slowly gets larger messages, and what people wait for never lies behind many small ones.
const MOST_UNANSWERED: usize = 2;
/// How long a worker told to leave waits for its run to stop: the last checkpoint of a large model takes a while to write.
const STOP_WITHIN: Duration = Duration::from_secs(120);
/// How long it then waits for its reports to be taken; they stay on disk.
const GRACE: Duration = Duration::from_secs(10);

/// Everything on a worker's hands.
pub(crate) struct Duty {
    config: WorkerConfig,
    trainer: Arc<dyn Trainer>,
    host: String,
    worker: WorkerId,
    meter: LoadMeter,
    pub(crate) bell: Arc<Bell>,
    training: Option<Training>,
    /// Assigned while the run before was still letting go of its memory.
    next: Option<Work>,
    /// What is watched, and of which run: it may be told before that run has begun here.
    watched: Option<(RunId, Vec<Look>)>,
    /// Reports of the run in training and of those before it.
    outboxes: BTreeMap<RunId, Arc<Outbox>>,
    /// How far this connection is with each run.
    sending: BTreeMap<RunId, Sending>,
    /// Reports were left at the last sending, for want of room or of answers.
    pub(crate) has_more: bool,
    /// What the server has said it stores of runs that are not on hand.
    stored: BTreeMap<RunId, u64>,
    /// Spools that cannot be read; said once, left on disk.
    unreadable: BTreeSet<RunId>,
    /// The engine panicked: what to end with once all is delivered.
    pub(crate) panicked: Option<WorkerError>,
    leaving_since: Option<Instant>,
    /// When it last trained or had a link.
    busy_at: Instant,
}

/// A run's reports on one connection.
struct Sending {
    /// Number of the next report to send.
    next: u64,
    /// The last number of each message that is not answered yet.
    unanswered: VecDeque<u64>,
}

impl Sending {
    fn from(next: u64) -> Self {
        Self { next, unanswered: VecDeque::new() }
    }

    fn answered(&mut self, seq: u64) {
        self.next = self.next.max(seq + 1);
        self.unanswered.retain(|last| *last > seq);
    }
}

impl Duty {
    /// Begins with what earlier workers left on disk.
    pub(crate) fn new(config: WorkerConfig, trainer: Arc<dyn Trainer>) -> Result<Self, WorkerError> {
        let host = host_name();
        let bell = Arc::new(Bell::default());
        let worker = config.worker_id(&host)?;
        let leftovers = spool::unsent(&config.spool()).into_iter();
        let outboxes = leftovers
            .map(|(run, spool)| (run.clone(), Arc::new(Outbox::new(run, spool, Arc::clone(&bell), true))))
            .collect();
        Ok(Self {
            config,
            trainer,
            host,
            worker,
            meter: LoadMeter::default(),
            bell,
            training: None,
            next: None,
            watched: None,
            outboxes,
            sending: BTreeMap::new(),
            has_more: false,
            stored: BTreeMap::new(),
            unreadable: BTreeSet::new(),
            panicked: None,
            leaving_since: None,
            busy_at: Instant::now(),
        })
    }

    /// The first message of a connection.
    pub(crate) fn hello(&mut self) -> FromWorker {
        self.sending.clear();
        let at_work = self.training.as_ref().filter(|training| !training.outbox.is_over()).map(Training::run);
        FromWorker::Hello {
            protocol: PROTOCOL,
            worker: self.worker.clone(),
            host: self.host.clone(),
            pid: std::process::id(),
            device: self.config.in_the_lab(&self.host, self.trainer.device()),
            holding: at_work.or(self.next.as_ref().map(|next| &next.run)).cloned(),
            unsent: self
                .outboxes
                .values()
                .filter(|outbox| outbox.acked() < outbox.last())
                .map(|outbox| (outbox.run.clone(), outbox.last()))
                .collect(),
        }
    }

    /// The load now.
    pub(crate) fn beat(&mut self) -> FromWorker {
        FromWorker::Beat { load: self.meter.measure(self.trainer.device_bytes()) }
    }

    /// The server's answer to hello: what it stores of each run decides where sending goes on from.
    pub(crate) fn welcome(&mut self, stored: Vec<(RunId, u64)>, let_go: bool) {
        self.busy_at = Instant::now();
        let stored: BTreeMap<RunId, u64> = stored.into_iter().collect();
        if let_go {
            self.let_go();
        }
        let training = self.training.as_ref().map(Training::run);
        self.outboxes.retain(|run, outbox| {
            match stored.get(run) {
                Some(seq) => outbox.start_from(*seq),
                None if training == Some(run) || outbox.acked() >= outbox.last() => {}
                None => {
                    tracing::warn!(%run, "the server does not know this run; its reports stay on disk");
                    return false;
                }
            }
            self.sending.insert(run.clone(), Sending::from(outbox.acked() + 1));
            true
        });
        self.stored.extend(stored);
    }

    fn let_go(&mut self) {
        match self.training.as_ref().filter(|training| !training.outbox.is_over()) {
            Some(training) => {
                tracing::info!(run = %training.run(), "the server lets this run go; stopping it");
                training.outbox.abandon();
                training.stop("the lab no longer holds this run");
            }
            None => self.next = None,
        }
    }

    /// Anything else the server says.
    pub(crate) fn hear(&mut self, message: FromServer) {
        match message {
            FromServer::Welcome { stored, let_go } => self.welcome(stored, let_go),
            FromServer::Assign { run, plan, past } => self.assign(Work { run, plan, past }),
            FromServer::Order { run, order } => self.order(&run, order),
            FromServer::Stored { run, seq } => self.acknowledge(run, seq),
            FromServer::Leave => self.leave(),
            FromServer::Probe { run, looks } => self.probe(run, looks),
            FromServer::Refused { message } => tracing::warn!("the server refuses this connection: {message}"),
        }
    }

    fn probe(&mut self, run: RunId, looks: Vec<Look>) {
        if let Some(training) = self.training.as_ref().filter(|training| *training.run() == run) {
            training.outbox.want(looks.clone());
        }
        self.watched = Some((run, looks));
    }

    /// The link is down: nobody watches anything, until the next server says who does.
    pub(crate) fn unlinked(&mut self) {
        if let Some((run, _)) = self.watched.take() {
            self.probe(run, vec![]);
        }
    }

    fn assign(&mut self, work: Work) {
        let run = &work.run;
        // One that has ended here and is to go on is assigned while its thread may still be letting go.
        let is_here = self.training.as_ref().is_some_and(|training| {
            training.run() == run && !training.outbox.is_abandoned() && !training.outbox.is_over()
        });
        if is_here || self.leaving_since.is_some() {
            tracing::info!(%run, "assigned again, or while leaving; nothing to do");
            return;
        }
        if let Some(before) = self.next.replace(work) {
            tracing::warn!(run = %before.run, "another run was assigned before this one began");
        }
        self.turn_over();
    }

    fn order(&mut self, run: &RunId, order: CommandOrder) {
        match self.training.as_ref().filter(|training| training.run() == run) {
            Some(training) => training.order(order),
            None => tracing::info!(%run, "an order for a run that is not here"),
        }
    }

    fn acknowledge(&mut self, run: RunId, seq: u64) {
        match self.outboxes.get(&run) {
            Some(outbox) => {
                outbox.acknowledge(seq);
                self.sending.entry(run).and_modify(|sending| sending.answered(seq));
            }
            None => {
                let known = self.stored.entry(run).or_default();
                *known = (*known).max(seq);
            }
        }
    }

    fn leave(&mut self) {
        self.next = None;
        if let Some(training) = &self.training {
            training.stop("the lab shuts its workers down");
        }
        self.leaving_since.get_or_insert_with(Instant::now);
    }

    /// Puts away what is done and begins what comes next. Called after everything that may have changed something.
    pub(crate) fn turn_over(&mut self) {
        self.put_away_training();
        let at_work = self.training.as_ref().map(|training| training.run().clone());
        self.outboxes.retain(|run, outbox| {
            let is_done = outbox.is_delivered() && at_work.as_ref() != Some(run);
            if is_done {
                outbox.remove();
                // The number stays known, should the run ever come back to this worker.
                self.stored.insert(run.clone(), outbox.acked());
                self.sending.remove(run);
            }
            !is_done
        });
        if self.training.is_none()
            && self.panicked.is_none()
            && let Some(work) = self.next.take()
        {
            self.begin(work);
        }
    }

    fn put_away_training(&mut self) {
        let Some(training) = &self.training else { return };
        self.busy_at = Instant::now();
        let Some(ending) = training.ending() else { return };
        let run = training.run().clone();
        if let Ending::Panicked(message) = ending {
            self.panicked = Some(WorkerError::Panicked { run: run.clone(), message: message.clone() });
        }
        if training.outbox.is_abandoned() {
            training.outbox.remove();
            self.outboxes.remove(&run);
            self.sending.remove(&run);
        }
        self.training = None;
        self.leaving_since = self.leaving_since.map(|_| Instant::now());
    }

    fn begin(&mut self, work: Work) {
        let run = work.run.clone();
        // A spool of an earlier life goes on where it ended; its outbox gives way to the new one.
        self.outboxes.remove(&run);
        let mut spool = Spool::open_or_hold(&self.config.spool(), &run);
        let stored = self.stored.get(&run).copied().unwrap_or(0);
        spool.skip_to(stored);
        tracing::info!(%run, "training");
        let training = Training::begin(Arc::clone(&self.trainer), work, spool, Arc::clone(&self.bell));
        training.outbox.start_from(stored);
        if let Some((_, looks)) = self.watched.as_ref().filter(|(watched, _)| *watched == run) {
            training.outbox.want(looks.clone());
        }
        self.sending.insert(run.clone(), Sending::from(stored + 1));
        self.outboxes.insert(run, Arc::clone(&training.outbox));
        tokio::spawn(sync_each_second(Arc::downgrade(&training.outbox)));
        self.training = Some(training);
    }

    /// The next messages to send, none while the server has yet to answer many.
    ///
    /// # Errors
    /// A spool that the disk no longer gives back.
    pub(crate) fn due(&mut self) -> Result<Vec<FromWorker>, SpoolError> {
        let mut due = vec![];
        self.has_more = false;
        for (run, outbox) in &self.outboxes {
            let Some(sending) = self.sending.get_mut(run) else { continue };
            if outbox.is_abandoned() || self.unreadable.contains(run) {
                continue;
            }
            let last = outbox.last();
            if sending.unanswered.len() >= MOST_UNANSWERED {
                self.has_more |= sending.next <= last;
                continue;
            }
            match outbox.read(sending.next, MOST_IN_MESSAGE) {
                Ok(Some((first_seq, items))) => {
                    sending.next = first_seq + items.len() as u64;
                    sending.unanswered.push_back(sending.next - 1);
                    self.has_more |= sending.next <= last;
                    due.push(FromWorker::Items { run: run.clone(), first_seq, items });
                }
                Ok(None) => {}
                Err(source @ SpoolError::Foreign { .. }) => {
                    tracing::error!("{source}; it stays on disk");
                    self.unreadable.insert(run.clone());
                }
                Err(source) => return Err(source),
            }
            due.extend(outbox.take_looks().into_iter().map(|frame| FromWorker::Look { run: run.clone(), frame }));
        }
        Ok(due)
    }

    /// Why it is time to go, if it is.
    pub(crate) fn leaves(&mut self, is_linked: bool) -> Option<&'static str> {
        if is_linked {
            self.busy_at = Instant::now();
        }
        let is_at_work = self.training.is_some() || (self.next.is_some() && self.panicked.is_none());
        let has_unsent =
            self.outboxes.iter().any(|(run, outbox)| outbox.acked() < outbox.last() && !self.unreadable.contains(run));
        if let Some(since) = self.leaving_since {
            let patience = if self.training.is_some() { STOP_WITHIN } else { GRACE };
            let is_done = (!is_at_work && !has_unsent) || since.elapsed() > patience;
            return is_done.then_some("the lab shuts its workers down");
        }
        if is_at_work {
            return None;
        }
        if self.panicked.is_some() && !has_unsent {
            return Some("the engine panicked");
        }
        let (patience, why) = match has_unsent {
            true => (self.config.patience.unsent, "no server has taken the reports that are left; they stay on disk"),
            false => (self.config.patience.idle, "the server is gone and there is nothing to do"),
        };
        let is_tired = !is_linked && patience.is_some_and(|patience| self.busy_at.elapsed() >= patience);
        is_tired.then_some(why)
    }

    /// Whether nothing would be lost by ending here.
    pub(crate) fn is_idle(&self) -> bool {
        self.training.is_none()
            && self.next.is_none()
            && self.outboxes.values().all(|outbox| outbox.acked() >= outbox.last())
    }
}

/// Power may fail; the process need not be alive for the kernel to write, but the machine does.
async fn sync_each_second(outbox: std::sync::Weak<Outbox>) {
    let mut clock = tokio::time::interval(Duration::from_secs(1));
    loop {
        clock.tick().await;
        let Some(outbox) = outbox.upgrade() else { return };
        // Syncing may take as long as the disk likes.
        let _ = tokio::task::spawn_blocking(move || outbox.sync()).await;
    }
}
