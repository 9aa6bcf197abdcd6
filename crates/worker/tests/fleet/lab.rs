//! A fake server on a real socket, which fails on request, and a fake trainer without tensors.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};
use wire::control::command::NumberedCommand;
use wire::data::tokenizer::Tokenizer;
use wire::device::{DeviceInfo, DeviceKind};
use wire::inspect::request::{Inspection, InspectionText};
use wire::inspect::result::{HeatMap, InspectionResult};
use wire::inspect::update::{InspectionOverhead, InspectionUpdate};
use wire::series::Row;
use wire::transport::link::{FromServer, FromWorker, Item, PROTOCOL, Report};
use wire::{Author, Command, Event, RunId, RunPlan, RunState};
use worker::{Assignment, IdleTimeouts, RunReporter, TrainError, Trainer, WorkerConfig, WorkerError};

/// A fault of the server at a message of reports.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    None,
    CutBeforeStoring,
    CutBeforeAnswering,
    AnswerTwice,
    AnswerOld,
    /// It restarts from an older copy of its files.
    ForgetAndCut,
    /// It stores reports and does not answer.
    Mute,
}

/// The behaviour of the trainer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Script {
    /// Reports `steps` rows, and sleeps for a millisecond after each `every` of them (0: never).
    Rows {
        steps: u64,
        every: u64,
    },
    /// Waits for a stop command, and then saves for `saving`.
    UntilStopped {
        saving: Duration,
    },
    /// Reports a snapshot of `bytes` bytes beside each row.
    Snapshots {
        steps: u64,
        bytes: usize,
    },
    /// Notes the requested inspections whenever they change and reports results, until it is stopped.
    Inspected,
    Fail(&'static str),
    Panic,
}

pub(crate) fn run(text: &str) -> RunId {
    text.parse().unwrap()
}

pub(crate) fn item(step: u64) -> Item {
    Item::Row(Row { segment: 0, step, values: vec![("loss.train".into(), 1.0 / (step + 1) as f64)] })
}

fn event(step: u64, command_id: Option<u64>, event: Event, state: Option<RunState>) -> Item {
    Item::Event(Report { segment: 0, step, at_ms: 0, author: Author::System, command_id, reason: None, event, state })
}

/// All reports of a run of [`Script::Rows`].
pub(crate) fn expected(steps: u64) -> Vec<Item> {
    let starting = event(0, None, Event::Starting { device: "fake".into() }, Some(RunState::Starting));
    let finished = event(steps, None, Event::Finished, Some(RunState::Finished));
    std::iter::once(starting).chain((0..steps).map(item)).chain([finished]).collect()
}

/// A snapshot of `bytes` bytes.
pub(crate) fn snapshot(step: u64, bytes: usize) -> InspectionUpdate {
    let cells = vec![(step % 250) as u8; bytes];
    let mean = HeatMap { rows: 1, columns: bytes as u32, low: 0.0, high: 1.0, cells };
    let result = InspectionResult::Attention { tokens: vec![], patterns: vec![mean], heads: vec![] };
    InspectionUpdate::Result {
        step,
        segment: 0,
        inspection: attention(0),
        result,
        overhead: InspectionOverhead::default(),
    }
}

pub(crate) fn attention(layer: u32) -> Inspection {
    Inspection::Attention { text: InspectionText::default(), layer }
}

