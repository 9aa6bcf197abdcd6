//! JSON values over any number of lines: a list of records, one record, or several in a row. The file is cut into its records by brackets and
//! quotation marks, so that one faulty record does not lose the others and a list of any length is read record by record.

use std::io::BufRead;

use wire::data::import::Reason;

use crate::error::Stopped;
use crate::formats::{Fault, RECORD_BYTES, megabytes, record};
use crate::intake::Intake;

/// Reads all records.
pub(crate) fn read(source: &mut dyn BufRead, intake: &mut Intake<'_>) -> Result<(), Fault> {
    let wanted = intake.wanted();
    let mut cutter = Cutter { line: 1, ..Cutter::default() };
    loop {
        let block = source.fill_buf()?;
        if block.is_empty() {
            break;
        }
        let length = block.len();
        cutter.cut(block, &wanted, intake)?;
        source.consume(length);
    }
    cutter.finish(&wanted, intake)?;
    Ok(())
}

/// Cuts bytes into values.
#[derive(Default)]
struct Cutter {
    /// Bytes of the open value.
    value: Vec<u8>,
    /// Length of the open value, also where it is too long to be kept.
    length: usize,
    is_open: bool,
    /// Brackets open in the value.
    depth: usize,
    in_string: bool,
    is_escaped: bool,
    /// Whether the list around the records is open.
    in_list: bool,
    /// Current line, from 1, and the line where the value begins.
    line: u64,
    began: u64,
}

impl Cutter {
    fn cut(&mut self, block: &[u8], wanted: &[String], intake: &mut Intake<'_>) -> Result<(), Stopped> {
        let mut at = 0;
        while at < block.len() {
            if !self.is_open {
                at += self.between(block[at]);
                continue;
            }
            let (length, is_whole) = self.inside(&block[at..]);
            self.keep(&block[at..at + length]);
            at += length;
            if is_whole {
                self.close(wanted, intake)?;
            }
        }
        Ok(())
    }

    /// Takes a byte between two values; a byte that begins a value is left for [`Self::inside`].
    fn between(&mut self, byte: u8) -> usize {
        match byte {
            b'\n' => self.line += 1,
            b' ' | b'\t' | b'\r' | b',' => {}
            b'[' if !self.in_list => self.in_list = true,
            b']' if self.in_list => self.in_list = false,
            _ => {
                (self.is_open, self.began) = (true, self.line);
                return 0;
            }
        }
        1
    }

    /// The length of what belongs to the open value, and whether the value ends there.
    fn inside(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut at = 0;
        while at < bytes.len() {
            if self.is_escaped {
                self.is_escaped = false;
                at += 1;
                continue;
            }
            if self.in_string {
                let Some(next) = memchr::memchr2(b'"', b'\\', &bytes[at..]) else { return (bytes.len(), false) };
                at += next + 1;
                self.is_escaped = bytes[at - 1] == b'\\';
                self.in_string = self.is_escaped;
                if !self.in_string && self.depth == 0 {
                    return (at, true);
                }
                continue;
            }
            let is_first = self.length == 0 && at == 0;
            match bytes[at] {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth > 1 => self.depth -= 1,
                b'}' | b']' if self.depth == 1 => {
                    self.depth = 0;
                    return (at + 1, true);
                }
                // A number or a word ends where something else begins; a lone bracket is a value of its own, and faulty.
                b',' | b' ' | b'\t' | b'\r' | b'\n' | b']' if self.depth == 0 && !is_first => return (at, true),
                b'}' | b']' if is_first => return (1, true),
                _ => {}
            }
            at += 1;
        }
        (bytes.len(), false)
    }

    fn keep(&mut self, part: &[u8]) {
        self.line += memchr::memchr_iter(b'\n', part).count() as u64;
        self.length += part.len();
        if self.length <= RECORD_BYTES {
            self.value.extend_from_slice(part);
        }
    }

    fn close(&mut self, wanted: &[String], intake: &mut Intake<'_>) -> Result<(), Stopped> {
        if self.length > RECORD_BYTES {
            let (size, limit) = (megabytes(self.length), megabytes(RECORD_BYTES));
            let message = format!("a JSON value of {size}, longer than {limit}; store its records as JSON Lines");
            intake.skip(Some(self.began), Reason::TooLong, message)?;
        } else {
            record::read(&self.value, self.began, wanted, intake)?;
        }
        self.value.clear();
        (self.length, self.is_open, self.depth) = (0, false, 0);
        Ok(())
    }

    fn finish(&mut self, wanted: &[String], intake: &mut Intake<'_>) -> Result<(), Stopped> {
        // Only a number or a word may end with the file.
        if self.is_open && self.depth == 0 && !self.in_string {
            return self.close(wanted, intake);
        }
        if self.is_open {
            let message = "it is not JSON: the file ends inside the value that begins here";
            return intake.skip(Some(self.began), Reason::Malformed, message);
        }
        if self.in_list {
            let message = "the list of the file is not closed; the records before the end are used";
            return intake.repair(Some(self.line), Reason::Malformed, message);
        }
        Ok(())
    }
}
