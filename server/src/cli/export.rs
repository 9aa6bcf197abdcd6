//! `kindling export`: a model, time series, a whole run or the trials of a sweep, written to files from a lab that no server has open. The API gives the
//! same.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use store::{Store, StoreError};
use wire::number::counted;
use wire::sweep::record::{Sweep, Trial};
use wire::{CheckpointId, RunId};

use super::data::{DataArgs, UnusedFolder};
use crate::export::archive::{Archive, Checkpoints};
use crate::export::{hf, series, trials};
use crate::output::{self, OutputError};

const EXAMPLES: &str = "\
Examples:
  Write the newest checkpoint as a folder that transformers loads:
    kindling export hf amber-fox-7k2q --to amber-fox
  Write all metrics for pandas:
    kindling export series amber-fox-7k2q --to amber-fox.parquet
  Write the trials of a sweep:
    kindling export sweep 3 --to sweep.csv
  Write the whole run for another lab to import:
    kindling export archive amber-fox-7k2q --to amber-fox.tar";
const HF_EXAMPLES: &str = "\
Examples:
  Write the newest checkpoint:
    kindling export hf amber-fox-7k2q --to amber-fox
  Write the checkpoint of segment 0 at step 1200:
    kindling export hf amber-fox-7k2q 0-1200 --to amber-fox-1200";
const SERIES_EXAMPLES: &str = "\
Examples:
  As CSV, for a spreadsheet:
    kindling export series amber-fox-7k2q --to amber-fox.csv
  As Parquet, for pandas or polars:
    kindling export series amber-fox-7k2q --to amber-fox.parquet";
const SWEEP_EXAMPLES: &str = "\
Examples:
  As CSV, for a spreadsheet:
    kindling export sweep 3 --to sweep.csv
  As Parquet, for pandas or polars:
    kindling export sweep 3 --to sweep.parquet";
const ARCHIVE_EXAMPLES: &str = "\
Examples:
  Write the run with its checkpoints, metrics, journal and snapshots:
    kindling export archive amber-fox-7k2q --to amber-fox.tar";

