//! The import of corpora: single files, JSON Lines, folders. Every byte is checked while it is read, and a failed import deletes its files.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;
use wire::data::corpus::{CorpusInfo, Source as CorpusSource};
use wire::id::CorpusId;

use crate::data::draft::Draft;
use crate::error::{DataError, Progress, Source};

/// Size of a block of text, bytes.
const BLOCK_BYTES: usize = 1 << 20;
/// Maximum length of a line of JSON Lines, bytes.
const LINE_BYTES: u64 = 256 << 20;
/// Fields that are tried if no field is given.
const DEFAULT_FIELDS: [&str; 2] = ["text", "content"];
/// Maximum number of file names that are stored.
const MAX_NAMES: usize = 100;

/// A corpus that is being imported. If it is dropped before [`CorpusImport::finish`], its files are deleted.
pub struct CorpusImport {
    draft: Draft,
    has_failed: bool,
}

impl CorpusImport {
    /// Starts an import. Its file names are appended to `Source::Files`.
    ///
    /// # Errors
    /// Returns an error if the id exists, or an IO error.
    pub fn new(corpora: &Path, id: &CorpusId, name: &str, source: CorpusSource) -> Result<Self, DataError> {
        Ok(Self { draft: Draft::new(corpora, id, name, source)?, has_failed: false })
    }

    /// Adds a file: each line of `.jsonl` or `.ndjson` is a document, any other text is one document.
    ///
    /// `field` is the field of JSON Lines that has the text; `text` or `content` by default.
    ///
    /// # Errors
    /// An empty file, text that is not UTF-8, a line that is not a JSON object, or a line without the field (with the fields that it has). The
    /// error has the file and the byte or line. After an error, the import must be started again.
    pub fn add(&mut self, file_name: &str, bytes: impl Read, field: Option<&str>) -> Result<(), DataError> {
        if self.has_failed {
            return Err(DataError::ImportFailed);
        }
        let name: String = file_name.chars().filter(|c| !c.is_control()).take(200).collect();
        let is_lines = [".jsonl", ".ndjson"].iter().any(|end| name.to_ascii_lowercase().ends_with(end));
        let added = if is_lines { self.add_lines(&name, bytes, field) } else { self.add_document(&name, bytes) };
        self.has_failed = added.is_err();
        if let (true, CorpusSource::Files { names }) = (added.is_ok(), &mut self.draft.info().source)
            && names.len() < MAX_NAMES
            && !names.contains(&name)
        {
            names.push(name);
        }
        added
    }

    /// Adds the text files of a folder and the folders in it, by name; hidden files and links are left out. Returns the files that were skipped
    /// because they are empty or not text.
    pub fn add_folder(&mut self, folder: &Path, field: Option<&str>) -> Result<Vec<String>, DataError> {
        let mut skipped = vec![];
        for path in files_below(folder)? {
            let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
            let open = || fs::File::open(&path).map_err(DataError::disk("could not read", &path));
            if looks_like_text(open()?).map_err(DataError::disk("could not read", &path))? {
                self.add(&name, open()?, field)?;
            } else {
                skipped.push(name);
            }
        }
        Ok(skipped)
    }

    /// Renames the finished corpus to its final folder.
    ///
    /// # Errors
    /// Returns an error for a corpus without text, after an earlier failure, or for an id that another process created meanwhile, or an IO
    /// error.
    pub fn finish(mut self, progress: Progress<'_>) -> Result<CorpusInfo, DataError> {
        if self.has_failed {
            return Err(DataError::ImportFailed);
        }
        let bytes = self.draft.info().text_bytes;
        if !progress(bytes, Some(bytes), "bytes") {
            return Err(DataError::Cancelled);
        }
        self.draft.finish()
    }

    /// Adds one document of any size, block by block.
    fn add_document(&mut self, name: &str, mut bytes: impl Read) -> Result<(), DataError> {
        let mut block = vec![0; BLOCK_BYTES];
        let (mut kept, mut offset, mut is_first) = (0, 0u64, true);
        loop {
            let read = fill(&mut bytes, &mut block[kept..]).map_err(|source| incoming(name, source))?;
            let full = &block[..kept + read];
            let is_last = kept + read < BLOCK_BYTES;
            let good = text_of(full, is_last).map_err(|(what, at)| DataError::NotText {
                name: name.to_owned(),
                what,
                offset: offset + at as u64,
            })?;
            // A byte order mark at the start is not part of the text.
            let text = if is_first { good.trim_start_matches('\u{feff}') } else { good };
            self.draft.append(text)?;
            if is_last {
                break;
            }
            let used = good.len();
            offset += used as u64;
            is_first = false;
            block.copy_within(used..BLOCK_BYTES, 0);
            kept = BLOCK_BYTES - used;
        }
        if !self.draft.has_open_document() {
            return Err(DataError::Empty { name: name.to_owned() });
        }
        self.draft.end_document(None);
        Ok(())
    }

