//! Sends the checkpoints of this machine to the server, on a thread of its own: training does not wait for it, and reports have a connection
//! of their own. One checkpoint is sent at a time, the newest first; one that the retention of its run has dropped is removed here too.
//!
//! The folder is looked through again and again instead of following events: so checkpoints that an earlier process has left are sent too, and
//! those that a resumed run saves again without reporting them.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant, SystemTime};

use engine::optim::checkpoint::{self, MANIFEST, STATE};
use wire::RunId;
use wire::control::checkpoint::CheckpointId;
use wire::transport::transfer::{MAX_PART_BYTES, MAX_SAVED, ReceivedBytes, SavedCheckpoint, UploadVerdict};

use super::Transfer;
use crate::error::transfer::TransferError;

/// Pause between two looks at the folder.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Pause after an error.
const PAUSE: Duration = Duration::from_secs(2);
/// Time after which the server is asked again about a run of which everything was sent, or that was not this worker's.
const ASK_AGAIN: Duration = Duration::from_secs(30);
/// Size of the first part, bytes. It doubles while parts take less than [`QUICK`], and halves where they take longer than [`SLOW`], so that
/// a slow link that often breaks still makes progress, and a proxy's limit is met.
const FIRST_PART_BYTES: usize = 256 << 10;
const MIN_PART_BYTES: usize = 32 << 10;
const QUICK: Duration = Duration::from_millis(500);
const SLOW: Duration = Duration::from_secs(2);

/// The thread that sends checkpoints.
pub(crate) struct Uploader {
    is_ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Uploader {
    /// Starts it. Without a thread nothing is sent, which is logged: the run trains all the same.
    pub(crate) fn start(transfer: Transfer) -> Self {
        let is_ending = Arc::new(AtomicBool::new(false));
        let mut uploads = Uploads::new(transfer, Arc::clone(&is_ending));
        let thread = thread::Builder::new().name("upload".into()).spawn(move || uploads.run());
        let thread = thread.inspect_err(|source| tracing::error!("checkpoints are not uploaded: {source}")).ok();
        Self { is_ending, thread }
    }

    /// Waits until everything is sent, the connection fails, or the time is over. Blocks.
    pub(crate) fn finish(mut self, within: Duration) {
        self.is_ending.store(true, Ordering::Release);
        let until = Instant::now() + within;
        while self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) && Instant::now() < until {
            sleep(Duration::from_millis(20));
        }
        self.thread = None;
    }
}

/// A checkpoint on this machine.
#[derive(Debug, Clone)]
struct Saved {
    id: CheckpointId,
    hash: String,
    /// When its manifest was written; it changes when the checkpoint is saved again.
    written: SystemTime,
    is_settled: bool,
}

#[derive(Default)]
struct KnownRun {
    saved: HashMap<CheckpointId, Saved>,
    asked: Option<Instant>,
    /// Whether the server refused this worker the run.
    is_refused: bool,
}

/// The state of the thread.
struct Uploads {
    transfer: Transfer,
    is_ending: Arc<AtomicBool>,
    runs: HashMap<RunId, KnownRun>,
    part_bytes: usize,
    last_error: String,
}

impl Uploads {
    fn new(transfer: Transfer, is_ending: Arc<AtomicBool>) -> Self {
        Self { transfer, is_ending, runs: HashMap::new(), part_bytes: FIRST_PART_BYTES, last_error: String::new() }
    }

    fn run(&mut self) {
        loop {
            let is_last = self.is_ending.load(Ordering::Acquire);
            let pause = match self.pass() {
                // There may be another one.
                Ok(true) => continue,
                Ok(false) => LOOK_EVERY,
                Err(error) => {
                    let text = error.to_string();
                    if text != self.last_error {
                        tracing::warn!("a checkpoint could not be uploaded: {text}; trying again");
                        self.last_error = text;
                    }
                    PAUSE
                }
            };
            if is_last {
                return;
            }
            let until = Instant::now() + pause;
            while Instant::now() < until && !self.is_ending.load(Ordering::Acquire) {
                sleep(Duration::from_millis(20));
            }
        }
    }

