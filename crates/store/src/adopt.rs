//! Runs that come from elsewhere with their past: curves, journal and checkpoints are laid out in a folder first, checked, and appear
//! with the run, or not at all. Their one line is worked out anew from curves and journal, which alone are believed.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use wire::history::History;
use wire::link::Report;
use wire::series::{Row, name};
use wire::{CheckpointId, Event, EventRecord, RunId, RunState, RunSummary};

use crate::database::{self, commit};
use crate::error::StoreError;
use crate::progress::{Progress, Standing};
use crate::runs::NewRun;
use crate::series::{Shelf, Stretch};
use crate::store::Store;

/// A run on its way in.
pub struct Adopted {
    /// What it is made from; its id is new here.
    pub run: NewRun,
    /// Its journal, numbered from 1.
    pub events: Vec<EventRecord>,
    /// How it stands: over.
    pub state: RunState,
    /// Why it failed, where it did.
    pub message: Option<String>,
    /// Its curves: segment, name, and a file of points in rising steps, 16 bytes each (step and value, little-endian).
    pub curves: Vec<(u32, String, PathBuf)>,
    /// A folder for each checkpoint, named by its id, and nothing else; on the lab's own disk.
    pub checkpoints: PathBuf,
    /// Those that are never pruned.
    pub pinned: Vec<CheckpointId>,
}

impl Store {
    /// Takes a run in.
    ///
    /// # Errors
    /// [`StoreError::NotAdoptable`] with what is wrong, [`StoreError::RunExists`]; nothing of it is kept then.
    pub async fn adopt_run(&self, adopted: Adopted) -> Result<RunSummary, StoreError> {
        let id = adopted.run.id.clone();
        check_journal(&adopted)?;
        if self.summary(&id).await?.is_some() {
            return Err(StoreError::RunExists { run: id });
        }
        let summary = self.take_in(adopted).await;
        if summary.is_err() {
            let (shelf, checkpoints) = (self.shelf().clone(), self.dir().join("checkpoints").join(id.as_str()));
            // What cannot be removed is nobody's: the next run of this id begins with removing it.
            let _ = self.aside(move || shelf.remove(&id).and_then(|()| crate::disk::remove_folder(&checkpoints))).await;
        }
        summary
    }

    async fn take_in(&self, adopted: Adopted) -> Result<RunSummary, StoreError> {
        let (shelf, checkpoints) = (self.shelf().clone(), self.dir().join("checkpoints").join(adopted.run.id.as_str()));
        let (adopted, standing, steps, saved) = self
            .aside(move || {
                let id = &adopted.run.id;
                shelf.remove(id)?;
                crate::disk::remove_folder(&checkpoints)?;
                shelf.create(id)?;
                adopted
                    .curves
                    .iter()
                    .try_for_each(|(segment, name, file)| take_curve(&shelf, id, *segment, name, file))?;
                shelf.sync(id)?;
                let saved = names_in(&adopted.checkpoints)?;
                let failed = |source| StoreError::file(&checkpoints, source);
                fs::rename(&adopted.checkpoints, &checkpoints).map_err(failed)?;
                crate::disk::sync_folder(&checkpoints)?;
                let history = History::read(&adopted.run.plan, &adopted.events);
                let standing = standing(&shelf, &adopted, &history)?;
                Ok((adopted, standing, history.dials().steps, saved))
            })
            .await?;
        let id = &adopted.run.id;
        let mut transaction = self.database().write().await?;
        if !database::runs::insert(&mut transaction, &adopted.run, &standing.progress).await? {
            return Err(StoreError::RunExists { run: id.clone() });
        }
        for record in &adopted.events {
            database::journal::insert(&mut transaction, id, record).await?;
            if let Event::Checkpointed { checkpoint } = &record.event
                && saved.contains(&checkpoint.id)
            {
                database::checkpoints::insert(&mut transaction, id, record.number, checkpoint).await?;
            }
        }
        for checkpoint in &adopted.pinned {
            database::checkpoints::set_pinned(&mut transaction, id, *checkpoint, true).await?;
        }
        let count = adopted.events.len() as u64;
        database::runs::save_standing(&mut transaction, id, &standing, 0, count).await?;
        database::runs::set_steps(&mut transaction, id, steps).await?;
        let summary = self.summary_in(&mut transaction, id).await?;
        commit(transaction).await?;
        Ok(summary)
    }
}

