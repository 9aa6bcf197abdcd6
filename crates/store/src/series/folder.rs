//! All series of one run, by segment and name.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wire::RunId;
use wire::series::Row;

use super::file_name::{MAX_BYTES, escape, unescape};
use super::lock::at;
use super::point::Point;
use super::pyramid::{Files, Pyramid, Reader};
use crate::error::StoreError;

/// New points of a series that make a write worth its cost: opening a file costs more than writing some hundred bytes.
const POINTS_PER_WRITE: u64 = 64;

/// The series of one run.
pub(super) struct RunFolder {
    run: RunId,
    path: PathBuf,
    series: Vec<Series>,
    /// Indices into `series`.
    indices: BTreeMap<u32, HashMap<String, usize>>,
}

/// One series of a run.
struct Series {
    segment: u32,
    name: String,
    /// `None` until it is used, and after it was closed.
    curve: Option<Pyramid>,
    /// Whether it was appended to since the last [`RunFolder::sync`].
    is_unsynced: bool,
}

impl Series {
    fn written<'a>(&'a self, new: &'a NewPoints) -> Written<'a> {
        Written { segment: self.segment, name: &self.name, before: new.before, points: &new.points }
    }
}

/// New points of one series.
struct NewPoints {
    index: usize,
    last_step: Option<u64>,
    /// Number of points before them.
    before: u64,
    points: Vec<Point>,
}

/// The effect of appending.
#[derive(Debug, Default)]
pub(super) struct Appended {
    /// Repeated values, as (row, value) in increasing order.
    pub(super) repeated: Vec<(usize, usize)>,
    /// The new points, for [`RunFolder::redo`]; empty if there are none.
    pub(super) points: Vec<u8>,
    /// Those of them that no series has yet: the index of each series, and its points.
    pub(super) deferred: Vec<(usize, Vec<Point>)>,
}

/// New points of one series, with the number of points before them: enough to write them again after a power cut.
#[derive(Serialize)]
struct Written<'a> {
    segment: u32,
    name: &'a str,
    before: u64,
    points: &'a [Point],
}

/// [`Written`], decoded.
#[derive(Deserialize)]
struct Rewritten {
    segment: u32,
    name: String,
    before: u64,
    points: Vec<Point>,
}

impl RunFolder {
    pub(super) fn new(run: RunId, path: PathBuf) -> Self {
        Self { run, path, series: vec![], indices: BTreeMap::new() }
    }

