//! Looks that are kept with a run, so that it can be gone through from its first step.
//!
//! They come numbered like every other report. A look waits in its row of the database, in the same transaction that moves the stored
//! number, so that none is lost or doubled wherever the process is killed; later it is moved to a file of `frames/{run}/`, one for each
//! step, and the row is emptied once that file is on disk. What they weigh is bounded by the run's plan; see `thinning`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use wire::RunId;
use wire::frame::Frame;
use wire::history::Span;
use wire::look::Look;

use crate::database::kept::{Laid, Lying, Waiting};
use crate::database::{self, Connection, commit};
use crate::error::StoreError;
use crate::store::Store;
use crate::thinning::Ledger;

/// Looks of one run that may wait in the database for their files.
pub(crate) const MOST_WAITING_BYTES: usize = 8 << 20;

/// What came of looks that were to be kept.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// Bytes that wait in the database more than before.
    pub(crate) bytes: usize,
    /// Files that hold nothing any more; to be removed once this is committed.
    pub(crate) files: BTreeSet<String>,
}

/// A look's bytes, or the file to read them from.
enum Source {
    Row(Vec<u8>),
    File { path: PathBuf, at: u64, bytes: u64 },
}

impl Store {
    /// Steps on a run's path, through the runs it was forked from, at which looks are kept; in order.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`].
    pub async fn kept_steps(&self, run: &RunId) -> Result<Vec<u64>, StoreError> {
        let mut snapshot = self.database().snapshot().await?;
        let mut steps = BTreeSet::new();
        for Span { run, segment, from_step, to_step } in self.path_in(&mut snapshot, run).await? {
            let range = (from_step, to_step.unwrap_or(u64::MAX));
            steps.extend(database::kept::steps(&mut snapshot, &run, segment, range).await?);
        }
        Ok(steps.into_iter().collect())
    }

    /// One look as it is kept along a run's path, from the first to the last step given: in order, and as many from the first on as
    /// `most_bytes` hold, but one at least.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`]; a file that cannot be read. One that was removed from outside is left out.
    pub async fn kept_frames(
        &self,
        run: &RunId,
        look: &Look,
        (from, to): (u64, u64),
        most_bytes: u64,
    ) -> Result<Vec<Frame>, StoreError> {
        let (mut snapshot, key) = (self.database().snapshot().await?, look.key());
        // Where a stretch begins, the one before it ends with the same weights but for hands: the later one's look stands.
        let mut found: BTreeMap<u64, (RunId, Lying)> = BTreeMap::new();
        for Span { run, segment, from_step, to_step } in self.path_in(&mut snapshot, run).await? {
            let range = (from.max(from_step), to.min(to_step.unwrap_or(u64::MAX)));
            let lying = database::kept::of_look(&mut snapshot, &run, segment, &key, range).await?;
            found.extend(lying.into_iter().map(|lying| (lying.step, (run.clone(), lying))));
        }
        let (mut sources, mut bytes) = (vec![], 0);
        for (run, lying) in found.into_values() {
            bytes += lying.bytes;
            if bytes > most_bytes && !sources.is_empty() {
                break;
            }
            sources.extend(self.source(&mut snapshot, &run, lying).await?);
        }
        drop(snapshot);
        self.aside(move || Ok(read_all(sources)?.into_iter().flatten().collect())).await
    }

    async fn path_in(&self, connection: &mut Connection, run: &RunId) -> Result<Vec<Span>, StoreError> {
        let history = self.history_in(connection, run).await?;
        self.lineage_in(connection, run, &history).await
    }

    async fn source(
        &self,
        connection: &mut Connection,
        run: &RunId,
        Lying { id, bytes, file, .. }: Lying,
    ) -> Result<Option<Source>, StoreError> {
        Ok(match file {
            Some((file, at)) => Some(Source::File { path: self.frames_dir(run.as_str()).join(file), at, bytes }),
            None => database::kept::frame(connection, id).await?.map(Source::Row),
        })
    }

    /// Bytes of all looks that are kept of a run.
    pub async fn kept_bytes(&self, run: &RunId) -> Result<u64, StoreError> {
        let sizes = database::kept::sizes(&mut *self.database().read().await?, run).await?;
        Ok(sizes.into_iter().map(|(_, bytes)| bytes).sum())
    }

    pub(crate) fn frames_dir(&self, run: &str) -> PathBuf {
        self.dir().join("frames").join(run)
    }

    /// Keeps looks within a transaction. What a step has already is dropped, and so is what no budget holds.
    pub(crate) async fn keep_looks(
        &self,
        connection: &mut Connection,
        run: &RunId,
        frames: Vec<Frame>,
    ) -> Result<Kept, StoreError> {
        let mut kept = Kept::default();
        if frames.is_empty() {
            return Ok(kept);
        }
        let papers = database::runs::papers(connection, run).await?;
        let budget_bytes = u64::from(self.known(papers, run)?.plan.recipe.keep.frames_mb) * 1_000_000;
        let mut ledger = Ledger::new(budget_bytes, database::kept::sizes(connection, run).await?);
        for frame in &frames {
            let Frame::Seen { step, segment, look, .. } = frame else { continue };
            let (place, key) = ((*segment, *step), look.key());
            if database::kept::has(connection, run, place, &key).await? {
                continue;
            }
            let bytes = wire::encode::to_bytes(frame).map_err(|source| StoreError::unreadable("a look", source))?;
            let Some(gone) = ledger.take(place, bytes.len() as u64) else { continue };
            for place in gone {
                kept.files.extend(database::kept::remove(connection, run, place).await?);
            }
            database::kept::insert(connection, run, place, &key, &bytes).await?;
            kept.bytes += bytes.len();
        }
        Ok(kept)
    }

