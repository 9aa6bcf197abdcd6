//! Routes of uploads of datasets: the files are sent once, previewed with different options, and imported.

use web_sys::{File, FormData};
use wire::CorpusId;
use wire::data::corpus::{CorpusInfo, Job};
use wire::data::import::{ImportArgs, ImportOptions, LineEnds, Split, StagedUpload};

use super::failure::ApiFailure;
use super::request::{escape, get, post_form, read, refusal, send_for, send_plain, text_of};
use crate::base::at;

/// The result of an import.
#[derive(Debug, Clone)]
pub(crate) enum Imported {
    Dataset(Box<CorpusInfo>),
    /// The job that is still importing it.
    Job(Job),
}

/// Sends files without importing them, and passes the fraction sent, 0 to 1, to `sent`.
pub(crate) async fn stage(files: &[(String, File)], sent: impl Fn(f64) + 'static) -> Result<StagedUpload, ApiFailure> {
    let form = FormData::new().map_err(|_| ApiFailure::unreachable())?;
    for (path, file) in files {
        form.append_with_blob_and_filename("file", file, path).map_err(|_| ApiFailure::unreachable())?;
    }
    let (status, text) = post_form(&at("/api/v1/uploads"), &form, sent).await?;
    if (200..300).contains(&status) { read(&text) } else { Err(refusal(status, &text)) }
}

/// What an import of a waiting upload gives with these options.
pub(crate) async fn preview(id: &str, options: &ImportOptions) -> Result<StagedUpload, ApiFailure> {
    get(&format!("/uploads/{}?{}", escape(id), query(options))).await
}

/// Imports a waiting upload.
pub(crate) async fn import(id: &str, args: &ImportArgs) -> Result<Imported, ApiFailure> {
    let response = send_for("POST", &format!("/uploads/{}/import", escape(id)), Some(args)).await?;
    let text = text_of(&response).await?;
    match serde_json::from_str::<CorpusInfo>(&text) {
        Ok(info) => Ok(Imported::Dataset(Box::new(info))),
        Err(_) => read(&text).map(Imported::Job),
    }
}

/// Deletes a waiting upload.
pub(crate) async fn discard(id: &str) -> Result<(), ApiFailure> {
    send_plain("DELETE", &format!("/uploads/{}", escape(id))).await
}

/// Address of the list of what the last preview skipped.
pub(crate) fn skipped_of_upload(id: &str) -> String {
    at(&format!("/api/v1/uploads/{}/skipped.csv", escape(id)))
}

/// Address of the list of what the import of a dataset skipped.
pub(crate) fn skipped_of(corpus: &CorpusId) -> String {
    at(&format!("/api/v1/corpora/{corpus}/skipped.csv"))
}

fn query(options: &ImportOptions) -> String {
    let split = match options.split {
        Split::EndOfText => "end_of_text",
        Split::BlankLines => "blank_lines",
        Split::Whole => "whole",
    };
    let line_ends = if options.line_ends == LineEnds::Lf { "lf" } else { "keep" };
    let mut query = format!("split={split}&line_ends={line_ends}&strict={}", options.strict);
    let texts = [("field", &options.field), ("separator", &options.separator), ("encoding", &options.encoding)];
    for (name, value) in texts {
        if let Some(value) = value {
            query.push_str(&format!("&{name}={}", escape(value)));
        }
    }
    query
}
