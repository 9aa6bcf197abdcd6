//! Snapshots: inspection results that are kept during training, so that a run can be replayed from its first step.
//!
//! The worker reports them with a number, like everything else. A snapshot is first stored in a row of the database, in the transaction
//! that also stores the number, so that none is lost or stored twice wherever the process is killed. Later it moves to a file in
//! `snapshots/{run}/`, one file per step, and the row is cleared once that file is synced. The run's plan bounds their size; see
//! `snapshot_thinning`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use wire::RunId;
use wire::inspect::request::Inspection;
use wire::inspect::update::InspectionUpdate;
use wire::run::history::Span;

use crate::database::snapshots::{Location, Pending, Written};
use crate::database::{self, Connection, commit};
use crate::error::StoreError;
use crate::snapshot_thinning::Budget;
use crate::store::Store;

/// Snapshots of one run in the database that trigger the move to files, bytes.
pub(crate) const MAX_PENDING_BYTES: usize = 8 << 20;

/// The effect of storing snapshots.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    /// Bytes added to the database.
    pub(crate) bytes: usize,
    /// Files of removed snapshots, to be deleted after the commit.
    pub(crate) files: BTreeSet<String>,
}

/// The bytes of a snapshot, or the file to read them from.
enum Source {
    Row(Vec<u8>),
    File { path: PathBuf, at: u64, bytes: u64 },
}

impl Store {
    /// Steps with snapshots on a run's path, which includes its parents, in order.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`].
    pub async fn snapshot_steps(&self, run: &RunId) -> Result<Vec<u64>, StoreError> {
        let mut view = self.database().snapshot().await?;
        let mut steps = BTreeSet::new();
        for Span { run, segment, from_step, to_step } in self.path_in(&mut view, run).await? {
            let range = (from_step, to_step.unwrap_or(u64::MAX));
            steps.extend(database::snapshots::steps(&mut view, &run, segment, range).await?);
        }
        Ok(steps.into_iter().collect())
    }

    /// The snapshots of one inspection along a run's path in an inclusive range of steps, in order: the first `most_bytes`, but at least
    /// one snapshot.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`]; a file that cannot be read. A removed file is left out.
    pub async fn snapshots(
        &self,
        run: &RunId,
        inspection: &Inspection,
        (from, to): (u64, u64),
        most_bytes: u64,
    ) -> Result<Vec<InspectionUpdate>, StoreError> {
        let (mut view, key) = (self.database().snapshot().await?, inspection.key());
        // The weights at the start of a segment are those at the end of the previous one, except for weight edits: the later
        // snapshot is used.
        let mut found: BTreeMap<u64, (RunId, Location)> = BTreeMap::new();
        for Span { run, segment, from_step, to_step } in self.path_in(&mut view, run).await? {
            let range = (from.max(from_step), to.min(to_step.unwrap_or(u64::MAX)));
            let location = database::snapshots::of_inspection(&mut view, &run, segment, &key, range).await?;
            found.extend(location.into_iter().map(|location| (location.step, (run.clone(), location))));
        }
        let (mut sources, mut bytes) = (vec![], 0);
        for (run, location) in found.into_values() {
            bytes += location.bytes;
            if bytes > most_bytes && !sources.is_empty() {
                break;
            }
            sources.extend(self.source(&mut view, &run, location).await?);
        }
        drop(view);
        self.blocking(move || Ok(read_all(sources)?.into_iter().flatten().collect())).await
    }

    async fn path_in(&self, connection: &mut Connection, run: &RunId) -> Result<Vec<Span>, StoreError> {
        let history = self.history_in(connection, run).await?;
        self.lineage_in(connection, run, &history).await
    }

    async fn source(
        &self,
        connection: &mut Connection,
        run: &RunId,
        Location { id, bytes, file, .. }: Location,
    ) -> Result<Option<Source>, StoreError> {
        Ok(match file {
            Some((file, at)) => Some(Source::File { path: self.snapshots_dir(run.as_str()).join(file), at, bytes }),
            None => database::snapshots::content(connection, id).await?.map(Source::Row),
        })
    }

    /// Total size of a run's snapshots, bytes.
    pub async fn snapshot_bytes(&self, run: &RunId) -> Result<u64, StoreError> {
        let sizes = database::snapshots::sizes(&mut *self.database().read().await?, run).await?;
        Ok(sizes.into_iter().map(|(_, bytes)| bytes).sum())
    }

    pub(crate) fn snapshots_dir(&self, run: &str) -> PathBuf {
        self.dir().join("snapshots").join(run)
    }

    /// Stores snapshots in a transaction. Repeated ones and those that do not fit the size limit are dropped.
    pub(crate) async fn keep_snapshots(
        &self,
        connection: &mut Connection,
        run: &RunId,
        updates: &[&InspectionUpdate],
    ) -> Result<Stored, StoreError> {
        let mut stored = Stored::default();
        if updates.is_empty() {
            return Ok(stored);
        }
        let definition = database::runs::definition(connection, run).await?;
        let budget_bytes = u64::from(self.known(definition, run)?.plan.recipe.retention.snapshots_mb) * 1_000_000;
        let mut budget = Budget::new(budget_bytes, database::snapshots::sizes(connection, run).await?);
        for update in updates {
            let InspectionUpdate::Result { step, segment, inspection, .. } = update else { continue };
            let (place, key) = ((*segment, *step), inspection.key());
            if database::snapshots::has(connection, run, place, &key).await? {
                continue;
            }
            let bytes =
                wire::encode::to_bytes(update).map_err(|source| StoreError::unreadable("a snapshot", source))?;
            let Some(gone) = budget.add(place, bytes.len() as u64) else { continue };
            for place in gone {
                stored.files.extend(database::snapshots::remove(connection, run, place).await?);
            }
            database::snapshots::insert(connection, run, place, &key, &bytes).await?;
            stored.bytes += bytes.len();
        }
        Ok(stored)
    }

