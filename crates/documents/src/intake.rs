//! What readers pass their texts to: counts them, splits them into documents, and passes these on. One intake serves all files of an import.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use wire::data::import::{
    FieldReport, FileKind, FileReport, ImportOptions, ImportReport, Issue, LineEnds, Outcome, Reason,
};

use crate::encoding::Conversion;
use crate::error::{DocumentsError, Stopped};
use crate::separator::{Parts, Splitter};

/// Fields that are tried where none is given.
const DEFAULT_FIELDS: [&str; 2] = ["text", "content"];
/// Files and issues that a report lists.
const LISTED: usize = 50;
/// Documents whose beginning a report shows, and the characters of each.
const SHOWN: usize = 5;
const SHOWN_CHARS: usize = 300;
/// Different fields that are counted.
const FIELDS: usize = 200;

/// Receives documents.
pub trait Sink {
    /// Adds to the current document.
    ///
    /// # Errors
    /// Returns [`Stopped`] to end the reading.
    fn append(&mut self, text: &str) -> Result<(), Stopped>;

    /// Ends the current document.
    ///
    /// # Errors
    /// Returns [`Stopped`] to end the reading.
    fn end_document(&mut self) -> Result<(), Stopped>;

    /// Receives what was skipped or repaired, and every one of them.
    ///
    /// # Errors
    /// Returns [`Stopped`] to end the reading.
    fn issue(&mut self, issue: &Issue) -> Result<(), Stopped>;

    /// Called now and then with the bytes of the files that were read so far.
    ///
    /// # Errors
    /// Returns [`Stopped`] to end the reading.
    fn progress(&mut self, bytes: u64) -> Result<(), Stopped>;
}

/// The reading of several files into one sink.
pub struct Intake<'a> {
    splitter: Splitter,
    output: Output<'a>,
    pub(crate) conversion: Conversion,
    field: Option<String>,
    line_ends: LineEnds,
    /// Whether the text so far ends in `\r`, which may be half of a line end.
    ends_in_return: bool,
    /// Documents before the current text.
    documents_before: u64,
    fields: BTreeMap<String, (u64, u64)>,
    /// Bytes of the files that were read; the readers of files add to it.
    pub(crate) bytes_read: Rc<Cell<u64>>,
    /// Bytes of each file that are read; all by default.
    pub(crate) limit: u64,
    /// Whether the current file was read only up to the limit. Its last record is cut then, which is no fault.
    pub(crate) was_cut: Rc<Cell<bool>>,
    /// Whether a record had the requested field.
    has_field: bool,
    /// Whether a file has fields at all.
    has_records: bool,
}

/// The sink with what is counted on the way.
struct Output<'a> {
    sink: &'a mut dyn Sink,
    report: ImportReport,
    /// Characters still to be shown of the open document.
    shown: usize,
    file: FileReport,
    /// Bytes of the documents of earlier files.
    text_before: u64,
}

impl<'a> Intake<'a> {
    /// Starts an import.
    ///
    /// # Errors
    /// Returns an error for an unknown encoding.
    pub fn new(options: &ImportOptions, sink: &'a mut dyn Sink) -> Result<Self, DocumentsError> {
        let report = ImportReport { is_complete: true, ..ImportReport::default() };
        Ok(Self {
            splitter: Splitter::new(options),
            output: Output { sink, report, shown: 0, file: no_file(), text_before: 0 },
            conversion: Conversion::parse(options.encoding.as_deref())?,
            field: options.field.clone().filter(|field| !field.is_empty()),
            line_ends: options.line_ends,
            ends_in_return: false,
            documents_before: 0,
            fields: BTreeMap::new(),
            bytes_read: Rc::default(),
            limit: u64::MAX,
            was_cut: Rc::default(),
            has_field: false,
            has_records: false,
        })
    }

    /// Reads no more than the first `bytes` of the files that follow, each decompressed, for a preview.
    pub fn limit(&mut self, bytes: u64) {
        self.limit = bytes;
    }

