//! The engine's functions on datasets. They block, so each runs on a separate thread.

use std::path::{Path, PathBuf};

use engine::DataError;
use engine::data::{corpus, dataset, generators};
use wire::data::corpus::{CorpusInfo, DatasetInfo};
use wire::data::tokenizer::Tokenizer;
use wire::{CorpusId, RunPlan};

use super::background;
use super::jobs::JobHandle;
use crate::error::ApiError;

/// The datasets in a folder.
#[derive(Debug, Clone)]
pub struct Corpora {
    folder: PathBuf,
}

impl Corpora {
    /// The datasets in `folder`.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All datasets.
    ///
    /// # Errors
    /// An IO error.
    pub async fn list(&self) -> Result<Vec<CorpusInfo>, ApiError> {
        self.read_with(corpus::list).await
    }

    /// One dataset.
    ///
    /// # Errors
    /// 404 for one that does not exist; an IO error.
    pub async fn read(&self, id: &CorpusId) -> Result<CorpusInfo, ApiError> {
        let id = id.clone();
        self.read_with(move |folder| corpus::read(folder, &id)).await
    }

    /// Deletes a dataset with its token shards.
    ///
    /// # Errors
    /// The errors of [`Self::read`].
    pub async fn remove(&self, id: &CorpusId) -> Result<(), ApiError> {
        let id = id.clone();
        self.read_with(move |folder| corpus::remove(folder, &id)).await
    }

    /// Generates a dataset.
    ///
    /// # Errors
    /// 409 for one that exists; an IO error.
    pub async fn generate(
        &self,
        id: CorpusId,
        generator: &'static str,
        seed: u64,
        job: JobHandle,
    ) -> Result<CorpusInfo, ApiError> {
        self.run_job(job, move |folder, job| generators::generate(folder, &id, generator, seed, &mut progress_of(job)))
            .await
    }

    /// Tokenizes datasets; returns at once if that was done before.
    ///
    /// # Errors
    /// 404 for a dataset that does not exist; text that the tokenizer cannot encode; an IO error.
    pub async fn tokenize(
        &self,
        corpora: Vec<CorpusId>,
        tokenizer: Tokenizer,
        job: JobHandle,
    ) -> Result<DatasetInfo, ApiError> {
        self.run_job(job, move |folder, job| dataset::prepare(folder, &corpora, tokenizer, &mut progress_of(job))).await
    }

    /// The tokens of a plan's datasets, if they are tokenized already.
    pub async fn dataset(&self, plan: &RunPlan) -> Option<DatasetInfo> {
        let (corpora, tokenizer) = (plan.corpora(), plan.tokenizer);
        if let [corpus] = corpora.as_slice() {
            let info = self.read(corpus).await.ok()?;
            return info.datasets.into_iter().find(|dataset| dataset.tokenizer == tokenizer);
        }
        self.read_with(move |folder| Ok(dataset::Dataset::open(folder, &corpora, tokenizer)?.info().clone())).await.ok()
    }

    /// Runs blocking work on the datasets; the job ends with it.
    ///
    /// # Errors
    /// The errors of `work`.
    pub async fn run_job<T: Send + 'static>(
        &self,
        job: JobHandle,
        work: impl FnOnce(&Path, &JobHandle) -> Result<T, DataError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let folder = self.folder.clone();
        let task = background::spawn(move || {
            let ended = work(&folder, &job);
            match &ended {
                Ok(_) => job.done(),
                Err(error) => job.failed(with_hint(error)),
            }
            ended
        });
        Ok(task.await.map_err(|source| ApiError::internal("work on a dataset", source))??)
    }

    async fn read_with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> Result<T, DataError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let folder = self.folder.clone();
        let task = tokio::task::spawn_blocking(move || work(&folder));
        Ok(task.await.map_err(|source| ApiError::internal("reading the datasets", source))??)
    }
}

/// Reports the engine's progress to a job, which ends the work once it is cancelled.
pub fn progress_of(job: &JobHandle) -> impl FnMut(u64, Option<u64>, &'static str) -> bool + '_ {
    |done, total, unit| {
        job.progress(done, total, unit);
        !job.is_cancelled()
    }
}

/// The message of an error with its hint.
pub fn with_hint(error: &DataError) -> String {
    match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    }
}