    /// Removes files of a run that hold nothing any more. One that resists is swept at the next start.
    pub(crate) async fn remove_frames(&self, run: &RunId, files: BTreeSet<String>) {
        if files.is_empty() {
            return;
        }
        let folder = self.frames_dir(run.as_str());
        let _ = self.aside(move || files.iter().try_for_each(|file| remove_file(&folder.join(file)))).await;
    }

    /// Moves the looks of a run that wait in the database into files. Nobody waits for that, neither reports nor pages: a look that is
    /// thinned out meanwhile is not there to be moved.
    pub(crate) async fn settle_looks(&self, run: &RunId) -> Result<(), StoreError> {
        // One at a time: two would write the same files.
        let _turn = self.settling().lock().await;
        let waiting = database::kept::waiting(&mut *self.database().read().await?, run).await?;
        if waiting.is_empty() {
            return Ok(());
        }
        let folder = self.frames_dir(run.as_str());
        let laid = self.aside(move || write_all(&folder, &waiting)).await?;
        let mut needless: BTreeSet<String> = laid.iter().map(|laid| laid.file.clone()).collect();
        let mut transaction = self.database().write().await?;
        for laid in &laid {
            if database::kept::lay(&mut transaction, run, laid).await? {
                needless.remove(&laid.file);
            }
        }
        commit(transaction).await?;
        self.remove_frames(run, needless).await;
        Ok(())
    }

    /// After a start: what waits is moved, what a kill has left is removed.
    pub(crate) async fn sweep_looks(&self) -> Result<(), StoreError> {
        let waiting = database::kept::waiting_runs(&mut *self.database().read().await?).await?;
        for run in waiting {
            match self.settle_looks(&run).await {
                // It waits where it is until there is room.
                Ok(()) | Err(StoreError::DiskFull { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let known = database::runs::states(&mut *self.database().read().await?).await?;
        let known: BTreeSet<String> = known.into_iter().map(|(id, _)| id).collect();
        for name in names_in(&self.dir().join("frames"))? {
            let folder = self.frames_dir(&name);
            // What bears no run's name is not ours.
            if !known.contains(&name) && name.parse::<RunId>().is_ok() {
                self.aside(move || crate::disk::remove_folder(&folder)).await?;
            } else if known.contains(&name) {
                let files = database::kept::files(&mut *self.database().read().await?, &name).await?;
                let needless = names_in(&folder)?.into_iter().filter(|file| !files.contains(file));
                let needless: Vec<PathBuf> = needless.map(|file| folder.join(file)).collect();
                self.aside(move || needless.iter().try_for_each(|file| remove_file(file))).await?;
            }
        }
        Ok(())
    }
}

/// Writes a file for each step and waits until all are on disk; gives where each look lies now.
fn write_all(folder: &Path, waiting: &[Waiting]) -> Result<Vec<Laid>, StoreError> {
    fs::create_dir_all(folder).map_err(|source| StoreError::file(folder, source))?;
    let mut laid = vec![];
    for of_step in waiting.chunk_by(|one, next| one.place == next.place) {
        let Waiting { id, place: (segment, step), .. } = &of_step[0];
        // Looks of a step that come later get a file of their own, and no row's name comes twice.
        let name = format!("{segment}-{step}-{id}");
        let path = folder.join(&name);
        let failed = |source| StoreError::file(&path, source);
        let mut file = File::create(&path).map_err(failed)?;
        let mut at = 0;
        for look in of_step {
            file.write_all(&look.frame).map_err(failed)?;
            laid.push(Laid { id: look.id, place: look.place, file: name.clone(), at });
            at += look.frame.len() as u64;
        }
        file.sync_all().map_err(failed)?;
    }
    crate::disk::sync_folder(folder)?;
    Ok(laid)
}

fn read_all(sources: Vec<Source>) -> Result<Vec<Option<Frame>>, StoreError> {
    let decode = |bytes: &[u8]| {
        wire::encode::from_bytes(bytes).map_err(|source| StoreError::unreadable("a look that was kept", source))
    };
    let read = |source| match source {
        Source::Row(frame) => decode(&frame).map(Some),
        Source::File { path, at, bytes } => match read_part(&path, at, bytes) {
            // Thinned out meanwhile.
            Err(source) if source.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::file(&path, source)),
            Ok(frame) => decode(&frame).map(Some),
        },
    };
    sources.into_iter().map(read).collect()
}

fn read_part(path: &Path, at: u64, bytes: u64) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(at))?;
    let mut part = vec![0; bytes as usize];
    file.read_exact(&mut part)?;
    Ok(part)
}

fn remove_file(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(StoreError::file(path, source)),
        _ => Ok(()),
    }
}

/// Names in a folder; none where it is not there.
fn names_in(folder: &Path) -> Result<Vec<String>, StoreError> {
    let failed = |source| StoreError::file(folder, source);
    let entries = match fs::read_dir(folder) {
        Err(source) if source.kind() == ErrorKind::NotFound => return Ok(vec![]),
        entries => entries.map_err(failed)?,
    };
    let names = entries.map(|entry| Ok(entry.map_err(failed)?.file_name().to_string_lossy().into_owned()));
    names.collect()
}
