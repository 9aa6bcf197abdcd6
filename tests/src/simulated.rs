//! Workers that compute nothing: each joins a pool, takes a run, and reports its steps at a given rate through the real protocol. Reports are
//! batched and repeated as by `worker/src/link.rs` and `worker/src/state.rs`: those of 50 ms travel together, at most two messages are
//! unanswered, and what the server has not acknowledged is sent again on the next connection.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio_tungstenite::tungstenite::Message;
use wire::device::{DeviceInfo, DeviceKind, DeviceLoad};
use wire::series::{Row, name};
use wire::telemetry::Telemetry;
use wire::transport::link::{FromServer, FromWorker, Item, PROTOCOL, Report};
use wire::transport::note::WorkerNote;
use wire::{Author, Event, RunId, RunState};

use crate::client::Client;
use crate::lab::Lab;
use crate::socket::{Received, Socket};
use crate::{given_up_after, values, wait_for};

/// As the link of a worker.
const GATHER: Duration = Duration::from_millis(50);
const MAX_UNANSWERED: usize = 2;
const MESSAGE_ITEMS: usize = 4096;
/// Longest wait for the next message of the server, so that the begin of the load is noticed.
const WAKE_EVERY: Duration = Duration::from_millis(100);
/// Beginning of the names of metrics that no rule reads.
const UNREAD: &str = "unread.";
/// How long the last reports may take to be acknowledged.
const GRACE: Duration = Duration::from_secs(120);

/// Rate, number and metrics of the steps that each worker reports.
pub struct Load {
    pub steps_per_sec: f64,
    /// Steps of each run.
    pub steps: u64,
    /// Names of the metrics of each step.
    pub metrics: Vec<String>,
    /// Number of workers; their steps are spread evenly over the time of one step.
    pub workers: usize,
    /// When the first step begins; until then the runs are loaded and report no step.
    pub begin: OnceLock<Instant>,
    /// Whether the steps have the values of a healthy training instead of random ones of `metrics`.
    pub is_healthy: bool,
    /// Whether the names of the metrics have a prefix, with which no rule reads them.
    pub is_unread: AtomicBool,
}

impl Load {
    /// A load with metrics as training reports them: those of the step, and statistics of parameters.
    pub fn new(workers: usize, steps_per_sec: f64, metrics: usize, secs: u64) -> Arc<Self> {
        let of_step = [name::TRAIN, name::LEARNING_RATE, name::GRAD_NORM, name::TOKENS, name::SECS, name::STEP_MS];
        let of_parameter = (0..).map(|number| format!("{}block.{number}.mlp.up", name::GRADIENT_RMS));
        let metrics = of_step.into_iter().map(str::to_owned).chain(of_parameter).take(metrics).collect();
        let steps = (steps_per_sec * secs as f64).round() as u64;
        let (begin, is_unread) = (OnceLock::new(), AtomicBool::new(false));
        Arc::new(Self { steps_per_sec, steps, metrics, workers, begin, is_healthy: false, is_unread })
    }

    /// A load with the values of healthy trainings.
    pub fn healthy(workers: usize, steps_per_sec: f64, secs: u64) -> Arc<Self> {
        let (begin, is_unread) = (OnceLock::new(), AtomicBool::new(false));
        let (metrics, steps) = (vec![], (steps_per_sec * secs as f64).round() as u64);
        Arc::new(Self { steps_per_sec, steps, metrics, workers, begin, is_healthy: true, is_unread })
    }

    /// The value that worker `worker` reports; equal numbers give equal bits, and different ones almost surely different bits.
    pub fn value(&self, worker: usize, step: u64, metric: usize) -> f64 {
        match self.metrics[metric].as_str() {
            name::TOKENS => ((step + 1) * 1024) as f64,
            name::SECS => (step + 1) as f64 / self.steps_per_sec,
            _ => {
                let place = (worker as u64) << 48 | (metric as u64) << 32 | step;
                // SplitMix64.
                let mut mixed = place.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
            }
        }
    }

    fn row(&self, worker: usize, step: u64) -> Row {
        let metrics = self.metrics.iter().enumerate();
        let mut values: Vec<(String, f64)> = match self.is_healthy {
            true => values::of_step(worker, step),
            false => metrics.map(|(metric, name)| (name.clone(), self.value(worker, step, metric))).collect(),
        };
        if self.is_unread.load(Ordering::Relaxed) {
            values.iter_mut().for_each(|(name, _)| name.insert_str(0, UNREAD));
        }
        Row { segment: 0, step, values }
    }

    /// When a step of a worker ends; `None` before the load has begun.
    fn step_ends(&self, worker: usize, step: u64) -> Option<Instant> {
        let offset = worker as f64 / self.workers as f64;
        let since = (step as f64 + offset) / self.steps_per_sec;
        Some(*self.begin.get()? + Duration::from_secs_f64(since))
    }
}

