//! Imports of files: how they are read, and what came of it.

use serde::{Deserialize, Serialize};

use crate::error::{ApiErrorBody, ParseError};

/// How files become documents. Every part has a default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema, utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
#[serde(default, deny_unknown_fields)]
pub struct ImportOptions {
    /// Field or column with the text, for JSON, CSV, TSV and Parquet; `text` or `content` by default. Nested fields have dots: `data.text`.
    pub field: Option<String>,
    /// What separates documents inside a file or a field.
    pub split: Split,
    /// A text that separates documents; it replaces `split`.
    pub separator: Option<String>,
    /// Files that are not UTF-8 are converted from this encoding: `detect`, or a name such as `windows-1252`. By default they are skipped;
    /// files with a byte order mark are always converted.
    pub encoding: Option<String>,
    /// What becomes of carriage returns.
    pub line_ends: LineEnds,
    /// Refuse the import if anything would be skipped or repaired.
    pub strict: bool,
}

/// What separates documents inside a file or a field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// The marker `<|endoftext|>`.
    #[default]
    EndOfText,
    /// One or more blank lines.
    BlankLines,
    /// Nothing: each file, or each record, is one document.
    Whole,
}

/// What becomes of carriage returns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LineEnds {
    /// The text stays as it is.
    #[default]
    Keep,
    /// `\r\n` and `\r` become `\n`.
    Lf,
}

impl ImportOptions {
    /// Sets the option of this name from its text form; whether there is one.
    ///
    /// # Errors
    /// Returns an error for a text that is no value of the option.
    pub fn set(&mut self, option: &str, value: &str) -> Result<bool, ParseError> {
        let given = Some(value.to_owned()).filter(|value| !value.is_empty());
        match option {
            "field" => self.field = given,
            "separator" => self.separator = given,
            "encoding" => self.encoding = given,
            "split" => self.split = named(value, "end_of_text, blank_lines or whole")?,
            "line_ends" => self.line_ends = named(value, "keep or lf")?,
            "strict" => self.strict = value.parse().map_err(|_| ParseError::new(value, "true or false"))?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn named<T: serde::de::DeserializeOwned>(value: &str, expected: &'static str) -> Result<T, ParseError> {
    T::deserialize(serde::de::value::StrDeserializer::<serde::de::value::Error>::new(value))
        .map_err(|_| ParseError::new(value, expected))
}

/// What files contain and what an import makes of them: the answer of a preview and of an import.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct ImportReport {
    /// Number of files.
    pub file_count: u64,
    /// The first files.
    pub files: Vec<FileReport>,
    /// Fields with text in JSON, CSV, TSV and Parquet, most text first.
    pub fields: Vec<FieldReport>,
    /// Number of documents.
    pub documents: u64,
    /// Size of their text, bytes of UTF-8.
    pub text_bytes: u64,
    /// Carriage returns in the text as it was found.
    pub carriage_returns: u64,
    /// The beginnings of the first documents.
    pub first: Vec<String>,
    /// Number of files and records that were skipped.
    pub skipped: u64,
    /// Number of files and records that were repaired and used.
    pub repaired: u64,
    /// The first of what was skipped or repaired.
    pub issues: Vec<Issue>,
    /// Whether everything was read; a preview reads the beginning of large files.
    pub is_complete: bool,
}

/// One file of an import.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FileReport {
    /// Name as given.
    pub name: String,
    /// Size, bytes.
    pub bytes: u64,
    /// Format of its contents.
    pub kind: FileKind,
    /// How it is compressed: `gzip` or `zstd`.
    pub compression: Option<String>,
    /// Its encoding, for files of text: `UTF-8`, or what was detected.
    pub encoding: Option<String>,
    /// Documents that came of it.
    pub documents: u64,
    /// Records that were skipped, or 1 for the file itself.
    pub skipped: u64,
}

/// Format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// Plain text or Markdown.
    Text,
    /// One JSON value per line.
    JsonLines,
    /// JSON arrays or objects over any number of lines.
    Json,
    /// Comma-separated columns under a header.
    Csv,
    /// Tab-separated columns under a header.
    Tsv,
    /// An Apache Parquet table.
    Parquet,
    /// Nothing that is read.
    Binary,
}

impl FileKind {
    /// Name on the page and in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::JsonLines => "JSON Lines",
            Self::Json => "JSON",
            Self::Csv => "CSV",
            Self::Tsv => "TSV",
            Self::Parquet => "Parquet",
            Self::Binary => "binary",
        }
    }

    /// Whether its records have fields.
    pub fn has_fields(self) -> bool {
        !matches!(self, Self::Text | Self::Binary)
    }
}

/// A field with text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldReport {
    /// Name; nested fields have dots.
    pub name: String,
    /// Records in which it has text.
    pub records: u64,
    /// Size of its text in these, bytes.
    pub text_bytes: u64,
}

/// A file or a record that was skipped or repaired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Issue {
    /// Name of the file as given.
    pub file: String,
    /// Line, from 1, or row of a Parquet table; `None` for the file as a whole.
    pub line: Option<u64>,
    /// Skipped or repaired.
    pub outcome: Outcome,
    /// Stable code for programs.
    pub reason: Reason,
    /// What is wrong, with the value.
    pub message: String,
}

/// What became of a file or record with a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is not part of the dataset.
    Skipped,
    /// It is part of the dataset, changed as the message says.
    Repaired,
}

/// Why a file or record was skipped or repaired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It has no text.
    Empty,
    /// A hidden file of an operating system or editor.
    Hidden,
    /// It is not text, nor a format that is read.
    Binary,
    /// It is not UTF-8, and conversion was not requested.
    Encoding,
    /// Its JSON, columns or table cannot be read.
    Malformed,
    /// It has no text in the field.
    Field,
    /// It is longer than a record may be.
    TooLong,
    /// Its compressed data is damaged or ends early.
    Compression,
}

impl Reason {
    /// Its code, as in JSON.
    pub fn code(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Hidden => "hidden",
            Self::Binary => "binary",
            Self::Encoding => "encoding",
            Self::Malformed => "malformed",
            Self::Field => "field",
            Self::TooLong => "too_long",
            Self::Compression => "compression",
        }
    }
}

/// An upload that waits to be imported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StagedUpload {
    /// Id, in the addresses of its preview and its import.
    pub id: String,
    /// Name that the dataset gets by default.
    pub name: String,
    /// Size of its files, bytes.
    pub bytes: u64,
    /// When it is deleted if nothing is asked of it until then, ms since 1970.
    pub expires_ms: i64,
    /// What an import with these options gives.
    pub report: ImportReport,
}

/// How a waiting upload is imported.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ImportArgs {
    /// Display name of the dataset, at most 120 characters; by default the name of the first file or of the folder, cut to that length.
    #[serde(default)]
    pub name: Option<String>,
    /// Field, separator, encoding, line ends and strictness.
    #[serde(default)]
    pub options: ImportOptions,
    /// The project that alone may use the dataset; all by default, for whoever may steer the whole lab.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
}

/// The body of the answer to a refused import: that of every error, and what the files hold if it was refused for that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImportRefusal {
    #[serde(flatten)]
    pub error: ApiErrorBody,
    /// What the files hold; strict imports only.
    pub report: Option<ImportReport>,
}
