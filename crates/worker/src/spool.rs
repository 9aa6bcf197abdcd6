//! The reports of one run on disk, from the moment they exist until the server has them: an append-only file of
//! checked records. Nothing here knows of threads or sockets; see `outbox.rs` for who shares it.
//!
//! A record is `[length u32][number u64][check 8 bytes][postcard of an Item]`, little-endian; the check is the start of the
//! BLAKE3 of all the rest. What a process has written survives its death (the kernel has it); what was synced survives the
//! machine's. A torn tail is cut off when the file is opened. Numbers rise by one, save where [`Spool::skip_to`] leapt.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use wire::RunId;
use wire::link::Item;

const HEADER: usize = 20;
/// A length beyond this is no record but noise.
const LONGEST: usize = 16 << 20;
/// Records between two remembered offsets: what a read at any number has to walk at most.
const MARK_EVERY: u64 = 256;
/// What may wait in memory while the disk refuses; training stands still beyond it.
const MOST_HELD_BYTES: usize = 64 << 20;

/// Why a spool cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The disk refused.
    #[error("the spool {path} cannot be used: {source}")]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A whole record that this version cannot read.
    #[error("report {seq} in {path} is of another version of this program: {source}")]
    Foreign {
        /// The spool.
        path: PathBuf,
        /// Its number.
        seq: u64,
        /// What the decoder said.
        source: postcard::Error,
    },
}

/// Records as they lie on disk, without their headers: undecoded, so that no lock is held while they are.
#[derive(Debug, PartialEq, Eq)]
pub struct Records {
    /// Number of the first.
    pub first_seq: u64,
    /// One postcard each.
    pub payloads: Vec<Vec<u8>>,
}

/// How much to read at once; one record always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Most {
    /// Records.
    pub records: usize,
    /// Bytes after which no other is begun: looks that are kept weigh a thousand times what a row does.
    pub bytes: usize,
}

impl Records {
    fn has_room(&self, most: Most) -> bool {
        let bytes: usize = self.payloads.iter().map(Vec::len).sum();
        self.payloads.is_empty() || (self.payloads.len() < most.records && bytes < most.bytes)
    }

