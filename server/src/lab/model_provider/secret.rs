//! A key. It has no Debug, Display or Serialize, so that no log, error or answer can contain it by accident.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What stands in place of a key in a text.
const HIDDEN: &str = "[key]";

/// A key of a provider. Cloning is cheap.
#[derive(Clone)]
pub struct Secret(Arc<str>);

/// Why a file with a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{} can be read by other users (mode {mode:o}): run chmod 600 on it", path.display())]
    Open { path: PathBuf, mode: u32 },
    #[error("{} has no key: write the key in its only line, without spaces", path.display())]
    Empty { path: PathBuf },
}

impl Secret {
    /// A key; `None` for a text that is empty or has spaces or other characters that a header cannot have.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let is_key = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_key.then(|| Self(text.into()))
    }

    /// Reads a key from a file that only its owner can read.
    ///
    /// # Errors
    /// The file cannot be read, other users can read it, or it has no key.
    pub fn read(path: &Path) -> Result<Self, SecretError> {
        let unreadable = |source| SecretError::Unreadable { path: path.to_owned(), source };
        let mode = mode_of(&fs::metadata(path).map_err(unreadable)?);
        if mode & 0o077 != 0 {
            return Err(SecretError::Open { path: path.to_owned(), mode });
        }
        let text = fs::read_to_string(path).map_err(unreadable)?;
        Self::new(&text).ok_or_else(|| SecretError::Empty { path: path.to_owned() })
    }

    /// The key, for the header of a request and nothing else.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }

    /// A text without the key: some servers repeat it in their errors.
    pub fn hide_in(&self, text: &str) -> String {
        text.replace(&*self.0, HIDDEN)
    }
}

/// The permissions of a file; none where the system has no such bits.
#[cfg(unix)]
fn mode_of(metadata: &fs::Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777
}

#[cfg(not(unix))]
fn mode_of(_: &fs::Metadata) -> u32 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_word() {
        for (text, expected) in [
            ("sk-1", Some("sk-1")),
            (" sk-2\n", Some("sk-2")),
            ("", None),
            ("a b", None),
            ("a\r\nb", None),
            ("é", None),
        ] {
            assert_eq!(Secret::new(text).as_ref().map(Secret::expose), expected, "{text:?}");
        }
        let secret = Secret::new("sk-1").unwrap();
        assert_eq!(secret.hide_in("the key sk-1 is invalid"), "the key [key] is invalid");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "sk-1\n").unwrap();
        let read = |mode| {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            Secret::read(&path)
        };
        assert_eq!(read(0o600).ok().unwrap().expose(), "sk-1");
        let refused = read(0o644).err().unwrap().to_string();
        assert!(refused.contains("(mode 644): run chmod 600") && !refused.contains("sk-1"), "{refused}");
    }
}
