//! Checkpoints that workers upload. Each file arrives in parts: a part is read whole, then appended if it begins where the file ends, so that
//! a broken connection leaves only whole parts, and a late part of an old connection changes nothing. The checkpoint is checked byte by byte
//! before it gets its name.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::StatusCode;
use engine::optim::checkpoint::{self, MANIFEST, STATE};
use wire::control::checkpoint::{CheckpointInfo, CheckpointRef};
use wire::{CheckpointId, RunId};

use crate::data::disk::{check_space, write_failed};
use crate::error::ApiError;
use crate::workers::Workers;

/// Largest description of a checkpoint, bytes.
const MANIFEST_BYTES: u64 = 16 << 20;
/// Space that stays free beside an upload, bytes.
const SPARE_BYTES: u64 = 64 << 20;

/// The lock of each upload; cloning shares them.
#[derive(Clone, Default)]
pub struct Uploads(Arc<Mutex<HashMap<CheckpointRef, Arc<tokio::sync::Mutex<()>>>>>);

impl Uploads {
    fn lock_of(&self, run: &RunId, id: CheckpointId) -> Arc<tokio::sync::Mutex<()>> {
        let at = CheckpointRef { run: run.clone(), checkpoint: id };
        // Nothing panics while the map is changed.
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody holds are of uploads that have ended, or continue with a new lock.
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        locks.entry(at).or_default().clone()
    }
}

/// A file of a checkpoint that may be uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckpointFile {
    Manifest,
    State,
}

impl CheckpointFile {
    /// The file of a name in a request.
    ///
    /// # Errors
    /// 404 for any other name.
    pub fn of_name(name: &str) -> Result<Self, ApiError> {
        match name {
            MANIFEST => Ok(Self::Manifest),
            STATE => Ok(Self::State),
            _ => Err(ApiError::not_found(format!("a checkpoint has no file {name:?}"))
                .hint(format!("its files are {MANIFEST} and {STATE}"))),
        }
    }

    /// Its name in the folder of a checkpoint.
    pub fn name(self) -> &'static str {
        match self {
            Self::Manifest => MANIFEST,
            Self::State => STATE,
        }
    }

    fn max_bytes(self, info: &CheckpointInfo) -> u64 {
        match self {
            Self::Manifest => MANIFEST_BYTES,
            Self::State => info.bytes,
        }
    }
}

/// Bytes of a file that are here.
///
/// # Errors
/// 410 for a checkpoint that is not kept; 507 if the disk has no room for the rest.
pub async fn received(workers: &Workers, run: &RunId, id: CheckpointId, file: CheckpointFile) -> Result<u64, ApiError> {
    let info = wanted(workers, run, id).await?;
    let have = size_of(&workers.feed.store.upload_dir(run, id).join(file.name()));
    let needed = file.max_bytes(&info).saturating_sub(have);
    if file == CheckpointFile::State {
        check_space(workers.feed.store.dir(), needed.saturating_add(SPARE_BYTES))?;
    }
    Ok(have)
}

/// Appends a part that begins at `offset`. Returns the bytes that are here then, also of a part that does not begin at the end of the file,
/// which changes nothing.
///
/// # Errors
/// 410 for a checkpoint that is not kept, 413 for more bytes than the checkpoint has; an IO error.
pub async fn append(
    workers: &Workers,
    run: &RunId,
    id: CheckpointId,
    file: CheckpointFile,
    offset: u64,
    part: bytes::Bytes,
) -> Result<u64, ApiError> {
    let info = wanted(workers, run, id).await?;
    let lock = workers.uploads.lock_of(run, id);
    let _alone = lock.lock().await;
    let path = workers.feed.store.upload_dir(run, id).join(file.name());
    let have = size_of(&path);
    let end = offset.saturating_add(part.len() as u64);
    if end > file.max_bytes(&info) {
        let message =
            format!("{} of checkpoint {id} has {} bytes, and the part ends at {end}", file.name(), info.bytes);
        return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "upload_too_large", message)
            .hint("upload the checkpoint that the journal of the run describes"));
    }
    if offset != have {
        return Ok(have);
    }
    let written = tokio::task::spawn_blocking(move || write_at_end(&path, have, &part)).await;
    let written = written.map_err(|source| ApiError::internal("writing an upload", source))?;
    written.map_err(|source| write_failed("writing an upload", source))?;
    Ok(end)
}

/// Appends to a file. A part that could not be written whole is removed again.
fn write_at_end(path: &Path, have: u64, part: &[u8]) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(part).inspect_err(|_| {
        // The error is returned; what is left of the part is overwritten or refused by its hash.
        let _ = file.set_len(have);
    })
}

/// Checks an uploaded checkpoint and renames it into its place.
///
/// # Errors
/// 410 for a checkpoint that is not kept, 422 for one that is incomplete or has another hash, which is removed; an IO error.
pub async fn commit(workers: &Workers, run: &RunId, id: CheckpointId) -> Result<(), ApiError> {
    wanted(workers, run, id).await?;
    let lock = workers.uploads.lock_of(run, id);
    let _alone = lock.lock().await;
    let temporary = workers.feed.store.upload_dir(run, id);
    let root = workers.feed.store.dir().join("checkpoints");
    let (of, folder) = (run.clone(), temporary.clone());
    let installed = tokio::task::spawn_blocking(move || checkpoint::install(&folder, &root, &of, id)).await;
    match installed.map_err(|source| ApiError::internal("checking an upload", source))? {
        Ok(manifest) => {
            if let Some(summary) = workers.feed.store.checkpoint_arrived(run, &manifest.info).await? {
                tracing::info!("checkpoint {id} of {run} was uploaded");
                workers.feed.hub.publish(summary, vec![], vec![], vec![]);
            }
            Ok(())
        }
        Err(error) => {
            remove(temporary).await?;
            let message = format!("the uploaded checkpoint {id} is incomplete or damaged and was removed: {error}");
            Err(ApiError::invalid("upload_damaged", message).hint("upload it again from its first byte").source(error))
        }
    }
}

/// The description of a checkpoint that is kept.
async fn wanted(workers: &Workers, run: &RunId, id: CheckpointId) -> Result<CheckpointInfo, ApiError> {
    if let Some(info) = workers.feed.store.checkpoint_info(run, id).await? {
        return Ok(info);
    }
    remove(workers.feed.store.upload_dir(run, id)).await?;
    let message = format!("{run} keeps no checkpoint {id}");
    Err(ApiError::new(StatusCode::GONE, "checkpoint_gone", message).hint("remove it, or report it first"))
}

async fn remove(folder: PathBuf) -> Result<(), ApiError> {
    match tokio::fs::remove_dir_all(&folder).await {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(ApiError::internal("removing an upload", source)),
        _ => Ok(()),
    }
}

fn size_of(path: &Path) -> u64 {
    path.metadata().map_or(0, |data| data.len())
}
