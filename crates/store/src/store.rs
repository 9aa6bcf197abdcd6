//! The folder itself: `lab.db`, `series/`, `corpora/`, `checkpoints/`, `frames/`, `workers/`, and a lock so that one process has it at a time.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use wire::series::SeriesWindow;
use wire::{RunId, RunSummary};

use crate::checkpoints::Borrowed;
use crate::database::{self, Change, Connection, Database, commit};
use crate::error::StoreError;
use crate::ingest::Desk;
use crate::series::{Curve, SeriesQuery, Shelf};

/// What the lab remembers. A clone is another handle on the same.
#[derive(Clone)]
pub struct Store {
    room: Arc<Room>,
}

struct Room {
    dir: PathBuf,
    database: Database,
    shelf: Arc<Shelf>,
    /// One desk per run, so that its reports come in one parcel at a time.
    desks: Mutex<HashMap<RunId, Arc<tokio::sync::Mutex<Desk>>>>,
    /// Checkpoints that are being read.
    borrowed: Borrowed,
    /// Held by who moves looks into files.
    settling: tokio::sync::Mutex<()>,
    /// Work that goes on aside.
    tasks: Mutex<Vec<JoinHandle<()>>>,
    /// Held for its lock, which the system lifts when the process ends, however it ends; none for tokens alone.
    _lock: Option<File>,
}

impl Store {
    /// Opens a folder, or makes it, and brings in order what a kill or a power cut has left.
    ///
    /// # Errors
    /// [`StoreError::Locked`] where another process has it, [`StoreError::NewerFormat`] where a newer program wrote it.
    pub async fn open(dir: &Path) -> Result<Self, StoreError> {
        for name in ["series", "corpora", "checkpoints", "frames", "workers"] {
            let path = dir.join(name);
            fs::create_dir_all(&path).map_err(|source| StoreError::file(&path, source))?;
        }
        let lock = lock(dir)?;
        let database = Database::open(&dir.join("lab.db")).await?;
        let shelf = Arc::new(Shelf::new(dir.join("series")));
        let store = Self::over(dir, database, shelf, Some(lock));
        store.redo_unsynced().await?;
        store.sweep_checkpoints().await?;
        store.sweep_looks().await?;
        Ok(store)
    }

    fn over(dir: &Path, database: Database, shelf: Arc<Shelf>, lock: Option<File>) -> Self {
        let (dir, desks, borrowed) = (dir.to_owned(), Mutex::default(), Borrowed::default());
        Self {
            room: Arc::new(Room {
                dir,
                database,
                shelf,
                desks,
                borrowed,
                settling: Default::default(),
                tasks: Mutex::default(),
                _lock: lock,
            }),
        }
    }

    /// Opens a folder's tokens, also while a server has the folder. Runs and curves are not to be touched through it: what is
    /// kept of them in memory would go out of step with that server's.
    ///
    /// # Errors
    /// [`StoreError::File`] where there is no lab, [`StoreError::NewerFormat`] where a newer program wrote it.
    pub async fn open_access(dir: &Path) -> Result<Self, StoreError> {
        let file = dir.join("lab.db");
        fs::metadata(&file).map_err(|source| StoreError::file(&file, source))?;
        let database = Database::open(&file).await?;
        let shelf = Arc::new(Shelf::new(dir.join("series")));
        Ok(Self::over(dir, database, shelf, None))
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.room.dir
    }

    /// Keeps a task that [`Store::close`] waits for.
    pub(crate) fn watch_over(&self, task: JoinHandle<()>) {
        let mut tasks = self.room.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.retain(|task| !task.is_finished());
        tasks.push(task);
    }

    /// Finishes what goes on aside, and closes the database in good order; dropping the last handle does too, without waiting.
    pub async fn close(self) {
        let tasks = std::mem::take(&mut *self.room.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            // One that was cut off has left the copies in the database.
            let _ = task.await;
        }
        self.room.database.close().await;
    }

    /// Names of a run's curves, sorted.
    pub async fn series_names(&self, run: &RunId) -> Result<Vec<String>, StoreError> {
        self.stored_seq(run).await?;
        let (shelf, id) = (self.shelf().clone(), run.clone());
        self.aside(move || shelf.names(&id)).await
    }