    /// Fails if the folder was removed, so that the run does not seem to have no values.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.path.is_dir() {
            Ok(())
        } else {
            Err(StoreError::RunFolderMissing { run: self.run.clone(), path: self.path.clone() })
        }
    }

    /// See [`super::SeriesFiles::append`]. Each series is written at most once, however many rows there are, and with `may_defer` only if it has
    /// enough new points.
    pub(super) fn append(&mut self, rows: &[Row], may_defer: bool) -> Result<Appended, StoreError> {
        let (new_points, repeated) = self.sort(rows)?;
        let points = self.encode(&new_points)?;
        let mut deferred = vec![];
        for NewPoints { index, points, .. } in new_points {
            let unwritten = self.curve(index)?.unwritten_points() + points.len() as u64;
            match may_defer && unwritten < POINTS_PER_WRITE {
                true => deferred.push((index, points)),
                false => self.grow(index, &points)?,
            }
        }
        Ok(Appended { repeated, points, deferred })
    }

    /// Sorts values by series. Also returns the repeated ones.
    fn sort(&mut self, rows: &[Row]) -> Result<(Vec<NewPoints>, Vec<(usize, usize)>), StoreError> {
        let mut repeated = vec![];
        let mut new_points: Vec<NewPoints> = vec![];
        let mut places: HashMap<usize, usize> = HashMap::new();
        // Rows mostly have the same names in the same order, so the place of the previous row is tried first.
        let mut row_before: Vec<usize> = vec![];
        for (row_at, row) in rows.iter().enumerate() {
            for (value_at, (name, value)) in row.values.iter().enumerate() {
                let guess = row_before.get(value_at).copied().filter(|place| {
                    let series = &self.series[new_points[*place].index];
                    series.name == *name && series.segment == row.segment
                });
                let place = match guess {
                    Some(place) => place,
                    None => {
                        let index = self.index(row.segment, name);
                        match places.get(&index) {
                            Some(place) => *place,
                            None => {
                                let curve = self.curve_to_append(index)?;
                                let (last_step, before) = (curve.ends.map(|ends| ends.1), curve.len);
                                new_points.push(NewPoints { index, last_step, before, points: vec![] });
                                places.insert(index, new_points.len() - 1);
                                new_points.len() - 1
                            }
                        }
                    }
                };
                if value_at < row_before.len() {
                    row_before[value_at] = place
                } else {
                    row_before.push(place)
                }
                let new = &mut new_points[place];
                if new.last_step.is_some_and(|last| row.step <= last) {
                    repeated.push((row_at, value_at));
                    continue;
                }
                new.last_step = Some(row.step);
                new.points.push(Point { step: row.step, value: *value });
            }
        }
        new_points.retain(|new| !new.points.is_empty());
        Ok((new_points, repeated))
    }

    fn encode(&self, new_points: &[NewPoints]) -> Result<Vec<u8>, StoreError> {
        if new_points.is_empty() {
            return Ok(vec![]);
        }
        let written: Vec<Written<'_>> = new_points.iter().map(|new| self.series[new.index].written(new)).collect();
        wire::encode::to_bytes(&written).map_err(|source| StoreError::unreadable("new points", source))
    }

    /// Adds the points that [`Self::append`] deferred, once they are in the database.
    pub(super) fn add(&mut self, deferred: Vec<(usize, Vec<Point>)>) {
        for (index, mut points) in deferred {
            // Usually still open and of the same length, because the reports of a run are stored one after the other. What an earlier call has
            // begun may end late, and have closed the series or written the same points. After an error the database has them.
            let Ok(curve) = self.curve(index) else { continue };
            let last_step = curve.ends.map(|ends| ends.1);
            points.retain(|point| last_step.is_none_or(|last| point.step > last));
            curve.add(&points);
            self.series[index].is_unsynced = true;
        }
    }

    /// Writes what is in memory alone and closes all series, so that they are opened, repaired and synced again.
    pub(super) fn close(&mut self) -> Result<(), StoreError> {
        for index in 0..self.series.len() {
            self.grow(index, &[])?;
            self.series[index].curve = None;
        }
        Ok(())
    }

    /// Whether a series has points in memory alone, or was written and not synced.
    pub(super) fn is_unsynced(&self) -> bool {
        self.series.iter().any(|series| series.is_unsynced)
    }

    /// Writes points again that [`RunFolder::append`] returned, in the same order, over what follows there. Each series is opened and
    /// written once, however many batches there are: a run can leave a hundred thousand.
    pub(super) fn redo(&mut self, batches: &[Vec<u8>]) -> Result<(), StoreError> {
        let mut curves: BTreeMap<(u32, String), (u64, Vec<Point>)> = BTreeMap::new();
        for batch in batches {
            let written: Vec<Rewritten> = wire::encode::from_bytes(batch)
                .map_err(|source| StoreError::unreadable("points to write again", source))?;
            for Rewritten { segment, name, before, points } in written {
                curves.entry((segment, name)).or_insert_with(|| (before, vec![])).1.extend(points);
            }
        }
        for ((segment, name), (before, mut points)) in curves {
            let index = self.index(segment, &name);
            self.series[index].curve = None;
            // A file that ends before them has lost synced points; the points that follow are all that is left.
            Files::new(self.base(index)?).cut_points(before).map_err(|source| self.missing_or(source))?;
            // Not synced one by one: all are synced together afterwards.
            let last_step = self.curve(index)?.ends.map(|ends| ends.1);
            points.retain(|point| last_step.is_none_or(|last| point.step > last));
            self.grow(index, &points)?;
            self.series[index].is_unsynced = true;
        }
        Ok(())
    }

    /// See [`super::SeriesFiles::put`].
    pub(super) fn put(&mut self, mut row: Row) -> Result<Row, StoreError> {
        let (step, segment, mut last) = (row.step, row.segment, vec![]);
        if row.values.is_empty() {
            return Ok(row);
        }
        let later: Vec<u32> = self.segments()?.into_iter().filter(|other| *other > segment).collect();
        for (name, value) in std::mem::take(&mut row.values) {
            let index = self.index(segment, &name);
            let mut is_newest = self.insert(index, Point { step, value })?;
            for other in &later {
                is_newest &= self.reader(*other, &name)?.is_none();
            }
            if is_newest {
                last.push((name, value));
            }
        }
        for folder in [self.segment_path(segment), self.path.clone()] {
            crate::disk::sync_folder(&folder)?;
        }
        Ok(Row { values: last, ..row })
    }

    /// Writes and syncs a point of a series. Returns whether it is the last one.
    fn insert(&mut self, index: usize, point: Point) -> Result<bool, StoreError> {
        let base = self.base(index)?;
        let curve = self.curve_to_append(index)?;
        let mut points = curve.reader().points(0, curve.len).map_err(at(&base))?;
        let place = points.partition_point(|known| known.step < point.step);
        let is_last = points[place..].iter().all(|known| known.step == point.step);
        let is_known = points.get(place).is_some_and(|known| known.step == point.step);
        points.splice(place..place + usize::from(is_known), [point]);
        if place + 1 == points.len() && !is_known {
            self.grow(index, &[point])?;
        } else {
            self.series[index].curve = None;
            Files::new(base.clone()).replace(&points).map_err(|source| self.missing_or(source))?;
        }
        Files::new(base).sync().map_err(|source| self.missing_or(source))?;
        self.series[index].is_unsynced = false;
        Ok(is_last)
    }

    /// Writes and syncs everything appended.
    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        let unsynced: Vec<usize> = (0..self.series.len()).filter(|index| self.series[*index].is_unsynced).collect();
        for index in &unsynced {
            self.grow(*index, &[])?;
            Files::new(self.base(*index)?).sync().map_err(|source| self.missing_or(source))?;
        }
        let folders: BTreeSet<PathBuf> =
            unsynced.iter().map(|index| self.segment_path(self.series[*index].segment)).collect();
        folders.iter().chain([&self.path]).try_for_each(|folder| crate::disk::sync_folder(folder))?;
        self.series.iter_mut().for_each(|series| series.is_unsynced = false);
        Ok(())
    }

    /// Appends points to a series and writes what it has in memory alone.
    fn grow(&mut self, index: usize, points: &[Point]) -> Result<(), StoreError> {
        let path = self.segment_path(self.series[index].segment);
        let Some(curve) = self.series[index].curve.as_mut() else { return Ok(()) };
        if points.is_empty() && curve.unwritten_points() == 0 {
            return Ok(());
        }
        let written = create(&path).and_then(|()| {
            if !curve.is_current() {
                *curve = curve.opened_again()?;
            }
            curve.append(points)
        });
        self.series[index].is_unsynced = true;
        written.map_err(|source| self.missing_or(source))
    }

    /// Index of a series.
    fn index(&mut self, segment: u32, name: &str) -> usize {
        let indices = self.indices.entry(segment).or_default();
        if let Some(index) = indices.get(name) {
            return *index;
        }
        indices.insert(name.to_owned(), self.series.len());
        self.series.push(Series { segment, name: name.to_owned(), curve: None, is_unsynced: false });
        self.series.len() - 1
    }

    /// A series to append to. What an earlier process wrote to it without a sync is synced.
    fn curve_to_append(&mut self, index: usize) -> Result<&mut Pyramid, StoreError> {
        let path = self.segment_path(self.series[index].segment);
        let curve = self.curve(index)?;
        curve.sync_once().map_err(at(&path))?;
        Ok(curve)
    }

    fn segment_path(&self, segment: u32) -> PathBuf {
        self.path.join(segment.to_string())
    }

    /// Path of a series' files, without the extension.
    fn base(&self, index: usize) -> Result<PathBuf, StoreError> {
        let Series { segment, name, .. } = &self.series[index];
        let file = escape(name).ok_or_else(|| StoreError::SeriesName { name: name.clone(), most: MAX_BYTES })?;
        Ok(self.segment_path(*segment).join(file))
    }

    fn curve(&mut self, index: usize) -> Result<&mut Pyramid, StoreError> {
        if self.series[index].curve.is_none() {
            let base = self.base(index)?;
            let opened = Pyramid::open(Files::new(base.clone())).map_err(at(&base))?;
            self.series[index].curve = Some(opened);
        }
        let path = &self.path;
        self.series[index].curve.as_mut().ok_or_else(|| StoreError::file(path, io::Error::from(ErrorKind::NotFound)))
    }

    /// A reader of a series; `None` if the segment has no such series.
    pub(super) fn reader(&mut self, segment: u32, name: &str) -> Result<Option<Reader>, StoreError> {
        let known = self.indices.get(&segment).and_then(|indices| indices.get(name)).copied();
        let is_open = known.is_some_and(|index| self.series[index].curve.is_some());
        let Some(file) = escape(name) else { return Ok(None) };
        if !is_open && !Files::new(self.segment_path(segment).join(file)).level(0).is_file() {
            return Ok(None);
        }
        let index = self.index(segment, name);
        let reader = self.curve(index)?.reader();
        Ok((reader.len > 0).then_some(reader))
    }

    /// Segments with values, in order.
    pub(super) fn segments(&self) -> Result<Vec<u32>, StoreError> {
        let mut segments: BTreeSet<u32> =
            self.listed(&self.path)?.iter().filter_map(|name| name.parse().ok()).collect();
        segments.extend(self.open_series().map(|series| series.segment));
        Ok(segments.into_iter().collect())
    }

    /// Names of series in any segment, sorted.
    pub(super) fn names(&self) -> Result<Vec<String>, StoreError> {
        let mut names: BTreeSet<String> = self.open_series().map(|series| series.name.clone()).collect();
        for name in self.listed(&self.path)?.iter().filter(|name| name.parse::<u32>().is_ok()) {
            let files = self.listed(&self.path.join(name))?;
            names.extend(files.iter().filter_map(|file| unescape(file.strip_suffix(".l0")?)));
        }
        Ok(names.into_iter().collect())
    }

    /// The open series with values: their files may not exist yet.
    fn open_series(&self) -> impl Iterator<Item = &Series> {
        self.series.iter().filter(|series| series.curve.as_ref().is_some_and(|curve| curve.len > 0))
    }

    fn listed(&self, path: &Path) -> Result<Vec<String>, StoreError> {
        let entries = fs::read_dir(path).map_err(|source| self.missing_or(source))?;
        entries.map(|entry| Ok(entry.map_err(at(path))?.file_name().to_string_lossy().into_owned())).collect()
    }

    /// [`StoreError::RunFolderMissing`] if the folder does not exist, else the error itself.
    pub(super) fn missing_or(&self, source: io::Error) -> StoreError {
        match self.check() {
            Err(missing) => missing,
            Ok(()) => StoreError::file(&self.path, source),
        }
    }
}

