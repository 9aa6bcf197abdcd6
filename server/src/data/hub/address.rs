//! Names of repositories and revisions, checked, and the paths made of them.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::error::HubError;

/// Characters of a revision or of a name in a path that are not escaped.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Characters of an owner or of the name of a repository.
const NAME_CHARS: usize = 96;
/// Characters of a revision.
const REVISION_CHARS: usize = 200;
/// The revision of requests that name none.
const DEFAULT_REVISION: &str = "main";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepoKind {
    /// Weights with their config and tokenizer.
    Model,
    /// Files of text.
    Dataset,
}

/// A repository at a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub kind: RepoKind,
    /// `owner/name`, or `name` for some old repositories.
    pub repo: String,
    /// Branch, tag or commit.
    pub revision: String,
}

impl Address {
    /// Checks a name and a revision.
    ///
    /// # Errors
    /// The hub has no such names.
    pub fn new(kind: RepoKind, repo: &str, revision: Option<&str>) -> Result<Self, HubError> {
        let (repo, revision) = (repo.trim(), revision.unwrap_or_default().trim());
        let parts: Vec<&str> = repo.split('/').collect();
        if parts.len() > 2 || !parts.iter().all(|part| is_name(part)) {
            return Err(HubError::Name { given: shown(repo) });
        }
        let revision = if revision.is_empty() { DEFAULT_REVISION } else { revision };
        if revision.len() > REVISION_CHARS || revision.contains("..") || revision.chars().any(is_strange) {
            return Err(HubError::Revision { given: shown(revision) });
        }
        Ok(Self { kind, repo: repo.to_owned(), revision: revision.to_owned() })
    }

    /// The name without its owner.
    pub fn name(&self) -> &str {
        self.repo.rsplit('/').next().unwrap_or(&self.repo)
    }

    /// Path of the list of files.
    pub fn listing(&self) -> String {
        let kind = if self.kind == RepoKind::Model { "models" } else { "datasets" };
        format!("/api/{kind}/{}/revision/{}?blobs=true", self.repo, escaped(&self.revision))
    }

    /// Path of a file at a commit.
    pub fn file(&self, commit: &str, path: &str) -> String {
        let kind = if self.kind == RepoKind::Model { "" } else { "/datasets" };
        let path: Vec<String> = path.split('/').map(escaped).collect();
        format!("{kind}/{}/resolve/{}/{}", self.repo, escaped(commit), path.join("/"))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.kind == RepoKind::Model { "model" } else { "dataset" };
        write!(f, "the {kind} {} at {}", self.repo, self.revision)
    }
}

fn is_name(part: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !part.is_empty()
        && part.len() <= NAME_CHARS
        && part.chars().all(is_plain)
        && !part.starts_with('.')
        && !part.contains("..")
}

fn is_strange(c: char) -> bool {
    c.is_control() || c.is_whitespace() || matches!(c, '\\' | '?' | '#')
}

fn escaped(part: &str) -> String {
    utf8_percent_encode(part, PLAIN).to_string()
}

/// A text of a request or an answer in a message.
pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(120).collect()
}
