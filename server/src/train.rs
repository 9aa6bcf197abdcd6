//! `kindling train SPEC.toml`: one run on this process, with a progress bar, into the same folder that a server shows.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use engine::train::{Folders, Reporter, Training};
use engine::{DataError, EngineError, corpus, dataset};
use store::{NewRun, Store, StoreError};
use tokio::sync::mpsc::{Receiver, Sender};
use wire::command::CommandOrder;
use wire::event::Author;
use wire::frame::Frame;
use wire::history::Past;
use wire::link::{Item, Report};
use wire::plan::{PlanView, resolve};
use wire::run::References;
use wire::series::Row;
use wire::{Command, CorpusId, DeviceId, Event, PlanError, RunId, RunSpec, RunState};

use crate::clock::{now_ms, random};
use crate::progress_bar::{Bar, Line};
use crate::runs::report_of;
use crate::serve::{ServeError, open_store};
use crate::settings::Settings;

/// Reports on their way to the store; a full disk holds the training here rather than losing any.
const ON_THE_WAY: usize = 4096;
/// Reports stored at once.
const AT_ONCE: usize = 512;

/// What to train.
pub struct TrainWish {
    /// The spec, as TOML.
    pub spec: PathBuf,
    /// The lab's folder.
    pub data: PathBuf,
    /// Device; the spec's, or the best here, unless told.
    pub device: Option<DeviceId>,
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
    /// The training thread.
    #[error("the training thread panicked; what it had reported is kept as run {0}")]
    Panicked(RunId),
}

/// Trains one run to its end, or until Ctrl-C.
pub async fn train(wish: TrainWish) -> Result<(), TrainError> {
    let mut spec = read_spec(&wish.spec)?;
    spec.device = wish.device.or(spec.device);
    let settings = Settings::new(wish.data, ([127, 0, 0, 1], 0).into());
    let store = open(&settings).await?;
    let corpora = settings.corpora();
    let view = plan(&spec, &corpora)?;
    let _lock = worker::lock::DeviceLock::take(&settings.data, &view.plan.device)?;
    let run = record(&store, &spec, &view, &corpora).await?;
    let ended = train_on_a_thread(&store, &run, &view, &corpora).await;
    if let Err(error) = &ended {
        let failed = Event::Failed { message: error.to_string() };
        store.append(&run, report_of(Author::Lab, 0, failed, Some(RunState::Failed))).await?;
    }
    store.close().await;
    ended
}

async fn open(settings: &Settings) -> Result<Store, TrainError> {
    open_store(settings).await.map_err(|error| match error {
        ServeError::InUse { url: Some(ref url), .. } => {
            TrainError::ServerHasIt { url: url.clone(), data: settings.data.clone(), source: error }
        }
        other => other.into(),
    })
}

/// Reads a spec. Overrides may be written by path (`"optimizer.rate" = 1e-3`) or as tables (`optimizer.rate = 1e-3`).
fn read_spec(path: &Path) -> Result<RunSpec, TrainError> {
    let text = std::fs::read_to_string(path).map_err(|source| TrainError::File { path: path.to_owned(), source })?;
    let spec = |message: String| TrainError::Spec { path: path.to_owned(), message };
    let mut read: RunSpec = toml::from_str(&text).map_err(|source| spec(source.to_string()))?;
    read.overrides =
        std::mem::take(&mut read.overrides).into_iter().flat_map(|(path, value)| by_path(path, value)).collect();
    Ok(read)
}

fn by_path(path: String, value: serde_json::Value) -> Vec<(String, serde_json::Value)> {
    match value {
        // A shape is a value of its own: `{wsd = {decay_steps = 100}}`.
        serde_json::Value::Object(table) if path != "schedule.shape" => {
            table.into_iter().flat_map(|(key, value)| by_path(format!("{path}.{key}"), value)).collect()
        }
        value => vec![(path, value)],
    }
}

/// Resolves the spec, makes the lab's own texts where they are wanted and missing, and cuts them into tokens.
fn plan(spec: &RunSpec, corpora: &Path) -> Result<PlanView, TrainError> {
    for id in spec.corpus.iter().chain(spec.mix.iter().flat_map(|mix| mix.keys())) {
        make_built_in(corpora, id)?;
    }
    let view = resolve(spec, &corpus::list(corpora)?, &engine::device::list())?;
    let mut line = Line::new(format!("cutting text into {} tokens", view.plan.tokenizer));
    dataset::prepare(corpora, &view.plan.corpora(), view.plan.tokenizer, &mut |done, total, unit| {
        line.show(done, total, unit)
    })?;
    line.end();
    Ok(view)
}

