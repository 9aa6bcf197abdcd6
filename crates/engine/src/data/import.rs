//! Files that become a corpus, or a preview of it. What they hold is read by the crate `documents`, which lists what cannot be used. An import
//! that fails deletes what it wrote.

use std::path::{Path, PathBuf};

use ::documents::file::read_file;
use ::documents::{DocumentsError, Intake, IssueList, Sink, Stopped};
use wire::data::corpus::{CorpusInfo, Source};
use wire::data::import::{ImportOptions, ImportReport, Issue};
use wire::id::CorpusId;

use crate::data::draft::Draft;
use crate::error::{DataError, Progress};

/// Maximum number of file names that are stored.
const MAX_NAMES: usize = 100;
/// Bytes of text between two reports of progress.
const REPORT_BYTES: u64 = 4 << 20;
/// File of a corpus with everything that its import skipped or repaired.
pub const ISSUES_FILE: &str = "skipped.csv";

/// Files on disk with their names as given, which say what they hold.
#[derive(Debug, Clone, Copy)]
pub struct Files<'a> {
    /// Name as given, and path.
    pub files: &'a [(String, PathBuf)],
    /// Field, separator, encoding, line ends and strictness.
    pub options: &'a ImportOptions,
    /// Maximum size of their text, bytes: small compressed files may hold any amount.
    pub max_text_bytes: u64,
}

/// Imports files as a corpus. Its description has the report.
///
/// # Errors
/// Returns an error if nothing in the files is usable, none has the field, a strict import would skip or repair something, there is too much
/// text, or the id exists; after a cancellation; or an IO error.
pub fn import_files(
    corpora: &Path,
    id: &CorpusId,
    name: &str,
    source: Source,
    from: Files<'_>,
    progress: Progress<'_>,
) -> Result<CorpusInfo, DataError> {
    let mut draft = Draft::new(corpora, id, name, source)?;
    if let Source::Files { names } = &mut draft.info().source {
        names.extend(from.files.iter().map(|(name, _)| name.clone()));
        names.truncate(MAX_NAMES);
    }
    let list = draft.folder().join(ISSUES_FILE);
    let issues = IssueList::create(&list).map_err(DataError::disk("could not create", &list))?;
    let total = from.files.iter().filter_map(|(_, path)| Some(path.metadata().ok()?.len())).sum();
    let mut writer = Writer {
        draft: &mut draft,
        issues,
        list: &list,
        failed: None,
        left: from.max_text_bytes,
        reported: 0,
        total,
        progress,
    };
    let report = read_all(from, &mut writer);
    let report = match (writer.failed.take(), report) {
        (Some(error), _) => return Err(error),
        (None, report) => report?,
    };
    writer.issues.finish().map_err(DataError::disk("could not write", &list))?;
    check(from.options, &report)?;
    draft.info().import = Some(report);
    draft.finish()
}

/// Reads the beginning of each file, up to `bytes` of text in all, and says what an import would give. Nothing is stored but the list of what
/// is skipped, at `list`.
///
/// # Errors
/// Returns an error for an unknown encoding, or an IO error. Files without anything usable are no error: the report says so.
pub fn preview_files(from: Files<'_>, bytes: u64, list: &Path) -> Result<ImportReport, DataError> {
    let issues = IssueList::create(list).map_err(DataError::disk("could not create", list))?;
    let mut reader = Preview { issues, list, failed: None };
    let report = preview_all(from, bytes, &mut reader);
    if let Some(error) = reader.failed.take() {
        return Err(error);
    }
    reader.issues.finish().map_err(DataError::disk("could not write", list))?;
    report
}

fn preview_all(from: Files<'_>, bytes: u64, reader: &mut Preview<'_>) -> Result<ImportReport, DataError> {
    let mut intake = Intake::new(from.options, reader)?;
    for (name, path) in from.files {
        let left = bytes.saturating_sub(intake.text_bytes());
        if left == 0 {
            intake.cut();
            break;
        }
        intake.limit(left);
        read_file(&mut intake, name, path)?;
    }
    Ok(ImportReport { file_count: from.files.len() as u64, ..intake.report() })
}

fn read_all(from: Files<'_>, writer: &mut Writer<'_>) -> Result<ImportReport, DataError> {
    let mut intake = Intake::new(from.options, writer)?;
    from.files.iter().try_for_each(|(name, path)| read_file(&mut intake, name, path))?;
    let (report, has_field) = (intake.report(), intake.has_field());
    let field = from.options.field.as_deref().filter(|field| !field.is_empty());
    if !has_field && (field.is_some() || (intake.has_records() && report.documents == 0)) {
        if let Some(error) = no_field(field, &report, intake.has_records()) {
            return Err(error);
        }
    }
    Ok(report)
}

