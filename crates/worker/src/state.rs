//! The state of a worker and its decisions: the run that it trains, the next one, and the reports to deliver. The socket is in `link.rs`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use wire::control::command::NumberedCommand;
use wire::device::DeviceInfo;
use wire::inspect::request::Inspection;
use wire::transport::link::{FromServer, FromWorker, PROTOCOL};
use wire::transport::note::{Activity, WorkerNote};
use wire::{Command, DeviceId, RunId, WorkerId};

use crate::assignment::Assignment;
use crate::config::{WorkerConfig, host_name};
use crate::error::WorkerError;
use crate::leaving::Leaving;
use crate::load::LoadMeter;
use crate::outbox::{Outbox, Signal};
use crate::reporter::now_ms;
use crate::share;
use crate::spool::{self, Limit, Spool, SpoolError};
use crate::telemetry::{Sampler, Subject};
use crate::training::{Ending, Trainer, Training};
use crate::transfer::Transfer;

/// Maximum number of reports in one message, so that heartbeats are not delayed.
const MESSAGE_LIMIT: Limit = Limit { records: 4096, bytes: 1 << 20 };
/// Unanswered messages of a run: one that the server is storing, and the next. Later reports are sent together, so that a slow server
/// gets fewer, larger messages, and the answer to a command does not wait behind many small messages.
const MAX_UNANSWERED: usize = 2;
/// Numbers of commands that are remembered.
const KNOWN_COMMANDS: usize = 256;
/// How long a worker that is shut down waits for its run to stop: the last checkpoint of a large model takes long to write.
const STOP_WITHIN: Duration = Duration::from_secs(120);
/// How long it then waits for its reports to be stored; the rest stays on disk.
const GRACE: Duration = Duration::from_secs(10);

pub(crate) struct WorkerState {
    config: WorkerConfig,
    /// The files of the server, if it is on another machine.
    pub(crate) transfer: Option<Transfer>,
    trainer: Arc<dyn Trainer>,
    host: String,
    /// Name of this process in the lab: its device, or a slot of it.
    name: DeviceId,
    worker: WorkerId,
    meter: LoadMeter,
    sampler: Sampler,
    pub(crate) signal: Arc<Signal>,
    training: Option<Training>,
    /// A run that was assigned while the previous one was still releasing its memory.
    next: Option<Assignment>,
    /// Requested inspections with their run, which may not have started here yet.
    requested: Option<(RunId, Vec<Inspection>)>,
    /// Reports of the run in training and of those before it.
    outboxes: BTreeMap<RunId, Arc<Outbox>>,
    /// Progress of this connection by run.
    sending: BTreeMap<RunId, Sending>,
    /// The last call of [`WorkerState::due`] left reports, because of the size of messages or missing answers.
    pub(crate) has_more: bool,
    /// Number of the last report that the server stores, of runs that are not here.
    stored: BTreeMap<RunId, u64>,
    /// Runs whose spool cannot be read: logged once, left on disk.
    unreadable: BTreeSet<RunId>,
    /// The panic of the engine, with which the worker ends once all reports are delivered.
    pub(crate) panicked: Option<WorkerError>,
    /// When the server shut this worker down, or it decided to leave.
    ending_since: Option<Instant>,
    pub(crate) leaving: Leaving,
    /// When it last trained or was connected.
    busy_at: Instant,
    /// When it was last connected.
    linked_at: Instant,
    /// Numbers of the newest commands, oldest first.
    commands: VecDeque<u64>,
}

