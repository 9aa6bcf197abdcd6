//! The write-ahead spool: the reports of one run on disk until the server has stored them, an append-only file of records with checksums.
//! Nothing here uses threads or sockets; `outbox.rs` shares a spool between threads.
//!
//! The file starts with [`MAGIC`], which contains the format version. A record is `[length u32][number u64][checksum 8 bytes][postcard of
//! an Item]`, little-endian; the checksum is the start of the BLAKE3 of the rest. Written data survives the process, synced data the
//! machine. An incomplete tail is cut off when the file is opened. Numbers increase by one, except after [`Spool::skip_to`]. A file of
//! another format is refused and not changed.

mod record;

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use wire::RunId;
use wire::transport::link::Item;

use self::record::{HEADER, fill, next_record, record};

/// The format that this version writes and reads.
pub const FORMAT: u8 = 1;
/// First bytes of the file: a name, the format and its complement, so that damage does not look like another format.
const MAGIC: [u8; 8] = [b'K', b'N', b'D', b'S', b'P', b'L', FORMAT, !FORMAT];
/// Number of records between two indexed offsets; a read skips fewer records than this.
const MARK_EVERY: u64 = 256;
/// Reports in memory while the disk cannot be written, bytes; beyond it the training waits.
const MAX_PENDING_BYTES: usize = 64 << 20;

/// Errors of reading and writing a spool.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The file cannot be read or written.
    #[error("the spool {} cannot be used: {source}", path.display())]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// Another version wrote the file.
    #[error(
        "the spool {} was written by another version of Kindling (format {found}); this version reads format {FORMAT}; \
         it was not changed: deliver its reports with that version, or remove it",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its format; 0 for development versions before the first format.
        found: u8,
    },
    /// A complete record that does not decode.
    #[error("report {seq} in {} cannot be decoded: {source}", path.display())]
    Undecodable {
        /// The file.
        path: PathBuf,
        /// Number of the report.
        seq: u64,
        /// The error of the decoder.
        source: postcard::Error,
    },
}

/// Records as they are on disk, without their headers: undecoded, so that the lock is not held while they are
/// decoded.
#[derive(Debug, PartialEq, Eq)]
pub struct Records {
    /// Number of the first.
    pub first_seq: u64,
    /// Their postcard bytes.
    pub payloads: Vec<Vec<u8>>,
}

/// The limits of one read, which returns at least one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    pub records: usize,
    /// Bytes after which no further record is added: a snapshot is a thousand times larger than a row.
    pub bytes: usize,
}

impl Records {
    fn has_room(&self, limit: Limit) -> bool {
        let bytes: usize = self.payloads.iter().map(Vec::len).sum();
        self.payloads.is_empty() || (self.payloads.len() < limit.records && bytes < limit.bytes)
    }

    /// Decodes the reports; `path` is for the error.
    ///
    /// # Errors
    /// [`SpoolError::Undecodable`].
    pub fn decode(&self, path: &Path) -> Result<Vec<Item>, SpoolError> {
        let numbered = (self.first_seq..).zip(&self.payloads);
        numbered
            .map(|(seq, payload)| {
                wire::encode::from_bytes(payload).map_err(|source| SpoolError::Undecodable {
                    path: path.to_owned(),
                    seq,
                    source,
                })
            })
            .collect()
    }
}

/// The open spool of one run.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    path: PathBuf,
    files: Option<Files>,
    /// Bytes of the complete records on disk, with the magic.
    end: u64,
    /// Number of the last record on disk.
    last_on_disk: u64,
    /// Number of the last report.
    last: u64,
    /// Numbers and offsets of some records, in order.
    marks: Vec<(u64, u64)>,
    /// Number and offset where the last read ended: the next read usually continues there.
    read_to: (u64, u64),
    /// Reports that could not be written yet.
    pending: VecDeque<(u64, Vec<u8>)>,
    pending_bytes: usize,
    failure: Option<SpoolError>,
    has_unsynced: bool,
    is_removed: bool,
}

/// Two handles, because writing and reading have separate positions.
#[derive(Debug)]
struct Files {
    writing: File,
    reading: File,
}

/// The records of a file.
#[derive(Debug, Default)]
struct Contents {
    end: u64,
    last: u64,
    marks: Vec<(u64, u64)>,
}

impl Spool {
    /// Opens or creates the spool of `run` in the folder `root`, and cuts off an incomplete tail.
    ///
    /// # Errors
    /// [`SpoolError::Version`], which leaves the file unchanged; [`SpoolError::Disk`].
    pub fn open(root: &Path, run: &RunId) -> Result<Self, SpoolError> {
        let mut spool = Self::closed(root, run);
        spool.open_files()?;
        Ok(spool)
    }

    /// As [`Spool::open`], but while the file cannot be opened, reports stay in memory.
    pub fn open_or_defer(root: &Path, run: &RunId) -> Self {
        let mut spool = Self::closed(root, run);
        if let Err(source) = spool.open_files() {
            spool.failure = Some(source);
        }
        spool
    }