    /// Counts, files and issues so far.
    pub fn report(&self) -> ImportReport {
        let mut report = self.output.report.clone();
        report.fields = self
            .fields
            .iter()
            .map(|(name, (records, text_bytes))| FieldReport {
                name: name.clone(),
                records: *records,
                text_bytes: *text_bytes,
            })
            .collect();
        report.fields.sort_by_key(|field| std::cmp::Reverse(field.text_bytes));
        report
    }

    /// Whether the requested field exists, or one of the default ones, in a file that has fields.
    pub fn has_field(&self) -> bool {
        self.has_field
    }

    /// Whether a file of the import has fields.
    pub fn has_records(&self) -> bool {
        self.has_records
    }

    /// Size of the documents so far, bytes.
    pub fn text_bytes(&self) -> u64 {
        self.output.report.text_bytes
    }

    /// Marks the report as one of a part of the files.
    pub fn cut(&mut self) {
        self.output.report.is_complete = false;
    }

    /// Fields that may have the text, the preferred one first.
    pub(crate) fn wanted(&self) -> Vec<String> {
        match &self.field {
            Some(field) => vec![field.clone()],
            // A record without a name is a text by itself.
            None => DEFAULT_FIELDS.into_iter().chain([""]).map(str::to_owned).collect(),
        }
    }

    pub(crate) fn begin_file(&mut self, name: &str, bytes: u64) {
        self.output.file = FileReport { name: name.to_owned(), bytes, ..no_file() };
        self.was_cut.set(false);
        self.output.report.file_count += 1;
        self.output.text_before = self.output.report.text_bytes;
    }

    pub(crate) fn describe_file(&mut self, kind: FileKind, compression: Option<&str>, encoding: Option<String>) {
        let file = &mut self.output.file;
        (file.kind, file.compression, file.encoding) = (kind, compression.map(str::to_owned), encoding);
        self.has_records |= kind.has_fields();
    }

    pub(crate) fn end_file(&mut self) {
        if self.was_cut.get() {
            self.cut();
        }
        let file = std::mem::replace(&mut self.output.file, no_file());
        if self.output.report.files.len() < LISTED {
            self.output.report.files.push(file);
        }
    }

    /// Bytes of the current file's documents.
    pub(crate) fn file_text_bytes(&self) -> u64 {
        self.output.report.text_bytes - self.output.text_before
    }