    /// The reports themselves.
    ///
    /// # Errors
    /// A record of another version.
    pub fn decode(&self, path: &Path) -> Result<Vec<Item>, SpoolError> {
        let numbered = (self.first_seq..).zip(&self.payloads);
        numbered
            .map(|(seq, payload)| {
                wire::encode::from_bytes(payload).map_err(|source| SpoolError::Foreign {
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
    /// Bytes of whole records on disk.
    end: u64,
    /// Number of the last record on disk.
    last_on_disk: u64,
    /// Number of the last report taken.
    last: u64,
    /// Numbers and offsets of some records, in order.
    marks: Vec<(u64, u64)>,
    /// Where the last read ended: the next usually goes on from there.
    read_to: (u64, u64),
    /// Not on disk yet, because it refused.
    held: VecDeque<(u64, Vec<u8>)>,
    held_bytes: usize,
    failure: Option<String>,
    has_unsynced: bool,
    is_removed: bool,
}

/// Writing and reading each have their own place in the file.
#[derive(Debug)]
struct Files {
    writing: File,
    reading: File,
}

/// What a walk through a file found.
#[derive(Debug, Default)]
struct Walk {
    end: u64,
    last: u64,
    marks: Vec<(u64, u64)>,
}

impl Spool {
    /// Opens or makes the spool of `run` below `root`, cutting off a torn tail.
    ///
    /// # Errors
    /// The disk refused.
    pub fn open(root: &Path, run: &RunId) -> Result<Self, SpoolError> {
        let mut spool = Self::closed(root, run);
        spool.open_files().map_err(|source| SpoolError::Disk { path: spool.path.clone(), source })?;
        Ok(spool)
    }

    /// The same, but a disk that refuses leaves reports in memory until it does not.
    pub fn open_or_hold(root: &Path, run: &RunId) -> Self {
        let mut spool = Self::closed(root, run);
        if let Err(source) = spool.open_files() {
            spool.failure = Some(source.to_string());
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
            end: 0,
            last_on_disk: 0,
            last: 0,
            marks: vec![],
            read_to: (0, 0),
            held: VecDeque::new(),
            held_bytes: 0,
            failure: None,
            has_unsynced: false,
            is_removed: false,
        }
    }

    fn open_files(&mut self) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let writing = OpenOptions::new().create(true).truncate(false).write(true).open(&self.path)?;
        let reading = File::open(&self.path)?;
        let length = writing.metadata()?.len();
        let walk = walk(&reading, length)?;
        if self.last > 0 && walk.last > 0 {
            return Err(io::Error::other("a spool of the same run is there already"));
        }
        if walk.end < length {
            writing.set_len(walk.end)?;
        }
        self.files = Some(Files { writing, reading });
        (self.end, self.last_on_disk, self.marks) = (walk.end, walk.last, walk.marks);
        self.last = self.last.max(walk.last);
        Ok(())
    }

    /// Takes a report and gives it its number. It is never refused: where the disk does, it waits in memory and
    /// [`Spool::failure`] says why.
    ///
    /// # Errors
    /// Only a report that cannot be encoded, which takes no number.
    pub fn append(&mut self, item: &Item) -> Result<u64, postcard::Error> {
        let payload = wire::encode::to_bytes(item)?;
        self.last += 1;
        let record = record(self.last, &payload);
        self.held_bytes += record.len();
        self.held.push_back((self.last, record));
        self.flush();
        Ok(self.last)
    }

    /// Writes what waits in memory; whether nothing does any more.
    pub fn flush(&mut self) -> bool {
        match self.try_flush() {
            Ok(()) => self.failure = None,
            Err(source) => self.failure = Some(source.to_string()),
        }
        self.failure.is_none()
    }

    fn try_flush(&mut self) -> io::Result<()> {
        if self.files.is_none() && !self.is_removed {
            self.open_files()?;
        }
        let Some(files) = &mut self.files else { return Ok(()) };
        while let Some((seq, bytes)) = self.held.front() {
            // At a known place rather than at the end, so that another try overwrites what a full disk cut short.
            files.writing.seek(SeekFrom::Start(self.end))?;
            files.writing.write_all(bytes)?;
            if self.marks.last().is_none_or(|(marked, _)| seq - marked >= MARK_EVERY) {
                self.marks.push((*seq, self.end));
            }
            self.end += bytes.len() as u64;
            self.last_on_disk = *seq;
            self.held_bytes -= bytes.len();
            self.held.pop_front();
            self.has_unsynced = true;
        }
        Ok(())
    }

    /// The file to sync, if something was written since the last time; to be synced without holding the spool.
    pub fn unsynced(&mut self) -> Option<File> {
        let files = self.files.as_ref().filter(|_| self.has_unsynced)?;
        let file = files.writing.try_clone().ok()?;
        self.has_unsynced = false;
        Some(file)
    }

    /// Records from number `from` on, without a gap among them, as many as `most` allows; none where there are none yet.
    ///
    /// # Errors
    /// The disk refused, or has changed what was written.
    pub fn read(&mut self, from: u64, most: Most) -> Result<Option<Records>, SpoolError> {
        let from = from.max(1);
        if from > self.last_on_disk {
            return Ok(self.read_held(from, most));
        }
        self.read_disk(from, most).map_err(|source| SpoolError::Disk { path: self.path.clone(), source })
    }

    fn read_held(&self, from: u64, most: Most) -> Option<Records> {
        let mut waiting = self.held.iter().skip_while(|(seq, _)| *seq < from).peekable();
        let mut found = Records { first_seq: waiting.peek()?.0, payloads: vec![] };
        for (expected, (seq, bytes)) in (found.first_seq..).zip(waiting) {
            if expected != *seq || !found.has_room(most) {
                break;
            }
            found.payloads.push(bytes[HEADER..].to_vec());
        }
        Some(found)
    }

    fn read_disk(&mut self, from: u64, most: Most) -> io::Result<Option<Records>> {
        let Some(files) = &mut self.files else { return Ok(None) };
        let before = self.marks.partition_point(|(seq, _)| *seq <= from);
        let marked = before.checked_sub(1).map_or(0, |i| self.marks[i].1);
        let mut at = if self.read_to.0 == from { self.read_to.1 } else { marked };
        files.reading.seek(SeekFrom::Start(at))?;
        let mut reader = BufReader::with_capacity(64 << 10, &files.reading).take(self.end - at);
        let mut found: Option<Records> = None;
        while let Some((seq, payload)) = next_record(&mut reader)? {
            let next = found.as_ref().map(|records| records.first_seq + records.payloads.len() as u64);
            let is_full = found.as_ref().is_some_and(|records| !records.has_room(most));
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

    /// Number of the last report taken; 0 for none.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Numbers go on after `seq`, where the server has more than this disk remembers.
    pub fn skip_to(&mut self, seq: u64) {
        self.last = self.last.max(seq);
    }

    /// Why the disk refuses, while it does.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Whether no more may wait in memory.
    pub fn is_full(&self) -> bool {
        self.held_bytes >= MOST_HELD_BYTES
    }

    /// The file, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes it off the disk: the server has everything, or wants nothing of it.
    ///
    /// # Errors
    /// The disk refused.
    pub fn remove(&mut self) -> Result<(), SpoolError> {
        // The clock that syncs may come once more.
        (self.files, self.is_removed) = (None, true);
        match fs::remove_dir_all(&self.folder) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(SpoolError::Disk { path: self.folder.clone(), source })
            }
            _ => Ok(()),
        }
    }
}

/// Runs with reports on disk, left by workers before this one. Folders with none in them are taken away.
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

fn record(seq: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend((payload.len() as u32).to_le_bytes());
    bytes.extend(seq.to_le_bytes());
    bytes.extend(check(seq, payload));
    bytes.extend(payload);
    bytes
}

fn check(seq: u64, payload: &[u8]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(payload.len() as u32).to_le_bytes()).update(&seq.to_le_bytes()).update(payload);
    let mut start = [0; 8];
    start.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    start
}

/// The next record, or `None` where there is no whole and sound one.
fn next_record(reader: &mut impl Read) -> io::Result<Option<(u64, Vec<u8>)>> {
    let mut header = [0; HEADER];
    if !fill(reader, &mut header)? {
        return Ok(None);
    }
    let [l0, l1, l2, l3, s0, s1, s2, s3, s4, s5, s6, s7, expected @ ..] = header;
    let (length, seq) =
        (u32::from_le_bytes([l0, l1, l2, l3]) as usize, u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]));
    if length == 0 || length > LONGEST {
        return Ok(None);
    }
    let mut payload = vec![0; length];
    let is_sound = fill(reader, &mut payload)? && check(seq, &payload) == expected;
    Ok(is_sound.then_some((seq, payload)))
}

/// Whether there were enough bytes.
fn fill(reader: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(source) if source.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(source) => Err(source),
    }
}

