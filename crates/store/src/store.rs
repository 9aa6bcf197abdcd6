//! The lab folder: `format`, `id`, `lab.db`, `series/`, `corpora/`, `checkpoints/`, `snapshots/`, `workers/`, and a lock that admits one process.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use wire::{RunId, RunSummary};

use crate::boxed::Boxed;
use crate::checkpoint_folders::CheckpointFolders;
use crate::commit_queue::CommitQueue;
use crate::database::{self, Change, Connection, Database, commit};
use crate::error::StoreError;
use crate::format::{self, DATABASE};
use crate::ingest_state::IngestState;
use crate::lab_id;
use crate::readers::CheckpointReaders;
use crate::series::SeriesFiles;

/// An open lab folder. Clones share it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

/// An open lab folder, or one that was closed meanwhile.
pub(crate) struct WeakStore(Weak<Inner>);

impl WeakStore {
    pub(crate) fn upgrade(&self) -> Option<Store> {
        self.0.upgrade().map(|inner| Store { inner })
    }
}

struct Inner {
    dir: PathBuf,
    id: String,
    database: Database,
    series_files: Arc<SeriesFiles>,
    /// One state per run, so that its reports are stored one batch at a time.
    ingest_states: Mutex<HashMap<RunId, Arc<tokio::sync::Mutex<IngestState>>>>,
    commit_queue: CommitQueue,
    /// Series that conditions are about, so that reports without values of them need no query. Those of deleted conditions stay until the end
    /// of the process.
    watched_series: Mutex<BTreeSet<String>>,
    checkpoint_folders: CheckpointFolders,
    checkpoint_readers: CheckpointReaders,
    /// Shared by whoever changes files and database together; a backup takes it alone.
    changes: tokio::sync::RwLock<()>,
    /// Locked while a run is imported: two imports of one id would remove each other's files.
    importing: tokio::sync::Mutex<()>,
    /// Locked while snapshots are moved into files.
    snapshot_writer: tokio::sync::Mutex<()>,
    /// Background tasks that [`Store::close`] waits for.
    tasks: Mutex<Vec<JoinHandle<()>>>,
    /// The lock on the folder, which the system releases when the process ends, however it ends; `None` for tokens alone.
    _lock: Option<File>,
}

