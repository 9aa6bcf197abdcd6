//! A training without a server: the engine on a separate thread, its reports stored as they come, Ctrl-C as the only command.

use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use engine::EngineError;
use engine::train::{Folders, Reporter, Session};
use store::{Ingested, Store, StoreError};
use tokio::sync::mpsc::{Receiver, Sender};
use wire::control::author::Author;
use wire::control::command::NumberedCommand;
use wire::inspect::update::InspectionUpdate;
use wire::series::Row;
use wire::transport::link::{Item, Report};
use wire::{Command, Event, RunId, RunState};

use super::acts::{Acts, EndedBy};
use super::begin::Ready;
use super::findings::Findings;
use super::scores::Scores;
use super::{COMMAND_LINE, TrainError};
use crate::cli::progress_bar::Bar;
use crate::live::feed::report;
use crate::output;

/// Reports between training and store; if the disk is full, the training waits, so that none is lost.
const IN_FLIGHT: usize = 4096;
/// Reports stored at once.
const AT_ONCE: usize = 512;

/// Trains one run to its end, or until Ctrl-C.
pub(super) async fn train(store: Store, ready: Ready, corpora: PathBuf) -> Result<(), TrainError> {
    let run = ready.run.clone();
    let ended = train_on_a_thread(&store, ready, corpora).await;
    if let Err(error) = &ended {
        let failed = Event::Failed { message: error.to_string() };
        let step = store.summary(&run).await?.map_or(0, |summary| summary.step);
        store.append(&run, report(Author::System, step, failed, Some(RunState::Failed))).await?;
    }
    store.close().await;
    match ended? {
        Ended { non_finite: Some(what), .. } => Err(TrainError::NonFinite { run, what }),
        Ended { by: Some(EndedBy { rule, reason }), .. } => Err(TrainError::ByRule { run, rule, reason }),
        Ended { non_finite: None, by: None } => Ok(()),
    }
}

/// What has ended a training before its last step.
struct Ended {
    /// A value that is not finite.
    non_finite: Option<String>,
    /// A rule that may act.
    by: Option<EndedBy>,
}

async fn train_on_a_thread(store: &Store, ready: Ready, corpora: PathBuf) -> Result<Ended, TrainError> {
    let Ready { run, mut plan, past, lock: _lock } = ready;
    if !std::mem::take(&mut plan.recipe.breakpoints).is_empty() {
        output::notice("  the plan's breakpoints are skipped: without a server no one could resume the run");
    }
    let (to_store, reports) = tokio::sync::mpsc::channel(IN_FLIGHT);
    let (commands, received) = mpsc::channel();
    let (id, steps, first) = (run.clone(), plan.steps, past.recorded);
    let mut out = ToStore { reports: to_store, commands: commands.clone(), non_finite: None };
    let folders = Folders { corpora, checkpoints: Some(store.dir().join("checkpoints")) };
    let thread = std::thread::Builder::new().name("train".into()).stack_size(64 << 20).spawn(move || {
        let device = engine::device::open(&plan.device)?;
        Session::load(&id, &plan, &past, folders, device)?.run(&received, &mut out)?;
        Ok::<_, EngineError>(out.non_finite)
    });
    let thread = thread.map_err(|source| TrainError::Thread { source })?;
    let acts = Acts::begin(store, &run, commands.clone());
    tokio::spawn(stop_on_signal(commands));
    let by = store_all(store, &run, Bar::new(first, steps), reports, acts).await?;
    let non_finite = thread.join().map_err(|_| TrainError::Panicked(run.clone()))?.map_err(TrainError::from)?;
    Ok(Ended { non_finite, by })
}

/// The first Ctrl-C stops the run after its current step, the second ends the process at once.
async fn stop_on_signal(commands: mpsc::Sender<NumberedCommand>) {
    for number in 1.. {
        if tokio::signal::ctrl_c().await.is_err() {
            return;
        }
        if number > 1 {
            std::process::exit(130);
        }
        output::notice("\nstopping after this step; Ctrl-C again ends at once");
        stop(&commands, Author::Person(COMMAND_LINE.to_owned()), "Ctrl-C");
    }
}

fn stop(commands: &mpsc::Sender<NumberedCommand>, author: Author, reason: &str) {
    let command = Command::Stop { reason: Some(reason.to_owned()) };
    // An error here means that the training has just ended.
    let _ = commands.send(NumberedCommand { command_id: 1, author, command });
}

/// Sends the training's reports to the store.
struct ToStore {
    reports: Sender<Item>,
    commands: mpsc::Sender<NumberedCommand>,
    non_finite: Option<String>,
}

impl ToStore {
    fn put(&self, item: Item) {
        // An error here means that the store has failed, which ends the program.
        let _ = self.reports.blocking_send(item);
    }
}

impl Reporter for ToStore {
    fn row(&mut self, row: Row) {
        self.put(Item::Row(row));
    }

    fn report(&mut self, report: Report) {
        // The training pauses there, and without a server no one could resume it.
        if let Event::NonFinite { what } = &report.event
            && report.event.pauses()
        {
            self.non_finite = Some(what.clone());
            stop(&self.commands, Author::System, "paused without a server: stopped");
        }
        self.put(Item::Event(report));
    }

    fn inspection(&mut self, _update: InspectionUpdate) {}

    fn snapshot(&mut self, snapshot: InspectionUpdate) {
        self.put(Item::Snapshot(Box::new(snapshot)));
    }
}

/// Stores the reports of the training to its end. Returns the rule that has ended it.
async fn store_all(
    store: &Store,
    run: &RunId,
    mut bar: Bar,
    mut reports: Receiver<Item>,
    mut acts: Acts,
) -> Result<Option<EndedBy>, StoreError> {
    let mut seq = store.stored_seq(run).await? + 1;
    let mut items = vec![];
    let mut findings = Findings::begin(store, run).await?;
    let mut scores = Scores::begin(store, run);
    while reports.recv_many(&mut items, AT_ONCE).await > 0 {
        items.iter().for_each(|item| bar.add(item));
        let ingested = keep(store, run, seq, &items).await?;
        let has_news = findings.stored(&ingested, &bar).await;
        acts.look(has_news, &bar).await;
        scores.stored(&ingested, &bar);
        seq += items.len() as u64;
        items.clear();
    }
    findings.end(&bar).await;
    let by = acts.end(&bar).await;
    scores.end(&bar).await;
    bar.end();
    Ok(by)
}

/// Stores reports. If the disk is full, it waits, and so does the training.
async fn keep(store: &Store, run: &RunId, first_seq: u64, items: &[Item]) -> Result<Ingested, StoreError> {
    loop {
        match store.ingest(run, first_seq, items.to_vec()).await {
            Err(error @ StoreError::DiskFull { .. }) => output::notice(format_args!("\n{error}")),
            ended => return ended,
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}
