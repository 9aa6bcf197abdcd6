//! The files of a repository at a commit, as the hub lists them.

use std::path::{Component, Path};

use serde::Deserialize;

use super::address::{Address, shown};
use super::error::HubError;

/// A repository at a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The commit that the revision names now.
    pub commit: String,
    pub files: Vec<HubFile>,
}

/// A file of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubFile {
    /// Path inside the repository, of plain names.
    pub path: String,
    /// Size, bytes, where the hub says it.
    pub bytes: Option<u64>,
    /// SHA-256 in hex, which the hub knows of large files.
    pub sha256: Option<String>,
}

/// The answer of the hub, of which all but the paths may be missing.
#[derive(Deserialize)]
pub(super) struct Answer {
    sha: Option<String>,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: Option<String>,
}

impl Answer {
    /// The listing of an address.
    ///
    /// # Errors
    /// A path that leads out of its folder.
    pub(super) fn listing(self, address: &Address) -> Result<Listing, HubError> {
        let is_commit = |sha: &String| !sha.is_empty() && sha.chars().all(|c| c.is_ascii_alphanumeric());
        let commit = self.sha.filter(is_commit).unwrap_or_else(|| address.revision.clone());
        let file = |Sibling { rfilename: path, size: bytes, lfs }: Sibling| match is_plain(&path) {
            true => Ok(HubFile { path, bytes, sha256: lfs.and_then(|lfs| lfs.sha256) }),
            false => Err(HubError::Path { path: shown(&path) }),
        };
        Ok(Listing { commit, files: self.siblings.into_iter().map(file).collect::<Result<_, _>>()? })
    }
}

/// Whether a path consists of names inside its folder.
fn is_plain(path: &str) -> bool {
    let is_name = |component| matches!(component, Component::Normal(_));
    !path.is_empty()
        && !path.contains(['\\', '\0'])
        && path.split('/').all(|name| !matches!(name, "" | "." | ".."))
        && Path::new(path).components().all(is_name)
}
