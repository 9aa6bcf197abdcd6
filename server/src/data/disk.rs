//! Free space of the disk, checked before much is written.

use std::io;
use std::path::Path;

use axum::http::StatusCode;
use wire::disk::DiskSpace;

use crate::error::ApiError;

/// Checks that `bytes` can be written to a folder. Where the free space is unknown, they can.
///
/// # Errors
/// 507 for a disk with less space.
pub(crate) fn check_space(folder: &Path, bytes: u64) -> Result<(), ApiError> {
    match space(folder) {
        Some(DiskSpace { free_bytes: free, .. }) if free < bytes => {
            let megabytes = |bytes: u64| bytes.div_ceil(1_000_000);
            Err(full(format!("the disk has {} MB free, and {} MB are needed", megabytes(free), megabytes(bytes))))
        }
        _ => Ok(()),
    }
}

/// The error of a write that failed while doing `action`: 507 for a full disk.
pub(crate) fn write_failed(action: &str, source: io::Error) -> ApiError {
    match source.kind() {
        io::ErrorKind::StorageFull => full(format!("{action} failed: {source}")).source(source),
        _ => ApiError::internal(action, source),
    }
}

fn full(message: String) -> ApiError {
    ApiError::new(StatusCode::INSUFFICIENT_STORAGE, "disk_full", message)
        .hint("free some space on the disk and try again")
}

/// Space of the disk of a folder; `None` where the system does not say.
#[cfg(unix)]
pub fn space(folder: &Path) -> Option<DiskSpace> {
    // A folder that does not exist yet will be on the disk of the one above it.
    let existing = folder.ancestors().find(|folder| folder.exists())?;
    let disk = rustix::fs::statvfs(existing).ok()?;
    let [free_bytes, total_bytes] = [disk.f_bavail, disk.f_blocks].map(|blocks| blocks.saturating_mul(disk.f_frsize));
    Some(DiskSpace { free_bytes, total_bytes })
}

#[cfg(not(unix))]
pub fn space(_: &Path) -> Option<DiskSpace> {
    None
}
