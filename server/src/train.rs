//! `kindling train SPEC.toml`: one run on this process, with a progress bar, into the same folder that a server shows.

mod begin;

use std::io;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use engine::train::{Folders, Reporter, Training};
use engine::{DataError, EngineError};
use store::{Store, StoreError};
use tokio::sync::mpsc::{Receiver, Sender};
use wire::command::CommandOrder;
use wire::event::Author;
use wire::frame::Frame;
use wire::link::{Item, Report};
use wire::series::Row;
use wire::{Command, DeviceId, Event, PlanError, RunId, RunState};

use crate::progress_bar::Bar;
use crate::runs::report_of;
use crate::serve::ServeError;
use crate::settings::Settings;
use begin::{COMMAND_LINE, Ready};

/// Reports on their way to the store; a full disk holds the training here rather than losing any.
const ON_THE_WAY: usize = 4096;
/// Reports stored at once.
const AT_ONCE: usize = 512;

/// What to train.
pub struct TrainWish {
    /// A new run, or one that was left.
    pub what: TrainWhat,
    /// The lab's folder.
    pub data: PathBuf,
    /// Device; the spec's, or the best here, unless told.
    pub device: Option<DeviceId>,
}

/// A run to be.
#[derive(Debug, PartialEq)]
pub enum TrainWhat {
    /// Of this spec, as TOML.
    Spec(PathBuf),
    /// This one, from its newest checkpoint.
    Resume(RunId),
}

