//! The result of a check: a location and a message.

use std::fmt;

/// A fault to correct, printed as `path:line: message`, which terminals and editors show as a link.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Path of the file from the root of the workspace, or the name of a commit.
    pub(super) path: String,
    /// Line, from 1; 0 if the finding concerns the whole file.
    pub(super) line: usize,
    /// The problem, and how to fix it if that is not obvious.
    pub(super) message: String,
}

impl Finding {
    pub(super) fn new(path: impl Into<String>, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.into(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(out, "{}: {}", self.path, self.message),
            line => write!(out, "{}:{line}: {}", self.path, self.message),
        }
    }
}
