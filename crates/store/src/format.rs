//! The format of the lab folder: a number in the file `format`. A folder of another format is refused before anything in it changes.
//!
//! The number changes with the layout of the folder; tables and columns are added by migrations (see `database`), which keep it.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::error::StoreError;

/// The format that this version writes and reads.
pub const FORMAT: u32 = 1;
/// Name of the database in the folder.
pub(crate) const DATABASE: &str = "lab.db";

/// Checks a folder and changes nothing. Returns whether it is new, that is, has no lab.
///
/// # Errors
/// [`StoreError::OlderFormat`], [`StoreError::NewerFormat`], [`StoreError::UnreadableFormat`].
pub(crate) fn check(dir: &Path) -> Result<bool, StoreError> {
    let path = dir.join("format");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        // Development versions up to the first format wrote no number.
        Err(source) if source.kind() == ErrorKind::NotFound => {
            return match dir.join(DATABASE).exists() {
                true => Err(StoreError::OlderFormat { dir: dir.to_owned(), found: 0, known: FORMAT }),
                false => Ok(true),
            };
        }
        Err(source) => return Err(StoreError::file(&path, source)),
    };
    let found: u32 = text.trim().parse().map_err(|source| StoreError::UnreadableFormat { path, source })?;
    match found.cmp(&FORMAT) {
        std::cmp::Ordering::Less => Err(StoreError::OlderFormat { dir: dir.to_owned(), found, known: FORMAT }),
        std::cmp::Ordering::Equal => Ok(false),
        std::cmp::Ordering::Greater => Err(StoreError::NewerFormat { dir: dir.to_owned(), found, known: FORMAT }),
    }
}

/// Writes the number into a new folder, before its database is created: without it, the next start would take the folder for an old one.
pub(crate) fn write(dir: &Path) -> Result<(), StoreError> {
    let path = dir.join("format");
    fs::write(&path, format!("{FORMAT}\n")).map_err(|source| StoreError::file(&path, source))?;
    crate::disk::sync_folder(dir)
}