impl Store {
    /// Opens a lab folder or creates it, and repairs what a crash or a power cut has left.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another process uses it; [`StoreError::OlderFormat`] or [`StoreError::NewerFormat`] where another
    /// version wrote it: then nothing in it changes.
    #[inline(never)]
    pub fn open(dir: &Path) -> Boxed<'_, Result<Self, StoreError>> {
        Box::pin(Self::open_folder(dir))
    }

    async fn open_folder(dir: &Path) -> Result<Self, StoreError> {
        let is_new = format::check(dir)?;
        for name in ["series", "corpora", "checkpoints", "snapshots", "workers"] {
            let path = dir.join(name);
            fs::create_dir_all(&path).map_err(|source| StoreError::file(&path, source))?;
        }
        let lock = lock(dir)?;
        if is_new {
            format::write(dir)?;
        }
        let id = lab_id::read_or_create(dir)?;
        let database = Database::open(&dir.join(DATABASE), None).await?;
        let series_files = Arc::new(SeriesFiles::new(dir.join("series")));
        let store = Self::with(dir, id, database, series_files, Some(lock));
        store.load_watched_series().await?;
        store.redo_unsynced().await?;
        store.write_scores().await?;
        store.sweep_checkpoints().await?;
        store.sweep_snapshots().await?;
        Ok(store)
    }

    fn with(dir: &Path, id: String, database: Database, series_files: Arc<SeriesFiles>, lock: Option<File>) -> Self {
        let checkpoint_folders = CheckpointFolders::of_lab(dir);
        let (dir, ingest_states, checkpoint_readers) = (dir.to_owned(), Mutex::default(), CheckpointReaders::default());
        Self {
            inner: Arc::new(Inner {
                dir,
                id,
                database,
                series_files,
                ingest_states,
                commit_queue: Default::default(),
                watched_series: Mutex::default(),
                checkpoint_folders,
                checkpoint_readers,
                changes: Default::default(),
                importing: Default::default(),
                snapshot_writer: Default::default(),
                tasks: Mutex::default(),
                _lock: lock,
            }),
        }
    }

    /// Opens the tokens of a lab folder, also while a server uses the folder. Runs and series must not be changed through this handle:
    /// the server would not see it.
    ///
    /// # Errors
    /// [`StoreError::NoLab`] if no server has used the folder; [`StoreError::OlderFormat`], [`StoreError::NewerFormat`];
    /// [`StoreError::OlderServer`] if the server that uses the folder is an older version.
    pub async fn open_access(dir: &Path) -> Result<Self, StoreError> {
        let file = dir.join(DATABASE);
        if format::check(dir)? || !file.exists() {
            return Err(StoreError::NoLab { dir: dir.to_owned() });
        }
        let id = lab_id::read_or_create(dir)?;
        let database = Database::open(&file, holder(dir)).await?;
        let series_files = Arc::new(SeriesFiles::new(dir.join("series")));
        Ok(Self::with(dir, id, database, series_files, None))
    }

    /// Root of the lab folder.
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// The id of the lab: 12 letters and digits, the same for as long as its folder exists.
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// For a task that outlasts the store.
    pub(crate) fn downgrade(&self) -> WeakStore {
        WeakStore(Arc::downgrade(&self.inner))
    }

    /// Registers a background task that [`Store::close`] waits for.
    pub(crate) fn track(&self, task: JoinHandle<()>) {
        let mut tasks = self.inner.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.retain(|task| !task.is_finished());
        tasks.push(task);
    }

    /// Waits for background tasks and closes the database. Dropping the last handle closes it without waiting.
    pub async fn close(self) {
        let tasks = std::mem::take(&mut *self.inner.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            // An aborted task has left its data in the database.
            let _ = task.await;
        }
        self.store_all_newest().await;
        self.inner.database.close().await;
    }

    pub(crate) fn database(&self) -> &Database {
        &self.inner.database
    }

    pub(crate) fn series_files(&self) -> &Arc<SeriesFiles> {
        &self.inner.series_files
    }

    pub(crate) fn commit_queue(&self) -> &CommitQueue {
        &self.inner.commit_queue
    }

    /// A panic in another thread leaves the set intact: nothing panics while it is changed.
    pub(crate) fn watched_series(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.inner.watched_series.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn importing(&self) -> &tokio::sync::Mutex<()> {
        &self.inner.importing
    }

    pub(crate) fn snapshot_writer(&self) -> &tokio::sync::Mutex<()> {
        &self.inner.snapshot_writer
    }

    pub(crate) fn checkpoint_folders(&self) -> &CheckpointFolders {
        &self.inner.checkpoint_folders
    }

    pub(crate) fn changes(&self) -> &tokio::sync::RwLock<()> {
        &self.inner.changes
    }

    pub(crate) fn checkpoint_readers(&self) -> &CheckpointReaders {
        &self.inner.checkpoint_readers
    }

    /// Runs file work on a separate thread, so that waiting for the disk blocks no other task.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let aborted = |source| StoreError::Aborted { path: self.inner.dir.clone(), source };
        tokio::task::spawn_blocking(work).await.map_err(aborted)?
    }

    pub(crate) fn ingest_state(&self, run: &RunId) -> Arc<tokio::sync::Mutex<IngestState>> {
        self.ingest_states().entry(run.clone()).or_default().clone()
    }

    pub(crate) fn all_ingest_states(&self) -> Vec<(RunId, Arc<tokio::sync::Mutex<IngestState>>)> {
        self.ingest_states().iter().map(|(run, state)| (run.clone(), state.clone())).collect()
    }

    pub(crate) fn forget_ingest_state(&self, run: &RunId) {
        self.ingest_states().remove(run);
    }

    /// A panic in another thread leaves the map intact: nothing panics while it is changed.
    fn ingest_states(&self) -> MutexGuard<'_, HashMap<RunId, Arc<tokio::sync::Mutex<IngestState>>>> {
        self.inner.ingest_states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn known<T>(&self, found: Option<T>, run: &RunId) -> Result<T, StoreError> {
        found.ok_or_else(|| StoreError::UnknownRun { run: run.clone() })
    }

    pub(crate) async fn summary_in(&self, connection: &mut Connection, run: &RunId) -> Result<RunSummary, StoreError> {
        let found = database::runs::summary(connection, run).await?;
        self.known(found, run)
    }

    /// Commits a change to one run and returns its summary; `found` is whether the run exists.
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

/// Timeout for taking the lock. A child process inherits open files until it executes its own program, so the lock of a
/// store that was just closed may outlive it for some milliseconds.
const LOCK_WITHIN: Duration = Duration::from_millis(300);

/// The process that uses a lab folder; `None` if none does.
pub fn holder(dir: &Path) -> Option<u32> {
    let mut file = File::open(dir.join("lock")).ok()?;
    if !matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) {
        return None;
    }
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Takes the folder's lock and writes the process number into it, for the error message of a second process.
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
            // Without the number the message still says what is wrong.
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
