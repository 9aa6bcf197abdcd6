//! The disk of the lab's folder: free space, and what uses the rest.

use serde::{Deserialize, Serialize};

use crate::id::RunId;

/// Free space below which pages warn: this share of the disk, but at most [`WARN_BYTES`].
const WARN_SHARE: f64 = 0.05;
const WARN_BYTES: u64 = 5_000_000_000;

/// Free and total bytes of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DiskSpace {
    /// Bytes that the server may still write.
    pub free_bytes: u64,
    /// Size of the disk, bytes.
    pub total_bytes: u64,
}

impl DiskSpace {
    /// Whether so little is free that the disk may soon be full: less than 5 % of it, and less than 5 GB.
    pub fn is_low(&self) -> bool {
        self.free_bytes < WARN_BYTES.min((self.total_bytes as f64 * WARN_SHARE) as u64)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DiskKind {
    Checkpoints,
    Datasets,
    /// Every point of every metric, and the window losses of evaluations.
    Metrics,
    Snapshots,
    /// Journals, runs and tokens; snapshots that have no file yet.
    Database,
    /// Reports of workers on this machine that are not stored yet.
    Spool,
    /// Uploads, downloads and imports that are not complete.
    Incoming,
}

impl DiskKind {
    /// All kinds, in the order of lists.
    pub const ALL: [Self; 7] = [
        Self::Checkpoints,
        Self::Datasets,
        Self::Metrics,
        Self::Snapshots,
        Self::Database,
        Self::Spool,
        Self::Incoming,
    ];
}

/// Files of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KindUse {
    pub kind: DiskKind,
    /// Size of its files, bytes.
    pub bytes: u64,
}

/// Files of one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunUse {
    pub run: RunId,
    /// Its display name.
    pub name: String,
    /// Size of its checkpoints, bytes.
    pub checkpoint_bytes: u64,
    /// Size of its metrics and of the window losses of its evaluations, bytes.
    pub metric_bytes: u64,
    /// Size of the files of its snapshots, bytes.
    pub snapshot_bytes: u64,
}

impl RunUse {
    /// Size of all its files, bytes.
    pub fn bytes(&self) -> u64 {
        self.checkpoint_bytes + self.metric_bytes + self.snapshot_bytes
    }
}

/// What the lab's folder contains, as measured at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DiskUse {
    /// Space of its disk; `None` where the system does not say.
    pub space: Option<DiskSpace>,
    /// Each kind of file, largest first.
    pub kinds: Vec<KindUse>,
    /// The runs, largest first; deleted ones too, which are kept for a week.
    pub runs: Vec<RunUse>,
    /// When it was measured, ms since 1970. A measurement is repeated after a minute.
    pub measured_ms: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_low_below_a_share_and_a_size() {
        const GB: u64 = 1_000_000_000;
        for (free_gb, total_gb, low) in
            [(4, 1000, true), (6, 1000, false), (2, 30, false), (1, 30, true), (0, 0, false)]
        {
            let space = DiskSpace { free_bytes: free_gb * GB, total_bytes: total_gb * GB };
            assert_eq!(space.is_low(), low, "{free_gb} of {total_gb} GB");
        }
    }
}
