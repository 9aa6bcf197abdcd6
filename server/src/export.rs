//! `kindling export`: what the API gives away, written to files, of a lab that no server has open.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use store::{Store, StoreError};
use wire::{CheckpointId, RunId};

use crate::takeaway::archive::{Along, Archive};
use crate::takeaway::{model, series};

/// What is wanted of which run, and where to.
pub struct ExportWish {
    /// The lab's folder.
    pub data: PathBuf,
    /// Which run.
    pub run: RunId,
    /// What of it.
    pub what: What,
    /// File, or folder of a model.
    pub to: PathBuf,
}

/// What can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A checkpoint for `transformers`; the newest unless told.
    Hf(Option<CheckpointId>),
    /// Curves, as CSV or Parquet by the file's ending.
    Series,
    /// All of it.
    Archive,
}

/// Why it could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The lab.
    #[error("{source}{}", elsewhere(source))]
    Store {
        /// What it said.
        #[from]
        source: StoreError,
    },
    /// The model, or its tokenizer.
    #[error(transparent)]
    Model(#[from] engine::EngineError),
    /// There is none.
    #[error("{run} has no checkpoint; it has {found}")]
    NoCheckpoint {
        /// Which run.
        run: RunId,
        /// Those it has, in words.
        found: String,
    },
    /// The file.
    #[error("{} could not be written: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The way out where a server has the lab.
fn elsewhere(error: &StoreError) -> &'static str {
    match error {
        StoreError::Locked { .. } => {
            "; a server that has it gives the same: GET /api/v1/runs/{id}/archive, series.csv, series.parquet, checkpoints/{cid}/export"
        }
        _ => "",
    }
}

/// Writes it and says what was written.
///
/// # Errors
/// A lab that is being served, a run that is not there, a model that others do not know, the disk.
pub async fn export(wish: ExportWish) -> Result<String, ExportError> {
    let ExportWish { data, run, what, to } = wish;
    let store = Store::open(&data).await?;
    match what {
        What::Hf(id) => {
            let kept = store.kept(&run).await?;
            let missing = || {
                let found: Vec<String> = kept.iter().map(ToString::to_string).collect();
                let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
                ExportError::NoCheckpoint { run: run.clone(), found }
            };
            let id = id.or(kept.last().copied()).filter(|id| kept.contains(id)).ok_or_else(missing)?;
            let export = model::open(&data, &run, id)?;
            export.write_folder(&to)?;
            Ok(format!("{}: checkpoint {id} of {run} in {}'s shape", to.display(), export.shape.name()))
        }
        What::Series => {
            let curves = store.curves(&run, None).await?;
            let count = curves.len();
            let is_parquet = to.extension().is_some_and(|ending| ending == "parquet");
            write(&to, |out| match is_parquet {
                true => series::write_parquet(curves, out),
                false => series::write_csv(curves, out),
            })?;
            Ok(format!("{}: {count} curves of {run}", to.display()))
        }
        What::Archive => {
            let archive = Archive::gather(&store, &run, Along::All).await?;
            write(&to, |out| archive.write(out))?;
            Ok(format!("{}: all of {run}", to.display()))
        }
    }
}

fn write(path: &Path, work: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<(), ExportError> {
    let failed = |source| ExportError::File { path: path.to_owned(), source };
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path).map_err(failed)?);
    work(&mut out).and_then(|()| out.flush()).map_err(failed)
}
