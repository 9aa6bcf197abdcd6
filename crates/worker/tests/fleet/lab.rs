//! A lab that misbehaves on request: a server on a real socket which stores, forgets and hangs up, and a trainer without tensors.

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
use wire::command::CommandOrder;
use wire::device::{DeviceInfo, DeviceKind};
use wire::frame::{Frame, Pace};
use wire::link::{FromServer, FromWorker, Item, PROTOCOL, Report};
use wire::look::{Look, Passage};
use wire::series::Row;
use wire::sight::{Field, Sight};
use wire::spec::Tokenizer;
use wire::{Author, Command, Event, RunId, RunPlan, RunState};
use worker::{Patience, RunReporter, Trainer, Work, WorkerConfig, WorkerError};

/// What the server does with a message of reports.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    None,
    CutBeforeStoring,
    CutBeforeAnswering,
    AnswerTwice,
    AnswerOld,
    /// It comes back from an older copy of its files.
    ForgetAndCut,
    /// It stores and never says so.
    Mute,
}

/// What the trainer does with a run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Script {
    /// Rows 0.., resting for a millisecond after so many (0: never).
    Rows {
        steps: u64,
        every: u64,
    },
    /// Stopping, it saves itself for so long.
    UntilStopped {
        saving: Duration,
    },
    /// Beside each row a look to be kept, of so many bytes.
    Kept {
        steps: u64,
        bytes: usize,
    },
    /// Notes what is watched whenever that changes, and looks at it, until it is stopped.
    Watched,
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
    Item::Event(Report { segment: 0, step, at_ms: 0, author: Author::Lab, command_id, reason: None, event, state })
}

/// All reports of a run of [`Script::Rows`].
pub(crate) fn expected(steps: u64) -> Vec<Item> {
    let starting = event(0, None, Event::Starting { device: "fake".into() }, Some(RunState::Starting));
    let finished = event(steps, None, Event::Finished, Some(RunState::Finished));
    std::iter::once(starting).chain((0..steps).map(item)).chain([finished]).collect()
}

/// A look of so many bytes.
pub(crate) fn kept(step: u64, bytes: usize) -> Frame {
    let cells = vec![(step % 250) as u8; bytes];
    let mean = Field { rows: 1, columns: bytes as u32, low: 0.0, high: 1.0, cells };
    let sight = Sight::Attention { tokens: vec![], patterns: vec![mean], heads: vec![] };
    Frame::Seen { step, segment: 0, look: attention(0), sight, pace: Pace::default() }
}

pub(crate) fn attention(layer: u32) -> Look {
    Look::Attention { passage: Passage::default(), layer }
}

/// Waits for something that must come.
pub(crate) async fn when(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A trainer that follows scripts.
#[derive(Default)]
pub(crate) struct FakeTrainer {
    scripts: Mutex<Vec<Script>>,
    /// Trainings that have returned.
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
        }
    }

    fn train(&self, work: &Work, orders: &Receiver<CommandOrder>, out: &mut RunReporter) -> Result<(), String> {
        let script = self.scripts.lock().unwrap()[work.plan.seed as usize];
        let result = follow(script, orders, out);
        self.ended.fetch_add(1, Ordering::SeqCst);
        result
    }
}

