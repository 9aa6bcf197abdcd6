//! Encodings: UTF-8 is checked, others are detected, and converted where that was requested.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::error::DocumentsError;

/// Bytes read at once.
pub(crate) const BLOCK_BYTES: usize = 1 << 20;
/// Bytes in which zero bytes are counted.
const HEAD_BYTES: usize = 4096;

/// Blocks with invalid bytes from which an encoding is detected; the others are not needed, and detection is slow.
const DETECTED_BLOCKS: usize = 8;

/// What the bytes of a file say about its encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inspection {
    /// Encoding of the byte order mark, and the length of that mark.
    pub(crate) mark: Option<(&'static Encoding, usize)>,
    /// First byte that is not UTF-8: its place from 0, and its line from 1.
    pub(crate) invalid: Option<(u64, u64)>,
    /// First zero byte, from 0.
    pub(crate) zero: Option<u64>,
    /// The likely encoding, where it is not UTF-8.
    pub(crate) likely: &'static Encoding,
}

impl Inspection {
    /// Name of the encoding in reports; `None` for a file that is not text.
    pub(crate) fn name(&self) -> Option<String> {
        if let Some((encoding, _)) = self.mark {
            return Some(encoding.name().to_owned());
        }
        match (self.invalid, self.zero) {
            _ if self.is_utf16() => Some(format!("probably {}", self.likely.name())),
            (None, None) => Some(UTF_8.name().to_owned()),
            (Some(_), None) => Some(format!("probably {}", self.likely.name())),
            (_, Some(_)) => None,
        }
    }

    /// Whether its zero bytes are those of UTF-16.
    pub(crate) fn is_utf16(&self) -> bool {
        self.zero.is_some() && (self.likely == UTF_16LE || self.likely == UTF_16BE)
    }
}

/// Reads up to `limit` bytes and says what they are encoded in.
pub(crate) fn inspect(mut source: impl Read, limit: u64) -> io::Result<Inspection> {
    let mut block = vec![0; BLOCK_BYTES];
    let mut found = Inspection { mark: None, invalid: None, zero: None, likely: UTF_8 };
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    let (mut kept, mut offset, mut lines, mut detected) = (0, 0u64, 1u64, 0);
    loop {
        let read = fill(&mut source, &mut block[kept..])?;
        let full = &block[..kept + read];
        let is_last = full.len() < block.len() || offset + full.len() as u64 >= limit;
        if offset == 0 {
            found.mark = Encoding::for_bom(full);
            if let Some(utf16) = utf16_without_mark(full) {
                found.likely = utf16;
                found.zero = memchr::memchr(0, full).map(|at| at as u64);
                return Ok(found);
            }
            if found.mark.is_some_and(|(encoding, _)| encoding != UTF_8) {
                return Ok(found);
            }
        }
        found.zero = found.zero.or_else(|| memchr::memchr(0, full).map(|at| offset + at as u64));
        let used = match std::str::from_utf8(full) {
            Ok(text) => text.len(),
            Err(error) if error.error_len().is_none() && full.len() == block.len() => error.valid_up_to(),
            Err(error) => {
                let at = error.valid_up_to();
                let line = lines + memchr::memchr_iter(b'\n', &full[..at]).count() as u64;
                found.invalid.get_or_insert((offset + at as u64, line));
                if detected < DETECTED_BLOCKS {
                    detector.feed(full, false);
                    detected += 1;
                }
                full.len()
            }
        };
        if is_last {
            break;
        }
        lines += memchr::memchr_iter(b'\n', &full[..used]).count() as u64;
        offset += used as u64;
        kept = full.len() - used;
        let end = used + kept;
        block.copy_within(used..end, 0);
    }
    if found.invalid.is_some() {
        detector.feed(&[], true);
        found.likely = detector.guess(None, Utf8Detection::Deny);
    }
    Ok(found)
}

/// UTF-16 of mostly Latin letters has a zero in every other byte.
fn utf16_without_mark(full: &[u8]) -> Option<&'static Encoding> {
    let head = &full[..full.len().min(HEAD_BYTES)];
    let zeros = |side: usize| head.iter().skip(side).step_by(2).filter(|byte| **byte == 0).count() * 2;
    let (even, odd) = (zeros(0), zeros(1));
    let (many, few) = (head.len() * 6 / 10, head.len() / 20);
    match (head.len() >= 4, even, odd) {
        (true, even, odd) if odd > many && even <= few => Some(UTF_16LE),
        (true, even, odd) if even > many && odd <= few => Some(UTF_16BE),
        _ => None,
    }
}

/// The encoding that files which are not UTF-8 are converted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conversion {
    /// They are skipped.
    Skip,
    /// The detected one.
    Detect,
    /// This one.
    From(&'static Encoding),
}

impl Conversion {
    /// Reads the option: nothing, `detect`, or the name of an encoding.
    pub(crate) fn parse(name: Option<&str>) -> Result<Self, DocumentsError> {
        match name.map(str::trim) {
            None | Some("") => Ok(Self::Skip),
            Some(detect) if detect.eq_ignore_ascii_case("detect") => Ok(Self::Detect),
            Some(name) => Encoding::for_label(name.as_bytes())
                .map(Self::From)
                .ok_or_else(|| DocumentsError::NoEncoding { name: name.to_owned() }),
        }
    }

