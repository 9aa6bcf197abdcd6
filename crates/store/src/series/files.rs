//! The series of all runs, and which of them are open.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use wire::series::{Row, SeriesWindow, name};
use wire::{RunId, RunPlan};

use super::curves::{Curve, Scale};
use super::folder::{self, RunFolder};
use super::lock::{at, lock};
use super::path::{PathPoints, PathSegment};
use super::point::Point;
use super::query::{SeriesQuery, answer};
use crate::error::StoreError;

/// Number of runs whose series are open; beyond it those that are synced and not in use are closed. An open series is its length, its
/// unfinished buckets and some points, about 2 kB.
const OPEN_RUNS: usize = 64;

/// All series of the lab.
pub(crate) struct SeriesFiles {
    root: PathBuf,
    open: Mutex<HashMap<RunId, Arc<Mutex<RunFolder>>>>,
}

/// The effect of appending.
#[derive(Default)]
pub(crate) struct Appended {
    /// Repeated values, as (row, value) in increasing order.
    pub(crate) repeated: Vec<(usize, usize)>,
    /// The new points, for [`SeriesFiles::redo`]; empty if there are none.
    pub(crate) points: Vec<u8>,
    deferred: Option<Deferred>,
}

/// New points that no series has yet. They keep their run's series open.
struct Deferred {
    folder: Arc<Mutex<RunFolder>>,
    points: Vec<(usize, Vec<Point>)>,
}

impl Appended {
    /// Adds the new points to their series, after the transaction that stores them.
    pub(crate) fn commit(&mut self) {
        if let Some(Deferred { folder, points }) = self.deferred.take() {
            lock(&folder).add(points);
        }
    }
}

