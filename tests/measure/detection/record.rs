//! The file of a run: its description on the first line, then one line of values by series for each row, in the order in which the run
//! reported them.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use research::rules::Facts;
use serde::{Deserialize, Serialize};

use crate::Outcome;

/// Configuration, fault, seed and facts of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Description {
    pub(crate) name: String,
    pub(crate) configuration: String,
    /// `None` for a healthy run.
    pub(crate) fault: Option<String>,
    /// Step from which on the fault is there.
    pub(crate) fault_step: u64,
    pub(crate) seed: u64,
    pub(crate) facts: Facts,
    /// Training time, seconds.
    pub(crate) secs: f64,
}

/// Values of a step by series.
pub(crate) type Row = (u64, Vec<(String, f64)>);

/// A run with its values.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    pub(crate) description: Description,
    pub(crate) rows: Vec<Row>,
}

impl Record {
    /// Writes a file that is complete or not there.
    pub(crate) fn write(&self, path: &Path) -> Outcome<()> {
        let unfinished = path.with_extension("part");
        let mut file = BufWriter::new(File::create(&unfinished)?);
        writeln!(file, "{}", serde_json::to_string(&self.description)?)?;
        for row in &self.rows {
            writeln!(file, "{}", serde_json::to_string(row)?)?;
        }
        file.into_inner().map_err(|error| error.into_error())?.sync_all()?;
        Ok(fs::rename(unfinished, path)?)
    }

    pub(crate) fn read(path: &Path) -> Outcome<Self> {
        let mut lines = BufReader::new(File::open(path)?).lines();
        let first = lines.next().ok_or_else(|| format!("{} is empty", path.display()))??;
        let description = serde_json::from_str(&first)?;
        Ok(Self { description, rows: lines.map(|line| row(&line?)).collect::<Outcome<_>>()? })
    }

    /// All runs of a folder, by name.
    pub(crate) fn read_all(folder: &Path) -> Outcome<Vec<Self>> {
        let mut paths: Vec<_> = fs::read_dir(folder)
            .map_err(|error| format!("{}: {error}; train its runs first", folder.display()))?
            .map(|entry| Ok(entry?.path()))
            .collect::<Outcome<_>>()?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }
}

/// JSON has no NaN: a value that is not finite is written as null and read as NaN.
fn row(line: &str) -> Outcome<Row> {
    let (step, values): (u64, Vec<(String, Option<f64>)>) = serde_json::from_str(line)?;
    Ok((step, values.into_iter().map(|(name, value)| (name, value.unwrap_or(f64::NAN))).collect()))
}
