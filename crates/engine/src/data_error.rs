//! What can go wrong with texts, tokenizers and token shards: what failed, the value, and the way out.

use std::io;
use std::path::{Path, PathBuf};

/// Done so far, the whole where known, and the unit; an answer of `false` cancels the work, which then leaves nothing behind.
pub type Progress<'a> = &'a mut dyn FnMut(u64, Option<u64>, &'static str) -> bool;

/// An error of the text side.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// Whoever watched the progress asked for an end.
    #[error("cancelled")]
    Cancelled,
    /// The disk refused.
    #[error("{doing} {}: {source}", path.display())]
    Disk {
        /// What was tried: `could not write`.
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// What came in broke off.
    #[error("{name} could not be read to its end: {source}")]
    Incoming {
        /// The file's name as given.
        name: String,
        /// The system's words.
        source: io::Error,
    },
    /// No text of this id.
    #[error("there is no corpus {id}")]
    NoCorpus {
        /// As asked.
        id: String,
    },
    /// The id is taken by another text.
    #[error("there is a corpus {id} already")]
    CorpusExists {
        /// As asked.
        id: String,
    },
    /// No generator of this name.
    #[error("there is no generator {generator:?}; there are tales, modular-addition and induction")]
    NoGenerator {
        /// As asked.
        generator: String,
    },
    /// Nothing in it.
    #[error("{name} is empty")]
    Empty {
        /// The file's name as given, or the corpus.
        name: String,
    },
    /// Not text.
    #[error("{name} is not UTF-8 text: {what} at byte {offset}")]
    NotText {
        /// The file's name as given.
        name: String,
        /// `a zero byte` or `an invalid byte`.
        what: &'static str,
        /// Where, counted from 0.
        offset: u64,
    },
    /// A line of JSON Lines that is no JSON object.
    #[error("{name}, line {line}: {message}")]
    JsonLine {
        /// The file's name as given.
        name: String,
        /// Counted from 1.
        line: u64,
        /// What the parser found.
        message: String,
    },
    /// A line of JSON Lines without the wanted text.
    #[error("{name}, line {line}: no text in the field {field:?}; fields with text: {}", list(found))]
    NoField {
        /// The file's name as given.
        name: String,
        /// Counted from 1.
        line: u64,
        /// The field that was looked for.
        field: String,
        /// The line's fields that hold text.
        found: Vec<String>,
    },
    /// An import that failed before was asked to go on.
    #[error("this import failed before; start it again")]
    ImportFailed,
    /// Letters that the tokenizer has never seen.
    #[error("the tokenizer does not know {}", list(chars))]
    UnknownChars {
        /// Up to 20 of them, each once.
        chars: Vec<char>,
    },
    /// Too many different characters for a character tokenizer.
    #[error("{id} has more than 65,536 different characters")]
    TooManyChars {
        /// The corpus.
        id: String,
    },
    /// The tokenizer crate refused.
    #[error("the {tokenizer} tokenizer failed: {message}")]
    Tokenizer {
        /// Which.
        tokenizer: String,
        /// Its words.
        message: String,
    },
    /// No shards were made yet.
    #[error("the texts {corpora} have not been cut by {tokenizer} yet")]
    NotPrepared {
        /// The corpora's ids.
        corpora: String,
        /// Which.
        tokenizer: String,
    },
    /// A file on disk is not what was written.
    #[error("{} was altered or cut short: {what}", path.display())]
    Altered {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Nothing to train on, or nothing held out.
    #[error("{id} is too short: {tokens} tokens on one side of its split")]
    TooShort {
        /// The corpus.
        id: String,
        /// Tokens on the shorter side.
        tokens: u64,
    },
}

impl DataError {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Disk { .. } => "disk",
            Self::Incoming { .. } => "upload_broken",
            Self::NoCorpus { .. } => "not_found",
            Self::CorpusExists { .. } => "corpus_exists",
            Self::NoGenerator { .. } => "generator_unknown",
            Self::Empty { .. } => "text_empty",
            Self::NotText { .. } => "text_binary",
            Self::JsonLine { .. } => "json_line_invalid",
            Self::NoField { .. } => "json_field_missing",
            Self::ImportFailed => "import_failed",
            Self::UnknownChars { .. } => "chars_unknown",
            Self::TooManyChars { .. } => "chars_too_many",
            Self::Tokenizer { .. } => "tokenizer",
            Self::NotPrepared { .. } => "not_prepared",
            Self::Altered { .. } => "file_altered",
            Self::TooShort { .. } => "text_too_short",
        }
    }

    /// The way out, where there is one.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Disk { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "free some space on the disk and try again".to_owned()
            }
            Self::Disk { source, path, .. } if source.kind() == io::ErrorKind::NotFound => {
                format!("{} was removed; prepare the dataset again, or bring the text again", path.display())
            }
            Self::CorpusExists { .. } => "choose another name, or delete the other one first".to_owned(),
            Self::Empty { .. } => "bring a file with text in it".to_owned(),
            Self::NotText { .. } => "save it as UTF-8 text; .txt, .md and .jsonl are read".to_owned(),
            Self::JsonLine { .. } => "each line must be one JSON object, such as {\"text\": \"...\"}".to_owned(),
            Self::NoField { found, .. } if !found.is_empty() => format!("set field to one of {}", list(found)),
            Self::UnknownChars { .. } => "use the byte or a bpe tokenizer, which know every character".to_owned(),
            Self::TooManyChars { .. } => "use byte or bpe-1024".to_owned(),
            Self::NotPrepared { .. } => "prepare the dataset first".to_owned(),
            Self::Altered { path, .. } => {
                let folder = path.parent().unwrap_or(path);
                format!(
                    "delete {} and it is made again, or bring the text again if it is the text itself",
                    folder.display()
                )
            }
            Self::TooShort { .. } => "bring more text".to_owned(),
            _ => return None,
        })
    }

    /// For `map_err` on a disk operation.
    pub(crate) fn disk(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Disk { doing, path: path.to_owned(), source }
    }

    pub(crate) fn altered(path: &Path, what: impl Into<String>) -> Self {
        Self::Altered { path: path.to_owned(), what: what.into() }
    }
}

fn list<T: std::fmt::Debug>(items: &[T]) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    items.iter().map(|item| format!("{item:?}")).collect::<Vec<_>>().join(", ")
}
