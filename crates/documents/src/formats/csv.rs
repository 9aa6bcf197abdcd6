//! CSV and TSV: the first row names the columns, every other row is a record.

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use csv::{ByteRecord, ReaderBuilder};
use wire::data::import::Reason;

use crate::error::Stopped;
use crate::formats::{Fault, RECORD_BYTES, megabytes, quoted};
use crate::intake::Intake;

/// Bytes in which separators and quotation marks are looked for.
const HEAD_BYTES: usize = 64 * 1024;

/// The separator of the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// By the most frequent of `,`, `;`, `|` and tab in the first row.
    Csv,
    /// By tabs.
    Tsv,
}

/// Reads all rows.
pub(crate) fn read(source: &mut dyn BufRead, dialect: Dialect, intake: &mut Intake<'_>) -> Result<(), Fault> {
    let mut head = vec![];
    (&mut *source).take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    let delimiter = if dialect == Dialect::Tsv { b'\t' } else { delimiter(&head) };
    let quotes = has_quotes(&head, delimiter);
    let since = Rc::new(Cell::new(0));
    let bounded = Bounded { source: head.as_slice().chain(source), since: since.clone() };
    let mut rows = ReaderBuilder::new()
        .delimiter(delimiter)
        .quoting(quotes)
        .flexible(true)
        .has_headers(false)
        .from_reader(bounded);
    let mut row = ByteRecord::new();
    let mut columns: Option<Columns> = None;
    loop {
        since.set(0);
        match rows.read_byte_record(&mut row) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return stop_at(error, row.position().map_or(1, |place| place.line()), intake),
        }
        let line = row.position().map_or(1, |place| place.line());
        match &columns {
            None => columns = Some(Columns::of(&row, intake)),
            Some(columns) => columns.take(&row, line, intake)?,
        }
    }
    Ok(())
}

/// A row that is too long ends the file, since a quotation mark that is never closed swallows all that follows.
fn stop_at(error: csv::Error, line: u64, intake: &mut Intake<'_>) -> Result<(), Fault> {
    let csv::ErrorKind::Io(error) = error.into_kind() else { return Ok(()) };
    if error.get_ref().is_some_and(|source| source.is::<TooLong>()) {
        let limit = megabytes(RECORD_BYTES);
        let message = format!("a row longer than {limit}, and so all rows after it: is a quotation mark not closed?");
        return Ok(intake.skip(Some(line), Reason::TooLong, message)?);
    }
    Err(error.into())
}

/// The columns of a table.
struct Columns {
    names: Vec<String>,
    /// Columns that may have the text, the preferred one first.
    wanted: Vec<usize>,
    /// The preferred field, for messages.
    field: String,
}

impl Columns {
    fn of(header: &ByteRecord, intake: &mut Intake<'_>) -> Self {
        let names: Vec<String> = header.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
        let fields = intake.wanted();
        let wanted: Vec<usize> =
            fields.iter().filter_map(|field| names.iter().position(|name| name == field)).collect();
        if !wanted.is_empty() {
            intake.found_field();
        }
        Self { names, wanted, field: fields.into_iter().next().unwrap_or_default() }
    }

    fn take(&self, row: &ByteRecord, line: u64, intake: &mut Intake<'_>) -> Result<(), Stopped> {
        if row.iter().all(|value| value.trim_ascii().is_empty()) && row.len() == 1 {
            return Ok(());
        }
        for (name, value) in self.names.iter().zip(row).filter(|(_, value)| !value.is_empty()) {
            intake.count_field(name, value.len());
        }
        if self.wanted.is_empty() {
            let message = format!("there is no column {:?}; columns: {}", self.field, quoted(&self.names));
            return intake.skip(Some(line), Reason::Field, message);
        }
        if row.len() != self.names.len() {
            let message = format!("the row has {} columns, the header {}", row.len(), self.names.len());
            return intake.skip(Some(line), Reason::Malformed, message);
        }
        let value = self.wanted.iter().filter_map(|column| row.get(*column)).find(|value| !value.is_empty());
        match std::str::from_utf8(value.unwrap_or_default()) {
            Ok(text) => intake.text(text, line),
            Err(error) => {
                let message = format!("it is not UTF-8: an invalid byte at byte {} of the text", error.valid_up_to());
                intake.skip(Some(line), Reason::Encoding, message)
            }
        }
    }
}

/// The separator that is most frequent in the first row, outside quotation marks.
fn delimiter(head: &[u8]) -> u8 {
    let mut in_quotes = false;
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0), (b'|', 0)];
    for byte in head {
        match byte {
            b'"' => in_quotes = !in_quotes,
            b'\n' | b'\r' if !in_quotes => break,
            byte if !in_quotes => counts.iter_mut().filter(|(one, _)| one == byte).for_each(|(_, count)| *count += 1),
            _ => {}
        }
    }
    // Of equally frequent ones the first, since `max_by_key` takes the last.
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(one, _)| one)
}

/// Whether quotation marks enclose values. They belong to the text where values that begin with one mostly go on after the next one.
fn has_quotes(head: &[u8], delimiter: u8) -> bool {
    let (mut closed, mut broken, mut at) = (0, 0, 0);
    while at < head.len() {
        if head[at] == b'"' {
            let end = end_of_quoted(head, at + 1);
            match end.map(|end| head.get(end + 1)) {
                Some(None | Some(b'\n' | b'\r')) => closed += 1,
                Some(Some(byte)) if *byte == delimiter => closed += 1,
                None if head.len() == HEAD_BYTES => {}
                _ => broken += 1,
            }
            at = end.unwrap_or(at) + 1;
        }
        let is_end = |byte: &u8| *byte == delimiter || *byte == b'\n';
        at += head[at.min(head.len())..].iter().position(is_end).map_or(head.len(), |end| end + 1);
    }
    closed >= broken
}

/// The place of the quotation mark that ends a value; two of them are one of its characters.
fn end_of_quoted(head: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr::memchr(b'"', &head[at.min(head.len())..])?;
        if head.get(at + 1) != Some(&b'"') {
            return Some(at);
        }
        at += 2;
    }
}

/// A reader that fails once more than [`RECORD_BYTES`] were read for one row.
struct Bounded<R> {
    source: R,
    since: Rc<Cell<usize>>,
}

#[derive(Debug, thiserror::Error)]
#[error("a row is too long")]
struct TooLong;

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, block: &mut [u8]) -> io::Result<usize> {
        if self.since.get() > RECORD_BYTES {
            return Err(io::Error::other(TooLong));
        }
        let read = self.source.read(block)?;
        self.since.set(self.since.get() + read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_and_quotation_marks_are_found() {
        for (head, separator, quotes) in [
            ("id,text\n1,\"a, b\"\n", b',', true),
            ("id;text\n1;a, b, c\n", b';', true),
            ("\"a,b\";text\n1;x\n", b';', true),
            ("text\nabc\n", b',', true),
            ("id\ttext\n1\t\"Hi,\" he said.\n", b'\t', false),
            ("id\ttext\n1\t\"two\nlines\"\n", b'\t', true),
            ("id,text\n1,\"good \"\"day\"\"\"\n", b',', true),
        ] {
            assert_eq!(delimiter(head.as_bytes()), separator, "{head:?}");
            assert_eq!(has_quotes(head.as_bytes(), separator), quotes, "{head:?}");
        }
    }
}
