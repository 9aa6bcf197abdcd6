//! All curves of one run, by segment and name.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

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
}

/// Values on their way into one curve.
struct Growth<'a> {
    segment: u32,
    name: &'a str,
    last_step: Option<u64>,
    points: Vec<Point>,
}

impl RunFolder {
    pub(super) fn new(run: RunId, path: PathBuf) -> Self {
        Self { run, path, segments: BTreeMap::new() }
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
    pub(super) fn append(&mut self, rows: &[Row]) -> Result<Vec<(usize, usize)>, StoreError> {
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
                        let ends = self.fresh(row.segment, name)?.ends;
                        growths.push(Growth {
                            segment: row.segment,
                            name,
                            last_step: ends.map(|ends| ends.1),
                            points: vec![],
                        });
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
        growths.iter().try_for_each(|growth| self.grow(growth))?;
        Ok(repeated)
    }

    fn grow(&mut self, growth: &Growth<'_>) -> Result<(), StoreError> {
        let Some(curves) = self.segments.get_mut(&growth.segment) else { return Ok(()) };
        let Some(curve) = curves.get_mut(growth.name) else { return Ok(()) };
        let written = curve.append(&growth.points);
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
            Err(source) if source.kind() != ErrorKind::AlreadyExists => Err(self.missing_or(source)),
            _ => self.curve(segment, name),
        }
    }

    fn curve(&mut self, segment: u32, name: &str) -> Result<&mut Pyramid, StoreError> {
        let base = self
            .path
            .join(segment.to_string())
            .join(escape(name).ok_or_else(|| StoreError::SeriesName { name: name.to_owned(), most: MOST_BYTES })?);
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
