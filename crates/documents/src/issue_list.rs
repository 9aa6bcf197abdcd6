//! The list of everything that an import skipped or repaired, as a CSV file.

use std::fs::File;
use std::io;
use std::path::Path;

use wire::data::import::{Issue, Outcome};

/// A list while it is written.
pub struct IssueList(csv::Writer<File>);

impl IssueList {
    /// Creates the file with its header.
    ///
    /// # Errors
    /// Returns an IO error.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut list = csv::Writer::from_writer(File::create(path)?);
        list.write_record(["file", "line", "outcome", "reason", "message"])?;
        Ok(Self(list))
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// Returns an IO error.
    pub fn add(&mut self, issue: &Issue) -> io::Result<()> {
        let line = issue.line.map(|line| line.to_string()).unwrap_or_default();
        let outcome = match issue.outcome {
            Outcome::Skipped => "skipped",
            Outcome::Repaired => "repaired",
        };
        Ok(self.0.write_record([&issue.file, &line, outcome, issue.reason.code(), &issue.message])?)
    }

    /// Writes what is buffered.
    ///
    /// # Errors
    /// Returns an IO error.
    pub fn finish(mut self) -> io::Result<()> {
        self.0.flush()
    }
}