/// Waits for a condition, at most a minute.
pub(crate) async fn when(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A trainer that follows a script for each run.
#[derive(Default)]
pub(crate) struct FakeTrainer {
    scripts: Mutex<Vec<Script>>,
    /// Number of trainings that have returned.
    pub(crate) ended: AtomicU64,
}

impl Trainer for FakeTrainer {
    fn device(&self) -> DeviceInfo {
        DeviceInfo {
            id: "cpu".parse().unwrap(),
            name: "fake".into(),
            kind: DeviceKind::Cpu,
            backend: "none".into(),
            cores: 1,
            memory_bytes: 0,
            flops_per_sec: 0.0,
            rates: None,
        }
    }

    fn train(
        &self,
        work: &Assignment,
        commands: &Receiver<NumberedCommand>,
        out: &mut RunReporter,
    ) -> Result<(), TrainError> {
        let script = self.scripts.lock().unwrap()[work.plan.seed as usize];
        let result = follow(script, commands, out);
        self.ended.fetch_add(1, Ordering::SeqCst);
        result
    }
}

fn follow(script: Script, commands: &Receiver<NumberedCommand>, out: &mut RunReporter) -> Result<(), TrainError> {
    match script {
        Script::Rows { steps, every } => {
            for step in 0..steps {
                pause_while_blocked(out, step);
                out.row(row(step));
                if every > 0 && step % every == 0 {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            pause_while_blocked(out, steps);
            report(out, event(steps, None, Event::Finished, Some(RunState::Finished)));
            Ok(())
        }
        Script::UntilStopped { saving } => {
            for order in commands {
                let (done, state) = match order.command {
                    Command::Stop { .. } => (Event::Stopped, Some(RunState::Stopped)),
                    Command::Suspend { .. } => (Event::Suspended, Some(RunState::Suspended)),
                    Command::Annotate { text } => (Event::Annotated { text }, None),
                    other => panic!("{other:?}"),
                };
                if state.is_some() {
                    std::thread::sleep(saving);
                }
                report(out, event(0, Some(order.command_id), done, state));
                if state.is_some() {
                    return Ok(());
                }
            }
            Ok(())
        }
        Script::Snapshots { steps, bytes } => {
            for step in 0..steps {
                out.snapshot(snapshot(step, bytes));
                out.row(row(step));
            }
            report(out, event(steps, None, Event::Finished, Some(RunState::Finished)));
            Ok(())
        }
        Script::Inspected => loop {
            if let Some(inspections) = out.requested_inspections() {
                let text = inspections.iter().map(Inspection::key).collect::<Vec<_>>().join(" ");
                report(out, event(0, None, Event::Annotated { text }, None));
                for inspection in inspections {
                    out.inspection(InspectionUpdate::Failed { step: 0, inspection, message: "not available".into() });
                }
            }
            match commands.recv_timeout(Duration::from_millis(2)) {
                Ok(NumberedCommand { command: Command::Stop { .. }, command_id, .. }) => {
                    report(out, event(0, Some(command_id), Event::Stopped, Some(RunState::Stopped)));
                    return Ok(());
                }
                Ok(other) => panic!("{other:?}"),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        },
        Script::Fail(message) => Err(TrainError::engine(message)),
        Script::Panic => {
            out.row(row(7));
            panic!("shape mismatch")
        }
    }
}

fn row(step: u64) -> Row {
    let Item::Row(row) = item(step) else { unreachable!() };
    row
}

fn report(out: &mut RunReporter, item: Item) {
    let Item::Event(report) = item else { unreachable!() };
    out.report(report);
}

/// As the engine: pauses with a note while reports cannot be written.
fn pause_while_blocked(out: &mut RunReporter, step: u64) {
    if let Some(text) = out.blocked() {
        report(out, event(step, None, Event::Annotated { text }, Some(RunState::Paused)));
        while out.blocked().is_some() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The state that the server's connections share.
#[derive(Default)]
struct Store {
    /// Stored reports by number, from 1; times set to 0.
    stored: BTreeMap<RunId, Vec<Item>>,
    /// Runs to assign.
    queue: Vec<(RunId, RunPlan)>,
    messages: u64,
    faults: u64,
    links: u64,
    /// Received updates.
    inspections: Vec<InspectionUpdate>,
    /// Bytes of the largest message of reports, without its last report.
    heaviest: usize,
    say: Option<mpsc::UnboundedSender<FromServer>>,
}

type Shared = Arc<Mutex<Store>>;
type Faults = Arc<dyn Fn(u64) -> Fault + Send + Sync>;

/// The fake lab.
pub(crate) struct Lab {
    folder: tempfile::TempDir,
    store: Shared,
    faults: Faults,
    /// An increment ends all connections; closing it ends the server.
    life: Mutex<Option<watch::Sender<u64>>>,
    pub(crate) trainer: Arc<FakeTrainer>,
}

impl Lab {
    pub(crate) async fn open(faults: impl Fn(u64) -> Fault + Send + Sync + 'static) -> Self {
        let lab = Self {
            folder: tempfile::tempdir().unwrap(),
            store: Shared::default(),
            faults: Arc::new(faults),
            life: Mutex::new(None),
            trainer: Arc::default(),
        };
        lab.reopen_elsewhere().await;
        lab
    }

    /// Starts a server with the same reports at another address.
    pub(crate) async fn reopen_elsewhere(&self) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        self.write_address(listener.local_addr().unwrap());
        let (life, lived) = watch::channel(0);
        tokio::spawn(serve(listener, Arc::clone(&self.store), Arc::clone(&self.faults), lived));
        *self.life.lock().unwrap() = Some(life);
    }

    fn write_address(&self, address: SocketAddr) {
        fs::create_dir_all(self.data().join("workers")).unwrap();
        fs::write(self.data().join("workers/server.json"), format!(r#"{{"url": "http://{address}"}}"#)).unwrap();
    }

    /// Ends the server.
    pub(crate) fn shut(&self) {
        self.life.lock().unwrap().take();
    }

    /// Breaks all connections.
    pub(crate) fn cut(&self) {
        self.life.lock().unwrap().as_ref().unwrap().send_modify(|count| *count += 1);
    }

    pub(crate) fn data(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn spool(&self) -> PathBuf {
        self.data().join("spool")
    }

    pub(crate) fn start_worker(&self) -> JoinHandle<Result<(), WorkerError>> {
        self.start_worker_with(IdleTimeouts::LOCAL, "secret")
    }

    pub(crate) fn start_worker_with(
        &self,
        idle_timeouts: IdleTimeouts,
        token: &str,
    ) -> JoinHandle<Result<(), WorkerError>> {
        let config = WorkerConfig {
            idle_timeouts,
            ..WorkerConfig::new(None, self.data().to_owned(), "cpu".parse().unwrap(), token.to_owned())
        };
        tokio::spawn(worker::run_with(config, self.trainer.clone()))
    }

    pub(crate) fn shut_down_worker(&self) {
        self.send(FromServer::Shutdown);
    }

    fn send(&self, message: FromServer) {
        self.store.lock().unwrap().say.as_ref().expect("a worker is linked").send(message).unwrap();
    }

    /// Queues a run; it is assigned to the connected worker, and at every connection again until its first report.
    pub(crate) fn assign(&self, run: &RunId, script: Script) {
        let seed = {
            let mut scripts = self.trainer.scripts.lock().unwrap();
            scripts.push(script);
            scripts.len() as u64 - 1
        };
        let preset = wire::run::preset::find("tiny", None).unwrap();
        let plan = RunPlan {
            preset: preset.name,
            steps: 1,
            seed,
            recipe: preset.recipe,
            tokenizer: Tokenizer::Byte,
            mix: vec![],
            device: "cpu".parse().unwrap(),
            prompt: String::new(),
            origin: None,
        };
        let mut store = self.store.lock().unwrap();
        let stored = store.stored.entry(run.clone()).or_default().len() as u64;
        store.queue.push((run.clone(), plan.clone()));
        if let Some(say) = &store.say {
            let _ = say.send(FromServer::Stored { run: run.clone(), seq: stored });
            let _ = say.send(FromServer::Assign { run: run.clone(), plan: Box::new(plan), past: Box::default() });
        }
    }

    pub(crate) fn command(&self, run: &RunId, command_id: u64, command: Command) {
        self.send(FromServer::Command {
            run: run.clone(),
            command: NumberedCommand { command_id, author: Author::System, command },
        });
    }

    /// Sets the number of stored reports of a run.
    pub(crate) fn preload(&self, run: &RunId, count: u64) {
        self.store.lock().unwrap().stored.insert(run.clone(), (0..count).map(item).collect());
    }

    pub(crate) fn request(&self, run: &RunId, inspections: Vec<Inspection>) {
        self.send(FromServer::Inspect { run: run.clone(), inspections });
    }

    /// Keys of the received updates.
    pub(crate) fn inspections(&self) -> Vec<String> {
        self.store.lock().unwrap().inspections.iter().map(InspectionUpdate::key).collect()
    }

    /// The notes of a [`Script::Inspected`].
    pub(crate) fn notes(&self, run: &RunId) -> Vec<String> {
        let note = |item: Item| match item {
            Item::Event(Report { event: Event::Annotated { text }, .. }) => Some(text),
            _ => None,
        };
        self.stored(run).into_iter().filter_map(note).collect()
    }

    /// Bytes of the largest message of reports, without its last report.
    pub(crate) fn heaviest(&self) -> usize {
        self.store.lock().unwrap().heaviest
    }

    /// Deletes a run.
    pub(crate) fn forget(&self, run: &RunId) {
        let mut store = self.store.lock().unwrap();
        store.stored.remove(run);
        store.queue.retain(|(queued, _)| queued != run);
    }

    pub(crate) fn stored(&self, run: &RunId) -> Vec<Item> {
        self.store.lock().unwrap().stored.get(run).cloned().unwrap_or_default()
    }

    pub(crate) fn rows(&self, run: &RunId) -> usize {
        self.stored(run).iter().filter(|item| matches!(item, Item::Row(_))).count()
    }

    pub(crate) fn is_complete(&self, run: &RunId, steps: u64) -> bool {
        self.stored(run).len() as u64 == steps + 2
    }

    /// Number of faults.
    pub(crate) fn faults(&self) -> u64 {
        self.store.lock().unwrap().faults
    }

    /// Number of messages with reports.
    pub(crate) fn messages(&self) -> u64 {
        self.store.lock().unwrap().messages
    }

    pub(crate) fn is_linked(&self) -> bool {
        self.store.lock().unwrap().links > 0
    }

    /// Ids of the commands that stored events answer.
    pub(crate) fn answers(&self, run: &RunId) -> Vec<Option<u64>> {
        self.stored(run)
            .iter()
            .filter_map(|item| if let Item::Event(report) = item { Some(report.command_id) } else { None })
            .collect()
    }
}

async fn serve(listener: TcpListener, store: Shared, faults: Faults, life: watch::Receiver<u64>) {
    let mut ended = life.clone();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted.unwrap().0,
            alive = ended.changed() => if alive.is_ok() { continue } else { return },
        };
        let (store, faults, mut life) = (Arc::clone(&store), Arc::clone(&faults), life.clone());
        life.mark_unchanged();
        tokio::spawn(async move {
            tokio::select! {
                () = serve_connection(stream, &store, &faults) => {}
                _ = life.changed() => {}
            }
            store.lock().unwrap().say = None;
        });
    }
}

#[allow(clippy::result_large_err)] // the callback's type is the library's
fn check_token(request: &Request, response: Response) -> Result<Response, ErrorResponse> {
    assert_eq!(request.uri().path(), "/api/v1/link");
    if request.headers().get("authorization").is_some_and(|token| token == "Bearer secret") {
        return Ok(response);
    }
    let mut refusal = ErrorResponse::new(None);
    *refusal.status_mut() = tokio_tungstenite::tungstenite::http::StatusCode::UNAUTHORIZED;
    Err(refusal)
}

type Socket = WebSocketStream<TcpStream>;

async fn serve_connection(stream: TcpStream, store: &Shared, faults: &Faults) {
    let Ok(mut socket) = accept_hdr_async(stream, check_token).await else { return };
    let Some(FromWorker::Hello { protocol: PROTOCOL, training, unsent, .. }) = receive(&mut socket).await else {
        return;
    };
    let (say, mut said) = mpsc::unbounded_channel();
    greet(store, say, training, unsent.into_iter().map(|(run, _)| run).collect());
    loop {
        tokio::select! {
            message = said.recv() => match message {
                Some(message) => if send_to_worker(&mut socket, message).await.is_none() { return },
                None => return,
            },
            received = receive(&mut socket) => match received {
                None => return,
                Some(FromWorker::Inspection { update, .. }) => store.lock().unwrap().inspections.push(update),
                Some(FromWorker::Items { run, first_seq, items }) => {
                    let Some(answers) = take(store, faults, run, first_seq, items) else { return };
                    for answer in answers {
                        if send_to_worker(&mut socket, answer).await.is_none() {
                            return;
                        }
                    }
                }
                Some(_) => {}
            },
        }
    }
}

fn greet(store: &Shared, say: mpsc::UnboundedSender<FromServer>, training: Option<RunId>, unsent: Vec<RunId>) {
    let mut store = store.lock().unwrap();
    store.links += 1;
    let mut named: Vec<RunId> = training.iter().chain(&unsent).cloned().collect();
    named.dedup();
    let stored = named.iter().filter_map(|run| Some((run.clone(), store.stored.get(run)?.len() as u64))).collect();
    let release = training.as_ref().is_some_and(|run| !store.stored.contains_key(run));
    say.send(FromServer::Welcome { stored, release }).unwrap();
    if training.is_none() {
        // Runs without reports; the others are over, or are being delivered.
        for (run, plan) in
            store.queue.iter().filter(|(run, _)| store.stored[run].is_empty() && !unsent.contains(run)).take(1)
        {
            say.send(FromServer::Assign { run: run.clone(), plan: Box::new(plan.clone()), past: Box::default() })
                .unwrap();
        }
    }
    store.say = Some(say);
}

/// Stores new reports and returns the answers; `None` breaks the connection.
fn take(store: &Shared, faults: &Faults, run: RunId, first_seq: u64, items: Vec<Item>) -> Option<Vec<FromServer>> {
    let mut store = store.lock().unwrap();
    let fault = faults(store.messages);
    store.messages += 1;
    store.faults += u64::from(fault != Fault::None);
    if fault == Fault::CutBeforeStoring {
        return None;
    }
    let stored = store.stored.get_mut(&run)?;
    assert!(first_seq <= stored.len() as u64 + 1, "a gap: {first_seq} after {}", stored.len());
    assert!(items.len() <= 4096, "{} at once", items.len());
    let known = stored.len() as u64 + 1 - first_seq;
    let weight = items[..items.len() - 1].iter().map(|item| wire::encode::to_bytes(item).unwrap().len()).sum();
    stored.extend(items.into_iter().skip(known as usize).map(timeless));
    let is_over = matches!(stored.last(), Some(Item::Event(report)) if report.state.is_some_and(RunState::is_over));
    if fault == Fault::ForgetAndCut && !is_over {
        stored.truncate(stored.len().saturating_sub(300).max(1));
        return None;
    }
    let seq = stored.len() as u64;
    store.heaviest = store.heaviest.max(weight);
    let answer = |seq| FromServer::Stored { run: run.clone(), seq };
    match fault {
        Fault::CutBeforeAnswering => None,
        Fault::Mute => Some(vec![]),
        Fault::AnswerTwice => Some(vec![answer(seq), answer(seq)]),
        Fault::AnswerOld => Some(vec![answer(seq), answer(seq.saturating_sub(9))]),
        _ => Some(vec![answer(seq)]),
    }
}

fn timeless(item: Item) -> Item {
    match item {
        Item::Event(report) => Item::Event(Report { at_ms: 0, ..report }),
        row => row,
    }
}

async fn receive(socket: &mut Socket) -> Option<FromWorker> {
    loop {
        match socket.next().await?.ok()? {
            Message::Binary(bytes) => return Some(wire::encode::from_bytes(&bytes).unwrap()),
            Message::Close(_) => return None,
            _ => {}
        }
    }
}

async fn send_to_worker(socket: &mut Socket, message: FromServer) -> Option<()> {
    socket.send(Message::binary(wire::encode::to_bytes(&message).unwrap())).await.ok()
}
