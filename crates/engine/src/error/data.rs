//! Errors of corpora, tokenizers and token shards: what failed, the value, and what to do.

use std::io;
use std::path::{Path, PathBuf};

use wire::data::import::{ImportReport, Reason};

use super::Source;

/// Arguments: amount done, total if known, and unit. Returning `false` cancels the work and deletes its files.
pub type Progress<'a> = &'a mut dyn FnMut(u64, Option<u64>, &'static str) -> bool;

/// An error of corpora, tokenizers and token shards.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The work was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// A file operation failed.
    #[error("{doing} {}: {source}", path.display())]
    Disk {
        /// The failed operation: `could not write`.
        doing: &'static str,
        /// File or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// An upload or download was interrupted.
    #[error("{name} could not be read to its end: {source}")]
    Incoming {
        /// Name of the file as given.
        name: String,
        /// The system's error.
        source: io::Error,
    },
    /// The corpus does not exist.
    #[error("unknown dataset {id}")]
    NoCorpus {
        /// Requested id.
        id: String,
    },
    /// Another corpus has this id.
    #[error("the dataset {id} already exists")]
    CorpusExists {
        /// Requested id.
        id: String,
    },
    /// The generator does not exist.
    #[error("unknown generator {generator:?}: use tales, modular-addition or induction")]
    NoGenerator {
        /// Requested name.
        generator: String,
    },
    /// A file or corpus without text.
    #[error("{name} is empty")]
    Empty {
        /// Name of the file as given, or of the corpus.
        name: String,
    },
    /// No file of an import has a document.
    #[error("{place}: {message}{}", and_others(*others))]
    NothingUsable {
        /// First file that was skipped, with its line.
        place: String,
        /// Fault of that file or record, with its value.
        message: String,
        /// Kind of the fault, which decides the code.
        reason: Reason,
        /// How many more files and records were skipped.
        others: u64,
    },
    /// No file of an import has the field.
    #[error("{place}: no text in the field {field:?}; fields with text: {}", list(found))]
    NoField {
        /// First file without it, with its line.
        place: String,
        /// Requested field, or the default one.
        field: String,
        /// Fields that have text.
        found: Vec<String>,
    },
    /// A field was requested of files that have no fields.
    #[error("the files are plain text, which has no field {field:?}")]
    NoFields {
        /// Requested field.
        field: String,
    },
    /// A strict import would skip or repair something.
    #[error("{} files or records would be skipped and {} repaired, and the import is strict", report.skipped, report.repaired)]
    Refused {
        /// Files, documents and issues.
        report: Box<ImportReport>,
    },
    /// The files hold more text than an upload may have.
    #[error("the decompressed files contain more text than an upload may have")]
    TooMuchText,
    /// No encoding has this name.
    #[error("unknown encoding {name:?}")]
    NoEncoding {
        /// Name as given.
        name: String,
    },
    /// Characters that the tokenizer has no token for.
    #[error("the tokenizer does not know {}", list(chars))]
    UnknownChars {
        /// At most 20 characters, each once.
        chars: Vec<char>,
    },
    /// Too many unique characters for a character tokenizer.
    #[error("{id} has more than 65,536 unique characters")]
    TooManyChars {
        /// Corpus.
        id: String,
    },
    /// A tokenizer library failed.
    #[error("the {tokenizer} tokenizer failed: {source}")]
    Tokenizer {
        tokenizer: String,
        /// The error of the library.
        source: Source,
    },
    /// The corpora have no token shards of this tokenizer.
    #[error("{corpora} has not been tokenized with {tokenizer} yet")]
    NotPrepared {
        /// Ids of the corpora.
        corpora: String,
        tokenizer: String,
    },
    /// A file on disk was altered or truncated.
    #[error("{} was altered or truncated: {source}", path.display())]
    Altered {
        /// File.
        path: PathBuf,
        /// The cause.
        source: Source,
    },
    /// Too few tokens for a training or validation split.
    #[error("{id} is too short: one of its splits has {tokens} tokens")]
    TooShort {
        /// Corpus.
        id: String,
        /// Tokens of the shorter split.
        tokens: u64,
    },
}

/// The reason why a `tokenizer.json` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// The file does not have the structure of a `tokenizer.json`.
    #[error("it is not a tokenizer.json: {0}")]
    Structure(#[from] serde_json::Error),
    /// The file has a part that the engine does not support, or parts that contradict each other.
    #[error("{0}")]
    Unsupported(String),
}

impl DataError {
    /// A stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Disk { source, .. } if source.kind() == io::ErrorKind::StorageFull => "disk_full",
            Self::Disk { .. } => "disk",
            Self::Incoming { .. } => "upload_broken",
            Self::NoCorpus { .. } => "not_found",
            Self::CorpusExists { .. } => "corpus_exists",
            Self::NoGenerator { .. } => "generator_unknown",
            Self::Empty { .. } => "text_empty",
            Self::NothingUsable { reason, .. } => match reason {
                Reason::Empty | Reason::Hidden => "text_empty",
                Reason::Binary | Reason::Encoding | Reason::Compression => "text_binary",
                Reason::Malformed | Reason::TooLong => "records_invalid",
                Reason::Field => "field_missing",
            },
            Self::NoField { .. } | Self::NoFields { .. } => "field_missing",
            Self::Refused { .. } => "import_refused",
            Self::TooMuchText => "too_large",
            Self::NoEncoding { .. } => "encoding_unknown",
            Self::UnknownChars { .. } => "chars_unknown",
            Self::TooManyChars { .. } => "chars_too_many",
            Self::Tokenizer { .. } => "tokenizer",
            Self::NotPrepared { .. } => "not_prepared",
            Self::Altered { .. } => "file_altered",
            Self::TooShort { .. } => "text_too_short",
        }
    }

    /// The hint: what to do about the error, if something can be done.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Disk { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "free some space on the disk and try again".to_owned()
            }
            Self::Disk { source, path, .. } if source.kind() == io::ErrorKind::NotFound => {
                format!("{} was removed; tokenize the dataset again, or import it again", path.display())
            }
            Self::CorpusExists { .. } => "choose another name, or delete the other one first".to_owned(),
            Self::Empty { .. } => "choose a file that has text".to_owned(),
            Self::NothingUsable { reason: Reason::Encoding, .. } => {
                "set encoding to detect or to the name of the encoding, or save the file as UTF-8".to_owned()
            }
            Self::NothingUsable { reason: Reason::Malformed, .. } => {
                "each record must be a JSON object, such as {\"text\": \"...\"}, or a row of a table".to_owned()
            }
            Self::NothingUsable { .. } => {
                "upload text, Markdown, JSON, JSON Lines, CSV, TSV or Parquet, compressed with gzip or zstd or not"
                    .to_owned()
            }
            Self::NoField { found, .. } if !found.is_empty() => format!("set field to one of {}", list(found)),
            Self::NoFields { .. } => {
                "leave field out, or name the file after its format: .jsonl, .json, .csv, .tsv or .parquet".to_owned()
            }
            Self::Refused { .. } => "repair the files, or import without strict".to_owned(),
            Self::TooMuchText => "import it in parts, as several datasets".to_owned(),
            Self::NoEncoding { .. } => "use detect, or a name such as windows-1252, shift_jis or utf-16le".to_owned(),
            Self::UnknownChars { .. } => "use the byte or a bpe tokenizer, which know every character".to_owned(),
            Self::TooManyChars { .. } => "use byte or bpe-1024".to_owned(),
            Self::NotPrepared { .. } => "tokenize the dataset first".to_owned(),
            Self::Altered { path, .. } => {
                let folder = path.parent().unwrap_or(path);
                format!(
                    "delete {} and tokenize the dataset again, or import the dataset again if it is the text itself",
                    folder.display()
                )
            }
            Self::TooShort { .. } => "choose a longer text".to_owned(),
            _ => return None,
        })
    }

    /// For `map_err` on a file operation.
    pub(crate) fn disk(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Disk { doing, path: path.to_owned(), source }
    }

    pub(crate) fn altered(path: &Path, source: impl Into<Source>) -> Self {
        Self::Altered { path: path.to_owned(), source: source.into() }
    }
}

/// ` (and 3 more were skipped)`.
fn and_others(others: u64) -> String {
    if others == 0 { String::new() } else { format!(" (and {others} more files or records were skipped)") }
}

fn list<T: std::fmt::Debug>(items: &[T]) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    items.iter().map(|item| format!("{item:?}")).collect::<Vec<_>>().join(", ")
}