/// Creates the folder of a segment, if its run's folder exists.
fn create(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(source) if source.kind() != ErrorKind::AlreadyExists => Err(source),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deferred_points_are_added_once_also_to_a_series_that_was_closed_or_written_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = RunFolder::new("amber-fox".parse().unwrap(), dir.path().to_owned());
        let rows = |steps: std::ops::Range<u64>| -> Vec<Row> {
            steps.map(|step| Row { segment: 0, step, values: vec![("loss".to_owned(), 1.0)] }).collect()
        };
        let len = |folder: &mut RunFolder| folder.reader(0, "loss").unwrap().map_or(0, |reader| reader.len);
        let first = folder.append(&rows(0..5), true).unwrap();
        let late = folder.append(&rows(0..5), true).unwrap();
        assert_eq!((len(&mut folder), first.deferred.len()), (0, 1));
        folder.close().unwrap();
        folder.add(first.deferred);
        assert_eq!(len(&mut folder), 5);
        folder.add(late.deferred);
        assert_eq!(len(&mut folder), 5);
        let more = folder.append(&rows(3..9), true).unwrap();
        assert_eq!(more.repeated, [(0, 0), (1, 0)]);
        folder.add(more.deferred);
        folder.sync().unwrap();
        assert_eq!(len(&mut folder), 9);
    }
}
