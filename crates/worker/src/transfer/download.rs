//! One file from the server: an interrupted download continues where it ended, and the file counts only with the hash that the server named.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use wire::transport::transfer::TransferFile;

use super::client::Client;
use crate::error::transfer::TransferError;

/// First pause before another attempt; it doubles up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(2);
/// How often a file with another hash is fetched again.
const MAX_DAMAGED: u32 = 3;
const MEGABYTE: u64 = 1_000_000;

/// Connects a transfer with those who wait for it.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    is_cancelled: AtomicBool,
    /// The transfer ends then.
    until: Option<Instant>,
    /// What is transferred and how much of it: `fetching tales: 12 of 48 MB`.
    progress: Mutex<Option<String>>,
}

impl Watch {
    /// A transfer that is given up after this time.
    pub(crate) fn within(limit: Duration) -> Self {
        Self { until: Some(Instant::now() + limit), ..Self::default() }
    }

    pub(crate) fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Release);
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Acquire) || self.until.is_some_and(|until| Instant::now() > until)
    }

    pub(crate) fn progress(&self) -> Option<String> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_progress(&self, progress: String) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress);
    }

    /// Repeats an attempt that failed for a passing reason, with pauses, until it is cancelled.
    pub(crate) fn persist<T>(&self, mut attempt: impl FnMut() -> Result<T, TransferError>) -> Result<T, TransferError> {
        let mut pause = FIRST_PAUSE;
        loop {
            match attempt() {
                Err(error) if error.is_temporary() => tracing::debug!("{error}; trying again"),
                ended => return ended,
            }
            self.pause(pause)?;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    fn pause(&self, pause: Duration) -> Result<(), TransferError> {
        let until = Instant::now() + pause;
        while Instant::now() < until {
            if self.is_cancelled() {
                return Err(TransferError::Cancelled);
            }
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// The files of one dataset or checkpoint that are being fetched.
pub(crate) struct Download<'a> {
    client: &'a Client,
    watch: &'a Watch,
    /// What is fetched, for people.
    name: String,
    /// Size of all files, bytes.
    total: u64,
    /// Size of the files that are complete, bytes.
    done: u64,
}

impl<'a> Download<'a> {
    pub(crate) fn new(client: &'a Client, watch: &'a Watch, name: String, files: &[TransferFile]) -> Self {
        let total = files.iter().map(|file| file.bytes).fold(0, u64::saturating_add);
        let download = Self { client, watch, name, total, done: 0 };
        download.report(0);
        download
    }

    /// Fetches a file into `place`, also the rest of one that is there in part.
    ///
    /// # Errors
    /// The server refuses it, the disk is full, the file arrives damaged again and again, or the transfer is cancelled.
    pub(crate) fn fetch(&mut self, route: &str, file: &TransferFile, place: &Path) -> Result<(), TransferError> {
        let disk = |source| self.disk_error(place, source);
        place.parent().map_or(Ok(()), fs::create_dir_all).map_err(disk)?;
        let mut damaged = 0;
        while damaged < MAX_DAMAGED {
            self.watch.persist(|| self.receive(route, file, place))?;
            if hash_of(place).map_err(|source| self.disk_error(place, source))? == file.hash {
                self.done += file.bytes;
                return Ok(());
            }
            damaged += 1;
            fs::remove_file(place).map_err(|source| self.disk_error(place, source))?;
        }
        Err(TransferError::Damaged { name: format!("{} of {}", file.name, self.name), times: damaged })
    }

    /// Receives the rest of a file and syncs it.
    fn receive(&self, route: &str, file: &TransferFile, place: &Path) -> Result<(), TransferError> {
        let disk = |source| self.disk_error(place, source);
        let mut have = size_of(place);
        if have > file.bytes {
            fs::remove_file(place).map_err(disk)?;
            have = 0;
        }
        if have < file.bytes || !place.exists() {
            let (from, content) = self.client.open(route, have)?;
            let to = OpenOptions::new().create(true).write(true).append(from > 0).truncate(from == 0).open(place);
            self.copy(content, to.map_err(disk)?, file, place, from)?;
        }
        File::open(place).and_then(|file| file.sync_all()).map_err(disk)
    }

    fn copy(
        &self,
        mut from: impl Read,
        mut to: File,
        file: &TransferFile,
        place: &Path,
        begun: u64,
    ) -> Result<(), TransferError> {
        let interrupted = |source| TransferError::Interrupted { name: file.name.clone(), source };
        let mut buffer = vec![0; 256 * 1024];
        let mut done = begun;
        while done < file.bytes {
            if self.watch.is_cancelled() {
                return Err(TransferError::Cancelled);
            }
            let count = from.read(&mut buffer).map_err(interrupted)?;
            if count == 0 {
                return Err(interrupted(ErrorKind::UnexpectedEof.into()));
            }
            // More than the listed size is never written.
            let count = count.min(usize::try_from(file.bytes - done).unwrap_or(count));
            to.write_all(&buffer[..count]).map_err(|source| self.disk_error(place, source))?;
            done += count as u64;
            self.report(done);
        }
        Ok(())
    }

    fn report(&self, of_file: u64) {
        let (done, total) = ((self.done + of_file) / MEGABYTE, self.total.div_ceil(MEGABYTE));
        self.watch.set_progress(format!("fetching {}: {done} of {total} MB", self.name));
    }

    fn disk_error(&self, path: &Path, source: std::io::Error) -> TransferError {
        match source.kind() {
            ErrorKind::StorageFull => TransferError::DiskFull {
                path: path.parent().unwrap_or(path).to_owned(),
                name: self.name.clone(),
                megabytes: self.total.div_ceil(MEGABYTE),
            },
            _ => TransferError::Disk { path: path.to_owned(), source },
        }
    }
}

fn size_of(place: &Path) -> u64 {
    place.metadata().map_or(0, |data| data.len())
}

fn hash_of(place: &Path) -> std::io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(place)?)?;
    Ok(hasher.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests;
