//! Reads files as a stream of documents: text, JSON, JSON Lines, CSV, TSV and Parquet, compressed or not, in any encoding. What cannot be
//! used is listed, the rest is read. Memory is bounded by the longest record, never by the file.
//!
//! A file passes these modules in order: [`mod@file`] opens it, `compression` undoes gzip and zstd, `kind` says what it holds, `encoding` makes
//! UTF-8 of it, a reader in `formats` finds the texts, and `intake` counts them, splits them (`separator`) and passes them to a [`Sink`].

mod compression;
mod encoding;
mod error;
pub mod file;
mod formats;
mod intake;
mod issue_list;
mod kind;
mod separator;

pub use error::{DocumentsError, Stopped};
pub use intake::{Intake, Sink};
pub use issue_list::IssueList;