/// The reports of a run on one connection.
struct Sending {
    /// Number of the next report to send.
    next: u64,
    /// Number of the last report of each unanswered message.
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

impl WorkerState {
    /// Starts with the reports that earlier workers left on disk.
    pub(crate) fn new(config: WorkerConfig, trainer: Arc<dyn Trainer>) -> Result<Self, WorkerError> {
        let host = host_name();
        let signal = Arc::new(Signal::default());
        let worker = config.worker_id(&host)?;
        let leftovers = spool::unsent(&config.spool()).into_iter();
        let outboxes = leftovers
            .map(|(run, spool)| (run.clone(), Arc::new(Outbox::new(run, spool, Arc::clone(&signal), true))))
            .collect();
        let (device, name) = (trainer.device(), config.lab_name()?);
        let subject = Subject {
            kind: device.kind,
            name: device.name,
            pci_address: trainer.pci_address(),
            folder: config.data.clone(),
        };
        // The first process of a device measures it for all.
        let sampler = if config.slot == 1 { Sampler::start(subject) } else { Sampler::default() };
        Ok(Self {
            transfer: Transfer::of(&config)?,
            config,
            trainer,
            host,
            name,
            worker,
            meter: LoadMeter::default(),
            sampler,
            signal,
            training: None,
            next: None,
            requested: None,
            outboxes,
            sending: BTreeMap::new(),
            has_more: false,
            stored: BTreeMap::new(),
            unreadable: BTreeSet::new(),
            panicked: None,
            ending_since: None,
            leaving: Leaving::default(),
            busy_at: Instant::now(),
            linked_at: Instant::now(),
            commands: VecDeque::new(),
        })
    }

    /// The first message of a connection.
    pub(crate) fn hello(&mut self) -> FromWorker {
        self.sending.clear();
        let in_training = self.training.as_ref().filter(|training| !training.outbox.is_over()).map(Training::run);
        FromWorker::Hello {
            protocol: PROTOCOL,
            worker: self.worker.clone(),
            host: self.host.clone(),
            pid: std::process::id(),
            device: DeviceInfo { id: self.name.clone(), ..self.trainer.device() },
            training: in_training.or(self.next.as_ref().map(|next| &next.run)).cloned(),
            unsent: self
                .outboxes
                .values()
                .filter(|outbox| outbox.acked() < outbox.last())
                .map(|outbox| (outbox.run.clone(), outbox.last()))
                .collect(),
        }
    }

    /// A note with the clock, what keeps the run from training, new lines of the log, and the newest measurement.
    pub(crate) fn note(&self) -> WorkerNote {
        let training = self.training.as_ref().filter(|training| !training.outbox.is_over());
        let activity = training.and_then(|training| {
            training.outbox.long_activity().map(|what| Activity { run: training.run().clone(), what })
        });
        WorkerNote { clock_ms: Some(now_ms()), activity, log: self.config.log.take(), telemetry: self.sampler.take() }
    }

    /// A heartbeat with the current load.
    pub(crate) fn heartbeat(&mut self) -> FromWorker {
        FromWorker::Heartbeat { load: self.meter.measure(self.trainer.device_bytes()) }
    }