fn follow(script: Script, orders: &Receiver<CommandOrder>, out: &mut RunReporter) -> Result<(), String> {
    match script {
        Script::Rows { steps, every } => {
            for step in 0..steps {
                hold(out, step);
                out.row(row(step));
                if every > 0 && step % every == 0 {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            hold(out, steps);
            tell(out, event(steps, None, Event::Finished, Some(RunState::Finished)));
            Ok(())
        }
        Script::UntilStopped { saving } => {
            for order in orders {
                let (done, state) = match order.command {
                    Command::Stop { .. } => (Event::Stopped, Some(RunState::Stopped)),
                    Command::Annotate { text } => (Event::Annotated { text }, None),
                    other => panic!("{other:?}"),
                };
                if state.is_some() {
                    std::thread::sleep(saving);
                }
                tell(out, event(0, Some(order.command_id), done, state));
                if state.is_some() {
                    return Ok(());
                }
            }
            Ok(())
        }
        Script::Kept { steps, bytes } => {
            for step in 0..steps {
                out.keep(kept(step, bytes));
                out.row(row(step));
            }
            tell(out, event(steps, None, Event::Finished, Some(RunState::Finished)));
            Ok(())
        }
        Script::Watched => loop {
            if let Some(looks) = out.wanted() {
                let text = looks.iter().map(Look::key).collect::<Vec<_>>().join(" ");
                tell(out, event(0, None, Event::Annotated { text }, None));
                for look in looks {
                    out.look(Frame::Unseen { step: 0, look, message: "too dark".into() });
                }
            }
            match orders.recv_timeout(Duration::from_millis(2)) {
                Ok(CommandOrder { command: Command::Stop { .. }, command_id, .. }) => {
                    tell(out, event(0, Some(command_id), Event::Stopped, Some(RunState::Stopped)));
                    return Ok(());
                }
                Ok(other) => panic!("{other:?}"),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        },
        Script::Fail(message) => Err(message.into()),
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

fn tell(out: &mut RunReporter, item: Item) {
    let Item::Event(report) = item else { unreachable!() };
    out.report(report);
}

/// As the engine does: it says why, and stands still.
fn hold(out: &mut RunReporter, step: u64) {
    if let Some(text) = out.blocked() {
        tell(out, event(step, None, Event::Annotated { text }, Some(RunState::Paused)));
        while out.blocked().is_some() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// What the server's connection tasks share.
#[derive(Default)]
struct Store {
    /// By number, from 1; times set to 0.
    stored: BTreeMap<RunId, Vec<Item>>,
    /// To be assigned.
    queue: Vec<(RunId, RunPlan)>,
    messages: u64,
    faults: u64,
    links: u64,
    /// Looks that were sent.
    looks: Vec<Frame>,
    /// Bytes of the largest message of reports, less its last report.
    heaviest: usize,
    say: Option<mpsc::UnboundedSender<FromServer>>,
}

type Shared = Arc<Mutex<Store>>;
type Faults = Arc<dyn Fn(u64) -> Fault + Send + Sync>;

/// The lab.
pub(crate) struct Lab {
    folder: tempfile::TempDir,
    store: Shared,
    faults: Faults,
    /// Counts up to end all connections; closing it ends the server.
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

    /// A server with the same store at another address.
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

    /// The server dies.
    pub(crate) fn shut(&self) {
        self.life.lock().unwrap().take();
    }

    /// All connections break.
    pub(crate) fn cut(&self) {
        self.life.lock().unwrap().as_ref().unwrap().send_modify(|count| *count += 1);
    }

    pub(crate) fn data(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn spool(&self) -> PathBuf {
        self.data().join("spool")
    }

    pub(crate) fn hire(&self) -> JoinHandle<Result<(), WorkerError>> {
        self.hire_with(Patience::LOCAL, "secret")
    }

    pub(crate) fn hire_with(&self, patience: Patience, token: &str) -> JoinHandle<Result<(), WorkerError>> {
        let config = WorkerConfig {
            patience,
            ..WorkerConfig::new(None, self.data().to_owned(), "cpu".parse().unwrap(), token.to_owned())
        };
        tokio::spawn(worker::run_with(config, self.trainer.clone()))
    }

    /// Tells the worker to leave.
    pub(crate) fn dismiss(&self) {
        self.say(FromServer::Leave);
    }

    fn say(&self, message: FromServer) {
        self.store.lock().unwrap().say.as_ref().expect("a worker is linked").send(message).unwrap();
    }

    /// Queues a run; it is assigned at the next moment without one, at every connection again until the worker holds it.
    pub(crate) fn assign(&self, run: &RunId, script: Script) {
        let seed = {
            let mut scripts = self.trainer.scripts.lock().unwrap();
            scripts.push(script);
            scripts.len() as u64 - 1
        };
        let preset = wire::preset::find("tiny", None).unwrap();
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

    pub(crate) fn order(&self, run: &RunId, command_id: u64, command: Command) {
        self.say(FromServer::Order {
            run: run.clone(),
            order: CommandOrder { command_id, author: Author::Lab, command },
        });
    }

    /// The store has so many reports of the run already.
    pub(crate) fn preload(&self, run: &RunId, count: u64) {
        self.store.lock().unwrap().stored.insert(run.clone(), (0..count).map(item).collect());
    }

    pub(crate) fn probe(&self, run: &RunId, looks: Vec<Look>) {
        self.say(FromServer::Probe { run: run.clone(), looks });
    }

    /// Looks that were sent, by what was asked.
    pub(crate) fn looks(&self) -> Vec<String> {
        self.store.lock().unwrap().looks.iter().map(Frame::key).collect()
    }

    /// What a [`Script::Watched`] noted of what is watched.
    pub(crate) fn notes(&self, run: &RunId) -> Vec<String> {
        let note = |item: Item| match item {
            Item::Event(Report { event: Event::Annotated { text }, .. }) => Some(text),
            _ => None,
        };
        self.stored(run).into_iter().filter_map(note).collect()
    }

    /// Bytes of the largest message of reports, less its last report.
    pub(crate) fn heaviest(&self) -> usize {
        self.store.lock().unwrap().heaviest
    }

    /// The run is deleted.
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

    /// Messages that something was done to.
    pub(crate) fn faults(&self) -> u64 {
        self.store.lock().unwrap().faults
    }

    /// Messages with reports so far.
    pub(crate) fn messages(&self) -> u64 {
        self.store.lock().unwrap().messages
    }

    pub(crate) fn is_linked(&self) -> bool {
        self.store.lock().unwrap().links > 0
    }

    /// The orders that stored events answer.
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
                () = attend(stream, &store, &faults) => {}
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

async fn attend(stream: TcpStream, store: &Shared, faults: &Faults) {
    let Ok(mut socket) = accept_hdr_async(stream, check_token).await else { return };
    let Some(FromWorker::Hello { protocol: PROTOCOL, holding, unsent, .. }) = hear(&mut socket).await else { return };
    let (say, mut said) = mpsc::unbounded_channel();
    greet(store, say, holding, unsent.into_iter().map(|(run, _)| run).collect());
    loop {
        tokio::select! {
            message = said.recv() => match message {
                Some(message) => if tell_worker(&mut socket, message).await.is_none() { return },
                None => return,
            },
            heard = hear(&mut socket) => match heard {
                None => return,
                Some(FromWorker::Look { frame, .. }) => store.lock().unwrap().looks.push(frame),
                Some(FromWorker::Items { run, first_seq, items }) => {
                    let Some(answers) = take(store, faults, run, first_seq, items) else { return };
                    for answer in answers {
                        if tell_worker(&mut socket, answer).await.is_none() {
                            return;
                        }
                    }
                }
                Some(_) => {}
            },
        }
    }
}

fn greet(store: &Shared, say: mpsc::UnboundedSender<FromServer>, holding: Option<RunId>, unsent: Vec<RunId>) {
    let mut store = store.lock().unwrap();
    store.links += 1;
    let mut named: Vec<RunId> = holding.iter().chain(&unsent).cloned().collect();
    named.dedup();
    let stored = named.iter().filter_map(|run| Some((run.clone(), store.stored.get(run)?.len() as u64))).collect();
    let let_go = holding.as_ref().is_some_and(|run| !store.stored.contains_key(run));
    say.send(FromServer::Welcome { stored, let_go }).unwrap();
    if holding.is_none() {
        // Those of which nothing has come; the rest is over, or being delivered.
        for (run, plan) in
            store.queue.iter().filter(|(run, _)| store.stored[run].is_empty() && !unsent.contains(run)).take(1)
        {
            say.send(FromServer::Assign { run: run.clone(), plan: Box::new(plan.clone()), past: Box::default() })
                .unwrap();
        }
    }
    store.say = Some(say);
}

/// Stores what is new and answers; `None` hangs up.
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

async fn hear(socket: &mut Socket) -> Option<FromWorker> {
    loop {
        match socket.next().await?.ok()? {
            Message::Binary(bytes) => return Some(wire::encode::from_bytes(&bytes).unwrap()),
            Message::Close(_) => return None,
            _ => {}
        }
    }
}

async fn tell_worker(socket: &mut Socket, message: FromServer) -> Option<()> {
    socket.send(Message::binary(wire::encode::to_bytes(&message).unwrap())).await.ok()
}