    /// The encoding to decode a file from; `None` for UTF-8 and for files that are not converted.
    pub(crate) fn of(self, found: &Inspection) -> Option<&'static Encoding> {
        match (found.mark, self) {
            (Some((encoding, _)), _) => Some(encoding).filter(|encoding| *encoding != UTF_8),
            (None, _) if found.invalid.is_none() && found.zero.is_none() => None,
            (None, Self::Skip) => None,
            (None, Self::Detect) => Some(found.likely).filter(|likely| *likely != UTF_8),
            (None, Self::From(encoding)) => Some(encoding).filter(|encoding| *encoding != UTF_8),
        }
    }
}

/// A reader of UTF-8 made from another encoding. What cannot be decoded becomes U+FFFD.
pub(crate) struct Converted<R> {
    source: R,
    decoder: Decoder,
    input: Vec<u8>,
    used: usize,
    filled: usize,
    is_over: bool,
    is_finished: bool,
    replaced: Rc<Cell<bool>>,
}

impl<R: Read> Converted<R> {
    /// `replaced` is set where a character could not be decoded.
    pub(crate) fn new(source: R, encoding: &'static Encoding, replaced: Rc<Cell<bool>>) -> Self {
        let input = vec![0; 64 * 1024];
        let decoder = encoding.new_decoder_with_bom_removal();
        Self { source, decoder, input, used: 0, filled: 0, is_over: false, is_finished: false, replaced }
    }
}

impl<R: Read> Read for Converted<R> {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        // One character takes up to four bytes; the decoder cannot make progress with less.
        if output.len() < 4 {
            let mut small = [0; 4];
            return match self.read(&mut small)? {
                read if read <= output.len() => {
                    output[..read].copy_from_slice(&small[..read]);
                    Ok(read)
                }
                _ => Err(io::Error::other("the buffer is smaller than a character")),
            };
        }
        while !self.is_finished {
            if self.used == self.filled && !self.is_over {
                self.filled = fill(&mut self.source, &mut self.input)?;
                self.used = 0;
                self.is_over = self.filled < self.input.len();
            }
            let (result, read, written, replaced) =
                self.decoder.decode_to_utf8(&self.input[self.used..self.filled], output, self.is_over);
            self.used += read;
            self.is_finished = self.is_over && result == CoderResult::InputEmpty;
            self.replaced.set(self.replaced.get() || replaced);
            if written > 0 {
                return Ok(written);
            }
        }
        Ok(0)
    }
}

/// Reads until the block is full or the source ends.
pub(crate) fn fill(source: &mut impl Read, block: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < block.len() {
        match source.read(&mut block[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(bytes: &[u8]) -> Option<String> {
        inspect(bytes, u64::MAX).unwrap().name()
    }

    #[test]
    fn encodings_are_named() {
        let german = encoding_rs::WINDOWS_1252.encode("Über die Brücke führt ein schmaler Weg, größer als früher.").0;
        let russian = encoding_rs::WINDOWS_1251.encode("Мой дядя самых честных правил, когда не в шутку занемог").0;
        let japanese = encoding_rs::SHIFT_JIS.encode("吾輩は猫である。名前はまだ無い。どこで生れたか見当がつかぬ。").0;
        let utf16: Vec<u8> = "plain text".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (bytes, expected) in [
            ("Märchen".as_bytes(), Some("UTF-8")),
            (b"\xef\xbb\xbfabc", Some("UTF-8")),
            (b"\xff\xfea\0b\0", Some("UTF-16LE")),
            (b"\xfe\xff\0a\0b", Some("UTF-16BE")),
            (&utf16, Some("probably UTF-16LE")),
            (&german, Some("probably windows-1252")),
            (&russian, Some("probably windows-1251")),
            (&japanese, Some("probably Shift_JIS")),
            (b"abc\0def", None),
        ] {
            assert_eq!(name(bytes).as_deref(), expected, "{bytes:?}");
        }
    }

    #[test]
    fn conversion_gives_the_text_whatever_the_size_of_the_reads() {
        let text = "Grüße an König Ödön – 5 €\n".repeat(9000);
        let bytes = encoding_rs::WINDOWS_1252.encode(&text).0.into_owned();
        for size in [4, 7, 1000, 1 << 20] {
            let mut reader = Converted::new(bytes.as_slice(), encoding_rs::WINDOWS_1252, Default::default());
            let (mut all, mut block) = (vec![], vec![0; size]);
            loop {
                match reader.read(&mut block).unwrap() {
                    0 => break,
                    read => all.extend_from_slice(&block[..read]),
                }
            }
            assert!(String::from_utf8(all).unwrap() == text, "{size}");
        }
    }

    #[test]
    fn the_first_invalid_byte_is_found_with_its_line_also_past_a_block() {
        let mut bytes = "é\n".repeat(700_000).into_bytes();
        bytes.extend_from_slice(b"abc\xe9 def");
        let found = inspect(bytes.as_slice(), u64::MAX).unwrap();
        assert_eq!(found.invalid, Some((2_100_003, 700_001)));
        assert_eq!(inspect(&bytes[..3_000_000 / 3 * 2], u64::MAX).unwrap().invalid, None);
    }
}