    /// Curves between two places: one window for each name and segment that has values; names the run does not have give none.
    /// Its cost does not depend on the curves' length.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`], [`StoreError::RunFolderMissing`].
    pub async fn series(&self, run: &RunId, query: SeriesQuery) -> Result<Vec<SeriesWindow>, StoreError> {
        let papers = database::runs::papers(&mut *self.database().read().await?, run).await?;
        let plan = self.known(papers, run)?.plan;
        let (shelf, id) = (self.shelf().clone(), run.clone());
        self.aside(move || shelf.query(&id, &query, &plan)).await
    }

    /// A run's curves of these names, or all, with every point, as they stand now. Reading them blocks.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`], [`StoreError::RunFolderMissing`].
    pub async fn curves(&self, run: &RunId, names: Option<Vec<String>>) -> Result<Vec<Curve>, StoreError> {
        let mut connection = self.database().read().await?;
        let papers = database::runs::papers(&mut connection, run).await?;
        let plan = self.known(papers, run)?.plan;
        let spans = self.history_in(&mut connection, run).await?.spans();
        let (shelf, id) = (self.shelf().clone(), run.clone());
        self.aside(move || shelf.curves(&id, names, &plan, spans)).await
    }

    pub(crate) fn database(&self) -> &Database {
        &self.room.database
    }

    pub(crate) fn shelf(&self) -> &Arc<Shelf> {
        &self.room.shelf
    }

    pub(crate) fn settling(&self) -> &tokio::sync::Mutex<()> {
        &self.room.settling
    }

    pub(crate) fn borrowed(&self) -> &Borrowed {
        &self.room.borrowed
    }

    /// Runs work on files where waiting for a disk holds nobody up.
    pub(crate) async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let cut_off = |source: tokio::task::JoinError| StoreError::CutOff {
            path: self.room.dir.clone(),
            message: source.to_string(),
        };
        tokio::task::spawn_blocking(work).await.map_err(cut_off)?
    }

    pub(crate) fn desk(&self, run: &RunId) -> Arc<tokio::sync::Mutex<Desk>> {
        self.desks().entry(run.clone()).or_default().clone()
    }

    pub(crate) fn forget_desk(&self, run: &RunId) {
        self.desks().remove(run);
    }

    /// A panic elsewhere leaves the map as good as it was.
    fn desks(&self) -> MutexGuard<'_, HashMap<RunId, Arc<tokio::sync::Mutex<Desk>>>> {
        self.room.desks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn known<T>(&self, found: Option<T>, run: &RunId) -> Result<T, StoreError> {
        found.ok_or_else(|| StoreError::UnknownRun { run: run.clone() })
    }

    pub(crate) async fn summary_in(&self, connection: &mut Connection, run: &RunId) -> Result<RunSummary, StoreError> {
        let found = database::runs::summary(connection, run).await?;
        self.known(found, run)
    }

    /// Ends a change to one run.
    pub(crate) async fn changed(
        &self,
        mut transaction: Change,
        run: &RunId,
        found: bool,
    ) -> Result<RunSummary, StoreError> {
        self.known(found.then_some(()), run)?;
        let summary = self.summary_in(&mut transaction, run).await?;
        commit(transaction).await?;
        Ok(summary)
    }
}

/// How long a lock that is held is tried again. A child that this process is starting at this moment holds all its files too, until it
/// has become another program.
const LOCK_WITHIN: Duration = Duration::from_millis(300);

/// Takes the folder's lock and leaves our process number in it, for the message that a second one shows.
fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("lock");
    let failed = |source| StoreError::file(&path, source);
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    let began = Instant::now();
    let mut taken = file.try_lock();
    while matches!(taken, Err(TryLockError::WouldBlock)) && began.elapsed() < LOCK_WITHIN {
        std::thread::sleep(Duration::from_millis(10));
        taken = file.try_lock();
    }
    match taken {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // The number is a courtesy; without it the message still says what is wrong.
            let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok()).unwrap_or(0);
            return Err(StoreError::Locked { dir: dir.to_owned(), pid });
        }
        Err(TryLockError::Error(source)) => return Err(failed(source)),
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| write!(file, "{}", std::process::id()))
        .map_err(failed)?;
    Ok(file)
}