    /// Documents and skipped records of the current file.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.output.file.documents, self.output.file.skipped)
    }

    /// Counts a field with text, before it is known whether it is used.
    pub(crate) fn count_field(&mut self, name: &str, bytes: usize) {
        if let Some((records, text_bytes)) = self.fields.get_mut(name) {
            *records += 1;
            *text_bytes += bytes as u64;
        } else if self.fields.len() < FIELDS {
            self.fields.insert(name.to_owned(), (1, bytes as u64));
        }
    }

    /// Counts a column of a table whose rows are not read one by one.
    pub(crate) fn count_column(&mut self, name: &str, rows: u64, bytes: u64) {
        let (records, text_bytes) = self.fields.entry(name.to_owned()).or_default();
        *records += rows;
        *text_bytes += bytes;
    }

    /// Adds to the bytes of the files that were read.
    pub(crate) fn add_bytes(&self, bytes: u64) {
        self.bytes_read.set(self.bytes_read.get() + bytes);
    }

    /// Notes that the requested field exists.
    pub(crate) fn found_field(&mut self) {
        self.has_field = true;
    }

    /// Adds to the current text.
    pub(crate) fn push(&mut self, text: &str) -> Result<(), Stopped> {
        let returns = memchr::memchr_iter(b'\r', text.as_bytes()).count() as u64;
        self.output.report.carriage_returns += returns;
        if self.line_ends == LineEnds::Keep || (returns == 0 && !self.ends_in_return) {
            self.splitter.push(text, &mut self.output)?;
        } else {
            let text = self.without_returns(text);
            self.splitter.push(&text, &mut self.output)?;
        }
        self.output.sink.progress(self.bytes_read.get())
    }

    /// The text with `\n` in place of `\r\n` and `\r`. A `\n` that follows a `\r` of the text before it is left out.
    fn without_returns(&mut self, text: &str) -> String {
        let rest = if self.ends_in_return { text.strip_prefix('\n').unwrap_or(text) } else { text };
        self.ends_in_return = text.ends_with('\r');
        rest.replace("\r\n", "\n").replace('\r', "\n")
    }

    /// Ends the current text; one without a document is listed.
    pub(crate) fn end_text(&mut self, line: Option<u64>) -> Result<(), Stopped> {
        self.ends_in_return = false;
        self.splitter.finish(&mut self.output)?;
        let before = std::mem::replace(&mut self.documents_before, self.output.report.documents);
        if self.output.report.documents == before {
            let what = if line.is_some() { "it has no text" } else { "the file has no text" };
            self.skip(line, Reason::Empty, what)?;
        }
        Ok(())
    }

    /// A whole text with its line.
    pub(crate) fn text(&mut self, text: &str, line: u64) -> Result<(), Stopped> {
        self.push(text)?;
        self.end_text(Some(line))
    }

    /// Ends a text that could not be read to its end: its last document is kept as far as it goes.
    pub(crate) fn break_text(&mut self) -> Result<(), Stopped> {
        self.ends_in_return = false;
        self.splitter.finish(&mut self.output)?;
        self.documents_before = self.output.report.documents;
        Ok(())
    }

    pub(crate) fn skip(
        &mut self,
        line: Option<u64>,
        reason: Reason,
        message: impl Into<String>,
    ) -> Result<(), Stopped> {
        if self.was_cut.get() {
            return Ok(());
        }
        self.output.file.skipped += 1;
        self.output.report.skipped += 1;
        self.list(line, Outcome::Skipped, reason, message.into())
    }

    pub(crate) fn repair(
        &mut self,
        line: Option<u64>,
        reason: Reason,
        message: impl Into<String>,
    ) -> Result<(), Stopped> {
        if self.was_cut.get() {
            return Ok(());
        }
        self.output.report.repaired += 1;
        self.list(line, Outcome::Repaired, reason, message.into())
    }

    fn list(&mut self, line: Option<u64>, outcome: Outcome, reason: Reason, message: String) -> Result<(), Stopped> {
        let issue = Issue { file: self.output.file.name.clone(), line, outcome, reason, message };
        self.output.sink.issue(&issue)?;
        if self.output.report.issues.len() < LISTED {
            self.output.report.issues.push(issue);
        }
        Ok(())
    }
}

impl Parts for Output<'_> {
    fn append(&mut self, text: &str) -> Result<(), Stopped> {
        if text.is_empty() {
            return Ok(());
        }
        self.report.text_bytes += text.len() as u64;
        self.show(text);
        self.sink.append(text)
    }

    fn end(&mut self) -> Result<(), Stopped> {
        self.report.documents += 1;
        self.file.documents += 1;
        self.shown = 0;
        self.sink.end_document()
    }
}

impl Output<'_> {
    /// Keeps the beginnings of the first documents.
    fn show(&mut self, text: &str) {
        let open = self.report.documents as usize;
        if open >= SHOWN || self.shown >= SHOWN_CHARS {
            return;
        }
        if self.report.first.len() <= open {
            self.report.first.push(String::new());
        }
        for c in text.chars().take(SHOWN_CHARS - self.shown) {
            self.report.first[open].push(c);
            self.shown += 1;
        }
    }
}

fn no_file() -> FileReport {
    FileReport {
        name: String::new(),
        bytes: 0,
        kind: FileKind::Binary,
        compression: None,
        encoding: None,
        documents: 0,
        skipped: 0,
    }
}