/// The error for files without the field; none where something else is the matter with them.
fn no_field(field: Option<&str>, report: &ImportReport, has_records: bool) -> Option<DataError> {
    let place = report.issues.iter().find(|issue| issue.reason.code() == "field").map(place_of);
    let found: Vec<String> = report.fields.iter().map(|field| field.name.clone()).take(20).collect();
    if field.is_none() && found.is_empty() {
        return None;
    }
    let field = field.unwrap_or("text").to_owned();
    Some(match has_records {
        true => DataError::NoField { place: place.unwrap_or_else(|| "the files".to_owned()), field, found },
        false => DataError::NoFields { field },
    })
}

/// The file of an issue, with its line where it has one.
fn place_of(issue: &Issue) -> String {
    match issue.line {
        Some(line) => format!("{}, line {line}", issue.file),
        None => issue.file.clone(),
    }
}

fn check(options: &ImportOptions, report: &ImportReport) -> Result<(), DataError> {
    if options.strict && report.skipped + report.repaired > 0 {
        return Err(DataError::Refused { report: Box::new(report.clone()) });
    }
    if report.documents > 0 {
        return Ok(());
    }
    Err(match report.issues.first() {
        Some(issue) => DataError::NothingUsable {
            place: place_of(issue),
            message: issue.message.clone(),
            reason: issue.reason,
            others: report.skipped.saturating_sub(1),
        },
        None => DataError::Empty { name: "the upload".to_owned() },
    })
}

/// Writes documents into a draft.
struct Writer<'a> {
    draft: &'a mut Draft,
    issues: IssueList,
    list: &'a Path,
    failed: Option<DataError>,
    /// Bytes of text that may still come.
    left: u64,
    /// Bytes of the files at the last report of progress, and in all.
    reported: u64,
    total: u64,
    progress: Progress<'a>,
}

impl Writer<'_> {
    fn stop(&mut self, error: DataError) -> Stopped {
        self.failed = Some(error);
        Stopped
    }
}

impl Sink for Writer<'_> {
    fn append(&mut self, text: &str) -> Result<(), Stopped> {
        match self.left.checked_sub(text.len() as u64) {
            Some(left) => self.left = left,
            None => return Err(self.stop(DataError::TooMuchText)),
        }
        self.draft.append(text).map_err(|error| self.stop(error))
    }

    fn end_document(&mut self) -> Result<(), Stopped> {
        self.draft.end_document(None);
        Ok(())
    }

    fn issue(&mut self, issue: &Issue) -> Result<(), Stopped> {
        let added = self.issues.add(issue).map_err(DataError::disk("could not write", self.list));
        added.map_err(|error| self.stop(error))
    }

    fn progress(&mut self, bytes: u64) -> Result<(), Stopped> {
        if bytes < self.reported + REPORT_BYTES {
            return Ok(());
        }
        self.reported = bytes;
        let is_wanted = (self.progress)(bytes.min(self.total), Some(self.total), "bytes");
        if is_wanted { Ok(()) } else { Err(self.stop(DataError::Cancelled)) }
    }
}

/// Counts documents and lists what is skipped.
struct Preview<'a> {
    issues: IssueList,
    list: &'a Path,
    failed: Option<DataError>,
}

impl Sink for Preview<'_> {
    fn append(&mut self, _: &str) -> Result<(), Stopped> {
        Ok(())
    }

    fn end_document(&mut self) -> Result<(), Stopped> {
        Ok(())
    }

    fn issue(&mut self, issue: &Issue) -> Result<(), Stopped> {
        self.issues.add(issue).map_err(|source| {
            self.failed = Some(DataError::disk("could not write", self.list)(source));
            Stopped
        })
    }

    fn progress(&mut self, _: u64) -> Result<(), Stopped> {
        Ok(())
    }
}

impl From<DocumentsError> for DataError {
    fn from(error: DocumentsError) -> Self {
        match error {
            DocumentsError::Read { name, source } => Self::Incoming { name, source },
            DocumentsError::Stopped(_) => Self::Cancelled,
            DocumentsError::NoEncoding { name } => Self::NoEncoding { name },
        }
    }
}
