//! What uses the disk of the lab: its files by kind and by run. Measuring walks the folder, so a measurement is used for a minute.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use wire::RunSummary;
use wire::disk::{DiskKind, DiskUse, KindUse, RunUse};

use super::disk;
use crate::error::ApiError;
use crate::live::clock::now_ms;

/// How long a measurement is used.
const VALID: Duration = Duration::from_secs(60);

/// The last measurement.
#[derive(Default)]
pub struct DiskUses(Mutex<Option<(Instant, Measured)>>);

/// What uses the disk, and the size of each dataset, bytes.
type Measured = (DiskUse, HashMap<String, u64>);

impl DiskUses {
    /// What uses the disk of the folder `data`, measured at most a minute ago; `runs` are those of the lab.
    ///
    /// # Errors
    /// The measurement was interrupted.
    pub async fn get(&self, data: &Path, runs: Vec<RunSummary>) -> Result<DiskUse, ApiError> {
        Ok(self.with_datasets(data, runs).await?.0)
    }

    /// As [`Self::get`], with the size of each dataset by its id.
    ///
    /// # Errors
    /// The measurement was interrupted.
    pub async fn with_datasets(&self, data: &Path, runs: Vec<RunSummary>) -> Result<Measured, ApiError> {
        // Held while it is measured: requests meanwhile get the same measurement.
        let mut last = self.0.lock().await;
        if let Some((_, found)) = last.as_ref().filter(|(at, _)| at.elapsed() < VALID) {
            return Ok(found.clone());
        }
        let data = data.to_owned();
        let measured = tokio::task::spawn_blocking(move || measure(&data, runs)).await;
        let measured = measured.map_err(|source| ApiError::internal("measuring the disk use", source))?;
        *last = Some((Instant::now(), measured.clone()));
        Ok(measured)
    }
}

/// Walks the folder. Files that disappear meanwhile do not count.
fn measure(data: &Path, runs: Vec<RunSummary>) -> Measured {
    let entry_sizes = |folder: &str| -> HashMap<String, u64> {
        entries(&data.join(folder)).into_iter().map(|(name, path)| (name, size(&path))).collect()
    };
    let [checkpoints, series, snapshots, datasets] = ["checkpoints", "series", "snapshots", "corpora"].map(entry_sizes);
    let of = |sizes: &HashMap<String, u64>, run: &RunSummary| sizes.get(run.id.as_str()).copied().unwrap_or(0);
    let mut uses: Vec<RunUse> = runs
        .into_iter()
        .map(|run| RunUse {
            checkpoint_bytes: of(&checkpoints, &run),
            metric_bytes: of(&series, &run),
            snapshot_bytes: of(&snapshots, &run),
            run: run.id,
            name: run.name,
        })
        .collect();
    uses.sort_by_key(|used| std::cmp::Reverse(used.bytes()));
    let bytes = |kind| match kind {
        DiskKind::Checkpoints => checkpoints.values().sum(),
        DiskKind::Metrics => series.values().sum(),
        DiskKind::Snapshots => snapshots.values().sum(),
        DiskKind::Datasets => datasets.values().sum(),
        DiskKind::Spool => size(&data.join("spool")) + size(&data.join("slots")),
        DiskKind::Incoming => size(&data.join("incoming")),
        DiskKind::Database => {
            entries(data).iter().filter(|(name, _)| name.starts_with("lab.db")).map(|(_, path)| size(path)).sum()
        }
    };
    let mut kinds = DiskKind::ALL.map(|kind| KindUse { kind, bytes: bytes(kind) });
    kinds.sort_by_key(|used| std::cmp::Reverse(used.bytes));
    (DiskUse { space: disk::space(data), kinds: kinds.to_vec(), runs: uses, measured_ms: now_ms() }, datasets)
}

/// Names and paths in a folder; none if it cannot be read.
fn entries(folder: &Path) -> Vec<(String, PathBuf)> {
    let found = fs::read_dir(folder).into_iter().flatten().flatten();
    found.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path())).collect()
}

/// Size of a file, or of all files in a folder, bytes. Links are not followed.
fn size(path: &Path) -> u64 {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => entries(path).iter().map(|(_, path)| size(path)).sum(),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_count_for_their_kind() {
        let data = tempfile::tempdir().unwrap();
        let runs =
            ["checkpoints/amber-fox-7k2q/0-10/state", "series/amber-fox-7k2q/0/loss.l0", "series/gone/0/loss.l0"];
        let others = ["corpora/tales/text", "spool/amber-fox-7k2q", "lab.db", "lab.db-wal", "id"];
        for (bytes, name) in runs.iter().chain(&others).enumerate() {
            let path = data.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, vec![0; 1 << bytes]).unwrap();
        }
        let (found, datasets) = measure(data.path(), vec![]);
        let bytes = |kind| found.kinds.iter().find(|used| used.kind == kind).unwrap().bytes;
        assert_eq!(DiskKind::ALL.map(bytes), [1, 8, 2 + 4, 0, 32 + 64, 16, 0]);
        assert_eq!(datasets, HashMap::from([("tales".to_owned(), 8)]));
        assert!(found.kinds.is_sorted_by_key(|used| std::cmp::Reverse(used.bytes)));
        assert_eq!(size(data.path()), (1 << 8) - 1);
    }
}
