//! All series of one run, by segment and name.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use wire::RunId;
use wire::series::Row;

use super::file_name::{MAX_BYTES, escape, unescape};
use super::lock::at;
use super::point::Point;
use super::pyramid::{Files, Pyramid, Reader};
use crate::error::StoreError;

/// The series of one run that are open.
pub(super) struct RunFolder {
    run: RunId,
    path: PathBuf,
    segments: BTreeMap<u32, HashMap<String, Pyramid>>,
    /// Series appended to since the last [`RunFolder::sync`].
    unsynced: HashSet<(u32, String)>,
}

/// New points of one series.
struct NewPoints<'a> {
    segment: u32,
    name: &'a str,
    last_step: Option<u64>,
    /// Number of points before them.
    before: u64,
    points: Vec<Point>,
}

/// The effect of appending.
#[derive(Debug, Default)]
pub(crate) struct Appended {
    /// Repeated values, as (row, value) in increasing order.
    pub(crate) repeated: Vec<(usize, usize)>,
    /// The new points, for [`RunFolder::redo`]; empty if there are none.
    pub(crate) points: Vec<u8>,
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
        Self { run, path, segments: BTreeMap::new(), unsynced: HashSet::new() }
    }

    /// Fails if the folder was removed, so that the run does not seem to have no values.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.path.is_dir() {
            Ok(())
        } else {
            Err(StoreError::RunFolderMissing { run: self.run.clone(), path: self.path.clone() })
        }
    }

    /// See [`super::SeriesFiles::append`]. Each series is written once, however many rows there are.
    pub(super) fn append(&mut self, rows: &[Row]) -> Result<Appended, StoreError> {
        let mut repeated = vec![];
        let mut new_points: Vec<NewPoints<'_>> = vec![];
        let mut indices: HashMap<(u32, &str), usize> = HashMap::new();
        // Rows mostly have the same names in the same order, so the index of the previous row is tried first.
        let mut row_before: Vec<usize> = vec![];
        for (row_at, row) in rows.iter().enumerate() {
            for (value_at, (name, value)) in row.values.iter().enumerate() {
                let guess = row_before
                    .get(value_at)
                    .copied()
                    .filter(|index| new_points[*index].name == name && new_points[*index].segment == row.segment);
                let index = match guess.or_else(|| indices.get(&(row.segment, name.as_str())).copied()) {
                    Some(index) => index,
                    None => {
                        let curve = self.fresh(row.segment, name)?;
                        let (last_step, before) = (curve.ends.map(|ends| ends.1), curve.len);
                        new_points.push(NewPoints { segment: row.segment, name, last_step, before, points: vec![] });
                        indices.insert((row.segment, name), new_points.len() - 1);
                        new_points.len() - 1
                    }
                };
                if value_at < row_before.len() {
                    row_before[value_at] = index
                } else {
                    row_before.push(index)
                }
                let new = &mut new_points[index];
                if new.last_step.is_some_and(|last| row.step <= last) {
                    repeated.push((row_at, value_at));
                    continue;
                }
                new.last_step = Some(row.step);
                new.points.push(Point { step: row.step, value: *value });
            }
        }
        new_points.retain(|new| !new.points.is_empty());
        new_points.iter().try_for_each(|new| self.grow(new))?;
        let written: Vec<Written<'_>> = new_points
            .iter()
            .map(|NewPoints { segment, name, before, points, .. }| Written {
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
        Ok(Appended { repeated, points })
    }

    /// Closes all series, so that they are opened, repaired and synced again.
    pub(super) fn forget(&mut self) {
        self.segments.clear();
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
            self.segments.entry(segment).or_default().remove(&name);
            let folder = self.path.join(segment.to_string());
            fs::create_dir_all(&folder).map_err(|source| self.missing_or(source))?;
            let files = Files::new(self.base(segment, &name)?);
            // A file that ends before them has lost synced points; the points that follow are all that is left.
            files.cut_points(before).map_err(|source| self.missing_or(source))?;
            // Not synced one by one: all are synced together afterwards.
            let last_step = self.curve(segment, &name)?.ends.map(|ends| ends.1);
            points.retain(|point| last_step.is_none_or(|last| point.step > last));
            self.grow(&NewPoints { segment, name: &name, last_step, before, points })?;
        }
        Ok(())
    }

    /// Syncs everything appended.
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

    fn grow(&mut self, new: &NewPoints<'_>) -> Result<(), StoreError> {
        let Some(curves) = self.segments.get_mut(&new.segment) else { return Ok(()) };
        let Some(curve) = curves.get_mut(new.name) else { return Ok(()) };
        let written = curve.append(&new.points);
        self.unsynced.insert((new.segment, new.name.to_owned()));
        if written.is_err() {
            // Memory is ahead of the files; the next use opens the series again.
            curves.remove(new.name);
        }
        written.map_err(|source| self.missing_or(source))
    }

    /// A series to append to, checked against its files.
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
        curve.sync_once().map_err(at(&path))?;
        Ok(curve)
    }

    /// Path of a series' files, without the extension.
    fn base(&self, segment: u32, name: &str) -> Result<PathBuf, StoreError> {
        let file = escape(name).ok_or_else(|| StoreError::SeriesName { name: name.to_owned(), most: MAX_BYTES })?;
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

    /// A reader of a series; `None` if the segment has no such series.
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

    /// Names of series in any segment, sorted.
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

    /// [`StoreError::RunFolderMissing`] if the folder does not exist, else the error itself.
    pub(super) fn missing_or(&self, source: io::Error) -> StoreError {
        match self.check() {
            Err(missing) => missing,
            Ok(()) => StoreError::file(&self.path, source),
        }
    }
}
