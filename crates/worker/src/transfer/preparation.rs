//! What a run needs on this machine before it trains: its tokenized dataset, and the newest checkpoint of its past that can be had. What is
//! here with the right hash is not fetched.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use engine::data::dataset_files::{self, DatasetFile};
use engine::optim::checkpoint::{self, MANIFEST, STATE};
use wire::control::checkpoint::CheckpointRef;
use wire::run::history::Past;
use wire::transport::transfer::{StoredCheckpoint, TransferFile};
use wire::{RunId, RunPlan};

use super::Transfer;
use super::download::{Download, Watch};
use crate::assignment::Assignment;
use crate::error::transfer::TransferError;

/// How often the training thread looks for progress and for a command to stop.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Folders with the dataset and the checkpoint, complete and verified.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The folder with its dataset.
    pub(crate) corpora: PathBuf,
    /// Its past, with the checkpoints that are on this machine.
    pub(crate) past: Past,
}

/// A preparation on a thread of its own, so that a command to stop does not wait for the network.
pub(crate) struct Preparation {
    watch: Arc<Watch>,
    ended: Receiver<Result<Prepared, TransferError>>,
}

impl Preparation {
    /// Starts it.
    ///
    /// # Errors
    /// The system cannot start a thread.
    pub(crate) fn start(transfer: &Transfer, assignment: &Assignment) -> Result<Self, TransferError> {
        let (watch, (sender, ended)) = (Arc::new(Watch::default()), channel());
        let (transfer, assignment, of_thread) = (transfer.clone(), assignment.clone(), Arc::clone(&watch));
        let work = move || {
            let prepared = transfer.prepare(&assignment, &of_thread);
            // Nobody waits for one that was cancelled.
            let _ = sender.send(prepared);
        };
        thread::Builder::new().name("fetch".into()).spawn(work).map_err(|source| TransferError::Thread { source })?;
        Ok(Self { watch, ended })
    }

    /// Waits a moment for the end; `None` if it goes on.
    pub(crate) fn wait(&self) -> Option<Result<Prepared, TransferError>> {
        match self.ended.recv_timeout(LOOK_EVERY) {
            Ok(ended) => Some(ended),
            Err(RecvTimeoutError::Timeout) => None,
            // The thread panicked.
            Err(RecvTimeoutError::Disconnected) => Some(Err(TransferError::Cancelled)),
        }
    }

    /// What is fetched and how much of it is here.
    pub(crate) fn progress(&self) -> Option<String> {
        self.watch.progress()
    }
}

impl Drop for Preparation {
    fn drop(&mut self) {
        self.watch.cancel();
    }
}

impl Transfer {
    fn prepare(&self, assignment: &Assignment, watch: &Watch) -> Result<Prepared, TransferError> {
        let corpora = self.dataset(&assignment.run, &assignment.plan, watch)?;
        let past = self.past(&assignment.past, watch)?;
        Ok(Prepared { corpora, past })
    }

    /// The folder with the dataset of a plan, fetched if it is not here.
    fn dataset(&self, run: &RunId, plan: &RunPlan, watch: &Watch) -> Result<PathBuf, TransferError> {
        let (root, key) = (self.data.join("datasets"), dataset_files::key(plan));
        let target = root.join(&key);
        fs::create_dir_all(&root).map_err(|source| disk(&root, source))?;
        // Two workers of this machine may need it at once.
        let _alone = lock(&root.join(format!(".{key}.lock")), watch)?;
        if target.is_dir() {
            return Ok(target);
        }
        let temporary = root.join(format!(".{key}.partial"));
        match self.fetch_dataset(run, plan, &temporary, watch) {
            Ok(()) => {
                fs::rename(&temporary, &target)
                    .and_then(|()| sync_folder(&root))
                    .map_err(|source| disk(&target, source))?;
                Ok(target)
            }
            Err(error) => Err(abandoned(&temporary, error)),
        }
    }

    fn fetch_dataset(&self, run: &RunId, plan: &RunPlan, folder: &Path, watch: &Watch) -> Result<(), TransferError> {
        let route = format!("runs/{run}/dataset");
        let listed: Vec<TransferFile> = watch.persist(|| self.client.get(&route))?;
        let names: Vec<&str> = plan.mix.iter().map(|part| part.corpus.as_str()).collect();
        let mut download = Download::new(&self.client, watch, names.join(" and "), &listed);
        let mut fetch = |DatasetFile { name, path }: DatasetFile| match listed.iter().find(|file| file.name == name) {
            Some(file) => download.fetch(&format!("{route}/{name}"), file, &path),
            // Some tokenizers have no file; the shards name the hash of one that has.
            None if name == "tokenizer" => Ok(()),
            None => Err(TransferError::Missing { name }),
        };
        dataset_files::descriptions(folder, plan).into_iter().try_for_each(&mut fetch)?;
        dataset_files::shards(folder, plan)?.into_iter().try_for_each(&mut fetch)
    }