    /// Sends the newest checkpoint that the server wants. Returns whether there was one.
    fn pass(&mut self) -> Result<bool, TransferError> {
        let root = self.transfer.checkpoints();
        for run in folders_in(&root).into_iter().filter_map(|(name, _)| name.parse::<RunId>().ok()) {
            let folder = root.join(run.as_str());
            let known = self.runs.entry(run.clone()).or_default();
            known.look(&folder);
            if !known.is_due() {
                continue;
            }
            if let Some(next) = ask(&self.transfer, &run, &folder, known)? {
                self.send(&run, &next, &folder.join(next.id.to_string()))?;
                self.last_error.clear();
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Sends a checkpoint, or the rest of one that was sent in part. A later look asks the server whether it has it.
    fn send(&mut self, run: &RunId, saved: &Saved, folder: &Path) -> Result<(), TransferError> {
        // Opened together, in case the run saves this checkpoint again meanwhile.
        let opened = [STATE, MANIFEST].map(|name| (name, File::open(folder.join(name))));
        let route = format!("runs/{run}/uploads/{}", saved.id);
        let sent = opened.into_iter().try_for_each(|(name, file)| {
            let file = file.map_err(|source| unreadable(folder, source))?;
            self.send_file(&format!("{route}/{name}"), file, folder)
        });
        match sent.and_then(|()| self.transfer.client.commit(&route)) {
            Ok(()) => {
                tracing::info!(%run, "uploaded checkpoint {}", saved.id);
                Ok(())
            }
            // It was dropped meanwhile.
            Err(error) if error.is_gone() => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn send_file(&mut self, route: &str, mut file: File, folder: &Path) -> Result<(), TransferError> {
        let failed = |source| unreadable(folder, source);
        let bytes = file.metadata().map_err(failed)?.len();
        let ReceivedBytes { bytes: mut have } = self.transfer.client.get(route)?;
        // More bytes than the file has are those of another state; the commit finds out and removes them.
        while have < bytes {
            file.seek(SeekFrom::Start(have)).map_err(failed)?;
            let mut part = Vec::with_capacity(self.part_bytes);
            (&file).take(self.part_bytes as u64).read_to_end(&mut part).map_err(failed)?;
            if part.is_empty() {
                return Err(failed(io::ErrorKind::UnexpectedEof.into()));
            }
            have = self.put(route, have, &part)?;
        }
        Ok(())
    }

    /// Sends a part and adapts the size of the next one to the time that it took.
    fn put(&mut self, route: &str, offset: u64, part: &[u8]) -> Result<u64, TransferError> {
        let began = Instant::now();
        let smaller = (self.part_bytes / 2).max(MIN_PART_BYTES);
        match self.transfer.client.put(route, offset, part) {
            Ok(have) => {
                match began.elapsed() {
                    took if took < QUICK => self.part_bytes = (self.part_bytes * 2).min(MAX_PART_BYTES),
                    took if took > SLOW => self.part_bytes = smaller,
                    _ => {}
                }
                Ok(have)
            }
            // A proxy accepts less at once.
            Err(TransferError::Refused { status: 413, code, .. }) if code.is_empty() && self.part_bytes > smaller => {
                self.part_bytes = smaller;
                Ok(offset)
            }
            Err(error) => {
                self.part_bytes = smaller;
                Err(error)
            }
        }
    }
}

impl KnownRun {
    /// Notes which checkpoints are in the folder of the run.
    fn look(&mut self, folder: &Path) {
        let mut saved = HashMap::new();
        for (name, path) in folders_in(folder) {
            let Ok(id) = name.parse::<CheckpointId>() else { continue };
            let Ok(written) = fs::metadata(path.join(MANIFEST)).and_then(|data| data.modified()) else { continue };
            let known = self.saved.remove(&id).filter(|known| known.written == written);
            let found = known.or_else(|| {
                let manifest = checkpoint::manifest(&path).ok()?;
                Some(Saved { id, hash: manifest.info.hash, written, is_settled: false })
            });
            saved.extend(found.map(|found| (id, found)));
        }
        self.saved = saved;
    }

    /// Whether the server is to be asked about the run.
    fn is_due(&self) -> bool {
        let is_quiet = self.is_refused || self.saved.values().all(|saved| saved.is_settled);
        let is_recent = self.asked.is_some_and(|at| at.elapsed() < ASK_AGAIN);
        !self.saved.is_empty() && !(is_quiet && is_recent)
    }
}

/// Asks the server about the checkpoints of a run, and removes those that it has dropped. Returns the newest that it wants.
fn ask(transfer: &Transfer, run: &RunId, folder: &Path, known: &mut KnownRun) -> Result<Option<Saved>, TransferError> {
    let mut newest_first: Vec<Saved> = known.saved.values().cloned().collect();
    newest_first.sort_by_key(|saved| std::cmp::Reverse((saved.written, saved.id)));
    newest_first.truncate(MAX_SAVED);
    let list: Vec<SavedCheckpoint> =
        newest_first.iter().map(|saved| SavedCheckpoint { id: saved.id, hash: saved.hash.clone() }).collect();
    known.asked = Some(Instant::now());
    let verdicts: Vec<UploadVerdict> = match transfer.client.post(&format!("runs/{run}/checkpoints"), &list) {
        // Another worker's run, or another lab's.
        Err(TransferError::Refused { status: 403 | 404, .. }) => {
            known.is_refused = true;
            return Ok(None);
        }
        verdicts => verdicts?,
    };
    known.is_refused = false;
    let mut next = None;
    for (saved, verdict) in newest_first.into_iter().zip(verdicts) {
        let is_settled = verdict == UploadVerdict::Stored;
        known.saved.entry(saved.id).and_modify(|known| known.is_settled = is_settled);
        match verdict {
            UploadVerdict::Send if next.is_none() => next = Some(saved),
            UploadVerdict::Dropped => {
                known.saved.remove(&saved.id);
                let path = folder.join(saved.id.to_string());
                fs::remove_dir_all(&path).map_err(|source| unreadable(&path, source))?;
            }
            UploadVerdict::Send | UploadVerdict::Stored | UploadVerdict::Unreported => {}
        }
    }
    Ok(next)
}

/// Folders in a folder, by name.
fn folders_in(path: &Path) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir());
    entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path()))).collect()
}

fn unreadable(path: &Path, source: io::Error) -> TransferError {
    TransferError::Disk { path: path.to_owned(), source }
}
