//! A temporary folder of files, read with options.

use std::fs;
use std::path::PathBuf;

use documents::file::read_file;
use documents::{DocumentsError, Intake, Sink, Stopped};
use tempfile::TempDir;
use wire::data::import::{ImportOptions, ImportReport, Issue};

/// The documents and issues of a folder.
pub(crate) struct Found {
    pub(crate) documents: Vec<String>,
    pub(crate) issues: Vec<Issue>,
    pub(crate) report: ImportReport,
}

impl Found {
    /// The issues as `file:line reason`.
    pub(crate) fn listed(&self) -> Vec<String> {
        let line = |issue: &Issue| issue.line.map(|line| format!(":{line}")).unwrap_or_default();
        self.issues.iter().map(|issue| format!("{}{} {}", issue.file, line(issue), issue.reason.code())).collect()
    }
}

#[derive(Default)]
struct Kept {
    documents: Vec<String>,
    open: String,
    issues: Vec<Issue>,
}

impl Sink for Kept {
    fn append(&mut self, text: &str) -> Result<(), Stopped> {
        self.open.push_str(text);
        Ok(())
    }
    fn end_document(&mut self) -> Result<(), Stopped> {
        self.documents.push(std::mem::take(&mut self.open));
        Ok(())
    }
    fn issue(&mut self, issue: &Issue) -> Result<(), Stopped> {
        self.issues.push(issue.clone());
        Ok(())
    }
    fn progress(&mut self, _: u64) -> Result<(), Stopped> {
        Ok(())
    }
}

/// Reads files of these names and contents, up to `limit` bytes of each.
pub(crate) fn read_up_to(
    limit: u64,
    files: &[(&str, &[u8])],
    options: &ImportOptions,
) -> Result<Found, DocumentsError> {
    let folder = TempDir::new().unwrap();
    let mut kept = Kept::default();
    let mut intake = Intake::new(options, &mut kept)?;
    intake.limit(limit);
    for (place, (name, bytes)) in files.iter().enumerate() {
        let path = folder.path().join(place.to_string());
        fs::write(&path, bytes).unwrap();
        read_file(&mut intake, name, &path)?;
    }
    let report = intake.report();
    drop(intake);
    assert_eq!(kept.open, "", "every document was ended");
    assert_eq!(report.documents, kept.documents.len() as u64);
    assert_eq!((report.skipped + report.repaired) as usize, kept.issues.len());
    Ok(Found { documents: kept.documents, issues: kept.issues, report })
}

/// Reads whole files.
pub(crate) fn read(files: &[(&str, &[u8])], options: &ImportOptions) -> Found {
    read_up_to(u64::MAX, files, options).unwrap()
}

/// Options with a field.
pub(crate) fn field(name: &str) -> ImportOptions {
    ImportOptions { field: Some(name.to_owned()), ..ImportOptions::default() }
}

/// Options with an encoding.
pub(crate) fn encoding(name: &str) -> ImportOptions {
    ImportOptions { encoding: Some(name.to_owned()), ..ImportOptions::default() }
}

/// The contents of a file of `tests/cases`.
pub(crate) fn case(path: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(path);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