/// A worker whose link is open.
pub struct SimulatedWorker {
    client: Client,
    number: usize,
    load: Arc<Load>,
    socket: Socket,
    run: Option<RunId>,
    /// Reports that are not acknowledged, oldest first.
    kept: VecDeque<Kept>,
    /// Number of the last acknowledged report.
    acked: u64,
    /// How many of the kept ones were sent on this connection.
    sent: usize,
    /// Number of the last report of each unanswered message.
    unanswered: VecDeque<u64>,
    /// When the last message with reports, and the last heartbeat, were sent.
    sent_at: Instant,
    heartbeat_at: Instant,
    is_finished: bool,
    outcome: Outcome,
}

struct Kept {
    item: Item,
    /// When the step ended; `None` for an event.
    made_at: Option<Instant>,
    /// When it was sent last.
    sent_at: Instant,
}

/// The run of a worker, and how its reports were acknowledged.
#[derive(Default)]
pub struct Outcome {
    pub run: String,
    /// Of each step: ms from its end to its acknowledgement, and from its message to its acknowledgement.
    pub acknowledgements: Vec<(f64, f64)>,
    /// Messages with reports.
    pub messages: u64,
    /// Connections after the first.
    pub reconnects: u64,
}

impl SimulatedWorker {
    /// Joins the pool `far` and opens the link.
    pub fn join(lab: &Lab, number: usize, load: &Arc<Load>) -> Self {
        let token = lab.worker_token(&device(number));
        let client = Client::with_token(&lab.address(), &token);
        let now = Instant::now();
        let socket = Socket::open(&client, "link", &[]).unwrap();
        let mut worker = Self {
            client,
            number,
            load: Arc::clone(load),
            socket,
            run: None,
            kept: VecDeque::new(),
            acked: 0,
            sent: 0,
            unanswered: VecDeque::new(),
            sent_at: now,
            heartbeat_at: now,
            is_finished: false,
            outcome: Outcome::default(),
        };
        assert!(worker.greet(), "{} is refused", device(number));
        worker
    }

    /// Takes a run, reports all of its steps, and returns when the server has acknowledged them.
    ///
    /// # Panics
    /// If the last reports are not acknowledged within [`GRACE`].
    pub fn train(mut self) -> Outcome {
        let (mut next_step, mut made_at) = (0, Instant::now());
        while !self.is_finished || !self.kept.is_empty() {
            while let Some(ended) = self.step_ended(next_step) {
                self.keep(Item::Row(self.load.row(self.number, next_step)), Some(ended));
                (next_step, made_at) = (next_step + 1, ended);
            }
            if next_step == self.load.steps && !self.is_finished {
                self.is_finished = true;
                self.report(Event::Finished, RunState::Finished);
            }
            assert!(
                made_at.elapsed() < GRACE || next_step == 0,
                "reports of {} are not acknowledged",
                device(self.number)
            );
            let is_open = self.send_due() && self.send_heartbeat() && self.receive(next_step);
            if !is_open {
                self.reconnect();
            }
        }
        self.outcome
    }

    /// When this step ended, if it has.
    fn step_ended(&self, step: u64) -> Option<Instant> {
        let is_training = self.run.is_some() && step < self.load.steps;
        let ends = self.load.step_ends(self.number, step).filter(|_| is_training)?;
        (ends <= Instant::now()).then_some(ends)
    }

    fn keep(&mut self, item: Item, made_at: Option<Instant>) {
        self.kept.push_back(Kept { item, made_at, sent_at: Instant::now() });
    }

    fn report(&mut self, event: Event, state: RunState) {
        let step = if self.is_finished { self.load.steps } else { 0 };
        let (author, at_ms, state) = (Author::System, now_ms(), Some(state));
        let report = Report { segment: 0, step, at_ms, author, command_id: None, reason: None, event, state };
        self.keep(Item::Event(report), None);
    }

    /// Sends reports if it is time to; whether the connection is open.
    fn send_due(&mut self) -> bool {
        let Some(run) = self.run.clone().filter(|_| self.sends_at().is_some_and(|at| at <= Instant::now())) else {
            return true;
        };
        let (first_seq, now) = (self.acked + self.sent as u64 + 1, Instant::now());
        let due = self.kept.iter_mut().skip(self.sent).take(MESSAGE_ITEMS);
        let items: Vec<Item> = due
            .map(|kept| {
                kept.sent_at = now;
                kept.item.clone()
            })
            .collect();
        self.sent += items.len();
        self.unanswered.push_back(self.acked + self.sent as u64);
        (self.sent_at, self.outcome.messages) = (now, self.outcome.messages + 1);
        self.send(&FromWorker::Items { run, first_seq, items })
    }

