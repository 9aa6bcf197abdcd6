//! One worker per slot of a device and folder: an exclusive lock on `workers/<slot>.lock` for the lifetime of the process. The system releases it
//! when the process ends, however it ends, so a restarted server checks the lock instead of a PID file.

use std::fmt::Display;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use wire::DeviceId;

use crate::error::WorkerError;

/// Path of the lock of a slot; the first slot of a device has the name of the device.
pub fn lock_path(data: &Path, slot: &impl Display) -> PathBuf {
    data.join("workers").join(format!("{slot}.lock"))
}

/// Whether a running worker has the slot.
pub fn is_held(data: &Path, slot: &impl Display) -> bool {
    let Ok(file) = File::open(lock_path(data, slot)) else { return false };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// The slots of a folder that running workers have, by name, with the process numbers of these workers.
pub fn holders(data: &Path) -> Vec<(DeviceId, u32)> {
    let entries = fs::read_dir(data.join("workers")).into_iter().flatten().flatten();
    let devices =
        entries.filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".lock")?.parse::<DeviceId>().ok());
    let mut held: Vec<_> = devices
        .filter(|device| is_held(data, device))
        .filter_map(|device| Some((device.clone(), pid(data, &device)?)))
        .collect();
    held.sort();
    held
}

/// Process number of the worker that has the slot, or had it last.
pub(crate) fn pid(data: &Path, slot: &impl Display) -> Option<u32> {
    fs::read_to_string(lock_path(data, slot)).ok()?.trim().parse().ok()
}

/// The lock of a slot, released when dropped.
#[derive(Debug)]
pub struct DeviceLock {
    _file: File,
}

impl DeviceLock {
    /// Takes the lock, and writes the process number into the file, for information.
    ///
    /// # Errors
    /// [`WorkerError::DeviceTaken`] if another worker has it; a folder that cannot be written.
    pub fn take(data: &Path, slot: &impl Display) -> Result<Self, WorkerError> {
        let path = lock_path(data, slot);
        let folder = |source| WorkerError::Folder { path: path.clone(), source };
        fs::create_dir_all(data.join("workers")).map_err(folder)?;
        let mut file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path).map_err(folder)?;
        // `is_held` takes the lock for an instant; repeated tries distinguish that from a worker.
        for _ in 0..20 {
            match file.try_lock() {
                Ok(()) => {
                    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(folder)?;
                    return Ok(Self { _file: file });
                }
                Err(TryLockError::WouldBlock) => sleep(Duration::from_millis(25)),
                Err(TryLockError::Error(source)) => return Err(folder(source)),
            }
        }
        Err(WorkerError::DeviceTaken { device: slot.to_string(), path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_one_worker_at_a_time() {
        let data = tempfile::tempdir().unwrap();
        let (cpu, other): (DeviceId, DeviceId) = ("cpu".parse().unwrap(), "vulkan-0".parse().unwrap());
        assert!(!is_held(data.path(), &cpu));
        let lock = DeviceLock::take(data.path(), &cpu).unwrap();
        assert!(is_held(data.path(), &cpu) && !is_held(data.path(), &other));
        assert_eq!(holders(data.path()), [(cpu.clone(), std::process::id())]);
        assert!(matches!(DeviceLock::take(data.path(), &cpu), Err(WorkerError::DeviceTaken { .. })));
        drop(lock);
        assert!(!is_held(data.path(), &cpu) && holders(data.path()).is_empty());
        DeviceLock::take(data.path(), &cpu).unwrap();
    }
}