fn make_built_in(corpora: &Path, id: &CorpusId) -> Result<(), TrainError> {
    let is_ours = matches!(id.as_str(), "tales" | "modular-addition" | "induction");
    if !is_ours || corpus::read(corpora, id).is_ok() {
        return Ok(());
    }
    let mut line = Line::new(format!("making {id}"));
    corpus::generate(corpora, id, id.as_str(), 1, &mut |done, total, unit| line.show(done, total, unit))?;
    line.end();
    Ok(())
}

async fn record(store: &Store, spec: &RunSpec, view: &PlanView, corpora: &Path) -> Result<RunId, TrainError> {
    let (made_up, id) = wire::id::name_run(random());
    let dataset = dataset::Dataset::open(corpora, &view.plan.corpora(), view.plan.tokenizer)?;
    let device_name = engine::device::list()
        .into_iter()
        .find(|device| device.id == view.plan.device)
        .map_or_else(|| view.plan.device.to_string(), |device| device.name);
    let new = NewRun {
        id: id.clone(),
        name: spec.name.clone().unwrap_or(made_up),
        corpus: view.plan.corpora().iter().map(ToString::to_string).collect::<Vec<_>>().join(" + "),
        spec: spec.clone(),
        plan: view.plan.clone(),
        estimate: view.estimate.clone(),
        references: References::new(view.plan.recipe.model.vocab, Some(dataset.info())),
        device_name: device_name.clone(),
        created_ms: now_ms(),
        author: Author::Person("command line".to_owned()),
    };
    store.create_run(&new).await?;
    store
        .append(&id, report_of(Author::Lab, 0, Event::Starting { device: device_name }, Some(RunState::Starting)))
        .await?;
    eprintln!(
        "{id}: {} parameters, {} steps of {} tokens on {}",
        view.estimate.parameters,
        view.plan.steps,
        view.plan.tokens_per_step(),
        view.plan.device
    );
    view.notes.iter().for_each(|note| eprintln!("  {note}"));
    Ok(id)
}

async fn train_on_a_thread(store: &Store, run: &RunId, view: &PlanView, corpora: &Path) -> Result<(), TrainError> {
    let (to_store, reports) = tokio::sync::mpsc::channel(ON_THE_WAY);
    let (orders, received) = mpsc::channel();
    let (id, plan) = (run.clone(), view.plan.clone());
    let folders = Folders { corpora: corpora.to_owned(), checkpoints: Some(store.dir().join("checkpoints")) };
    let thread = std::thread::Builder::new().name("train".into()).stack_size(64 << 20).spawn(move || {
        let device = engine::device::open(&plan.device)?;
        Training::load(&id, &plan, &Past::default(), folders, device)?.run(&received, &mut ToStore(to_store))
    });
    let thread = thread.map_err(|source| ServeError::Folder { dir: "the training thread".into(), source })?;
    tokio::spawn(stop_on_signal(orders));
    store_all(store, run, view.plan.steps, reports).await?;
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
        let command = Command::Stop { reason: Some("Ctrl-C".to_owned()) };
        // A training that has just ended takes no orders.
        let _ = orders.send(CommandOrder { command_id: 1, author: Author::Person("command line".to_owned()), command });
    }
}

/// The training's reports on their way to the store.
struct ToStore(Sender<Item>);

impl ToStore {
    fn put(&self, item: Item) {
        // Closed only when the store has failed, which ends the program.
        let _ = self.0.blocking_send(item);
    }
}

impl Reporter for ToStore {
    fn row(&mut self, row: Row) {
        self.put(Item::Row(row));
    }

    fn report(&mut self, report: Report) {
        self.put(Item::Event(report));
    }

    fn look(&mut self, _frame: Frame) {}

    fn keep(&mut self, frame: Frame) {
        self.put(Item::Kept(Box::new(frame)));
    }
}

async fn store_all(store: &Store, run: &RunId, steps: u64, mut reports: Receiver<Item>) -> Result<(), StoreError> {
    let mut bar = Bar::new(steps);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_reads_the_same_by_path_and_by_table() {
        let folder = tempfile::tempdir().unwrap();
        let read = |text: &str| {
            let path = folder.path().join("spec.toml");
            std::fs::write(&path, text).unwrap();
            read_spec(&path)
        };
        let by_path = read("preset = \"tiny\"\ncorpus = \"tales\"\nsteps = 9\n[overrides]\n\"optimizer.rate\" = 1e-3\n\"model.layers\" = 3\n").unwrap();
        let by_table = read(
            "preset = \"tiny\"\ncorpus = \"tales\"\nsteps = 9\n[overrides]\noptimizer.rate = 1e-3\nmodel.layers = 3\n",
        )
        .unwrap();
        assert_eq!(by_path, by_table);
        let shaped = read("corpus = \"tales\"\n[overrides]\nschedule.shape = { wsd = { decay_steps = 5 } }\n").unwrap();
        assert!(shaped.overrides["schedule.shape"].is_object());
        assert!(matches!(read("presett = 1"), Err(TrainError::Spec { .. })));
    }
}
