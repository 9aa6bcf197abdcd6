//! One file: opened, decompressed, its kind and encoding found, and read.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::path::Path;
use std::rc::Rc;

use encoding_rs::Encoding;
use wire::data::import::{FileKind, Reason};

use crate::compression::{Compression, inner_name};
use crate::encoding::{Converted, Inspection, fill, inspect};
use crate::error::DocumentsError;
use crate::formats::{self, Fault};
use crate::intake::Intake;
use crate::kind::{foreign, is_hidden, kind_of};

/// Bytes by which the kind of a file is known.
const HEAD_BYTES: usize = 64 * 1024;
/// Bytes read at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// Reads the documents of the file at `path`. `name` is its name as given, which says what it holds and stands in reports.
///
/// # Errors
/// Returns an error if this machine cannot read the file, or the sink stops. The intake lists a file that cannot be used.
pub fn read_file(intake: &mut Intake<'_>, name: &str, path: &Path) -> Result<(), DocumentsError> {
    let failed = |source| DocumentsError::Read { name: name.to_owned(), source };
    let bytes = std::fs::metadata(path).map_err(failed)?.len();
    intake.begin_file(name, bytes);
    let before = intake.bytes_read.get();
    let source = Source {
        path,
        bytes_read: intake.bytes_read.clone(),
        disk_failed: Rc::default(),
        was_cut: intake.was_cut.clone(),
    };
    let ended = read_source(intake, name, &source);
    intake.bytes_read.set(before + bytes);
    intake.end_file();
    match ended {
        Ok(()) => Ok(()),
        Err(Fault::Stopped(stopped)) => Err(stopped.into()),
        Err(Fault::Read(source)) => Err(failed(source)),
    }
}

/// Where the bytes of a file come from.
struct Source<'a> {
    path: &'a Path,
    bytes_read: Rc<Cell<u64>>,
    /// Whether the disk failed, and not the decompression of what was read from it.
    disk_failed: Rc<Cell<bool>>,
    was_cut: Rc<Cell<bool>>,
}

fn read_source(intake: &mut Intake<'_>, name: &str, source: &Source<'_>) -> Result<(), Fault> {
    if is_hidden(name) {
        return Ok(intake.skip(None, Reason::Hidden, "a file of the operating system or of an editor")?);
    }
    let mut first = vec![0; 16];
    let length = fill(&mut File::open(source.path)?, &mut first)?;
    let compression = Compression::of(&first[..length]);
    let ended = read_contents(intake, inner_name_of(name, compression), source, compression);
    match ended {
        Err(Fault::Read(error)) if compression.is_some() && !source.disk_failed.get() => {
            let compression = compression.map_or("", Compression::name);
            let message = format!("its {compression} data is damaged or ends early: {error}");
            intake.break_text()?;
            Ok(intake.skip(None, Reason::Compression, message)?)
        }
        other => other,
    }
}

fn inner_name_of(name: &str, compression: Option<Compression>) -> &str {
    if compression.is_some() { inner_name(name) } else { name }
}

fn read_contents(
    intake: &mut Intake<'_>,
    name: &str,
    source: &Source<'_>,
    compression: Option<Compression>,
) -> Result<(), Fault> {
    let limit = intake.limit;
    let mut head = vec![0; HEAD_BYTES];
    let length = fill(&mut source.open(compression)?, &mut head)?;
    head.truncate(length);
    let (kind, label) = (kind_of(name, &head), compression.map(Compression::name));
    if kind == FileKind::Parquet {
        intake.describe_file(kind, label, None);
        return read_parquet(intake, source, compression);
    }
    if let Some(what) = foreign(&head) {
        intake.describe_file(FileKind::Binary, label, None);
        return Ok(intake.skip(None, Reason::Binary, format!("it is {what}"))?);
    }
    if head.trim_ascii().is_empty() && length < HEAD_BYTES {
        intake.describe_file(kind, label, None);
        return Ok(intake.skip(None, Reason::Empty, "the file is empty")?);
    }
    let before = source.bytes_read.get();
    let found = inspect(source.open(compression)?, limit)?;
    // It is read a second time, as text.
    source.bytes_read.set(before);
    let encoding = intake.conversion.of(&found);
    if let Some((reason, message)) = refusal(kind, &found, encoding) {
        intake.describe_file(if reason == Reason::Binary { FileKind::Binary } else { kind }, label, found.name());
        return Ok(intake.skip(None, reason, message)?);
    }
    let kind = kind_of(name, &decoded(&head, &found, encoding));
    intake.describe_file(kind, label, found.name());
    read_text(intake, kind, source, compression, encoding)?;
    Ok(())
}

