//! All curves of one run, by segment and name.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use wire::RunId;
use wire::series::Row;

use super::at;
use super::file_name::{MOST_BYTES, escape, unescape};
use super::point::Point;
use super::pyramid::{Files, Pyramid, Reader};
use crate::error::StoreError;

/// One run's curves, as far as they were opened.
pub(super) struct RunFolder {
    run: RunId,
    path: PathBuf,
    segments: BTreeMap<u32, HashMap<String, Pyramid>>,
    /// Curves that have grown since the last [`RunFolder::sync`].
    unsynced: HashSet<(u32, String)>,
}

/// Values on their way into one curve.
struct Growth<'a> {
    segment: u32,
    name: &'a str,
    last_step: Option<u64>,
    /// Points that were there before.
    before: u64,
    points: Vec<Point>,
}

/// What came of appending.
#[derive(Debug, Default)]
pub(crate) struct Grown {
    /// Values that the curves had already, as (row, value) in rising order.
    pub(crate) repeated: Vec<(usize, usize)>,
    /// The new points, for [`RunFolder::redo`]; empty where there are none.
    pub(crate) points: Vec<u8>,
}

/// New points of one curve, with the number of those before: enough to write them again over whatever a power cut left.
#[derive(Serialize)]
struct Written<'a> {
    segment: u32,
    name: &'a str,
    before: u64,
    points: &'a [Point],
}

/// [`Written`], read back.
#[derive(Deserialize)]
struct Rewritten {
    segment: u32,
    name: String,
    before: u64,
    points: Vec<Point>,
}

impl RunFolder {
    pub(super) fn new(run: RunId, path: PathBuf) -> Self {
        Self { run, path, segments: BTreeMap::new(), unsynced: HashSet::new() }
    }