    /// The past with the checkpoints that are on this machine: the newest that can be had, and older ones that are here.
    fn past(&self, past: &Past, watch: &Watch) -> Result<Past, TransferError> {
        let mut usable = vec![];
        for candidate in &past.checkpoints {
            let is_here = match usable.is_empty() {
                true => self.checkpoint(&candidate.at, watch)?,
                false => self.has(&candidate.at.run, candidate.at.checkpoint),
            };
            usable.extend(is_here.then(|| candidate.clone()));
        }
        Ok(Past { checkpoints: usable, ..past.clone() })
    }

    /// Fetches a checkpoint unless it is here with the hash that the server knows. Returns whether it is here then.
    ///
    /// # Errors
    /// The disk is full, it arrives damaged again and again, or the transfer is cancelled.
    pub(crate) fn checkpoint(&self, at: &CheckpointRef, watch: &Watch) -> Result<bool, TransferError> {
        let route = format!("runs/{}/checkpoints/{}", at.run, at.checkpoint);
        let stored: StoredCheckpoint = match watch.persist(|| self.client.get(&route)) {
            Err(error) if error.is_gone() => return Ok(false),
            stored => stored?,
        };
        let root = self.checkpoints();
        let is_here = || {
            let here = checkpoint::open(&checkpoint::folder(&root, &at.run, at.checkpoint));
            here.is_ok_and(|here| here.manifest.info.hash == stored.hash)
        };
        if is_here() {
            return Ok(true);
        }
        if stored.files.is_empty() {
            return Ok(false);
        }
        let folder = root.join(at.run.as_str());
        fs::create_dir_all(&folder).map_err(|source| disk(&folder, source))?;
        // Two forks of it may start on this machine at once.
        let _alone = lock(&folder.join(format!(".{}.lock", at.checkpoint)), watch)?;
        if is_here() {
            return Ok(true);
        }
        let temporary = root.join(at.run.as_str()).join(format!(".{}.fetch.partial", at.checkpoint));
        let mut download = Download::new(&self.client, watch, format!("checkpoint {}", at.checkpoint), &stored.files);
        let fetched = [STATE, MANIFEST].into_iter().try_for_each(|name| {
            let file = stored.files.iter().find(|file| file.name == name);
            let file = file.ok_or_else(|| TransferError::Missing { name: name.to_owned() })?;
            download.fetch(&format!("{route}/{name}"), file, &temporary.join(name))
        });
        let installed =
            fetched.and_then(|()| Ok(checkpoint::install(&temporary, &root, &at.run, at.checkpoint).map(drop)?));
        match installed {
            Ok(()) => Ok(true),
            // It was pruned meanwhile.
            Err(error) if error.is_gone() => Ok(false).inspect(|_| drop(fs::remove_dir_all(&temporary))),
            Err(error) => Err(abandoned(&temporary, error)),
        }
    }
}

/// Removes what was fetched before an error, except one after which a later attempt continues.
fn abandoned(temporary: &Path, error: TransferError) -> TransferError {
    if !matches!(error, TransferError::Cancelled) {
        // The error is returned; what cannot be removed now is overwritten by the next attempt.
        let _ = fs::remove_dir_all(temporary);
    }
    error
}

/// Takes a lock that another worker of this machine may hold while it fetches the same dataset or checkpoint.
fn lock(path: &Path, watch: &Watch) -> Result<File, TransferError> {
    let file =
        File::options().create(true).truncate(false).write(true).open(path).map_err(|source| disk(path, source))?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if watch.is_cancelled() => return Err(TransferError::Cancelled),
            Err(TryLockError::WouldBlock) => thread::sleep(LOOK_EVERY),
            Err(TryLockError::Error(source)) => return Err(disk(path, source)),
        }
    }
}

fn sync_folder(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

fn disk(path: &Path, source: std::io::Error) -> TransferError {
    TransferError::Disk { path: path.to_owned(), source }
}
