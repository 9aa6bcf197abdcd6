//! The files of one series. Level 0 has every point, in increasing steps; level k has a bucket for each 16^k points, complete ones only.
//! Level 0 is authoritative: the levels above are truncated or computed again when the series is opened.
//!
//! The newest records may be in memory alone. Readers have a copy of them, so they see no difference.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::mem::take;
use std::path::PathBuf;

use super::point::{Point, Record, StoredBucket, aggregate};

/// Records of one level per record of the next.
pub(super) const FAN: u64 = 16;

/// Records read at a time while a level is computed again: 768 kB of buckets.
const REPAIR_RECORDS: u64 = 16 * 1024;

/// A series, open for appending. No file stays open: at the speed of training that costs little, and a removed folder is noticed.
#[derive(Debug, Clone)]
pub(super) struct Pyramid {
    files: Files,
    /// Number of points, those in memory included.
    pub(super) len: u64,
    /// First and last step; `None` while empty.
    pub(super) ends: Option<(u64, u64)>,
    /// The unfinished bucket of each level from 1 on, with the records in it.
    unfinished: Vec<(u64, Option<StoredBucket>)>,
    /// The records of each level that are not in its file yet.
    unwritten: Unwritten,
    /// Whether the content at opening is synced.
    is_synced: bool,
}

/// The paths of a series' levels.
#[derive(Debug, Clone)]
pub(super) struct Files {
    /// Path without the extension of the level.
    base: PathBuf,
}

/// Records that follow those in the files, as bytes, by level.
#[derive(Debug, Clone, Default)]
struct Unwritten(Vec<Vec<u8>>);

impl Unwritten {
    fn level(&self, level: usize) -> &[u8] {
        self.0.get(level).map_or(&[], Vec::as_slice)
    }

    /// The bytes of a level, to append to.
    fn level_mut(&mut self, level: usize) -> &mut Vec<u8> {
        if self.0.len() <= level {
            self.0.resize(level + 1, vec![]);
        }
        &mut self.0[level]
    }

    /// Number of records of a level.
    fn count<R: Record>(&self, level: usize) -> u64 {
        (self.level(level).len() / R::BYTES) as u64
    }
}

impl Files {
    pub(super) fn new(base: PathBuf) -> Self {
        Self { base }
    }

    pub(super) fn level(&self, level: usize) -> PathBuf {
        let mut path = self.base.clone().into_os_string();
        path.push(format!(".l{level}"));
        path.into()
    }