    /// Refuses where the folder was removed: an empty curve would be a lie.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.path.is_dir() {
            Ok(())
        } else {
            Err(StoreError::RunFolderMissing { run: self.run.clone(), path: self.path.clone() })
        }
    }

    /// See [`super::Shelf::append`]. Each curve is written once, however many rows there are.
    pub(super) fn append(&mut self, rows: &[Row]) -> Result<Grown, StoreError> {
        let mut repeated = vec![];
        let mut growths: Vec<Growth<'_>> = vec![];
        let mut places: HashMap<(u32, &str), usize> = HashMap::new();
        // Rows mostly have the same names in the same order, so the place of the row before is tried first.
        let mut row_before: Vec<usize> = vec![];
        for (row_at, row) in rows.iter().enumerate() {
            for (value_at, (name, value)) in row.values.iter().enumerate() {
                let guess = row_before
                    .get(value_at)
                    .copied()
                    .filter(|place| growths[*place].name == name && growths[*place].segment == row.segment);
                let place = match guess.or_else(|| places.get(&(row.segment, name.as_str())).copied()) {
                    Some(place) => place,
                    None => {
                        let curve = self.fresh(row.segment, name)?;
                        let (last_step, before) = (curve.ends.map(|ends| ends.1), curve.len);
                        growths.push(Growth { segment: row.segment, name, last_step, before, points: vec![] });
                        places.insert((row.segment, name), growths.len() - 1);
                        growths.len() - 1
                    }
                };
                if value_at < row_before.len() {
                    row_before[value_at] = place
                } else {
                    row_before.push(place)
                }
                let growth = &mut growths[place];
                if growth.last_step.is_some_and(|last| row.step <= last) {
                    repeated.push((row_at, value_at));
                    continue;
                }
                growth.last_step = Some(row.step);
                growth.points.push(Point { step: row.step, value: *value });
            }
        }
        growths.retain(|growth| !growth.points.is_empty());
        growths.iter().try_for_each(|growth| self.grow(growth))?;
        let written: Vec<Written<'_>> = growths
            .iter()
            .map(|Growth { segment, name, before, points, .. }| Written {
                segment: *segment,
                name,
                before: *before,
                points,
            })
            .collect();
        let points = match written.is_empty() {
            true => vec![],
            false => wire::encode::to_bytes(&written).map_err(|source| StoreError::unreadable("new points", source))?,
        };
        Ok(Grown { repeated, points })
    }

    /// Forgets what it remembers of the files, so that they are opened, mended and settled again.
    pub(super) fn forget(&mut self) {
        self.segments.clear();
    }

    /// Writes points again that [`RunFolder::append`] gave, in the same order, over whatever stands from there on. Each curve is
    /// opened and written once, however many parcels there are: a run may have left a hundred thousand.
    pub(super) fn redo(&mut self, parcels: &[Vec<u8>]) -> Result<(), StoreError> {
        let mut curves: BTreeMap<(u32, String), (u64, Vec<Point>)> = BTreeMap::new();
        for parcel in parcels {
            let written: Vec<Rewritten> = wire::encode::from_bytes(parcel)
                .map_err(|source| StoreError::unreadable("points to write again", source))?;
            for Rewritten { segment, name, before, points } in written {
                curves.entry((segment, name)).or_insert_with(|| (before, vec![])).1.extend(points);
            }
        }
        for ((segment, name), (before, mut points)) in curves {
            self.segments.entry(segment).or_default().remove(&name);
            let folder = self.path.join(segment.to_string());
            fs::create_dir_all(&folder).map_err(|source| self.missing_or(source))?;
            let files = Files::new(self.base(segment, &name)?);
            // A file that ends before them has lost what was once synced; then all that can be had is what follows.
            files.cut_points(before).map_err(|source| self.missing_or(source))?;
            // Not settled one by one: all are synced together afterwards.
            let last_step = self.curve(segment, &name)?.ends.map(|ends| ends.1);
            points.retain(|point| last_step.is_none_or(|last| point.step > last));
            self.grow(&Growth { segment, name: &name, last_step, before, points })?;
        }
        Ok(())
    }

    /// Waits until all that was appended is on disk.
    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        for (segment, name) in &self.unsynced {
            Files::new(self.base(*segment, name)?).sync().map_err(|source| self.missing_or(source))?;
        }
        let folders: BTreeSet<PathBuf> =
            self.unsynced.iter().map(|(segment, _)| self.path.join(segment.to_string())).collect();
        folders.iter().chain([&self.path]).try_for_each(|folder| crate::disk::sync_folder(folder))?;
        self.unsynced.clear();
        Ok(())
    }

    fn grow(&mut self, growth: &Growth<'_>) -> Result<(), StoreError> {
        let Some(curves) = self.segments.get_mut(&growth.segment) else { return Ok(()) };
        let Some(curve) = curves.get_mut(growth.name) else { return Ok(()) };
        let written = curve.append(&growth.points);
        self.unsynced.insert((growth.segment, growth.name.to_owned()));
        if written.is_err() {
            // What it remembers is ahead of the files; the next use opens it again.
            curves.remove(growth.name);
        }
        written.map_err(|source| self.missing_or(source))
    }

    /// A curve to grow, checked against its files.
    fn fresh(&mut self, segment: u32, name: &str) -> Result<&mut Pyramid, StoreError> {
        if self.segments.get(&segment).and_then(|curves| curves.get(name)).is_some_and(|curve| !curve.is_current()) {
            self.segments.entry(segment).or_default().remove(name);
        }
        let path = self.path.join(segment.to_string());
        match fs::create_dir(&path) {
            Err(source) if source.kind() != ErrorKind::AlreadyExists => return Err(self.missing_or(source)),
            _ => {}
        }
        let curve = self.curve(segment, name)?;
        curve.settle().map_err(at(&path))?;
        Ok(curve)
    }

    /// Path of a curve's files, without their ending.
    fn base(&self, segment: u32, name: &str) -> Result<PathBuf, StoreError> {
        let file = escape(name).ok_or_else(|| StoreError::SeriesName { name: name.to_owned(), most: MOST_BYTES })?;
        Ok(self.path.join(segment.to_string()).join(file))
    }

    fn curve(&mut self, segment: u32, name: &str) -> Result<&mut Pyramid, StoreError> {
        let base = self.base(segment, name)?;
        let curves = self.segments.entry(segment).or_default();
        if !curves.contains_key(name) {
            let opened = Pyramid::open(Files::new(base.clone())).map_err(at(&base))?;
            curves.insert(name.to_owned(), opened);
        }
        curves.get_mut(name).ok_or_else(|| StoreError::file(&base, io::Error::from(ErrorKind::NotFound)))
    }

    /// A curve to read; `None` where the segment has none of that name.
    pub(super) fn reader(&mut self, segment: u32, name: &str) -> Result<Option<Reader>, StoreError> {
        let Some(file) = escape(name) else { return Ok(None) };
        let is_open = self.segments.get(&segment).is_some_and(|curves| curves.contains_key(name));
        let level0 = Files::new(self.path.join(segment.to_string()).join(file)).level(0);
        if !is_open && !level0.is_file() {
            return Ok(None);
        }
        let reader = self.curve(segment, name)?.reader();
        Ok((reader.len > 0).then_some(reader))
    }

    /// Segments on disk, in order.
    pub(super) fn segments(&self) -> Result<Vec<u32>, StoreError> {
        let mut segments: Vec<u32> = self.listed(&self.path)?.iter().filter_map(|name| name.parse().ok()).collect();
        segments.sort_unstable();
        Ok(segments)
    }

    /// Names of curves in any segment, sorted.
    pub(super) fn names(&self) -> Result<Vec<String>, StoreError> {
        let mut names = BTreeSet::new();
        for segment in self.segments()? {
            let files = self.listed(&self.path.join(segment.to_string()))?;
            names.extend(files.iter().filter_map(|file| unescape(file.strip_suffix(".l0")?)));
        }
        Ok(names.into_iter().collect())
    }

    fn listed(&self, path: &std::path::Path) -> Result<Vec<String>, StoreError> {
        let entries = fs::read_dir(path).map_err(|source| self.missing_or(source))?;
        entries.map(|entry| Ok(entry.map_err(at(path))?.file_name().to_string_lossy().into_owned())).collect()
    }

    /// A file that is not found in a folder that is not there has one cause.
    pub(super) fn missing_or(&self, source: io::Error) -> StoreError {
        match self.check() {
            Err(missing) => missing,
            Ok(()) => StoreError::file(&self.path, source),
        }
    }
}