fn unfit(what: &str, message: impl Into<String>) -> StoreError {
    StoreError::NotAdoptable { what: what.to_owned(), message: message.into() }
}

/// Lines are numbered in order, and a rollback opens the next segment from one that is there: a history that could not be walked
/// back would never end.
fn check_journal(adopted: &Adopted) -> Result<(), StoreError> {
    if !adopted.state.is_over() {
        return Err(unfit("the run", format!("{:?} is no way to end", adopted.state)));
    }
    let mut last_segment = 0;
    for (place, record) in (1..).zip(&adopted.events) {
        if record.number != place {
            return Err(unfit("the journal", format!("line {place} has the number {}", record.number)));
        }
        if let Event::RolledBack { checkpoint, .. } = &record.event {
            if record.segment != last_segment + 1 || checkpoint.segment > last_segment {
                let message = format!("line {place} opens segment {} from {}", record.segment, checkpoint.segment);
                return Err(unfit("the journal", message));
            }
            last_segment = record.segment;
        } else if record.segment > last_segment {
            return Err(unfit(
                "the journal",
                format!("line {place} is of segment {}, which nothing opened", record.segment),
            ));
        }
    }
    Ok(())
}

/// Grows a curve by a file of points, some at a time.
fn take_curve(shelf: &Shelf, run: &RunId, segment: u32, name: &str, file: &Path) -> Result<(), StoreError> {
    let failed = |source: io::Error| StoreError::file(file, source);
    let mut content = io::BufReader::with_capacity(1 << 20, fs::File::open(file).map_err(failed)?);
    let mut last = None;
    loop {
        let mut bytes = vec![];
        content.by_ref().take(16 * 8192).read_to_end(&mut bytes).map_err(failed)?;
        let (points, rest) = bytes.as_chunks::<16>();
        if !rest.is_empty() {
            return Err(unfit(name, "its points end in the middle of one"));
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
                return Err(unfit(name, format!("step {step} does not follow the one before it")));
            }
            rows.push(Row { segment, step, values: vec![(name.to_owned(), value)] });
        }
        shelf.append(run, &rows)?;
    }
}

/// The checkpoints in a folder.
fn names_in(folder: &Path) -> Result<BTreeSet<CheckpointId>, StoreError> {
    let entries = fs::read_dir(folder).map_err(|source| StoreError::file(folder, source))?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

/// The run's one line: what the journal says of its course, and the values along its path.
fn standing(shelf: &Shelf, adopted: &Adopted, history: &History) -> Result<Standing, StoreError> {
    let plan = &adopted.run.plan;
    let fresh = || Progress::new(plan, None);
    let mut standing =
        Standing { state: RunState::Queued, message: None, started_ms: None, ended_ms: None, progress: fresh() };
    for record in &adopted.events {
        standing.take_report(&report_of(record));
    }
    let reached = std::mem::replace(&mut standing.progress, fresh()).step;
    for (segment, from_step, to_step) in history.spans() {
        let stretch = Stretch { run: adopted.run.id.clone(), segment, from_step, to_step };
        each_row(shelf, &stretch, |row| standing.take_row(&row))?;
    }
    let progress = &mut standing.progress;
    (progress.segment, progress.step) = (history.last_segment(), progress.step.max(reached));
    let ended = adopted.events.last().map_or(adopted.run.created_ms, |record| record.at_ms);
    standing.turn(adopted.state, adopted.message.clone(), ended);
    Ok(standing)
}

/// The rows of a stretch, as far as a run's line is made of them, in rising steps.
fn each_row(shelf: &Shelf, stretch: &Stretch, mut take: impl FnMut(Row)) -> Result<(), StoreError> {
    let failed = |source: io::Error| StoreError::unreadable("a curve", source);
    let mut walks = vec![];
    for series in [name::SECS, name::TRAIN, name::VALID, name::TOKENS_PER_SEC] {
        let mut walk = shelf.walk(std::slice::from_ref(stretch), series)?;
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
        take(Row { segment: stretch.segment, step, values });
    }
    Ok(())
}

fn report_of(record: &EventRecord) -> Report {
    let EventRecord { segment, step, at_ms, author, command_id, reason, event, .. } = record.clone();
    Report { segment, step, at_ms, author, command_id, reason, event, state: None }
}
