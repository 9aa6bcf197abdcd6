//! Curves on disk, kept whole: `series/<run>/<segment>/<name>.l0` has every point, `.l1`, `.l2`, ... buckets of 16, 256, ...
//! points, so that any window is answered from a few thousand numbers whatever the run's length.
//!
//! - [`point`] points and buckets as bytes, and how they fold;
//! - [`file_name`] names of curves as names of files;
//! - [`pyramid`] one curve's files: opened and mended, grown, read;
//! - [`folder`] all curves of a run; [`axis`] what stands on the x axis; [`query`] windows; [`walk`] every point of a path;
//!   [`curves`] every point of all curves, to be taken elsewhere.
//!
//! Files are not synced at each append, which would cost a wait for the disk for each curve. New points go into the database's
//! transaction as well, which is synced anyway, and are written again at the next start ([`RunFolder::redo`]) until a
//! [`RunFolder::sync`] has made that needless.
//!
//! Nothing here knows SQL or is async.

mod axis;
mod curves;
mod file_name;
mod folder;
mod point;
mod pyramid;
mod query;
mod walk;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wire::series::{Row, SeriesWindow, name};
use wire::{RunId, RunPlan};

use crate::error::StoreError;
use curves::Scale;
pub use curves::{Curve, CurvePoint};
pub(crate) use folder::Grown;
use folder::RunFolder;
pub use query::SeriesQuery;
pub(crate) use walk::{Stretch, Walk};

/// Runs whose curves are kept open; others are closed first when there are more. Nothing but lengths and unfinished buckets is
/// kept of each curve, about 500 bytes.
const OPEN_RUNS: usize = 64;

/// All curves of the lab.
pub(crate) struct Shelf {
    root: PathBuf,
    open: Mutex<HashMap<RunId, Arc<Mutex<RunFolder>>>>,
}

impl Shelf {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root, open: Mutex::default() }
    }

    /// Makes the folder of a run.
    pub(crate) fn create(&self, run: &RunId) -> Result<(), StoreError> {
        let path = self.path(run);
        fs::create_dir_all(&path).map_err(|source| StoreError::file(&path, source))
    }

    /// Removes a run's curves for good; none is well too.
    pub(crate) fn remove(&self, run: &RunId) -> Result<(), StoreError> {
        hold(&self.open).remove(run);
        crate::disk::remove_folder(&self.path(run))
    }

    /// Grows curves by the values of some steps, dropping those at or before a curve's last step.
    pub(crate) fn append(&self, run: &RunId, rows: &[Row]) -> Result<Grown, StoreError> {
        if rows.is_empty() {
            return Ok(Grown::default());
        }
        let folder = self.folder(run);
        let mut folder = hold(&folder);
        folder.check()?;
        folder.append(rows)
    }

    /// Writes points again that [`Shelf::append`] gave before a power cut, in the same order.
    pub(crate) fn redo(&self, run: &RunId, points: &[Vec<u8>]) -> Result<(), StoreError> {
        let folder = self.folder(run);
        let mut folder = hold(&folder);
        folder.check()?;
        folder.redo(points)
    }

    /// Waits until a run's curves are on disk.
    pub(crate) fn sync(&self, run: &RunId) -> Result<(), StoreError> {
        let folder = self.folder(run);
        let mut folder = hold(&folder);
        folder.check()?;
        folder.sync()
    }

    /// Opens a run's curves anew at their next use: something went wrong, and memory may know more than the disk.
    pub(crate) fn forget(&self, run: &RunId) {
        let folder = self.folder(run);
        hold(&folder).forget();
    }

    /// Every point of one curve along a path through runs and segments, in order.
    pub(crate) fn walk(&self, path: &[Stretch], name: &str) -> Result<Walk, StoreError> {
        let mut readers = vec![];
        for stretch in path {
            let folder = self.folder(&stretch.run);
            let mut folder = hold(&folder);
            // A run of the past may be gone; its stretch then has no points.
            if folder.check().is_err() {
                continue;
            }
            if let Some(reader) = folder.reader(stretch.segment, name)? {
                readers.push((reader, stretch.from_step, stretch.to_step));
            }
        }
        Walk::new(readers).map_err(at(&self.root))
    }

    /// Names of a run's curves, sorted.
    pub(crate) fn names(&self, run: &RunId) -> Result<Vec<String>, StoreError> {
        let folder = self.folder(run);
        let folder = hold(&folder);
        folder.check()?;
        folder.names()
    }

    /// All curves of these names, or all there are, by segment; `spans` is the run's path.
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
        let mut folder = hold(&folder);
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

    /// Windows of a run's curves.
    pub(crate) fn query(
        &self,
        run: &RunId,
        query: &SeriesQuery,
        plan: &RunPlan,
    ) -> Result<Vec<SeriesWindow>, StoreError> {
        let folder = self.folder(run);
        hold(&folder).check()?;
        query::answer(&folder, query, plan)
    }

    fn path(&self, run: &RunId) -> PathBuf {
        self.root.join(run.as_str())
    }

    fn folder(&self, run: &RunId) -> Arc<Mutex<RunFolder>> {
        let mut open = hold(&self.open);
        if open.len() >= OPEN_RUNS && !open.contains_key(run) {
            // Those in use right now stay, so that a run never has two.
            open.retain(|_, folder| Arc::strong_count(folder) > 1);
        }
        open.entry(run.clone())
            .or_insert_with(|| Arc::new(Mutex::new(RunFolder::new(run.clone(), self.path(run)))))
            .clone()
    }
}

/// Locks; a panic elsewhere leaves curves that are checked against their files before the next use.
fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An error of the file system, with the file it is about.
fn at(path: &Path) -> impl Fn(std::io::Error) -> StoreError + '_ {
    move |source| StoreError::file(path, source)
}