    /// Handles the server's answer to hello: sending continues after the reports that it stores.
    pub(crate) fn welcome(&mut self, stored: Vec<(RunId, u64)>, release: bool) {
        self.busy_at = Instant::now();
        let stored: BTreeMap<RunId, u64> = stored.into_iter().collect();
        if release {
            self.release();
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

    fn release(&mut self) {
        match self.training.as_ref().filter(|training| !training.outbox.is_over()) {
            Some(training) => {
                tracing::info!(run = %training.run(), "the server has released this run; stopping it");
                training.outbox.abandon();
                let reason = Some("the server has released this run".to_owned());
                training.command_by_system(Command::Stop { reason });
            }
            None => self.next = None,
        }
    }

    /// Handles a message of the server.
    pub(crate) fn receive(&mut self, message: FromServer) {
        match message {
            FromServer::Welcome { stored, release } => self.welcome(stored, release),
            FromServer::Assign { run, plan, past } => self.assign(Assignment { run, plan, past }),
            FromServer::Command { run, command } => self.command(&run, command),
            FromServer::Stored { run, seq } => self.acknowledge(run, seq),
            FromServer::Shutdown => self.shut_down(),
            FromServer::Inspect { run, inspections } => self.request(run, inspections),
            FromServer::Refused { message } => tracing::warn!("the server refuses this connection: {message}"),
        }
    }

    fn request(&mut self, run: RunId, inspections: Vec<Inspection>) {
        if let Some(training) = self.training.as_ref().filter(|training| *training.run() == run) {
            training.outbox.request(inspections.clone());
        }
        self.requested = Some((run, inspections));
    }

    /// Handles the end of a connection: no inspections are requested until the next server requests some, and it gets the log again.
    pub(crate) fn unlinked(&mut self) {
        self.config.log.rewind();
        if let Some((run, _)) = self.requested.take() {
            self.request(run, vec![]);
        }
    }

    fn assign(&mut self, assignment: Assignment) {
        let run = &assignment.run;
        // A run that ended here and is resumed may be assigned while its thread still releases its memory.
        let is_here = self.training.as_ref().is_some_and(|training| {
            training.run() == run && !training.outbox.is_abandoned() && !training.outbox.is_over()
        });
        if is_here || self.ending_since.is_some() {
            tracing::info!(%run, "assigned again, or while ending; ignored");
            return;
        }
        if let Some(before) = self.next.replace(assignment) {
            tracing::warn!(run = %before.run, "another run was assigned before this one started");
        }
        self.advance();
    }

    fn command(&mut self, run: &RunId, command: NumberedCommand) {
        let Some(training) = self.training.as_ref().filter(|training| training.run() == run) else {
            tracing::info!(%run, "a command for a run that is not here");
            return;
        };
        // A server that was killed while it sent a command sends it again.
        if self.commands.contains(&command.command_id) {
            tracing::info!(%run, number = command.command_id, "a command has arrived again; ignored");
            return;
        }
        self.commands.push_back(command.command_id);
        if self.commands.len() > KNOWN_COMMANDS {
            self.commands.pop_front();
        }
        match (&command.command, &self.transfer) {
            (Command::Rollback { checkpoint, .. }, Some(transfer)) if !transfer.has(run, *checkpoint) => {
                let id = *checkpoint;
                training.command_with_checkpoint(command, transfer.clone(), id);
            }
            _ => training.command(command),
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

    fn shut_down(&mut self) {
        let reason = Some("the server shuts its workers down".to_owned());
        self.end_with(Command::Stop { reason });
    }

    /// Suspends the run and ends, where a signal asks for it or no server has answered for too long.
    fn leave_if_due(&mut self) {
        let limit = self.config.idle_timeouts.training.filter(|_| self.training.is_some());
        let reason = match limit {
            _ if self.ending_since.is_some() => return,
            _ if self.leaving.is_asked() => "the worker was asked to end by a signal".to_owned(),
            Some(limit) if self.linked_at.elapsed() >= limit => {
                format!("no server has answered for {} h", limit.as_secs_f64() / 3600.0)
            }
            _ => return,
        };
        tracing::info!("suspending the run and leaving: {reason}");
        self.end_with(Command::Suspend { reason: Some(reason) });
    }

    /// Ends the run with a command, and the worker after it.
    fn end_with(&mut self, command: Command) {
        self.next = None;
        if let Some(training) = &self.training {
            training.command_by_system(command);
        }
        self.ending_since.get_or_insert_with(Instant::now);
    }

    /// Removes what has ended and starts what comes next. Called after each change of the state.
    pub(crate) fn advance(&mut self) {
        self.leave_if_due();
        self.remove_ended_training();
        let in_training = self.training.as_ref().map(|training| training.run().clone());
        self.outboxes.retain(|run, outbox| {
            let is_done = outbox.is_delivered() && in_training.as_ref() != Some(run);
            if is_done {
                outbox.remove();
                // Kept in case the run is assigned to this worker again.
                self.stored.insert(run.clone(), outbox.acked());
                self.sending.remove(run);
            }
            !is_done
        });
        if self.training.is_none()
            && self.panicked.is_none()
            && let Some(assignment) = self.next.take()
        {
            self.begin(assignment);
        }
    }

    fn remove_ended_training(&mut self) {
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
        self.ending_since = self.ending_since.map(|_| Instant::now());
    }

    fn begin(&mut self, assignment: Assignment) {
        let run = assignment.run.clone();
        // An existing spool is continued; its outbox is replaced by that of the new training.
        self.outboxes.remove(&run);
        let mut spool = Spool::open_or_defer(&self.config.spool(), &run);
        let stored = self.stored.get(&run).copied().unwrap_or(0);
        spool.skip_to(stored);
        tracing::info!(%run, "training");
        let training = Training::begin(Arc::clone(&self.trainer), assignment, spool, Arc::clone(&self.signal));
        training.outbox.start_from(stored);
        if let Some((_, inspections)) = self.requested.as_ref().filter(|(requested, _)| *requested == run) {
            training.outbox.request(inspections.clone());
        }
        self.sending.insert(run.clone(), Sending::from(stored + 1));
        self.outboxes.insert(run, Arc::clone(&training.outbox));
        tokio::spawn(sync_each_second(Arc::downgrade(&training.outbox)));
        let (data, slot, trainer) = (self.config.data.clone(), self.config.own_slot(), Arc::clone(&self.trainer));
        tokio::spawn(share::keep(data, slot, Arc::downgrade(&training.outbox), trainer));
        self.training = Some(training);
    }

    /// The next messages to send; none while [`MAX_UNANSWERED`] messages of a run are unanswered.
    ///
    /// # Errors
    /// A spool that cannot be read from disk.
    pub(crate) fn due(&mut self) -> Result<Vec<FromWorker>, SpoolError> {
        let mut due = vec![];
        self.has_more = false;
        for (run, outbox) in &self.outboxes {
            let Some(sending) = self.sending.get_mut(run) else { continue };
            if outbox.is_abandoned() || self.unreadable.contains(run) {
                continue;
            }
            let last = outbox.last();
            if sending.unanswered.len() >= MAX_UNANSWERED {
                self.has_more |= sending.next <= last;
                continue;
            }
            match outbox.read(sending.next, MESSAGE_LIMIT) {
                Ok(Some((first_seq, items))) => {
                    sending.next = first_seq + items.len() as u64;
                    sending.unanswered.push_back(sending.next - 1);
                    self.has_more |= sending.next <= last;
                    due.push(FromWorker::Items { run: run.clone(), first_seq, items });
                }
                Ok(None) => {}
                Err(source @ SpoolError::Undecodable { .. }) => {
                    tracing::error!("{source}; it stays on disk");
                    self.unreadable.insert(run.clone());
                }
                Err(source) => return Err(source),
            }
            due.extend(
                outbox.take_updates().into_iter().map(|update| FromWorker::Inspection { run: run.clone(), update }),
            );
        }
        Ok(due)
    }

    /// Why the worker should end now; `None` while it should not.
    pub(crate) fn reason_to_end(&mut self, is_linked: bool) -> Option<&'static str> {
        if is_linked {
            self.busy_at = Instant::now();
            self.linked_at = self.busy_at;
        }
        let is_training = self.training.is_some() || (self.next.is_some() && self.panicked.is_none());
        let has_unsent =
            self.outboxes.iter().any(|(run, outbox)| outbox.acked() < outbox.last() && !self.unreadable.contains(run));
        if let Some(since) = self.ending_since {
            let limit = if self.training.is_some() { STOP_WITHIN } else { GRACE };
            // Without a server the reports stay on disk for the next worker.
            let is_done = (!is_training && (!has_unsent || !is_linked)) || since.elapsed() > limit;
            return is_done.then_some("it was shut down or asked to end");
        }
        if is_training {
            return None;
        }
        if self.panicked.is_some() && !has_unsent {
            return Some("the engine panicked");
        }
        let (timeout, why) = match has_unsent {
            true => (self.config.idle_timeouts.unsent, "no server has stored the remaining reports; they stay on disk"),
            false => (self.config.idle_timeouts.idle, "no server answers and there is nothing to do"),
        };
        let is_over = !is_linked && timeout.is_some_and(|timeout| self.busy_at.elapsed() >= timeout);
        is_over.then_some(why)
    }

    /// Whether the server shut it down, or it decided to leave.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending_since.is_some()
    }

    /// Whether it trains nothing and has nothing to deliver.
    pub(crate) fn is_idle(&self) -> bool {
        self.training.is_none()
            && self.next.is_none()
            && self.outboxes.values().all(|outbox| outbox.acked() >= outbox.last())
    }
}

/// Syncs the spool: written data survives the process without it, but not a power cut.
async fn sync_each_second(outbox: std::sync::Weak<Outbox>) {
    let mut clock = tokio::time::interval(Duration::from_secs(1));
    loop {
        clock.tick().await;
        let Some(outbox) = outbox.upgrade() else { return };
        // Syncing may take long; it must not block other tasks.
        let _ = tokio::task::spawn_blocking(move || outbox.sync()).await;
    }
}