/// Why a file cannot be read as text. Records that are not UTF-8 are skipped one by one.
fn refusal(kind: FileKind, found: &Inspection, encoding: Option<&'static Encoding>) -> Option<(Reason, String)> {
    if encoding.is_some() {
        return None;
    }
    let likely = found.likely.name();
    match (found.zero, found.invalid) {
        _ if found.is_utf16() => Some((
            Reason::Encoding,
            format!("it is not UTF-8 text but probably {likely}: set encoding to {likely} or detect"),
        )),
        (Some(zero), _) => Some((Reason::Binary, format!("it is not text: a zero byte at byte {zero}"))),
        (None, Some((byte, line))) if kind == FileKind::Text => Some((
            Reason::Encoding,
            format!(
                "it is not UTF-8 text but probably {likely}: an invalid byte at byte {byte}, line {line}; set encoding to \
                 {likely} or detect"
            ),
        )),
        _ => None,
    }
}

/// The head of a file in UTF-8.
fn decoded(head: &[u8], found: &Inspection, encoding: Option<&'static Encoding>) -> Vec<u8> {
    match encoding {
        Some(encoding) => encoding.decode(head).0.into_owned().into_bytes(),
        None => head[found.mark.map_or(0, |(_, length)| length)..].to_vec(),
    }
}

fn read_text(
    intake: &mut Intake<'_>,
    kind: FileKind,
    source: &Source<'_>,
    compression: Option<Compression>,
    encoding: Option<&'static Encoding>,
) -> Result<(), Fault> {
    let raw = Limited { source: source.open(compression)?, left: intake.limit, was_cut: source.was_cut.clone() };
    let replaced = Rc::new(Cell::new(false));
    let mut text: Box<dyn BufRead + '_> = match encoding {
        Some(encoding) => {
            Box::new(BufReader::with_capacity(BUFFER_BYTES, Converted::new(raw, encoding, replaced.clone())))
        }
        None => Box::new(without_mark(raw)?),
    };
    formats::read(kind, &mut text, intake)?;
    if replaced.get() {
        intake.repair(
            None,
            Reason::Encoding,
            "characters that are invalid in its encoding were replaced with U+FFFD",
        )?;
    }
    let (documents, skipped) = intake.counts();
    if documents == 0 && skipped == 0 {
        intake.skip(None, Reason::Empty, "the file has no text")?;
    }
    Ok(())
}

/// The bytes after the byte order mark of UTF-8.
fn without_mark<'a>(source: impl Read + 'a) -> io::Result<impl BufRead + 'a> {
    let mut source = BufReader::with_capacity(BUFFER_BYTES, source);
    if source.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
        source.consume(3);
    }
    Ok(source)
}

/// A table is read from its end, so a compressed one is unpacked to a temporary file first.
fn read_parquet(intake: &mut Intake<'_>, source: &Source<'_>, compression: Option<Compression>) -> Result<(), Fault> {
    let file = match compression {
        None => File::open(source.path)?,
        Some(_) => {
            let folder = source.path.parent().unwrap_or(Path::new("."));
            let mut unpacked = tempfile::tempfile_in(folder)?;
            io::copy(&mut source.open(compression)?, &mut unpacked)?;
            unpacked.flush()?;
            unpacked.rewind()?;
            unpacked
        }
    };
    Ok(formats::parquet::read(file, intake)?)
}

impl Source<'_> {
    /// The bytes of the file, decompressed.
    fn open(&self, compression: Option<Compression>) -> io::Result<Box<dyn Read>> {
        let counted = Counted {
            file: File::open(self.path)?,
            bytes_read: self.bytes_read.clone(),
            disk_failed: self.disk_failed.clone(),
        };
        let file = BufReader::with_capacity(BUFFER_BYTES, counted);
        Ok(match compression {
            Some(compression) => compression.reader(file)?,
            None => Box::new(file),
        })
    }
}

/// A file whose bytes are counted.
struct Counted {
    file: File,
    bytes_read: Rc<Cell<u64>>,
    disk_failed: Rc<Cell<bool>>,
}

impl Read for Counted {
    fn read(&mut self, block: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(block);
        match &read {
            Ok(read) => self.bytes_read.set(self.bytes_read.get() + *read as u64),
            Err(error) => self.disk_failed.set(error.kind() != io::ErrorKind::Interrupted),
        }
        read
    }
}

/// The beginning of a file; notes whether there is more.
struct Limited<R> {
    source: R,
    left: u64,
    was_cut: Rc<Cell<bool>>,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, block: &mut [u8]) -> io::Result<usize> {
        let length = block.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if length == 0 && !block.is_empty() {
            self.was_cut.set(self.was_cut.get() || self.source.read(&mut [0])? > 0);
            return Ok(0);
        }
        let read = self.source.read(&mut block[..length])?;
        self.left -= read as u64;
        Ok(read)
    }
}
