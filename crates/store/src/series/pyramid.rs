//! One curve's files. Level 0 has every point, in rising steps; level k has one bucket for each 16^k points, complete ones only.
//! Level 0 decides: what stands above it is cut or made anew from below when the curve is opened.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;

use super::point::{Fold, Point, Record, fold};

/// Records of one level in one of the next.
pub(super) const FAN: u64 = 16;

/// Records read at a time while a level is made anew; 768 kB of buckets.
const MEND_RECORDS: u64 = 16 * 1024;

/// One curve, open to grow. No file stays open: at the pace of training that costs little, and a folder that was removed is noticed.
#[derive(Debug, Clone)]
pub(super) struct Pyramid {
    files: Files,
    /// Points in level 0.
    pub(super) len: u64,
    /// First and last step; `None` while empty.
    pub(super) ends: Option<(u64, u64)>,
    /// The unfinished bucket of each level from 1 on, with the records in it.
    unfinished: Vec<(u64, Option<Fold>)>,
    /// What was in the files when they were opened is surely on disk, too.
    is_settled: bool,
}

/// Where a curve's levels are.
#[derive(Debug, Clone)]
pub(super) struct Files {
    /// Path without the level's ending.
    base: PathBuf,
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

    /// Waits until all levels are on disk.
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

    /// Cuts level 0 to `points`; what stands above it is mended at the next opening. Whether the file reached that far.
    pub(super) fn cut_points(&self, points: u64) -> io::Result<bool> {
        let Some(file) = self.open(0)? else { return Ok(points == 0) };
        let reaches = file.metadata()?.len() >= points * Point::BYTES as u64;
        if reaches {
            file.set_len(points * Point::BYTES as u64)?;
        }
        Ok(reaches)
    }

    fn cut<R: Record>(&self, level: usize, records: u64) -> io::Result<()> {
        match self.open(level)? {
            Some(file) => file.set_len(records * R::BYTES as u64),
            None => Ok(()),
        }
    }
}

impl Pyramid {
    /// Opens a curve, or an empty one where there is none: cuts torn tails, then makes the levels agree with the points.
    pub(super) fn open(files: Files) -> io::Result<Self> {
        let (len, ends) = mend_points(&files)?;
        let mut unfinished = vec![];
        let mut below = len;
        for level in 1.. {
            let complete = below / FAN;
            let had_file = mend_level(&files, level, complete)?;
            let pending = below - complete * FAN;
            let folded = match level {
                1 => fold(read::<Point>(&files, 0, len - pending, pending)?),
                _ => fold(read::<Fold>(&files, level - 1, complete * FAN, pending)?),
            };
            unfinished.push((pending, folded));
            if complete == 0 && !had_file {
                break;
            }
            below = complete;
        }
        Ok(Self { files, len, ends, unfinished, is_settled: false })
    }

    /// Waits until what an earlier process may have left in memory only is on disk; once for each opening.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        if !self.is_settled && self.len > 0 {
            File::open(self.files.level(0))?.sync_data()?;
        }
        self.is_settled = true;
        Ok(())
    }

    /// Grows by points of rising steps. On an error the files are cut back, and the curve must be opened again.
    pub(super) fn append(&mut self, points: &[Point]) -> io::Result<()> {
        let (Some(first), Some(last)) = (points.first(), points.last()) else { return Ok(()) };
        let mut levels = vec![Vec::with_capacity(points.len() * Point::BYTES)];
        let before = self.len;
        for point in points {
            point.write(&mut levels[0]);
            self.rise(point.fold(), &mut levels);
        }
        self.len += points.len() as u64;
        self.ends = Some((self.ends.map_or(first.step, |ends| ends.0), last.step));
        let written = levels
            .iter()
            .enumerate()
            .filter(|(_, bytes)| !bytes.is_empty())
            .try_for_each(|(level, bytes)| self.files.append(level, bytes));
        if written.is_err() {
            self.cut_back(before);
        }
        written
    }

    /// Puts a record of level 0 into the unfinished buckets; those that it finishes go to `levels` and up.
    fn rise(&mut self, mut record: Fold, levels: &mut Vec<Vec<u8>>) {
        for level in 1.. {
            if self.unfinished.len() < level {
                self.unfinished.push((0, None));
            }
            let (pending, bucket) = &mut self.unfinished[level - 1];
            match bucket {
                Some(bucket) => bucket.join(&record),
                None => *bucket = Some(record),
            }
            *pending += 1;
            if *pending < FAN {
                return;
            }
            *pending = 0;
            let Some(finished) = bucket.take() else { return };
            if levels.len() <= level {
                levels.resize(level + 1, vec![]);
            }
            finished.write(&mut levels[level]);
            record = finished;
        }
    }

    /// After a write that failed (a full disk): shrinking needs no space. What cannot be cut now is cut at the next opening.
    fn cut_back(&self, len: u64) {
        let mut complete = len / FAN;
        let _ = self.files.cut::<Point>(0, len);
        for level in 1..=self.unfinished.len() {
            let _ = self.files.cut::<Fold>(level, complete);
            complete /= FAN;
        }
    }

    /// Whether the files still are as long as this remembers; someone may have removed them.
    pub(super) fn is_current(&self) -> bool {
        let stored = std::fs::metadata(self.files.level(0)).map_or(0, |meta| meta.len());
        stored == self.len * Point::BYTES as u64
    }

    /// The curve as it stands now, to read while it grows.
    pub(super) fn reader(&self) -> Reader {
        Reader { files: self.files.clone(), len: self.len, ends: self.ends, open: vec![] }
    }
}