/// Goes through all whole records, in rising order of number.
fn walk(file: &File, length: u64) -> io::Result<Walk> {
    let mut reader = BufReader::with_capacity(1 << 20, file).take(length);
    let mut walk = Walk::default();
    while let Some((seq, payload)) = next_record(&mut reader)? {
        if seq <= walk.last {
            break;
        }
        if walk.marks.last().is_none_or(|(marked, _)| seq - marked >= MARK_EVERY) {
            walk.marks.push((seq, walk.end));
        }
        walk.last = seq;
        walk.end += (HEADER + payload.len()) as u64;
    }
    Ok(walk)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::series::Row;

    fn item(step: u64) -> Item {
        Item::Row(Row { segment: 0, step, values: vec![("loss.train".into(), step as f64); (step % 3) as usize] })
    }

    fn run() -> RunId {
        "amber-fox-7k2q".parse().unwrap()
    }

    fn all(spool: &mut Spool, from: u64, most: usize) -> Vec<(u64, Item)> {
        let (mut next, mut found) = (from, vec![]);
        while let Some(records) = spool.read(next, Most { records: most, bytes: 1 << 20 }).unwrap() {
            let items = records.decode(Path::new("")).unwrap();
            assert!(!items.is_empty() && items.len() <= most && records.first_seq >= next);
            found.extend((records.first_seq..).zip(items));
            next = found.last().unwrap().0 + 1;
        }
        found
    }

    fn filled(root: &Path, count: u64) -> Spool {
        let mut spool = Spool::open(root, &run()).unwrap();
        for step in 1..=count {
            assert_eq!(spool.append(&item(step)).unwrap(), step);
        }
        spool
    }

    #[test]
    fn reads_back_from_any_number_also_after_reopening() {
        let root = tempfile::tempdir().unwrap();
        let mut spool = filled(root.path(), 1000);
        for is_reopened in [false, true] {
            if is_reopened {
                spool = Spool::open(root.path(), &run()).unwrap();
                assert_eq!(spool.last(), 1000);
            }
            for (from, most) in [(0, 7), (1, 1000), (2, 999), (256, 256), (257, 300), (700, 1), (1000, 5), (1001, 5)] {
                let expected: Vec<_> = (from.max(1)..=1000).map(|seq| (seq, item(seq))).collect();
                assert_eq!(all(&mut spool, from, most), expected, "from {from}, {most} at a time");
            }
        }
    }

    #[test]
    fn torn_anywhere_the_longest_whole_prefix_is_left_and_goes_on() {
        let root = tempfile::tempdir().unwrap();
        let spool = filled(root.path(), 12);
        let path = spool.path().to_owned();
        let whole = fs::read(&path).unwrap();
        let mut ends = vec![0];
        ends.extend((1..=12).scan(0, |end, seq| {
            *end += record(seq, &wire::encode::to_bytes(&item(seq)).unwrap()).len();
            Some(*end)
        }));
        for length in 0..=whole.len() {
            for rubbish in [&b""[..], &[0; 64], &[0xff; 64]] {
                let torn = [&whole[..length], rubbish].concat();
                fs::write(&path, &torn).unwrap();
                // Rubbish may happen to be the very bytes that were lost.
                let intact = torn.iter().zip(&whole).take_while(|(a, b)| a == b).count();
                let kept = ends.iter().filter(|end| **end <= intact).count() as u64 - 1;
                let mut spool = Spool::open(root.path(), &run()).unwrap();
                assert_eq!(spool.last(), kept, "cut at {length}");
                assert_eq!(spool.append(&item(77)).unwrap(), kept + 1);
                let mut expected: Vec<_> = (1..=kept).map(|seq| (seq, item(seq))).collect();
                expected.push((kept + 1, item(77)));
                assert_eq!(all(&mut Spool::open(root.path(), &run()).unwrap(), 1, 5), expected, "cut at {length}");
            }
        }
    }

    #[test]
    fn a_flipped_bit_is_never_read_as_a_report() {
        let root = tempfile::tempdir().unwrap();
        let path = filled(root.path(), 6).path().to_owned();
        let whole = fs::read(&path).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, bytes).unwrap();
            let mut spool = Spool::open(root.path(), &run()).unwrap();
            let found = all(&mut spool, 1, 10);
            assert!(
                found.len() < 6 && found.iter().zip(1..).all(|((seq, read), n)| *seq == n && *read == item(n)),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn a_read_ends_after_so_many_bytes_and_has_one_report_at_least() {
        let root = tempfile::tempdir().unwrap();
        let mut spool = filled(root.path(), 9);
        let weights: Vec<usize> = (1..=9).map(|step| wire::encode::to_bytes(&item(step)).unwrap().len()).collect();
        for bytes in [0, 1, weights[0], weights[0] + 1, weights[..4].iter().sum(), 10_000] {
            let read = spool.read(1, Most { records: 7, bytes }).unwrap().unwrap();
            let expected = (1..=7).find(|count| weights[..*count].iter().sum::<usize>() >= bytes).unwrap_or(7);
            assert_eq!(read.payloads.len(), expected, "{bytes} bytes of {weights:?}");
        }
        assert_eq!(all(&mut spool, 1, 9).len(), 9);
    }

    #[test]
    fn numbers_leap_where_the_server_has_more() {
        let root = tempfile::tempdir().unwrap();
        let mut spool = filled(root.path(), 3);
        spool.skip_to(10);
        assert_eq!(spool.append(&item(11)).unwrap(), 11);
        spool = Spool::open(root.path(), &run()).unwrap();
        let numbers: Vec<u64> = all(&mut spool, 1, 10).into_iter().map(|(seq, _)| seq).collect();
        assert_eq!(numbers, [1, 2, 3, 11]);
    }

    #[test]
    fn a_disk_that_refuses_loses_nothing() {
        let root = tempfile::tempdir().unwrap();
        let in_the_way = root.path().join(run().as_str());
        fs::write(&in_the_way, "a file where the folder should be").unwrap();
        let mut spool = Spool::open_or_hold(root.path(), &run());
        for step in 1..=5 {
            spool.append(&item(step)).unwrap();
        }
        assert!(spool.failure().is_some());
        let expected: Vec<_> = (1..=5).map(|seq| (seq, item(seq))).collect();
        assert_eq!(all(&mut spool, 1, 2), expected, "still there to be sent");
        fs::remove_file(&in_the_way).unwrap();
        assert!(spool.flush() && spool.failure().is_none());
        assert_eq!(all(&mut Spool::open(root.path(), &run()).unwrap(), 1, 2), expected);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_named() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join(run().as_str())).unwrap();
        std::os::unix::fs::symlink("/dev/full", root.path().join(run().as_str()).join("log")).unwrap();
        let mut spool = Spool::open_or_hold(root.path(), &run());
        spool.append(&item(1)).unwrap();
        assert!(spool.failure().unwrap().contains("No space left"), "{:?}", spool.failure());
        assert_eq!(all(&mut spool, 1, 2), [(1, item(1))]);
    }

    #[test]
    fn what_earlier_workers_left_is_found() {
        let root = tempfile::tempdir().unwrap();
        filled(root.path(), 2);
        Spool::open(root.path(), &"empty-run".parse().unwrap()).unwrap();
        fs::create_dir(root.path().join("No Run")).unwrap();
        let found: Vec<(RunId, u64)> =
            unsent(root.path()).into_iter().map(|(run, spool)| (run, spool.last())).collect();
        assert_eq!(found, [(run(), 2)]);
        assert!(!root.path().join("empty-run").exists());
        assert!(unsent(&root.path().join("nowhere")).is_empty());
    }

    #[test]
    fn once_removed_it_stays_away() {
        let root = tempfile::tempdir().unwrap();
        let mut spool = filled(root.path(), 2);
        spool.remove().unwrap();
        assert!(spool.flush() && spool.unsynced().is_none());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