    fn closed(root: &Path, run: &RunId) -> Self {
        let folder = root.join(run.as_str());
        let path = folder.join("log");
        Self {
            folder,
            path,
            files: None,
            end: MAGIC.len() as u64,
            last_on_disk: 0,
            last: 0,
            marks: vec![],
            read_to: (0, 0),
            pending: VecDeque::new(),
            pending_bytes: 0,
            failure: None,
            has_unsynced: false,
            is_removed: false,
        }
    }

    fn open_files(&mut self) -> Result<(), SpoolError> {
        if let Some(found) = other_format(&self.path) {
            return Err(SpoolError::Version { path: self.path.clone(), found });
        }
        self.create_files().map_err(|source| SpoolError::Disk { path: self.path.clone(), source })
    }

    fn create_files(&mut self) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let mut writing = OpenOptions::new().create(true).truncate(false).write(true).open(&self.path)?;
        let reading = File::open(&self.path)?;
        let mut length = writing.metadata()?.len();
        if !starts_with_magic(&reading)? {
            if length > 0 {
                writing.set_len(0)?;
            }
            writing.write_all(&MAGIC)?;
            length = MAGIC.len() as u64;
        }
        let contents = read_contents(&reading, length)?;
        if self.last > 0 && contents.last > 0 {
            return Err(io::Error::other("another spool of the same run exists"));
        }
        if contents.end < length {
            writing.set_len(contents.end)?;
        }
        self.files = Some(Files { writing, reading });
        (self.end, self.last_on_disk, self.marks) = (contents.end, contents.last, contents.marks);
        self.last = self.last.max(contents.last);
        Ok(())
    }

    /// Appends a report and returns its number. While the disk cannot be written, it stays in memory, and [`Spool::failure`] says why.
    ///
    /// # Errors
    /// A report that cannot be encoded, which gets no number.
    pub fn append(&mut self, item: &Item) -> Result<u64, postcard::Error> {
        let payload = wire::encode::to_bytes(item)?;
        self.last += 1;
        let record = record(self.last, &payload);
        self.pending_bytes += record.len();
        self.pending.push_back((self.last, record));
        self.flush();
        Ok(self.last)
    }

    /// Writes the reports in memory. Returns whether none is left.
    pub fn flush(&mut self) -> bool {
        match self.try_flush() {
            Ok(()) => self.failure = None,
            Err(source) => self.failure = Some(source),
        }
        self.failure.is_none()
    }

    fn try_flush(&mut self) -> Result<(), SpoolError> {
        if self.files.is_none() && !self.is_removed {
            self.open_files()?;
        }
        self.write_pending().map_err(|source| SpoolError::Disk { path: self.path.clone(), source })
    }

    fn write_pending(&mut self) -> io::Result<()> {
        let Some(files) = &mut self.files else { return Ok(()) };
        while let Some((seq, bytes)) = self.pending.front() {
            // Written at a known offset and not appended, so that a retry overwrites a record that a full disk truncated.
            files.writing.seek(SeekFrom::Start(self.end))?;
            files.writing.write_all(bytes)?;
            if self.marks.last().is_none_or(|(marked, _)| seq - marked >= MARK_EVERY) {
                self.marks.push((*seq, self.end));
            }
            self.end += bytes.len() as u64;
            self.last_on_disk = *seq;
            self.pending_bytes -= bytes.len();
            self.pending.pop_front();
            self.has_unsynced = true;
        }
        Ok(())
    }

    /// The file to sync, if something was written since the last call. The caller syncs it without the lock.
    pub fn unsynced(&mut self) -> Option<File> {
        let files = self.files.as_ref().filter(|_| self.has_unsynced)?;
        let file = files.writing.try_clone().ok()?;
        self.has_unsynced = false;
        Some(file)
    }

    /// Consecutive records from number `from` on, up to `limit`; `None` if there are none yet.
    ///
    /// # Errors
    /// [`SpoolError::Disk`]: the file cannot be read, or a record was damaged.
    pub fn read(&mut self, from: u64, limit: Limit) -> Result<Option<Records>, SpoolError> {
        let from = from.max(1);
        if from > self.last_on_disk {
            return Ok(self.read_pending(from, limit));
        }
        self.read_disk(from, limit).map_err(|source| SpoolError::Disk { path: self.path.clone(), source })
    }

    fn read_pending(&self, from: u64, limit: Limit) -> Option<Records> {
        let mut waiting = self.pending.iter().skip_while(|(seq, _)| *seq < from).peekable();
        let mut found = Records { first_seq: waiting.peek()?.0, payloads: vec![] };
        for (expected, (seq, bytes)) in (found.first_seq..).zip(waiting) {
            if expected != *seq || !found.has_room(limit) {
                break;
            }
            found.payloads.push(bytes[HEADER..].to_vec());
        }
        Some(found)
    }

    fn read_disk(&mut self, from: u64, limit: Limit) -> io::Result<Option<Records>> {
        let Some(files) = &mut self.files else { return Ok(None) };
        let before = self.marks.partition_point(|(seq, _)| *seq <= from);
        let marked = before.checked_sub(1).map_or(MAGIC.len() as u64, |i| self.marks[i].1);
        let mut at = if self.read_to.0 == from { self.read_to.1 } else { marked };
        files.reading.seek(SeekFrom::Start(at))?;
        let mut reader = BufReader::with_capacity(64 << 10, &files.reading).take(self.end - at);
        let mut found: Option<Records> = None;
        while let Some((seq, payload)) = next_record(&mut reader)? {
            let next = found.as_ref().map(|records| records.first_seq + records.payloads.len() as u64);
            let is_full = found.as_ref().is_some_and(|records| !records.has_room(limit));
            if is_full || next.is_some_and(|next| next != seq) {
                break;
            }
            at += (HEADER + payload.len()) as u64;
            if seq >= from {
                found.get_or_insert_with(|| Records { first_seq: seq, payloads: vec![] }).payloads.push(payload);
            }
        }
        let Some(records) = &found else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("report {from} is damaged")));
        };
        self.read_to = (records.first_seq + records.payloads.len() as u64, at);
        Ok(found)
    }

    /// Number of the last report; 0 for none.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Continues numbering after `seq`, if the server has more reports than this spool.
    pub fn skip_to(&mut self, seq: u64) {
        self.last = self.last.max(seq);
    }

    /// The reason why the file currently cannot be written, if it cannot.
    pub fn failure(&self) -> Option<&SpoolError> {
        self.failure.as_ref()
    }

    /// Whether the memory for pending reports is full.
    pub fn is_full(&self) -> bool {
        self.pending_bytes >= MAX_PENDING_BYTES
    }

    /// Path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Deletes the spool: the server has stored everything, or has released the run.
    ///
    /// # Errors
    /// [`SpoolError::Disk`].
    pub fn remove(&mut self) -> Result<(), SpoolError> {
        // The timer that syncs may call once more.
        (self.files, self.is_removed) = (None, true);
        match fs::remove_dir_all(&self.folder) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(SpoolError::Disk { path: self.folder.clone(), source })
            }
            _ => Ok(()),
        }
    }
}

