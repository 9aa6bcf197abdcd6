//! The one door to the engine's texts: its functions block, so each runs on a thread of its own.

use std::path::{Path, PathBuf};

use axum::http::StatusCode;
use engine::{DataError, corpus, dataset};
use wire::corpus::{CorpusInfo, DatasetInfo};
use wire::spec::Tokenizer;
use wire::{CorpusId, RunPlan};

use crate::api_error::ApiError;
use crate::jobs::JobHandle;

/// The texts of a lab.
#[derive(Debug, Clone)]
pub struct Texts {
    folder: PathBuf,
}

impl Texts {
    /// Those of a folder.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Where they lie.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All of them.
    pub async fn list(&self) -> Result<Vec<CorpusInfo>, ApiError> {
        self.at_work(corpus::list).await
    }

    /// One of them.
    pub async fn read(&self, id: &CorpusId) -> Result<CorpusInfo, ApiError> {
        let id = id.clone();
        self.at_work(move |folder| corpus::read(folder, &id)).await
    }

    /// Deletes one, with its token shards.
    pub async fn remove(&self, id: &CorpusId) -> Result<(), ApiError> {
        let id = id.clone();
        self.at_work(move |folder| corpus::remove(folder, &id)).await
    }

    /// Makes one by its generator.
    pub async fn generate(
        &self,
        id: CorpusId,
        generator: &'static str,
        seed: u64,
        job: JobHandle,
    ) -> Result<CorpusInfo, ApiError> {
        self.as_job(job, move |folder, job| corpus::generate(folder, &id, generator, seed, &mut told(job))).await
    }

    /// Cuts texts into tokens; at once when that was done before.
    pub async fn prepare(
        &self,
        texts: Vec<CorpusId>,
        tokenizer: Tokenizer,
        job: JobHandle,
    ) -> Result<DatasetInfo, ApiError> {
        self.as_job(job, move |folder, job| dataset::prepare(folder, &texts, tokenizer, &mut told(job))).await
    }

    /// The tokens of a plan's texts, when they have been cut.
    pub async fn dataset(&self, plan: &RunPlan) -> Option<DatasetInfo> {
        self.tokens(plan.corpora(), plan.tokenizer).await
    }

    /// Tokens of texts, when they have been cut.
    pub async fn tokens(&self, texts: Vec<CorpusId>, tokenizer: Tokenizer) -> Option<DatasetInfo> {
        if let [text] = texts.as_slice() {
            let info = self.read(text).await.ok()?;
            return info.datasets.into_iter().find(|made| made.tokenizer == tokenizer);
        }
        self.at_work(move |folder| Ok(dataset::Dataset::open(folder, &texts, tokenizer)?.info().clone())).await.ok()
    }

    /// Runs blocking work on the texts; the job ends as the work does.
    pub async fn as_job<T: Send + 'static>(
        &self,
        job: JobHandle,
        work: impl FnOnce(&Path, &JobHandle) -> Result<T, DataError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let folder = self.folder.clone();
        let ended = tokio::task::spawn_blocking(move || {
            let ended = work(&folder, &job);
            match &ended {
                Ok(_) => job.done(),
                Err(error) => job.failed(in_a_sentence(error)),
            }
            ended
        });
        ended.await.map_err(|source| ApiError::internal("working on a text", source))?.map_err(ApiError::from)
    }

    async fn at_work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> Result<T, DataError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let folder = self.folder.clone();
        let ended = tokio::task::spawn_blocking(move || work(&folder)).await;
        ended.map_err(|source| ApiError::internal("reading the texts", source))?.map_err(ApiError::from)
    }
}

/// Progress of the engine, told to a job.
pub fn told(job: &JobHandle) -> impl FnMut(u64, Option<u64>, &'static str) -> bool + '_ {
    |done, total, unit| {
        job.progress(done, total, unit);
        true
    }
}

/// What failed, and the way out.
pub fn in_a_sentence(error: &DataError) -> String {
    match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    }
}

impl From<DataError> for ApiError {
    fn from(error: DataError) -> Self {
        let status = match &error {
            DataError::NoCorpus { .. } => StatusCode::NOT_FOUND,
            DataError::CorpusExists { .. } => StatusCode::CONFLICT,
            DataError::Disk { .. } | DataError::Altered { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let mut made = Self::new(status, error.code(), error.to_string());
        made.body.hint = error.hint();
        if let DataError::NoField { .. } = error {
            made.body.field = Some("field".to_owned());
        }
        made
    }
}