impl SeriesFiles {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root, open: Mutex::default() }
    }

    /// Creates the folder of a run.
    pub(crate) fn create(&self, run: &RunId) -> Result<(), StoreError> {
        let path = self.path(run);
        fs::create_dir_all(&path).map_err(|source| StoreError::file(&path, source))
    }

    /// Deletes the series of a run; a missing folder is no error.
    pub(crate) fn remove(&self, run: &RunId) -> Result<(), StoreError> {
        lock(&self.open).remove(run);
        crate::disk::remove_folder(&self.path(run))
    }

    /// Appends the values of some steps, except those at or before a series' last step, and writes them.
    pub(crate) fn append(&self, run: &RunId, rows: &[Row]) -> Result<Appended, StoreError> {
        self.append_in(run, rows, false)
    }

    /// As [`Self::append`], but a series with few new points has them only after [`Appended::commit`], and then in memory: the database must
    /// have stored them. They are written together with later ones.
    pub(crate) fn prepare(&self, run: &RunId, rows: &[Row]) -> Result<Appended, StoreError> {
        self.append_in(run, rows, true)
    }

    fn append_in(&self, run: &RunId, rows: &[Row], may_defer: bool) -> Result<Appended, StoreError> {
        if rows.is_empty() {
            return Ok(Appended::default());
        }
        let shared = self.folder(run);
        let mut folder = lock(&shared);
        folder.check()?;
        let folder::Appended { repeated, points, deferred } = folder.append(rows, may_defer)?;
        drop(folder);
        let deferred = (!deferred.is_empty()).then_some(Deferred { folder: shared, points: deferred });
        Ok(Appended { repeated, points, deferred })
    }

    /// Writes and syncs values of one step, also before later ones of their series; a value of the same step is replaced. For series of a few
    /// hundred points: those after the step are written again. Returns the values that are the newest of their series.
    pub(crate) fn put(&self, run: &RunId, row: Row) -> Result<Row, StoreError> {
        let folder = self.folder(run);
        let mut folder = lock(&folder);
        folder.check()?;
        folder.put(row)
    }

    /// Writes points again that [`SeriesFiles::append`] returned before a power cut, in the same order.
    pub(crate) fn redo(&self, run: &RunId, points: &[Vec<u8>]) -> Result<(), StoreError> {
        let folder = self.folder(run);
        let mut folder = lock(&folder);
        folder.check()?;
        folder.redo(points)
    }

    /// Writes and syncs the series of a run.
    pub(crate) fn sync(&self, run: &RunId) -> Result<(), StoreError> {
        let folder = self.folder(run);
        let mut folder = lock(&folder);
        folder.check()?;
        folder.sync()
    }

    /// Closes the series of a run after an error, when they may be ahead of the database; the next use opens them again.
    pub(crate) fn close(&self, run: &RunId) -> Result<(), StoreError> {
        let folder = self.folder(run);
        lock(&folder).close()
    }

    /// Every point of one series along a path through runs and segments, in order.
    pub(crate) fn path_points(&self, path: &[PathSegment], name: &str) -> Result<PathPoints, StoreError> {
        let mut readers = vec![];
        for part in path {
            let folder = self.folder(&part.run);
            let mut folder = lock(&folder);
            // A parent may be purged; its part of the path then has no points.
            if folder.check().is_err() {
                continue;
            }
            if let Some(reader) = folder.reader(part.segment, name)? {
                readers.push((reader, part.from_step, part.to_step));
            }
        }
        PathPoints::new(readers).map_err(at(&self.root))
    }

    /// Names of a run's series, sorted.
    pub(crate) fn names(&self, run: &RunId) -> Result<Vec<String>, StoreError> {
        let folder = self.folder(run);
        let folder = lock(&folder);
        folder.check()?;
        folder.names()
    }

    /// The last value of each series in the newest segment that has it.
    pub(crate) fn newest(&self, run: &RunId) -> Result<Vec<(String, f64)>, StoreError> {
        let folder = self.folder(run);
        let mut folder = lock(&folder);
        folder.check()?;
        let mut segments = folder.segments()?;
        segments.sort_unstable_by(|one, other| other.cmp(one));
        let mut newest = vec![];
        for name in folder.names()? {
            for segment in &segments {
                let Some(mut reader) = folder.reader(*segment, &name)?.filter(|reader| reader.len > 0) else {
                    continue;
                };
                let last = reader.points(reader.len - 1, 1).map_err(at(&self.root))?;
                newest.extend(last.first().map(|point| (name.clone(), point.value)));
                break;
            }
        }
        Ok(newest)
    }

    /// The series of these names, or all, by segment; `spans` is the run's path.
    pub(crate) fn curves(
        &self,
        run: &RunId,
        names: Option<Vec<String>>,
        plan: &RunPlan,
        spans: Vec<(u32, u64, Option<u64>)>,
    ) -> Result<Vec<Curve>, StoreError> {
        let model = &plan.recipe.model;
        let (tokens_per_step, flops_per_token) = (plan.tokens_per_step() as f64, model.flops_per_token());
        let scale = Scale { tokens_per_step, flops_per_token, spans };
        let folder = self.folder(run);
        let mut folder = lock(&folder);
        folder.check()?;
        let names = names.map_or_else(|| folder.names(), Ok)?;
        let mut curves = vec![];
        for segment in folder.segments()? {
            for series in &names {
                let Some(reader) = folder.reader(segment, series)? else { continue };
                let axes = [folder.reader(segment, name::TOKENS)?, folder.reader(segment, name::SECS)?];
                curves.push(Curve::new(segment, series, reader, axes, &scale).map_err(at(&self.root))?);
            }
        }
        Ok(curves)
    }

    /// Windows of a run's series.
    pub(crate) fn query(
        &self,
        run: &RunId,
        query: &SeriesQuery,
        plan: &RunPlan,
    ) -> Result<Vec<SeriesWindow>, StoreError> {
        let folder = self.folder(run);
        lock(&folder).check()?;
        answer(&folder, query, plan)
    }

    fn path(&self, run: &RunId) -> PathBuf {
        self.root.join(run.as_str())
    }

    fn folder(&self, run: &RunId) -> Arc<Mutex<RunFolder>> {
        let mut open = lock(&self.open);
        if open.len() >= OPEN_RUNS && !open.contains_key(run) {
            // Folders in use stay, so that a run never has two, and those with points that are not in synced files.
            open.retain(|_, folder| Arc::strong_count(folder) > 1 || lock(folder).is_unsynced());
        }
        open.entry(run.clone())
            .or_insert_with(|| Arc::new(Mutex::new(RunFolder::new(run.clone(), self.path(run)))))
            .clone()
    }
}