    fn open(&self, level: usize) -> io::Result<Option<File>> {
        match OpenOptions::new().read(true).write(true).open(self.level(level)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn append(&self, level: usize, bytes: &[u8]) -> io::Result<()> {
        OpenOptions::new().append(true).create(true).open(self.level(level))?.write_all(bytes)
    }

    /// Syncs all levels.
    pub(super) fn sync(&self) -> io::Result<()> {
        for level in 0.. {
            match File::open(self.level(level)) {
                Ok(file) => file.sync_data()?,
                Err(error) if error.kind() == ErrorKind::NotFound => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Truncates level 0 to `points`; the levels above are repaired at the next opening. Returns whether the file was that long.
    pub(super) fn cut_points(&self, points: u64) -> io::Result<bool> {
        let Some(file) = self.open(0)? else { return Ok(points == 0) };
        let reaches = file.metadata()?.len() >= points * Point::BYTES as u64;
        if reaches {
            file.set_len(points * Point::BYTES as u64)?;
        }
        Ok(reaches)
    }

    /// Replaces all points at once: a kill leaves those before or the new ones. The levels above are computed at the next opening.
    pub(super) fn replace(&self, points: &[Point]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(points.len() * Point::BYTES);
        points.iter().for_each(|point| point.write(&mut bytes));
        let path = self.level(0);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let new = path.with_file_name(format!(".{name}.new"));
        std::fs::write(&new, bytes)?;
        File::open(&new)?.sync_data()?;
        for level in 1.. {
            match std::fs::remove_file(self.level(level)) {
                Err(error) if error.kind() == ErrorKind::NotFound => break,
                removed => removed?,
            }
        }
        std::fs::rename(new, path)
    }

    fn cut<R: Record>(&self, level: usize, records: u64) -> io::Result<()> {
        match self.open(level)? {
            Some(file) => file.set_len(records * R::BYTES as u64),
            None => Ok(()),
        }
    }
}

impl Pyramid {
    /// Opens a series, or an empty one if no file exists: cuts off incomplete tails and repairs the levels.
    pub(super) fn open(files: Files) -> io::Result<Self> {
        let (len, ends) = repair_points(&files)?;
        let mut unfinished = vec![];
        let mut below = len;
        for level in 1.. {
            let complete = below / FAN;
            let had_file = repair_level(&files, level, complete)?;
            let pending = below - complete * FAN;
            let bucket = match level {
                1 => aggregate(read::<Point>(&files, 0, len - pending, pending)?),
                _ => aggregate(read::<StoredBucket>(&files, level - 1, complete * FAN, pending)?),
            };
            unfinished.push((pending, bucket));
            if complete == 0 && !had_file {
                break;
            }
            below = complete;
        }
        Ok(Self { files, len, ends, unfinished, unwritten: Unwritten::default(), is_synced: false })
    }

    /// Syncs what an earlier process may have written without a sync; once per opening.
    pub(super) fn sync_once(&mut self) -> io::Result<()> {
        if !self.is_synced && self.len > self.unwritten_points() {
            File::open(self.files.level(0))?.sync_data()?;
        }
        self.is_synced = true;
        Ok(())
    }

    /// Appends points of increasing steps in memory.
    pub(super) fn add(&mut self, points: &[Point]) {
        let (Some(first), Some(last)) = (points.first(), points.last()) else { return };
        let mut unwritten = take(&mut self.unwritten);
        for point in points {
            point.write(unwritten.level_mut(0));
            self.add_to_levels(point.bucket(), &mut unwritten);
        }
        self.unwritten = unwritten;
        self.len += points.len() as u64;
        self.ends = Some((self.ends.map_or(first.step, |ends| ends.0), last.step));
    }

    /// Number of points that are in memory alone.
    pub(super) fn unwritten_points(&self) -> u64 {
        self.unwritten.count::<Point>(0)
    }

    /// Writes the records that are in memory alone. After an error they stay there, and the files are truncated to the previous length.
    pub(super) fn write(&mut self) -> io::Result<()> {
        let mut levels = self.unwritten.0.iter().enumerate().filter(|(_, bytes)| !bytes.is_empty());
        let written = levels.try_for_each(|(level, bytes)| self.files.append(level, bytes));
        match written {
            Ok(()) => self.unwritten.0.iter_mut().for_each(Vec::clear),
            Err(_) => self.truncate_after_error(),
        }
        written
    }

    /// Appends points of increasing steps and writes all records. After an error the series has none of the points.
    pub(super) fn append(&mut self, points: &[Point]) -> io::Result<()> {
        let before = self.clone();
        self.add(points);
        let written = self.write();
        if written.is_err() {
            *self = before;
        }
        written
    }

    /// Adds a record of level 0 to the unfinished buckets; completed buckets become records of the levels above.
    fn add_to_levels(&mut self, mut record: StoredBucket, unwritten: &mut Unwritten) {
        for level in 1.. {
            if self.unfinished.len() < level {
                self.unfinished.push((0, None));
            }
            let (pending, bucket) = &mut self.unfinished[level - 1];
            match bucket {
                Some(bucket) => bucket.merge(&record),
                None => *bucket = Some(record),
            }
            *pending += 1;
            if *pending < FAN {
                return;
            }
            *pending = 0;
            let Some(finished) = bucket.take() else { return };
            finished.write(unwritten.level_mut(level));
            record = finished;
        }
    }

    /// Truncates after a failed write (a full disk), which needs no space. Files that cannot be truncated now are so at the next opening.
    fn truncate_after_error(&self) {
        let _ = self.files.cut::<Point>(0, self.len - self.unwritten_points());
        for level in 1..=self.unfinished.len() {
            let complete = self.len / FAN.pow(level as u32);
            let _ = self.files.cut::<StoredBucket>(level, complete - self.unwritten.count::<StoredBucket>(level));
        }
    }

    /// Whether level 0 has the expected length; the files may have been removed.
    pub(super) fn is_current(&self) -> bool {
        let stored = std::fs::metadata(self.files.level(0)).map_or(0, |meta| meta.len());
        stored == (self.len - self.unwritten_points()) * Point::BYTES as u64
    }

    /// The series as its files are now, followed by the points that are in memory alone.
    pub(super) fn opened_again(&self) -> io::Result<Self> {
        let mut opened = Self::open(self.files.clone())?;
        let last = opened.ends.map(|ends| ends.1);
        let points = self.unwritten.level(0).chunks_exact(Point::BYTES).map(Point::read);
        opened.add(&points.filter(|point| last.is_none_or(|last| point.step > last)).collect::<Vec<_>>());
        Ok(opened)
    }

    /// A reader of the current points; the series can be appended to meanwhile.
    pub(super) fn reader(&self) -> Reader {
        Reader {
            files: self.files.clone(),
            len: self.len,
            ends: self.ends,
            unwritten: self.unwritten.clone(),
            open: vec![],
        }
    }
}

/// Truncates level 0 to complete and plausible points. Returns their number and the first and last step.
fn repair_points(files: &Files) -> io::Result<(u64, Option<(u64, u64)>)> {
    let Some(file) = files.open(0)? else { return Ok((0, None)) };
    let bytes = file.metadata()?.len();
    let mut len = bytes / Point::BYTES as u64;
    let step = |at: u64| Ok::<u64, io::Error>(records::<Point>(&file, at, 1)?[0].step);
    // Steps increase, so point i has a step of at least i; a tail of zeros, which a power cut may leave, violates
    // this.
    while len > 1 && step(len - 1)? < len - 1 {
        len -= 1;
    }
    if len * Point::BYTES as u64 != bytes {
        file.set_len(len * Point::BYTES as u64)?;
    }
    let ends = if len == 0 { None } else { Some((step(0)?, step(len - 1)?)) };
    Ok((len, ends))
}

/// Repairs a level to `complete` buckets: truncates it, or computes missing buckets from the level below. Returns whether it had a file.
fn repair_level(files: &Files, level: usize, complete: u64) -> io::Result<bool> {
    let file = files.open(level)?;
    let mut have = 0;
    if let Some(file) = &file {
        let bytes = file.metadata()?.len();
        have = (bytes / StoredBucket::BYTES as u64).min(complete);
        if have > 0 && records::<StoredBucket>(file, have - 1, 1)?[0].last_step != last_step_below(files, level, have)?
        {
            have = 0;
        }
        if have * StoredBucket::BYTES as u64 != bytes {
            file.set_len(have * StoredBucket::BYTES as u64)?;
        }
    }
    while have < complete {
        let next = (complete - have).min(REPAIR_RECORDS / FAN);
        let mut bytes = Vec::with_capacity(next as usize * StoredBucket::BYTES);
        let mut write_all = |buckets: Vec<StoredBucket>| {
            buckets
                .chunks(FAN as usize)
                .filter_map(|chunk| aggregate(chunk.iter().copied()))
                .for_each(|bucket| bucket.write(&mut bytes))
        };
        match level {
            1 => write_all(read::<Point>(files, 0, have * FAN, next * FAN)?.iter().map(Record::bucket).collect()),
            _ => write_all(read::<StoredBucket>(files, level - 1, have * FAN, next * FAN)?),
        }
        files.append(level, &bytes)?;
        have += next;
    }
    Ok(file.is_some())
}

/// The last step of the first `buckets` of a level, read from the level below.
fn last_step_below(files: &Files, level: usize, buckets: u64) -> io::Result<u64> {
    let last = buckets * FAN - 1;
    Ok(match level {
        1 => read::<Point>(files, 0, last, 1)?[0].step,
        _ => read::<StoredBucket>(files, level - 1, last, 1)?[0].last_step,
    })
}

fn read<R: Record>(files: &Files, level: usize, first: u64, count: u64) -> io::Result<Vec<R>> {
    if count == 0 {
        return Ok(vec![]);
    }
    records(&File::open(files.level(level))?, first, count)
}

/// `count` records from number `first` on, in one read.
fn records<R: Record>(file: &File, first: u64, count: u64) -> io::Result<Vec<R>> {
    let mut bytes = vec![0; count as usize * R::BYTES];
    read_at(file, &mut bytes, first * R::BYTES as u64)?;
    Ok(bytes.chunks_exact(R::BYTES).map(R::read).collect())
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(not(unix))]
fn read_at(mut file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(bytes)
}

/// A reader of a series' points at one moment. Levels are opened when they are needed.
#[derive(Debug)]
pub(super) struct Reader {
    files: Files,
    /// Number of points.
    pub(super) len: u64,
    /// First and last step; `None` while empty.
    pub(super) ends: Option<(u64, u64)>,
    /// The last records, which the files did not have when the reader was made.
    unwritten: Unwritten,
    open: Vec<Option<File>>,
}

impl Reader {
    /// Points from number `first` on.
    pub(super) fn points(&mut self, first: u64, count: u64) -> io::Result<Vec<Point>> {
        self.records(0, first, count)
    }

    /// Buckets of a level from number `first` on.
    pub(super) fn buckets(&mut self, level: usize, first: u64, count: u64) -> io::Result<Vec<StoredBucket>> {
        match level {
            0 => Ok(self.points(first, count)?.iter().map(Record::bucket).collect()),
            _ => self.records(level, first, count),
        }
    }

    /// Records of a level from number `first` on: those in the file, and those that were in memory alone.
    fn records<R: Record>(&mut self, level: usize, first: u64, count: u64) -> io::Result<Vec<R>> {
        let in_file = self.len / FAN.pow(level as u32) - self.unwritten.count::<R>(level);
        let from_file = count.min(in_file.saturating_sub(first));
        let mut found = if from_file == 0 { vec![] } else { records(self.file(level)?, first, from_file)? };
        let unwritten = self.unwritten.level(level).chunks_exact(R::BYTES).skip(first.saturating_sub(in_file) as usize);
        found.extend(unwritten.take((count - from_file) as usize).map(R::read));
        if found.len() as u64 == count { Ok(found) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }

    /// Number of the first point whose step is `step` or later; the number of points if there is none.
    pub(super) fn find(&mut self, step: u64) -> io::Result<u64> {
        let Some((first, last)) = self.ends.filter(|(_, last)| step <= *last) else { return Ok(self.len) };
        if step <= first {
            return Ok(0);
        }
        // Steps increase by at least one, so the point is at this index or before; if every step has a value, it is at this index.
        let latest = (step - first).min(self.len - 1);
        if step == last {
            return Ok(self.len - 1);
        }
        if self.points(latest, 1)?[0].step == step {
            return Ok(latest);
        }
        let (mut low, mut high) = (0, latest);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.points(middle, 1)?[0].step < step { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }

    /// Aggregates points `from..to` from as few records as possible: whole buckets, and points at the edges.
    pub(super) fn aggregate(&mut self, from: u64, to: u64, level: usize) -> io::Result<Option<StoredBucket>> {
        if from >= to {
            return Ok(None);
        }
        let size = FAN.pow(level as u32);
        let (low, high) = (from.next_multiple_of(size), to - to % size);
        if level == 0 || low < high {
            let middle = aggregate(self.buckets(level, low / size, (high - low) / size)?);
            if level == 0 {
                return Ok(middle);
            }
            let before = self.aggregate(from, low, level - 1)?;
            let after = self.aggregate(high, to, level - 1)?;
            return Ok(aggregate([before, middle, after].into_iter().flatten()));
        }
        self.aggregate(from, to, level - 1)
    }

    fn file(&mut self, level: usize) -> io::Result<&File> {
        if self.open.len() <= level {
            self.open.resize_with(level + 1, || None);
        }
        let slot = &mut self.open[level];
        if slot.is_none() {
            *slot = Some(File::open(self.files.level(level))?);
        }
        slot.as_ref().ok_or_else(|| io::Error::from(ErrorKind::NotFound))
    }
}
