//! A whole lab as one tar file. Its files stand under numbers, because their names may be longer than the tar format allows; the list
//! before them gives their names. The hashes stand last, so that a file that is cut short has none.
//!
//! ```text
//! kindling-backup/backup.json    BackupList
//! kindling-backup/files/<n>      the n-th file of the list
//! kindling-backup/hashes.json    BLAKE3 of each file, in hex, in the order of the list
//! ```

use std::fs::File;
use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};
use store::{Backup, BackupFile};

use super::tarball::{BLOCK, Tarball};
use crate::live::clock::now_ms;

/// Version of the format. A backup of another version is refused.
pub const FORMAT: u32 = 1;
/// Folder of all members.
pub const FOLDER: &str = "kindling-backup";
/// First member.
pub const LIST: &str = "backup.json";
/// Last member.
pub const HASHES: &str = "hashes.json";

/// Content of `backup.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupList {
    pub format: u32,
    /// Version of the program that wrote it.
    pub kindling: String,
    /// Id of the lab.
    pub lab: String,
    /// When the backup was made, ms since 1970.
    pub made_ms: i64,
    /// The files, in the order of the members.
    pub files: Vec<ListedFile>,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedFile {
    /// Path below the lab folder, with `/` between the names.
    pub name: String,
    pub bytes: u64,
}

/// Size of the tar file, bytes, without the list and the hashes.
pub fn tar_bytes(backup: &Backup) -> u64 {
    backup.files.iter().map(|file| BLOCK + file.bytes.next_multiple_of(BLOCK)).sum()
}

/// Writes the backup of the lab with the id `lab`. Blocks.
///
/// # Errors
/// A file that has become shorter or was removed, with its path; a reader that has disconnected; a full disk.
pub fn write(backup: &Backup, lab: &str, out: &mut dyn Write) -> io::Result<()> {
    let made_ms = now_ms();
    let mut tarball = Tarball::new(out, FOLDER, made_ms);
    let listed = backup.files.iter().map(|file| ListedFile { name: file.name.clone(), bytes: file.bytes });
    let kindling = env!("CARGO_PKG_VERSION").to_owned();
    let list = BackupList { format: FORMAT, kindling, lab: lab.to_owned(), made_ms, files: listed.collect() };
    tarball.add(LIST, &serde_json::to_vec(&list)?)?;
    for (index, file) in backup.files.iter().enumerate() {
        let content = open(file)?;
        tarball
            .add_with(&format!("files/{index}"), file.bytes, |out| {
                io::copy(&mut content.take(file.bytes), out).map(drop)
            })
            .map_err(|source| io::Error::new(source.kind(), format!("{}: {source}", file.name)))?;
    }
    let hashes: Vec<String> = tarball.members[1..].iter().map(|member| member.blake3.clone()).collect();
    tarball.add(HASHES, &serde_json::to_vec(&hashes)?)?;
    tarball.close()
}

fn open(file: &BackupFile) -> io::Result<File> {
    File::open(&file.path).map_err(|source| {
        let changed = format!("{}: {source}; a dataset that was deleted meanwhile: back up again", file.name);
        io::Error::new(source.kind(), changed)
    })
}
