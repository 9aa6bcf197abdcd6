//! Locks and file errors of the series.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::StoreError;

/// Locks. After a panic in another thread the value is used as it is: series are checked against their files before each use.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Turns an error of the file system into one about `path`.
pub(super) fn at(path: &Path) -> impl Fn(std::io::Error) -> StoreError + '_ {
    move |source| StoreError::file(path, source)
}