    fn add_lines(&mut self, name: &str, bytes: impl Read, field: Option<&str>) -> Result<(), DataError> {
        let mut reader = BufReader::with_capacity(BLOCK_BYTES, bytes);
        let (mut line, mut number, mut offset, mut documents) = (vec![], 0u64, 0u64, 0u64);
        loop {
            line.clear();
            let read =
                (&mut reader).take(LINE_BYTES).read_until(b'\n', &mut line).map_err(|source| incoming(name, source))?;
            if read == 0 {
                break;
            }
            number += 1;
            if read as u64 == LINE_BYTES && line.last() != Some(&b'\n') {
                return Err(DataError::JsonLine {
                    name: name.to_owned(),
                    line: number,
                    source: format!("longer than {LINE_BYTES} bytes").into(),
                });
            }
            let text = text_of(&line, true).map_err(|(what, at)| DataError::NotText {
                name: name.to_owned(),
                what,
                offset: offset + at as u64,
            })?;
            offset += read as u64;
            let json = text.trim_start_matches('\u{feff}').trim();
            if !json.is_empty() {
                self.draft.append(&document_of(name, number, json, field)?)?;
                self.draft.end_document(None);
                documents += 1;
            }
        }
        if documents == 0 { Err(DataError::Empty { name: name.to_owned() }) } else { Ok(()) }
    }
}

fn incoming(name: &str, source: io::Error) -> DataError {
    DataError::Incoming { name: name.to_owned(), source }
}

/// Reads until the block is full or the source ends.
fn fill(source: &mut impl Read, block: &mut [u8]) -> io::Result<usize> {
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

/// The text of a block, without a last character that the end of the block splits. The error: the kind of invalid byte, and its offset.
fn text_of(block: &[u8], is_last: bool) -> Result<&str, (&'static str, usize)> {
    if let Some(zero) = block.iter().position(|byte| *byte == 0) {
        return Err(("a zero byte", zero));
    }
    match std::str::from_utf8(block) {
        Ok(text) => Ok(text),
        Err(error) if error.error_len().is_none() && !is_last => {
            Ok(std::str::from_utf8(&block[..error.valid_up_to()]).unwrap_or_default())
        }
        Err(error) => Err(("an invalid byte", error.valid_up_to())),
    }
}

/// The text of one JSON object.
fn document_of(name: &str, line: u64, json: &str, field: Option<&str>) -> Result<String, DataError> {
    let failed = |source: Source| DataError::JsonLine { name: name.to_owned(), line, source };
    let Value::Object(mut object) = serde_json::from_str(json).map_err(|source| failed(source.into()))? else {
        return Err(failed("not a JSON object".into()));
    };
    let wanted = match field {
        Some(field) => field,
        None => DEFAULT_FIELDS
            .into_iter()
            .find(|usual| object.get(*usual).is_some_and(Value::is_string))
            .unwrap_or(DEFAULT_FIELDS[0]),
    };
    match object.remove(wanted) {
        Some(Value::String(text)) => Ok(text),
        _ => {
            let found =
                object.iter().filter(|(_, value)| value.is_string()).map(|(field, _)| field.clone()).take(20).collect();
            Err(DataError::NoField { name: name.to_owned(), line, field: wanted.to_owned(), found })
        }
    }
}

/// All files below a folder, in the order of their paths.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let (mut files, mut folders) = (vec![], vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(DataError::disk("could not list", &folder))? {
            let entry = entry.map_err(DataError::disk("could not list", &folder))?;
            let kind = entry.file_type().map_err(DataError::disk("could not list", &folder))?;
            let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
            match (is_hidden, kind.is_dir(), kind.is_file()) {
                (false, true, _) => folders.push(entry.path()),
                (false, _, true) => files.push(entry.path()),
                _ => {}
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Whether the first bytes of a file are text.
fn looks_like_text(mut file: fs::File) -> io::Result<bool> {
    let mut block = vec![0; 8192];
    let read = fill(&mut file, &mut block)?;
    Ok(read > 0 && text_of(&block[..read], read < block.len()).is_ok())
}
