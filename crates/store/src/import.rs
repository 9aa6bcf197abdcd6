//! Import of runs that were trained in another lab: series, journal and checkpoints are unpacked into a folder first, checked, and stored
//! together with the run, or not at all. The summary is computed from the series and the journal, not taken from the archive.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use wire::run::history::History;
use wire::series::{Row, name};
use wire::transport::link::Report;
use wire::{CheckpointId, Event, EventRecord, RunId, RunState, RunSummary};

use crate::access::check_project;
use crate::database::{self, commit};
use crate::error::StoreError;
use crate::new_run::NewRun;
use crate::series::{PathSegment, SeriesFiles};
use crate::status::{Progress, RunStatus};
use crate::store::Store;
use crate::window_losses;

/// A run to import.
pub struct ImportedRun {
    /// The run; no run of this lab has its id.
    pub run: NewRun,
    /// Its journal, numbered from 1; its evaluations may have window losses.
    pub events: Vec<EventRecord>,
    /// Its state: one that is over.
    pub state: RunState,
    /// The error of a failed run.
    pub message: Option<String>,
    /// Its series: segment, name, and a file of points in increasing steps, 16 bytes each (step and value, little-endian).
    pub curves: Vec<(u32, String, PathBuf)>,
    /// A folder with one folder per checkpoint, named by its id, and nothing else; on the disk of the lab folder.
    pub checkpoints: PathBuf,
    /// Pinned checkpoints.
    pub pinned: Vec<CheckpointId>,
}

impl Store {
    /// Imports a run.
    ///
    /// # Errors
    /// [`StoreError::InvalidImport`] with what is wrong, [`StoreError::RunExists`], [`StoreError::UnknownProject`]. After an error nothing of the
    /// run is stored.
    pub async fn import_run(&self, imported: ImportedRun) -> Result<RunSummary, StoreError> {
        let id = imported.run.id.clone();
        check_journal(&imported)?;
        let _turn = self.importing().lock().await;
        if self.summary(&id).await?.is_some() {
            return Err(StoreError::RunExists { run: id });
        }
        let summary = self.store_import(imported).await;
        if summary.is_ok() {
            // The run is stored; without its newest metrics it has empty cells in the table.
            let _ = self.fill_newest_metrics().await;
        } else {
            let (series_files, checkpoints) =
                (self.series_files().clone(), self.dir().join("checkpoints").join(id.as_str()));
            // Files that cannot be removed belong to no run: the next import of this id removes them first.
            let _ = self
                .blocking(move || series_files.remove(&id).and_then(|()| crate::disk::remove_folder(&checkpoints)))
                .await;
        }
        summary
    }

    async fn store_import(&self, mut imported: ImportedRun) -> Result<RunSummary, StoreError> {
        let (series_files, checkpoints) =
            (self.series_files().clone(), self.dir().join("checkpoints").join(imported.run.id.as_str()));
        let (windows, windows_path) =
            (window_losses::take_all(&mut imported.events), self.windows_path(&imported.run.id));
        let (imported, status, steps, saved) = self
            .blocking(move || {
                let id = &imported.run.id;
                series_files.remove(id)?;
                crate::disk::remove_folder(&checkpoints)?;
                series_files.create(id)?;
                imported
                    .curves
                    .iter()
                    .try_for_each(|(segment, name, file)| import_curve(&series_files, id, *segment, name, file))?;
                series_files.sync(id)?;
                window_losses::append(id, &windows_path, &windows, true)?;
                let saved = names_in(&imported.checkpoints)?;
                let failed = |source| StoreError::file(&checkpoints, source);
                fs::rename(&imported.checkpoints, &checkpoints).map_err(failed)?;
                crate::disk::sync_folder(&checkpoints)?;
                let history = History::read(&imported.run.plan, &imported.events);
                let status = status(&series_files, &imported, &history)?;
                Ok((imported, status, history.hyperparameters().steps, saved))
            })
            .await?;
        let id = &imported.run.id;
        let mut transaction = self.database().write().await?;
        check_project(&mut transaction, imported.run.project()).await?;
        if !database::runs::insert(&mut transaction, &imported.run, &status.progress).await? {
            return Err(StoreError::RunExists { run: id.clone() });
        }
        for record in &imported.events {
            database::journal::insert(&mut transaction, id, record).await?;
            if let Event::Checkpointed { checkpoint } = &record.event
                && saved.contains(&checkpoint.id)
            {
                database::checkpoints::insert(&mut transaction, id, record.number, checkpoint).await?;
            }
        }
        for checkpoint in &imported.pinned {
            database::checkpoints::set_pinned(&mut transaction, id, *checkpoint, true).await?;
        }
        let count = imported.events.len() as u64;
        database::runs::save_status(&mut transaction, id, &status, 0, count).await?;
        database::runs::set_steps(&mut transaction, id, steps).await?;
        let summary = self.summary_in(&mut transaction, id).await?;
        commit(transaction).await?;
        Ok(summary)
    }
}

fn invalid(what: &str, message: impl Into<String>) -> StoreError {
    StoreError::InvalidImport { what: what.to_owned(), message: message.into() }
}