/// The format of an existing file, if it is another one. A file that starts with a valid record is of format 0; anything else
/// without the magic is an incomplete or damaged file of this format.
fn other_format(path: &Path) -> Option<u8> {
    let mut start = [0; MAGIC.len()];
    let mut file = File::open(path).ok()?;
    if !fill(&mut file, &mut start).ok()? {
        return None;
    }
    let [name @ .., format, complement] = &start;
    if *name == MAGIC[..6] && *complement == !format {
        return (*format != FORMAT).then_some(*format);
    }
    file.rewind().ok()?;
    next_record(&mut file).ok()?.map(|_| 0)
}

fn starts_with_magic(mut file: &File) -> io::Result<bool> {
    let mut start = [0; MAGIC.len()];
    file.rewind()?;
    Ok(fill(&mut file, &mut start)? && start == MAGIC)
}

/// Runs with reports that earlier workers left on disk. Empty spools are deleted; unreadable ones are logged and stay.
pub fn unsent(root: &Path) -> Vec<(RunId, Spool)> {
    let Ok(entries) = fs::read_dir(root) else { return vec![] };
    let runs = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()?.parse::<RunId>().ok());
    let mut found: Vec<(RunId, Spool)> = runs.filter_map(|run| leftover(root, run)).collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn leftover(root: &Path, run: RunId) -> Option<(RunId, Spool)> {
    match Spool::open(root, &run) {
        Ok(spool) if spool.last() > 0 => Some((run, spool)),
        Ok(mut spool) => {
            if let Err(source) = spool.remove() {
                tracing::warn!("{source}");
            }
            None
        }
        Err(source) => {
            tracing::warn!("{source}");
            None
        }
    }
}

/// Reads all complete records, in increasing order of number.
fn read_contents(file: &File, length: u64) -> io::Result<Contents> {
    let start = MAGIC.len() as u64;
    let mut file = file;
    file.seek(SeekFrom::Start(start))?;
    let mut reader = BufReader::with_capacity(1 << 20, file).take(length - start);
    let mut contents = Contents { end: start, ..Contents::default() };
    while let Some((seq, payload)) = next_record(&mut reader)? {
        if seq <= contents.last {
            break;
        }
        if contents.marks.last().is_none_or(|(marked, _)| seq - marked >= MARK_EVERY) {
            contents.marks.push((seq, contents.end));
        }
        contents.last = seq;
        contents.end += (HEADER + payload.len()) as u64;
    }
    Ok(contents)
}

#[cfg(test)]
mod tests;