/// Writes a model, the metrics or all of a run, or the trials of a sweep, to files; no server may have the folder open.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ExportArgs {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    data: DataArgs,
}

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
enum What {
    /// Writes a checkpoint as a folder that Hugging Face's transformers loads.
    #[command(after_help = HF_EXAMPLES)]
    Hf {
        /// Run, by its id
        run: RunId,
        /// Checkpoint, as segment and step: 0-1200 [default: the newest]
        checkpoint: Option<CheckpointId>,
        /// Folder to write to
        #[arg(long, value_name = "FOLDER")]
        to: PathBuf,
    },
    /// Writes every point of every metric of a run, as CSV or Parquet.
    #[command(after_help = SERIES_EXAMPLES)]
    Series {
        /// Run, by its id
        run: RunId,
        /// File to write; the format is Parquet if its name ends in .parquet, else CSV
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Writes the trials of a sweep with their parameters and values, as CSV or Parquet.
    #[command(after_help = SWEEP_EXAMPLES)]
    Sweep {
        /// Sweep, by its number
        sweep: i64,
        /// File to write; the format is Parquet if its name ends in .parquet, else CSV
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Writes the whole run as one file, which another lab imports.
    #[command(after_help = ARCHIVE_EXAMPLES)]
    Archive {
        /// Run, by its id
        run: RunId,
        /// File to write
        #[arg(long, value_name = "FILE.tar")]
        to: PathBuf,
    },
}

/// Errors of `kindling export`.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// There is no lab to export from.
    #[error(transparent)]
    Unused(#[from] UnusedFolder),
    #[error("{source}{}", hint(source))]
    Store {
        /// The error of the store.
        #[from]
        source: StoreError,
    },
    /// The model, or its tokenizer.
    #[error(transparent)]
    Model(#[from] engine::EngineError),
    /// The run has no such checkpoint.
    #[error("{run} has no such checkpoint; it has {found}")]
    NoCheckpoint {
        run: RunId,
        /// The checkpoints that it has, as text.
        found: String,
    },
    #[error("{0}")]
    Output(#[from] OutputError),
    #[error("the lab has no sweep {sweep}")]
    NoSweep { sweep: i64 },
    #[error("{} could not be written: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        source: io::Error,
    },
}

/// The hint if a server has the folder open.
fn hint(error: &StoreError) -> &'static str {
    match error {
        StoreError::Locked { .. } => {
            "; its server exports the same: GET /api/v1/runs/{id}/archive, series.csv, series.parquet, checkpoints/{cid}/export, and /api/v1/sweeps/{id}/trials.csv"
        }
        _ => "",
    }
}

impl ExportArgs {
    /// Writes the files and prints what was written.
    ///
    /// # Errors
    /// A server has the folder open, the run is unknown, the model has no counterpart in transformers, or the disk fails.
    pub async fn run(self) -> Result<(), ExportError> {
        let store = Store::open(self.data.used()?).await?;
        let written = match self.what {
            What::Hf { run, checkpoint, to } => export_model(&store, &run, checkpoint, &to).await?,
            What::Series { run, to } => export_series(&store, &run, &to).await?,
            What::Sweep { sweep, to } => export_sweep(&store, sweep, &to).await?,
            What::Archive { run, to } => {
                let archive = Archive::gather(&store, &run, Checkpoints::All).await?;
                write(&to, |out| archive.write(out))?;
                format!("{}: all of {run}", to.display())
            }
        };
        Ok(output::line(written)?)
    }
}

async fn export_model(store: &Store, run: &RunId, id: Option<CheckpointId>, to: &Path) -> Result<String, ExportError> {
    let kept = store.checkpoint_ids(run).await?;
    let missing = || {
        let found: Vec<String> = kept.iter().map(ToString::to_string).collect();
        let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
        ExportError::NoCheckpoint { run: run.clone(), found }
    };
    let id = id.or(kept.last().copied()).filter(|id| kept.contains(id)).ok_or_else(missing)?;
    let export = hf::open(store.dir(), run, id)?;
    export.write_folder(to)?;
    Ok(format!("{}: checkpoint {id} of {run}, as {}", to.display(), export.shape.name()))
}

async fn export_series(store: &Store, run: &RunId, to: &Path) -> Result<String, ExportError> {
    let curves = store.curves(run, None).await?;
    let count = curves.len();
    let is_parquet = to.extension().is_some_and(|ending| ending == "parquet");
    write(to, |out| match is_parquet {
        true => series::write_parquet(curves, out),
        false => series::write_csv(curves, out),
    })?;
    Ok(format!("{}: {count} metrics of {run}", to.display()))
}

async fn export_sweep(store: &Store, id: i64, to: &Path) -> Result<String, ExportError> {
    let sweep = store.sweep(id).await?.ok_or(ExportError::NoSweep { sweep: id })?;
    let table = store.trials(id, None).await?;
    write_trials(&sweep, &table, to).map_err(|source| ExportError::File { path: to.to_owned(), source })?;
    Ok(format!("{}: {} of sweep {id}", to.display(), counted(table.len() as u64, "trial")))
}

/// Writes trials to a file, as Parquet if its name ends in `.parquet`, else as CSV.
///
/// # Errors
/// The disk fails.
pub(super) fn write_trials(sweep: &Sweep, table: &[Trial], to: &Path) -> io::Result<()> {
    let is_parquet = to.extension().is_some_and(|ending| ending == "parquet");
    let mut out = BufWriter::new(File::create(to)?);
    match is_parquet {
        true => trials::write_parquet(sweep, table, &mut out)?,
        false => trials::write_csv(sweep, table, &mut out)?,
    }
    out.flush()
}

fn write(path: &Path, work: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<(), ExportError> {
    let failed = |source| ExportError::File { path: path.to_owned(), source };
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path).map_err(failed)?);
    work(&mut out).and_then(|()| out.flush()).map_err(failed)
}
