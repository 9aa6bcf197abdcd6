//! The datasets of the lab: their text, the tokens made of it, and the jobs that make them.
//!
//! - [`corpora`]: the engine's functions on datasets, each on a separate thread (`background`); [`jobs`]: long work as pages follow it;
//! - [`upload`]: files of a request; [`staged`]: uploads that wait to be imported; [`catalogue`] and [`download`]: datasets that are fetched; [`hub`]: those of the Hugging Face hub; [`built_in`]: datasets that are generated.
//!
//! [`disk`]: free space; [`disk_use`]: what uses the rest.
//!
//! [`engine::data`] reads, tokenizes and generates text.

pub(crate) mod background;
pub mod built_in;
pub mod catalogue;
pub mod corpora;
pub mod disk;
pub mod disk_use;
pub mod download;
pub mod hub;
pub mod jobs;
pub mod staged;
pub mod upload;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use store::Identity;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use wire::CorpusId;
use wire::access::Role;
use wire::data::corpus::Job;

use crate::error::ApiError;
use crate::live::Feed;
use corpora::Corpora;
use hub::Hub;
use hub::address::Address;
use hub::downloads::{DownloadFolder, Downloads};
use hub::error::HubError;
use jobs::{JobHandle, Jobs};
use staged::Staged;

/// Work that takes longer continues as a job.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(8);

/// The datasets of a lab; cloning shares them.
#[derive(Clone)]
pub struct Data {
    /// Datasets on disk.
    pub corpora: Corpora,
    /// Long work.
    pub jobs: Jobs,
    /// Folder of uploads and downloads in progress.
    incoming: PathBuf,
    /// Uploads that wait to be imported.
    staged: Staged,
    /// The hub that datasets are imported from, and the downloads under way.
    hub: Hub,
    downloads: Downloads,
    feed: Feed,
    /// Held while the id of a dataset is taken or becomes free.
    ids: Arc<Mutex<()>>,
    /// The project for which datasets are added; `None` for all.
    project: Option<String>,
    /// Whether who adds datasets sees those of all projects.
    sees_all: bool,
}

/// The result of work that may continue as a job.
pub enum Outcome<T> {
    /// It is done.
    Done(T),
    /// It continues as a job.
    Job(Job),
}

impl Data {
    /// The datasets in the folder `corpora`.
    pub fn new(corpora: PathBuf, incoming: PathBuf, hub: Hub, feed: Feed) -> Self {
        Self {
            corpora: Corpora::new(corpora),
            jobs: Jobs::default(),
            incoming,
            staged: Staged::default(),
            hub,
            downloads: Downloads::default(),
            feed,
            ids: Arc::default(),
            project: None,
            sees_all: true,
        }
    }

    /// The same, for jobs of one project; `None` for all.
    pub fn in_project(&self, project: Option<String>) -> Self {
        Self { project, ..self.clone() }
    }

    /// The same, for adding datasets in the name of somebody; for all projects where `project` is `None`.
    pub fn added_by(&self, identity: &Identity, project: Option<String>) -> Self {
        Self { project, sees_all: identity.grants.has_lab(Role::View), ..self.clone() }
    }

    /// Notes the project of a dataset that is about to be added.
    ///
    /// # Errors
    /// An error of the store.
    async fn note_project(&self, corpus: &CorpusId) -> Result<(), ApiError> {
        Ok(self.feed.store.set_dataset_project(corpus, self.project.as_deref()).await?)
    }

    /// Forgets the project of a dataset that was deleted or could not be added.
    ///
    /// # Errors
    /// An error of the store.
    async fn forget_project(&self, corpus: &CorpusId) -> Result<(), ApiError> {
        Ok(self.feed.store.set_dataset_project(corpus, None).await?)
    }

    /// Forgets the project of a dataset whose import has failed. Called on the thread of the import, while its job still reserves the id.
    fn forget_failed(&self, corpus: &CorpusId) {
        if let Err(error) = Handle::current().block_on(self.forget_project(corpus)) {
            tracing::error!("the project of the dataset {corpus}, whose import failed, could not be removed: {error}");
        }
    }

    /// The folder of a download from the hub.
    ///
    /// # Errors
    /// Another job downloads the same; an IO error.
    pub fn begin_download(&self, address: &Address, commit: &str) -> Result<DownloadFolder, HubError> {
        self.downloads.begin(&self.incoming, address, commit)
    }

    /// Begins a job, on a dataset or not; the Lab page receives its progress.
    pub fn begin_job(&self, title: String, corpus: impl Into<Option<CorpusId>>, unit: &str) -> JobHandle {
        let hub = self.feed.hub.clone();
        self.jobs.begin(title, corpus.into(), self.project.clone(), unit, move || hub.lab_changed())
    }

    /// Waits for the work of a job for [`ANSWER_WITHIN`]; it continues either way.
    ///
    /// # Errors
    /// The errors of `work`.
    pub async fn finish_or_continue<T: Send + 'static>(
        &self,
        job_id: u64,
        work: impl Future<Output = Result<T, ApiError>> + Send + 'static,
    ) -> Result<Outcome<T>, ApiError> {
        let feed = self.feed.clone();
        let task = tokio::spawn(async move {
            let ended = work.await;
            feed.wake_queue();
            ended
        });
        match tokio::time::timeout(ANSWER_WITHIN, task).await {
            Ok(Ok(ended)) => ended.map(Outcome::Done),
            Ok(Err(source)) => Err(ApiError::internal("work on a dataset", source)),
            Err(_) => self.jobs.get(job_id).map(Outcome::Job).ok_or_else(|| no_job(job_id)),
        }
    }

    /// Deletes a dataset and its tokens.
    ///
    /// # Errors
    /// 409 while a job or a run that has not ended uses it; an IO error.
    pub async fn delete(&self, corpus: &CorpusId) -> Result<(), ApiError> {
        if let Some(job) = self.jobs.running_on(corpus) {
            return Err(ApiError::conflict("corpus_in_use", format!("a job uses {corpus}: {}", job.title))
                .hint("wait until the job is done"));
        }
        if let Some(run) = self.run_using(corpus).await? {
            return Err(
                ApiError::conflict("corpus_in_use", format!("the run {run} uses {corpus}")).hint("stop that run first")
            );
        }
        // Until its project is forgotten, no new dataset takes the id.
        let _ids = self.ids.lock().await;
        self.corpora.remove(corpus).await?;
        self.forget_project(corpus).await?;
        self.feed.lab_changed();
        Ok(())
    }

    /// A run that has not ended and uses the dataset.
    async fn run_using(&self, corpus: &CorpusId) -> Result<Option<wire::RunId>, ApiError> {
        let runs = self.feed.store.runs(false).await?;
        for run in runs.into_iter().filter(|run| !run.state.is_over()) {
            let view = self.feed.store.run(&run.id).await?;
            if view.is_some_and(|view| view.plan.corpora().contains(corpus)) {
                return Ok(Some(run.id));
            }
        }
        Ok(None)
    }
}

/// 404 for a job.
pub(crate) fn no_job(job_id: u64) -> ApiError {
    ApiError::not_found(format!("unknown job {job_id}")).hint("GET /api/v1/jobs lists the jobs")
}