    /// Deletes unused files of a run. A file that cannot be deleted is swept at the next start.
    pub(crate) async fn remove_snapshot_files(&self, run: &RunId, files: BTreeSet<String>) {
        if files.is_empty() {
            return;
        }
        let folder = self.snapshots_dir(run.as_str());
        let _ = self.blocking(move || files.iter().try_for_each(|file| remove_file(&folder.join(file)))).await;
    }

    /// Moves the snapshots of a run from the database into files. It blocks neither reports nor queries; snapshots that thinning removes
    /// meanwhile are skipped.
    pub(crate) async fn write_snapshots(&self, run: &RunId) -> Result<(), StoreError> {
        // One call at a time: two would write the same files.
        let _turn = self.snapshot_writer().lock().await;
        let pending = database::snapshots::pending(&mut *self.database().read().await?, run).await?;
        if pending.is_empty() {
            return Ok(());
        }
        let folder = self.snapshots_dir(run.as_str());
        let written = self.blocking(move || write_all(&folder, &pending)).await?;
        let mut unused: BTreeSet<String> = written.iter().map(|written| written.file.clone()).collect();
        let mut transaction = self.database().write().await?;
        for written in &written {
            if database::snapshots::set_file(&mut transaction, run, written).await? {
                unused.remove(&written.file);
            }
        }
        commit(transaction).await?;
        self.remove_snapshot_files(run, unused).await;
        Ok(())
    }

    /// At the start: moves pending snapshots into files and deletes what a crash has left.
    pub(crate) async fn sweep_snapshots(&self) -> Result<(), StoreError> {
        let pending = database::snapshots::pending_runs(&mut *self.database().read().await?).await?;
        for run in pending {
            match self.write_snapshots(&run).await {
                // They stay in the database until there is space.
                Ok(()) | Err(StoreError::DiskFull { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let known = database::runs::states(&mut *self.database().read().await?).await?;
        let known: BTreeSet<String> = known.into_iter().map(|(id, _)| id).collect();
        for name in names_in(&self.dir().join("snapshots"))? {
            let folder = self.snapshots_dir(&name);
            // The store did not create folders whose names are not run ids.
            if !known.contains(&name) && name.parse::<RunId>().is_ok() {
                self.blocking(move || crate::disk::remove_folder(&folder)).await?;
            } else if known.contains(&name) {
                let files = database::snapshots::files(&mut *self.database().read().await?, &name).await?;
                let unused = names_in(&folder)?.into_iter().filter(|file| !files.contains(file));
                let unused: Vec<PathBuf> = unused.map(|file| folder.join(file)).collect();
                self.blocking(move || unused.iter().try_for_each(|file| remove_file(file))).await?;
            }
        }
        Ok(())
    }
}

/// Writes a file for each step and syncs all. Returns the location of each snapshot.
fn write_all(folder: &Path, pending: &[Pending]) -> Result<Vec<Written>, StoreError> {
    fs::create_dir_all(folder).map_err(|source| StoreError::file(folder, source))?;
    let mut written = vec![];
    for of_step in pending.chunk_by(|one, next| one.place == next.place) {
        let Pending { id, place: (segment, step), .. } = &of_step[0];
        // The row id makes the name unique: later snapshots of the same step get separate files.
        let name = format!("{segment}-{step}-{id}");
        let path = folder.join(&name);
        let failed = |source| StoreError::file(&path, source);
        let mut file = File::create(&path).map_err(failed)?;
        let mut at = 0;
        for snapshot in of_step {
            file.write_all(&snapshot.content).map_err(failed)?;
            written.push(Written { id: snapshot.id, place: snapshot.place, file: name.clone(), at });
            at += snapshot.content.len() as u64;
        }
        file.sync_all().map_err(failed)?;
    }
    crate::disk::sync_folder(folder)?;
    Ok(written)
}

fn read_all(sources: Vec<Source>) -> Result<Vec<Option<InspectionUpdate>>, StoreError> {
    let decode =
        |bytes: &[u8]| wire::encode::from_bytes(bytes).map_err(|source| StoreError::unreadable("a snapshot", source));
    let read = |source| match source {
        Source::Row(bytes) => decode(&bytes).map(Some),
        Source::File { path, at, bytes } => match read_part(&path, at, bytes) {
            // Thinning removed it meanwhile.
            Err(source) if source.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::file(&path, source)),
            Ok(bytes) => decode(&bytes).map(Some),
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

/// Names in a folder; none if the folder does not exist.
fn names_in(folder: &Path) -> Result<Vec<String>, StoreError> {
    let failed = |source| StoreError::file(folder, source);
    let entries = match fs::read_dir(folder) {
        Err(source) if source.kind() == ErrorKind::NotFound => return Ok(vec![]),
        entries => entries.map_err(failed)?,
    };
    let names = entries.map(|entry| Ok(entry.map_err(failed)?.file_name().to_string_lossy().into_owned()));
    names.collect()
}
