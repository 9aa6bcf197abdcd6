//! The losses of a run's evaluations by validation window: one file in the run's folder of series, `windows`, to which each evaluation appends
//! a record. The journal has the events of the evaluations without them, because pages load it as a whole.
//!
//! A record is its length (u32, little-endian), the first 4 bytes of its BLAKE3, and postcard. It is synced before its report is
//! acknowledged. A record that a crash cut short is removed before the next one is written; one that was written before its report was stored
//! is written again, and the last record of a step counts.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use wire::evaluation::StoredLosses;
use wire::transport::link::Report;
use wire::{Event, EventRecord, RunId};

use crate::error::StoreError;
use crate::store::Store;

/// Size of a run's file from which on only last evaluations are added, bytes: some ten thousand evaluations of 320 windows.
const MAX_BYTES: u64 = 16 << 20;
/// Length and hash before each record, bytes.
const HEAD: usize = 8;

impl Store {
    /// The window losses of the evaluations on a run's path, in order of steps. Those before the origin of a fork are its parent's.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`]; [`StoreError::Unreadable`] for a record of another version; an IO error.
    pub async fn window_losses(&self, run: &RunId) -> Result<Vec<StoredLosses>, StoreError> {
        let spans = self.history(run).await?.spans();
        let mut on_path = BTreeMap::new();
        let all = self.all_window_losses(run).await?;
        for (segment, from_step, to_step) in spans {
            let is_on_path = |stored: &&StoredLosses| {
                stored.segment == segment && stored.step >= from_step && to_step.is_none_or(|to| stored.step <= to)
            };
            on_path.extend(all.iter().filter(is_on_path).map(|stored| (stored.step, stored.clone())));
        }
        Ok(on_path.into_values().collect())
    }

    /// The window losses of all evaluations of a run, also of abandoned segments, in the order in which they were stored.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] for a record of another version; an IO error.
    pub async fn all_window_losses(&self, run: &RunId) -> Result<Vec<StoredLosses>, StoreError> {
        let path = self.windows_path(run);
        self.blocking(move || read(&path)).await
    }

    pub(crate) fn windows_path(&self, run: &RunId) -> PathBuf {
        self.dir().join("series").join(run.as_str()).join("windows")
    }
}

/// Takes the window losses out of the event of an evaluation.
pub(crate) fn take(report: &mut Report) -> Option<StoredLosses> {
    let (segment, step) = (report.segment, report.step);
    let Event::Evaluated { windows, .. } = &mut report.event else { return None };
    windows.take().map(|losses| StoredLosses { segment, step, losses: *losses })
}

/// Takes the window losses out of the events of an imported journal.
pub(crate) fn take_all(events: &mut [EventRecord]) -> Vec<StoredLosses> {
    let take = |record: &mut EventRecord| {
        let (segment, step) = (record.segment, record.step);
        let Event::Evaluated { windows, .. } = &mut record.event else { return None };
        windows.take().map(|losses| StoredLosses { segment, step, losses: *losses })
    };
    events.iter_mut().filter_map(take).collect()
}

/// Appends records and syncs the file. `is_checked`: whether this process has checked the end of the file; a record that was cut short is
/// removed first otherwise.
pub(crate) fn append(run: &RunId, path: &Path, records: &[StoredLosses], is_checked: bool) -> Result<(), StoreError> {
    if records.is_empty() {
        return Ok(());
    }
    let failed = |source: std::io::Error| match source.kind() {
        ErrorKind::NotFound => StoreError::RunFolderMissing { run: run.clone(), path: path.to_owned() },
        _ => StoreError::file(path, source),
    };
    let mut bytes = fs::metadata(path).map_or(0, |meta| meta.len());
    if !is_checked && bytes > 0 {
        // By length and hash alone: a record that another version wrote is kept.
        let whole: u64 = intact(&content_of(path)?).iter().map(|record| (HEAD + record.len()) as u64).sum();
        if whole < bytes {
            OpenOptions::new().write(true).open(path).and_then(|file| file.set_len(whole)).map_err(failed)?;
            bytes = whole;
        }
    }
    let mut file = OpenOptions::new().append(true).create(true).open(path).map_err(failed)?;
    for record in records.iter().filter(|record| record.losses.is_last || bytes < MAX_BYTES) {
        file.write_all(&encode(record)?).map_err(failed)?;
    }
    file.sync_data().map_err(failed)?;
    match (bytes, path.parent()) {
        (0, Some(folder)) => crate::disk::sync_folder(folder),
        _ => Ok(()),
    }
}

fn encode(record: &StoredLosses) -> Result<Vec<u8>, StoreError> {
    let content =
        wire::encode::to_bytes(record).map_err(|source| StoreError::unreadable("losses of an evaluation", source))?;
    let mut bytes = (content.len() as u32).to_le_bytes().to_vec();
    bytes.extend(&blake3::hash(&content).as_bytes()[..4]);
    bytes.extend(content);
    Ok(bytes)
}

/// The intact records from the beginning of a file on; none for a missing file.
fn read(path: &Path) -> Result<Vec<StoredLosses>, StoreError> {
    let bytes = content_of(path)?;
    let mut losses = vec![];
    for record in intact(&bytes) {
        let decoded: Result<StoredLosses, _> = wire::encode::from_bytes(record);
        losses.push(decoded.map_err(|source| StoreError::unreadable("losses of an evaluation", source))?);
    }
    Ok(losses)
}

fn content_of(path: &Path) -> Result<Vec<u8>, StoreError> {
    match fs::read(path) {
        Err(source) if source.kind() == ErrorKind::NotFound => Ok(vec![]),
        bytes => bytes.map_err(|source| StoreError::file(path, source)),
    }
}

/// The intact records from the beginning on, each without its length and hash.
fn intact(bytes: &[u8]) -> Vec<&[u8]> {
    let (mut records, mut at) = (vec![], 0);
    while let Some(record) = first(&bytes[at..]) {
        at += HEAD + record.len();
        records.push(record);
    }
    records
}

fn first(bytes: &[u8]) -> Option<&[u8]> {
    let length = u32::from_le_bytes(*bytes.first_chunk()?) as usize;
    let content = bytes.get(HEAD..HEAD.checked_add(length)?)?;
    (blake3::hash(content).as_bytes()[..4] == bytes[4..HEAD]).then_some(content)
}