/// Why nothing was trained, or not to the end.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The spec's file.
    #[error("{} cannot be read: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The spec's form.
    #[error("{} is no spec: {message}", path.display())]
    Spec {
        /// The file.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// The spec's content.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A server has the folder.
    #[error("{source}\n\nOr give the run to that server:\n  curl -H \"Authorization: Bearer $(kindling token --data {})\" --json @spec.json {url}/api/v1/runs", data.display())]
    ServerHasIt {
        /// Who has it.
        source: ServeError,
        /// The folder.
        data: PathBuf,
        /// Where that server is.
        url: String,
    },
    /// The folder.
    #[error(transparent)]
    Folder(#[from] ServeError),
    /// The text.
    #[error("{0}")]
    Text(#[from] DataError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The device, which a worker of an earlier server may still hold.
    #[error(transparent)]
    Device(#[from] worker::WorkerError),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A run that cannot be taken up.
    #[error("{run} cannot be resumed: {why}")]
    NotResumed {
        /// Which.
        run: RunId,
        /// Why, and the way out.
        why: &'static str,
    },
    /// A number that is none; the run was stopped there, since nobody is here to look.
    #[error("stopped: {what}. Look at {run} in the lab: a lower rate or a checkpoint before this step is the way on")]
    BadNumber {
        /// Which.
        run: RunId,
        /// Which number.
        what: String,
    },
    /// The training thread.
    #[error("the training thread panicked; what it had reported is kept as run {0}")]
    Panicked(RunId),
}

/// Trains one run to its end, or until Ctrl-C.
pub async fn train(wish: TrainWish) -> Result<(), TrainError> {
    let settings = Settings::new(wish.data, ([127, 0, 0, 1], 0).into());
    let (store, ready) = match &wish.what {
        TrainWhat::Spec(spec) => begin::anew(&settings, spec, wish.device).await?,
        TrainWhat::Resume(run) => begin::again(&settings, run, wish.device).await?,
    };
    let run = ready.run.clone();
    let ended = train_on_a_thread(&store, ready, settings.corpora()).await;
    if let Err(error) = &ended {
        let failed = Event::Failed { message: error.to_string() };
        let step = store.summary(&run).await?.map_or(0, |summary| summary.step);
        store.append(&run, report_of(Author::Lab, step, failed, Some(RunState::Failed))).await?;
    }
    store.close().await;
    match ended? {
        Some(what) => Err(TrainError::BadNumber { run, what }),
        None => Ok(()),
    }
}

/// What was no number, if that is what ended it.
async fn train_on_a_thread(store: &Store, ready: Ready, corpora: PathBuf) -> Result<Option<String>, TrainError> {
    let Ready { run, mut plan, past, lock: _lock } = ready;
    if !std::mem::take(&mut plan.recipe.cadence.hold_at).is_empty() {
        eprintln!("  it does not hold where its plan says: nobody could send it on");
    }
    let (to_store, reports) = tokio::sync::mpsc::channel(ON_THE_WAY);
    let (orders, received) = mpsc::channel();
    let (id, steps, first) = (run.clone(), plan.steps, past.recorded);
    let mut out = ToStore { reports: to_store, orders: orders.clone(), bad_number: None };
    let folders = Folders { corpora, checkpoints: Some(store.dir().join("checkpoints")) };
    let thread = std::thread::Builder::new().name("train".into()).stack_size(64 << 20).spawn(move || {
        let device = engine::device::open(&plan.device)?;
        Training::load(&id, &plan, &past, folders, device)?.run(&received, &mut out)?;
        Ok::<_, EngineError>(out.bad_number)
    });
    let thread = thread.map_err(|source| ServeError::Folder { dir: "the training thread".into(), source })?;
    tokio::spawn(stop_on_signal(orders));
    store_all(store, &run, Bar::new(first, steps), reports).await?;
    thread.join().map_err(|_| TrainError::Panicked(run.clone()))?.map_err(TrainError::from)
}

/// The first Ctrl-C ends the run in good order, the second at once.
async fn stop_on_signal(orders: mpsc::Sender<CommandOrder>) {
    for number in 1.. {
        if tokio::signal::ctrl_c().await.is_err() {
            return;
        }
        if number > 1 {
            std::process::exit(130);
        }
        eprintln!("\nstopping after this step; Ctrl-C again ends at once");
        stop(&orders, Author::Person(COMMAND_LINE.to_owned()), "Ctrl-C");
    }
}

fn stop(orders: &mpsc::Sender<CommandOrder>, author: Author, reason: &str) {
    let command = Command::Stop { reason: Some(reason.to_owned()) };
    // A training that has just ended takes no orders.
    let _ = orders.send(CommandOrder { command_id: 1, author, command });
}

/// The training's reports on their way to the store.
struct ToStore {
    reports: Sender<Item>,
    orders: mpsc::Sender<CommandOrder>,
    bad_number: Option<String>,
}

impl ToStore {
    fn put(&self, item: Item) {
        // Closed only when the store has failed, which ends the program.
        let _ = self.reports.blocking_send(item);
    }
}

impl Reporter for ToStore {
    fn row(&mut self, row: Row) {
        self.put(Item::Row(row));
    }

    fn report(&mut self, report: Report) {
        // It holds there, and nobody could send it on.
        if let Event::NonFinite { what } = &report.event {
            self.bad_number = Some(what.clone());
            stop(&self.orders, Author::Lab, "nobody is here to look");
        }
        self.put(Item::Event(report));
    }

    fn look(&mut self, _frame: Frame) {}

    fn keep(&mut self, frame: Frame) {
        self.put(Item::Kept(Box::new(frame)));
    }
}

async fn store_all(store: &Store, run: &RunId, mut bar: Bar, mut reports: Receiver<Item>) -> Result<(), StoreError> {
    let mut seq = store.stored_seq(run).await? + 1;
    let mut items = vec![];
    while reports.recv_many(&mut items, AT_ONCE).await > 0 {
        items.iter().for_each(|item| bar.take(item));
        keep(store, run, seq, &items).await?;
        seq += items.len() as u64;
        items.clear();
    }
    bar.end();
    Ok(())
}

/// Stores reports; a full disk is waited for, and the training with it.
async fn keep(store: &Store, run: &RunId, first_seq: u64, items: &[Item]) -> Result<(), StoreError> {
    loop {
        match store.ingest(run, first_seq, items.to_vec()).await {
            Err(error @ StoreError::DiskFull { .. }) => eprintln!("\n{error}"),
            ended => return ended.map(drop),
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}