/// Cuts level 0 to whole points that can be true, and gives their number and first and last step.
fn mend_points(files: &Files) -> io::Result<(u64, Option<(u64, u64)>)> {
    let Some(file) = files.open(0)? else { return Ok((0, None)) };
    let bytes = file.metadata()?.len();
    let mut len = bytes / Point::BYTES as u64;
    let step = |at: u64| Ok::<u64, io::Error>(records::<Point>(&file, at, 1)?[0].step);
    // Steps rise, so point i has a step of at least i; a tail of zeros, as a power cut may leave, has not.
    while len > 1 && step(len - 1)? < len - 1 {
        len -= 1;
    }
    if len * Point::BYTES as u64 != bytes {
        file.set_len(len * Point::BYTES as u64)?;
    }
    let ends = if len == 0 { None } else { Some((step(0)?, step(len - 1)?)) };
    Ok((len, ends))
}

/// Brings a level to `complete` buckets: cuts what is too much, adds what is missing from the level below. Whether it had a file.
fn mend_level(files: &Files, level: usize, complete: u64) -> io::Result<bool> {
    let file = files.open(level)?;
    let mut have = 0;
    if let Some(file) = &file {
        let bytes = file.metadata()?.len();
        have = (bytes / Fold::BYTES as u64).min(complete);
        if have > 0 && records::<Fold>(file, have - 1, 1)?[0].last_step != last_step_below(files, level, have)? {
            have = 0;
        }
        if have * Fold::BYTES as u64 != bytes {
            file.set_len(have * Fold::BYTES as u64)?;
        }
    }
    while have < complete {
        let next = (complete - have).min(MEND_RECORDS / FAN);
        let mut bytes = Vec::with_capacity(next as usize * Fold::BYTES);
        let mut write_all = |folds: Vec<Fold>| {
            folds
                .chunks(FAN as usize)
                .filter_map(|chunk| fold(chunk.iter().copied()))
                .for_each(|bucket| bucket.write(&mut bytes))
        };
        match level {
            1 => write_all(read::<Point>(files, 0, have * FAN, next * FAN)?.iter().map(Record::fold).collect()),
            _ => write_all(read::<Fold>(files, level - 1, have * FAN, next * FAN)?),
        }
        files.append(level, &bytes)?;
        have += next;
    }
    Ok(file.is_some())
}

/// The last step in the first `buckets` of a level, as the level below has it.
fn last_step_below(files: &Files, level: usize, buckets: u64) -> io::Result<u64> {
    let last = buckets * FAN - 1;
    Ok(match level {
        1 => read::<Point>(files, 0, last, 1)?[0].step,
        _ => read::<Fold>(files, level - 1, last, 1)?[0].last_step,
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

/// A curve as it stood at one moment. Levels are opened as they are needed.
#[derive(Debug)]
pub(super) struct Reader {
    files: Files,
    /// Points.
    pub(super) len: u64,
    /// First and last step; `None` while empty.
    pub(super) ends: Option<(u64, u64)>,
    open: Vec<Option<File>>,
}

impl Reader {
    /// Points from number `first` on.
    pub(super) fn points(&mut self, first: u64, count: u64) -> io::Result<Vec<Point>> {
        if count == 0 { Ok(vec![]) } else { records(self.file(0)?, first, count) }
    }

    /// Buckets of a level from number `first` on.
    pub(super) fn buckets(&mut self, level: usize, first: u64, count: u64) -> io::Result<Vec<Fold>> {
        match level {
            0 => Ok(self.points(first, count)?.iter().map(Record::fold).collect()),
            _ if count == 0 => Ok(vec![]),
            _ => records(self.file(level)?, first, count),
        }
    }

    /// Number of the first point whose step is `step` or later; the number of points where there is none.
    pub(super) fn find(&mut self, step: u64) -> io::Result<u64> {
        let Some((first, last)) = self.ends.filter(|(_, last)| step <= *last) else { return Ok(self.len) };
        if step <= first {
            return Ok(0);
        }
        // Steps rise by at least one, so the point is here at the latest; where each step has a value, it is here.
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

    /// Folds points `from..to` out of as few records as possible: buckets where they fit, points at the edges.
    pub(super) fn fold(&mut self, from: u64, to: u64, level: usize) -> io::Result<Option<Fold>> {
        if from >= to {
            return Ok(None);
        }
        let size = FAN.pow(level as u32);
        let (low, high) = (from.next_multiple_of(size), to - to % size);
        if level == 0 || low < high {
            let middle = fold(self.buckets(level, low / size, (high - low) / size)?);
            if level == 0 {
                return Ok(middle);
            }
            let before = self.fold(from, low, level - 1)?;
            let after = self.fold(high, to, level - 1)?;
            return Ok(fold([before, middle, after].into_iter().flatten()));
        }
        self.fold(from, to, level - 1)
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