    /// When the next message with reports is due.
    fn sends_at(&self) -> Option<Instant> {
        let has_more = self.sent < self.kept.len() && self.unanswered.len() < MAX_UNANSWERED;
        has_more.then_some(self.sent_at + GATHER)
    }

    /// Sends what a worker sends each second, if it is due; whether the connection is open.
    fn send_heartbeat(&mut self) -> bool {
        if self.heartbeat_at > Instant::now() {
            return true;
        }
        self.heartbeat_at = Instant::now() + Duration::from_secs(1);
        self.send_note()
            && self.send(&FromWorker::Heartbeat { load: DeviceLoad::default() })
            && self.socket.try_send(Message::Ping(Default::default()))
    }

    fn send_note(&mut self) -> bool {
        let telemetry = Telemetry { cpu_utilization: Some(0.5), ..Telemetry::default() };
        let note = WorkerNote { clock_ms: Some(now_ms()), telemetry: Some(telemetry), ..WorkerNote::default() };
        self.socket.try_send(Message::text(serde_json::to_string(&note).unwrap()))
    }

    fn send(&mut self, message: &FromWorker) -> bool {
        self.socket.try_send(Message::binary(wire::encode::to_bytes(message).unwrap()))
    }

    /// Receives one message, or waits until there is something to do; whether the connection is open.
    fn receive(&mut self, next_step: u64) -> bool {
        let step = self.load.step_ends(self.number, next_step).filter(|_| next_step < self.load.steps);
        let now = Instant::now();
        let times = [Some(now + WAKE_EVERY), Some(self.heartbeat_at), step, self.sends_at()];
        let until = times.into_iter().flatten().min().unwrap_or(now).max(now + Duration::from_millis(1));
        match self.socket.try_receive(until) {
            Received::Message(FromServer::Assign { run, .. }) if self.run.is_none() => {
                self.outcome.run = run.to_string();
                self.run = Some(run);
                self.report(Event::Starting { device: device(self.number) }, RunState::Starting);
                self.report(Event::Started { parameters: 1 }, RunState::Running);
            }
            Received::Message(FromServer::Stored { seq, .. }) => self.acknowledge(seq),
            Received::Message(FromServer::Refused { message }) => panic!("{}: {message}", device(self.number)),
            Received::Message(_) | Received::Nothing => {}
            Received::Closed => return false,
        }
        true
    }

    fn acknowledge(&mut self, seq: u64) {
        let now = Instant::now();
        self.unanswered.retain(|last| *last > seq);
        while self.acked < seq {
            let Some(kept) = self.kept.pop_front() else { return };
            (self.acked, self.sent) = (self.acked + 1, self.sent.saturating_sub(1));
            if let Some(made_at) = kept.made_at {
                let ms = |since: Instant| now.saturating_duration_since(since).as_secs_f64() * 1000.0;
                self.outcome.acknowledgements.push((ms(made_at), ms(kept.sent_at)));
            }
        }
    }

    /// Opens another link, on which everything that is not acknowledged is sent again.
    fn reconnect(&mut self) {
        self.outcome.reconnects += 1;
        wait_for("another link", 30, || {
            self.socket = Socket::open(&self.client, "link", &[]).ok()?;
            self.greet().then_some(())
        });
    }

    /// Sends Hello and takes the answer; whether it is accepted.
    fn greet(&mut self) -> bool {
        (self.sent, self.unanswered) = (0, VecDeque::new());
        let run = self.run.clone();
        let unsent = run.iter().filter(|_| !self.kept.is_empty());
        let unsent = unsent.map(|run| (run.clone(), self.acked + self.kept.len() as u64)).collect();
        let hello = FromWorker::Hello {
            protocol: PROTOCOL,
            worker: format!("{}-1", device(self.number)).parse().unwrap(),
            host: device(self.number),
            pid: std::process::id(),
            device: DeviceInfo {
                cores: 1,
                flops_per_sec: 1e9,
                ..DeviceInfo::unknown(device(self.number).parse().unwrap(), "simulated", DeviceKind::Cpu)
            },
            training: run.filter(|_| !self.is_finished),
            unsent,
        };
        let within = given_up_after(20);
        if !self.send_note() || !self.send(&hello) {
            return false;
        }
        match self.socket.try_receive(within) {
            Received::Message(FromServer::Welcome { stored, release }) => {
                assert!(!release, "{} is ordered to release its run", device(self.number));
                let of_run = stored.into_iter().find(|(run, _)| self.run.as_ref() == Some(run));
                of_run.into_iter().for_each(|(_, seq)| self.acknowledge(seq));
                true
            }
            _ => false,
        }
    }
}

/// The device of a worker.
fn device(number: usize) -> String {
    format!("simulated-{number}")
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
