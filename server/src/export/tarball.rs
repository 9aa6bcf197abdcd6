//! Tar files: written without buffering files, and read with every name and type checked.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};
use tar::{EntryType, Header};

use crate::data::disk::write_failed;
use crate::error::ApiError;

/// Maximum number of members that are read.
const MEMBERS: usize = 200_000;
/// Block size of the tar format, bytes.
pub(super) const BLOCK: u64 = 512;

/// One file of a tar file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Path below the top folder.
    pub path: String,
    /// Size, bytes.
    pub bytes: u64,
    /// BLAKE3, in hex.
    pub blake3: String,
}

/// A tar file that is being written. All its files are in one folder.
pub struct Tarball<'a> {
    out: &'a mut dyn Write,
    folder: String,
    at_secs: u64,
    /// The files written so far.
    pub members: Vec<Member>,
}

impl<'a> Tarball<'a> {
    /// Begins a tar file.
    pub fn new(out: &'a mut dyn Write, folder: &str, at_ms: i64) -> Self {
        Self { out, folder: folder.to_owned(), at_secs: (at_ms / 1000).max(0) as u64, members: vec![] }
    }

    /// Adds a small file.
    ///
    /// # Errors
    /// The reader has disconnected.
    pub fn add(&mut self, path: &str, content: &[u8]) -> io::Result<()> {
        self.add_with(path, content.len() as u64, |out| out.write_all(content))
    }

    /// Adds a file of a known size; `write` writes its content.
    ///
    /// # Errors
    /// The content has another size; the reader has disconnected.
    pub fn add_with(
        &mut self,
        path: &str,
        bytes: u64,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut header = Header::new_ustar();
        header.set_path(format!("{}/{path}", self.folder))?;
        header.set_size(bytes);
        header.set_mode(0o644);
        header.set_mtime(self.at_secs);
        header.set_cksum();
        self.out.write_all(header.as_bytes())?;
        let mut counted = Counted { out: &mut *self.out, bytes: 0, hasher: blake3::Hasher::new() };
        write(&mut counted)?;
        let Counted { bytes: written, hasher, .. } = counted;
        if written != bytes {
            return Err(io::Error::other(format!("{path} has {written} bytes instead of {bytes}")));
        }
        let padding = (bytes.next_multiple_of(BLOCK) - bytes) as usize;
        self.out.write_all(&[0; BLOCK as usize][..padding])?;
        self.members.push(Member { path: path.to_owned(), bytes, blake3: hasher.finalize().to_hex().to_string() });
        Ok(())
    }

    /// Ends the tar file.
    ///
    /// # Errors
    /// The reader has disconnected.
    pub fn close(self) -> io::Result<()> {
        self.out.write_all(&[0; 2 * BLOCK as usize])?;
        self.out.flush()
    }
}

/// A writer that counts and hashes.
struct Counted<'a> {
    out: &'a mut dyn Write,
    bytes: u64,
    hasher: blake3::Hasher,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.out.write(bytes)?;
        self.hasher.update(&bytes[..taken]);
        self.bytes += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Whether a file begins like a tar file.
pub fn is_tarball(path: &Path) -> bool {
    let mut first = [0; 262];
    File::open(path).and_then(|mut file| file.read_exact(&mut first)).is_ok() && &first[257..] == b"ustar"
}

/// Calls `take` with the path, size and content of each file.
///
/// # Errors
/// Links, devices and other special files; a path that is absolute or leads out of its folder; a file that is cut short; too many members.
pub fn each_member(
    path: &Path,
    mut take: impl FnMut(&str, u64, &mut dyn Read) -> Result<(), ApiError>,
) -> Result<(), ApiError> {
    let file = File::open(path).map_err(|source| ApiError::internal("reading an upload", source))?;
    let mut tarball = tar::Archive::new(file);
    let damaged = |source: io::Error| invalid(format!("the tar file is cut short or damaged: {source}"));
    // Raw: the header alone gives the name and type, without extensions for long names, links and sparse files.
    let entries = tarball.entries_with_seek().map_err(damaged)?.raw(true);
    for (count, entry) in entries.enumerate() {
        let mut entry = entry.map_err(damaged)?;
        if count >= MEMBERS {
            return Err(invalid(format!("the tar file has more than {MEMBERS} files")));
        }
        let name =
            String::from_utf8(entry.path_bytes().into_owned()).map_err(|_| invalid("a file name is not UTF-8"))?;
        match entry.header().entry_type() {
            EntryType::Directory | EntryType::XHeader | EntryType::XGlobalHeader => continue,
            EntryType::Regular => {}
            other => {
                return Err(invalid(format!("{:?} is a {other:?}; only regular files are accepted", shown(&name))));
            }
        }
        let plain =
            plain_path(&name).ok_or_else(|| invalid(format!("the path {:?} leads out of its folder", shown(&name))))?;
        let bytes = entry.size();
        take(&plain, bytes, &mut entry)?;
    }
    Ok(())
}

/// Copies the content of a file and returns its hash.
///
/// # Errors
/// A file that is cut short; an IO error.
pub fn copy(path: &str, bytes: u64, content: &mut dyn Read, to: &Path) -> Result<String, ApiError> {
    let kept = |source: io::Error| write_failed("unpacking an upload", source);
    let mut file = File::create_new(to).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => invalid(format!("the tar file has {:?} twice", shown(path))),
        _ => kept(source),
    })?;
    let mut counted = Counted { out: &mut file, bytes: 0, hasher: blake3::Hasher::new() };
    io::copy(&mut content.take(bytes), &mut counted).map_err(kept)?;
    if counted.bytes != bytes {
        return Err(invalid(format!("the tar file is cut short in {:?}", shown(path))));
    }
    Ok(counted.hasher.finalize().to_hex().to_string())
}

/// The path with `/` between plain names; `None` if it is empty, absolute or leads out of its folder.
pub(super) fn plain_path(name: &str) -> Option<String> {
    if name.contains(['\\', '\0']) {
        return None;
    }
    let mut names = vec![];
    for component in Path::new(name).components() {
        match component {
            Component::Normal(name) => names.push(name.to_str()?),
            Component::CurDir => {}
            _ => return None,
        }
    }
    (!names.is_empty()).then(|| names.join("/"))
}

/// A name for an error message.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(120).collect()
}

/// 422 for an archive.
pub fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::invalid("archive_invalid", message)
        .hint("export it again: GET /api/v1/runs/{id}/archive, or `kindling export archive`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_lead_out_of_their_folder_are_refused() {
        for (name, plain) in [
            ("run/a.json", Some("run/a.json")),
            ("./run//a", Some("run/a")),
            ("../a", None),
            ("run/../../a", None),
            ("/etc/passwd", None),
            ("a\\..\\b", None),
            ("", None),
            (".", None),
        ] {
            assert_eq!(plain_path(name).as_deref(), plain, "{name}");
        }
    }
}
