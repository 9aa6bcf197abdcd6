//! One reader for each format. A reader passes the texts of a file to the intake, one record at a time, and lists what cannot be used.

pub(crate) mod csv;
pub(crate) mod json;
pub(crate) mod json_lines;
pub(crate) mod parquet;
mod record;
pub(crate) mod text;

use std::io::{self, BufRead};

use wire::data::import::FileKind;

use crate::error::Stopped;
use crate::intake::Intake;

/// Maximum length of a record, bytes.
pub(crate) const RECORD_BYTES: usize = 64 << 20;

/// Why the reading of a file ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// Its bytes could not be read.
    #[error(transparent)]
    Read(#[from] io::Error),
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Reads a file of UTF-8, or of records that are mostly that.
pub(crate) fn read(kind: FileKind, source: &mut dyn BufRead, intake: &mut Intake<'_>) -> Result<(), Fault> {
    match kind {
        FileKind::JsonLines => json_lines::read(source, intake),
        FileKind::Json => json::read(source, intake),
        FileKind::Csv => csv::read(source, csv::Dialect::Csv, intake),
        FileKind::Tsv => csv::read(source, csv::Dialect::Tsv, intake),
        FileKind::Text | FileKind::Parquet | FileKind::Binary => text::read(source, intake),
    }
}

/// `65 MB` for messages.
fn megabytes(bytes: usize) -> String {
    format!("{} MB", bytes.div_ceil(1_000_000))
}

/// Names in quotation marks, at most 20 of them.
pub(crate) fn quoted(names: &[String]) -> String {
    match names.len() {
        0 => "none".to_owned(),
        _ => names.iter().take(20).map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", "),
    }
}
