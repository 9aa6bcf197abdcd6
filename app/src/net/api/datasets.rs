//! Routes of datasets: the list, tokenizations, the catalogue, and uploads.

use web_sys::{File, FormData};
use wire::CorpusId;
use wire::data::corpus::{CatalogueEntry, CorpusInfo, DatasetInfo, Job};
use wire::data::tokenizer::Tokenizer;

use super::failure::ApiFailure;
use super::request::{escape, get, post_form, read, refusal, send, send_for, send_plain, text_of};
use crate::base::at;

/// The result of an upload.
#[derive(Debug, Clone)]
pub(crate) enum Uploaded {
    Dataset(Box<CorpusInfo>),
    /// The job that is still importing it.
    Job(Job),
}

/// The datasets of the lab.
pub(crate) async fn list() -> Result<Vec<CorpusInfo>, ApiFailure> {
    get("/corpora").await
}

/// Deletes a dataset and its tokenizations.
pub(crate) async fn delete(corpus: &CorpusId) -> Result<(), ApiFailure> {
    send_plain("DELETE", &format!("/corpora/{corpus}")).await
}

/// Tokenizes a dataset.
pub(crate) async fn tokenize(corpus: &CorpusId, tokenizer: Tokenizer) -> Result<Tokenized, ApiFailure> {
    let body = serde_json::json!({ "tokenizer": tokenizer });
    let response = send_for("POST", &format!("/corpora/{corpus}/tokenizations"), Some(&body)).await?;
    let text = text_of(&response).await?;
    match serde_json::from_str::<DatasetInfo>(&text) {
        Ok(info) => Ok(Tokenized::Done(Box::new(info))),
        Err(_) => read(&text).map(Tokenized::Job),
    }
}

/// The result of tokenizing.
#[derive(Debug, Clone)]
pub(crate) enum Tokenized {
    /// The tokenized dataset.
    Done(Box<DatasetInfo>),
    /// The job that is still tokenizing.
    Job(Job),
}

/// Datasets that the server can download.
pub(crate) async fn catalogue() -> Result<Vec<CatalogueEntry>, ApiFailure> {
    get("/catalogue").await
}

/// Downloads a dataset of the catalogue.
pub(crate) async fn download(corpus: &CorpusId) -> Result<Job, ApiFailure> {
    send::<(), _>("POST", &format!("/catalogue/{corpus}"), None).await
}

/// Uploads files as one dataset and passes the fraction sent, 0 to 1, to `sent`. `fetch` does not report it, so this
/// uses `XMLHttpRequest`.
pub(crate) async fn upload(
    name: &str,
    field: Option<&str>,
    files: &[(String, File)],
    sent: impl Fn(f64) + 'static,
) -> Result<Uploaded, ApiFailure> {
    let form = FormData::new().map_err(|_| ApiFailure::unreachable())?;
    for (path, file) in files {
        form.append_with_blob_and_filename("file", file, path).map_err(|_| ApiFailure::unreachable())?;
    }
    let field = field.map(|field| format!("&field={}", escape(field))).unwrap_or_default();
    let path = at(&format!("/api/v1/corpora?name={}{field}", escape(name)));
    let (status, text) = post_form(&path, &form, sent).await?;
    if !(200..300).contains(&status) {
        return Err(refusal(status, &text));
    }
    match serde_json::from_str::<CorpusInfo>(&text) {
        Ok(info) => Ok(Uploaded::Dataset(Box::new(info))),
        Err(_) => read(&text).map(Uploaded::Job),
    }
}
