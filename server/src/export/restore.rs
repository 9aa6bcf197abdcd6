//! Reads the backup of a lab into a new folder. Nothing is left behind where it fails, and no path of the file leads out of the folder.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::backup::{BackupList, FOLDER, FORMAT, HASHES, LIST};
use super::tarball::plain_path;

/// First names of the paths that a lab folder has.
const KNOWN: [&str; 7] = ["checkpoints", "corpora", "format", "id", "lab.db", "series", "snapshots"];
/// Largest list and largest file of hashes, bytes: some millions of files.
const LIST_BYTES: u64 = 1 << 30;
/// Files from this size on are synced, bytes.
const SYNCED_BYTES: u64 = 1 << 20;

/// Errors of `kindling restore`.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// The backup.
        path: PathBuf,
        source: io::Error,
    },
    #[error("{} could not be written: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        source: io::Error,
    },
    #[error("{} is in use: restore into a new folder, with --data", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    #[error("this is not a backup: {what} is missing. `kindling backup` makes one")]
    NoBackup { what: &'static str },
    #[error("{what} of the backup cannot be decoded: {source}")]
    Undecodable { what: &'static str, source: serde_json::Error },
    #[error(
        "the backup has format {found} and this version reads format {FORMAT}: use the version of Kindling that made it"
    )]
    OtherFormat { found: u32 },
    #[error("the backup is cut short: {missing} of its files are missing. Copy it again")]
    CutShort { missing: usize },
    #[error(
        "{name:?} in the backup is damaged: its hash is not the one that was written with it. Copy the backup again"
    )]
    Damaged { name: String },
    #[error("the backup names the file {name:?}, which no lab has")]
    UnknownFile { name: String },
}

/// Unpacks a backup into a folder that does not exist or is empty, and returns its list. Blocks. `progress` is called with the bytes done
/// and the bytes in all.
///
/// # Errors
/// A folder in use; a file that is no backup, of another version, cut short or damaged; a full disk. The folder is then as before.
pub fn unpack(backup: &Path, folder: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<BackupList, RestoreError> {
    let is_used = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) || folder.is_file();
    if is_used {
        return Err(RestoreError::NotEmpty { path: folder.to_owned() });
    }
    let aside = folder.with_extension("restoring");
    let write = |path: &Path| {
        let path = path.to_owned();
        move |source| RestoreError::Write { path, source }
    };
    // What an interrupted attempt has left.
    remove(&aside).map_err(write(&aside))?;
    let unpacked = read_into(backup, &aside, progress);
    if unpacked.is_err() {
        // The first error is the one to show.
        let _ = remove(&aside);
    }
    let list = unpacked?;
    remove(folder).map_err(write(folder))?;
    fs::rename(&aside, folder).map_err(write(folder))?;
    Ok(list)
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(source),
        _ => Ok(()),
    }
}

fn read_into(path: &Path, folder: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<BackupList, RestoreError> {
    let unreadable = |source| RestoreError::Read { path: path.to_owned(), source };
    let mut tarball = tar::Archive::new(File::open(path).map_err(unreadable)?);
    let mut members = tarball.entries().map_err(unreadable)?.raw(true);
    let mut next = |name: &str| -> Result<Option<_>, RestoreError> {
        let Some(member) = members.next().transpose().map_err(unreadable)? else { return Ok(None) };
        let is_expected = member.path_bytes().as_ref() == format!("{FOLDER}/{name}").as_bytes();
        Ok(is_expected.then_some(member))
    };
    let list = next(LIST)?.ok_or(RestoreError::NoBackup { what: LIST })?;
    let list: BackupList = decode(list, LIST)?;
    if list.format != FORMAT {
        return Err(RestoreError::OtherFormat { found: list.format });
    }
    let total = list.files.iter().map(|file| file.bytes).sum();
    let (mut hashes, mut done) = (vec![], 0);
    for (index, file) in list.files.iter().enumerate() {
        let cut_short = || RestoreError::CutShort { missing: list.files.len() - index };
        let mut content = next(&format!("files/{index}"))?.ok_or_else(cut_short)?;
        let to = place(folder, &file.name)?;
        let (bytes, hash) = copy(&mut content, &to, &mut |bytes| progress(done + bytes, total))?;
        if bytes != file.bytes {
            return Err(cut_short());
        }
        hashes.push(hash);
        done += bytes;
    }
    let expected: Vec<String> = decode(next(HASHES)?.ok_or(RestoreError::CutShort { missing: 1 })?, HASHES)?;
    match hashes.iter().zip(&list.files).enumerate().find(|(index, (hash, _))| expected.get(*index) != Some(hash)) {
        Some((_, (_, file))) => Err(RestoreError::Damaged { name: file.name.clone() }),
        None => Ok(list),
    }
}

fn decode<T: serde::de::DeserializeOwned>(content: impl Read, what: &'static str) -> Result<T, RestoreError> {
    let reader = io::BufReader::new(content.take(LIST_BYTES));
    serde_json::from_reader(reader).map_err(|source| RestoreError::Undecodable { what, source })
}

/// The path of a file of the list in the folder, which is created.
fn place(folder: &Path, name: &str) -> Result<PathBuf, RestoreError> {
    let is_known = name.split('/').next().is_some_and(|first| KNOWN.contains(&first));
    if !is_known || plain_path(name).as_deref() != Some(name) {
        return Err(RestoreError::UnknownFile { name: name.chars().take(120).collect() });
    }
    let path = folder.join(name);
    let parent = path.parent().unwrap_or(folder);
    fs::create_dir_all(parent).map_err(|source| RestoreError::Write { path: parent.to_owned(), source })?;
    Ok(path)
}

/// Copies a file, and returns its size and hash. A content that ends early is shorter than the list says.
fn copy(content: &mut dyn Read, to: &Path, progress: &mut dyn FnMut(u64)) -> Result<(u64, String), RestoreError> {
    let failed = |source| RestoreError::Write { path: to.to_owned(), source };
    let mut file = File::create_new(to).map_err(failed)?;
    let (mut hasher, mut bytes, mut buffer) = (blake3::Hasher::new(), 0, vec![0; 1 << 20]);
    loop {
        let read = content.read(&mut buffer).map_err(failed)?;
        if read == 0 {
            break;
        }
        file.write_all(&buffer[..read]).map_err(failed)?;
        hasher.update(&buffer[..read]);
        bytes += read as u64;
        progress(bytes);
    }
    // The many small files of the metrics are left to the system: syncing each would take longer than all else.
    if bytes >= SYNCED_BYTES {
        file.sync_all().map_err(failed)?;
    }
    Ok((bytes, hasher.finalize().to_hex().to_string()))
}
