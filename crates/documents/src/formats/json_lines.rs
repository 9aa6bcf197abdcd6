//! JSON Lines: one value per line. A line ends with `\n`, `\r\n` or `\r`, which JSON strings do not contain.

use std::io::{self, BufRead};

use wire::data::import::Reason;

use crate::formats::{Fault, RECORD_BYTES, megabytes, record};
use crate::intake::Intake;

/// Reads all lines.
pub(crate) fn read(source: &mut dyn BufRead, intake: &mut Intake<'_>) -> Result<(), Fault> {
    let wanted = intake.wanted();
    let mut lines = Lines { source, line: vec![], number: 0, ends_in_return: false };
    while let Some(length) = lines.read_next()? {
        let line = lines.line.trim_ascii();
        if length > RECORD_BYTES {
            let message = format!("a line of {}, longer than {}", megabytes(length), megabytes(RECORD_BYTES));
            intake.skip(Some(lines.number), Reason::TooLong, message)?;
        } else if !line.is_empty() {
            record::read(line, lines.number, &wanted, intake)?;
        }
    }
    Ok(())
}

struct Lines<'a> {
    source: &'a mut dyn BufRead,
    line: Vec<u8>,
    /// Number of the line, from 1.
    number: u64,
    ends_in_return: bool,
}

impl Lines<'_> {
    /// Reads a line and returns its length; of one that is too long only the beginning is kept. `None` at the end.
    fn read_next(&mut self) -> io::Result<Option<usize>> {
        self.line.clear();
        let (mut length, mut is_begun) = (0, false);
        loop {
            let block = self.source.fill_buf()?;
            let block = match (std::mem::take(&mut self.ends_in_return), block.first()) {
                // The second half of \r\n.
                (true, Some(b'\n')) => {
                    self.source.consume(1);
                    continue;
                }
                (_, None) => {
                    self.number += u64::from(is_begun);
                    return Ok(is_begun.then_some(length));
                }
                _ => block,
            };
            is_begun = true;
            let end = memchr::memchr2(b'\n', b'\r', block);
            let part = &block[..end.unwrap_or(block.len())];
            length += part.len();
            if length <= RECORD_BYTES {
                self.line.extend_from_slice(part);
            }
            let used = part.len();
            let Some(end) = end else {
                self.source.consume(used);
                continue;
            };
            self.ends_in_return = block[end] == b'\r';
            self.source.consume(used + 1);
            self.number += 1;
            return Ok(Some(length));
        }
    }
}