/// Checks that events are numbered in order, and that a rollback opens the next segment from an existing one: a history with a loop
/// could not be followed to its first step.
fn check_journal(imported: &ImportedRun) -> Result<(), StoreError> {
    if !imported.state.is_over() {
        return Err(invalid(
            "the run",
            format!("its state is {:?}; only a run that has ended can be imported", imported.state),
        ));
    }
    let mut last_segment = 0;
    for (place, record) in (1..).zip(&imported.events) {
        if record.number != place {
            return Err(invalid("the journal", format!("event {place} has the number {}", record.number)));
        }
        if let Event::RolledBack { checkpoint, .. } = &record.event {
            if record.segment != last_segment + 1 || checkpoint.segment > last_segment {
                let message = format!("event {place} opens segment {} from {}", record.segment, checkpoint.segment);
                return Err(invalid("the journal", message));
            }
            last_segment = record.segment;
        } else if record.segment > last_segment {
            return Err(invalid(
                "the journal",
                format!("event {place} is of segment {}, which no rollback opened", record.segment),
            ));
        }
    }
    Ok(())
}

/// Appends a file of points to a series, some at a time.
fn import_curve(
    series_files: &SeriesFiles,
    run: &RunId,
    segment: u32,
    name: &str,
    file: &Path,
) -> Result<(), StoreError> {
    let failed = |source: io::Error| StoreError::file(file, source);
    let mut content = io::BufReader::with_capacity(1 << 20, fs::File::open(file).map_err(failed)?);
    let mut last = None;
    loop {
        let mut bytes = vec![];
        content.by_ref().take(16 * 8192).read_to_end(&mut bytes).map_err(failed)?;
        let (points, rest) = bytes.as_chunks::<16>();
        if !rest.is_empty() {
            return Err(invalid(name, "the file ends in the middle of a point"));
        }
        if points.is_empty() {
            return Ok(());
        }
        let mut rows = Vec::with_capacity(points.len());
        for point in points {
            let (step, value) = point.split_at(8);
            let word = |bytes: &[u8]| bytes.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
            let (step, value) = (word(step), f64::from_bits(word(value)));
            if last.replace(step).is_some_and(|last| last >= step) || step > i64::MAX as u64 {
                return Err(invalid(name, format!("step {step} does not follow the one before it")));
            }
            rows.push(Row { segment, step, values: vec![(name.to_owned(), value)] });
        }
        series_files.append(run, &rows)?;
    }
}

/// Ids of the checkpoints in a folder.
fn names_in(folder: &Path) -> Result<BTreeSet<CheckpointId>, StoreError> {
    let entries = fs::read_dir(folder).map_err(|source| StoreError::file(folder, source))?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

/// The status of the run, from its journal and the values along its path.
fn status(series_files: &SeriesFiles, imported: &ImportedRun, history: &History) -> Result<RunStatus, StoreError> {
    let plan = &imported.run.plan;
    let fresh = || Progress::new(plan, None);
    let mut status =
        RunStatus { state: RunState::Queued, message: None, started_ms: None, ended_ms: None, progress: fresh() };
    for record in &imported.events {
        status.apply_report(&report_of(record));
    }
    let reached = std::mem::replace(&mut status.progress, fresh()).step;
    for (segment, from_step, to_step) in history.spans() {
        let part = PathSegment { run: imported.run.id.clone(), segment, from_step, to_step };
        each_row(series_files, &part, |row| status.apply_row(&row))?;
    }
    let progress = &mut status.progress;
    (progress.segment, progress.step) = (history.last_segment(), progress.step.max(reached));
    let ended = imported.events.last().map_or(imported.run.created_ms, |record| record.at_ms);
    status.set_state(imported.state, imported.message.clone(), ended);
    Ok(status)
}

/// The rows of a segment with the series that the summary needs, in increasing steps.
fn each_row(series_files: &SeriesFiles, part: &PathSegment, mut take: impl FnMut(Row)) -> Result<(), StoreError> {
    let failed = |source: io::Error| StoreError::unreadable("a series", source);
    let mut walks = vec![];
    for series in [name::SECS, name::TRAIN, name::VALID, name::TOKENS_PER_SEC] {
        let mut walk = series_files.path_points(std::slice::from_ref(part), series)?;
        let next = walk.next().map_err(failed)?;
        walks.push((series, walk, next));
    }
    while let Some(step) = walks.iter().filter_map(|(.., next)| Some((*next)?.0)).min() {
        let mut values = vec![];
        for (series, walk, next) in &mut walks {
            if let Some((_, value)) = next.filter(|(at, _)| *at == step) {
                values.push(((*series).to_owned(), value));
                *next = walk.next().map_err(failed)?;
            }
        }
        take(Row { segment: part.segment, step, values });
    }
    Ok(())
}

fn report_of(record: &EventRecord) -> Report {
    let EventRecord { segment, step, at_ms, author, command_id, reason, event, .. } = record.clone();
    Report { segment, step, at_ms, author, command_id, reason, event, state: None }
}
