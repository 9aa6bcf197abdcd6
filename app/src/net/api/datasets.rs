//! Routes of datasets: the list, tokenizations, the catalogue.

use wire::CorpusId;
use wire::data::corpus::{CatalogueEntry, CorpusInfo, DatasetInfo, Job};
use wire::data::tokenizer::Tokenizer;

use super::failure::ApiFailure;
use super::request::{get, read, send, send_for, send_plain, text_of};

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
