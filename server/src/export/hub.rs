//! Imports a model of the Hugging Face hub as a job: the files that the model needs are downloaded, then read like those of an upload.

use std::path::PathBuf;

use axum::http::StatusCode;
use engine::interop::folder::{select, shards};
use engine::interop::{CONFIG, INDEX, WEIGHTS};
use wire::RunId;
use wire::access::project::default_project;
use wire::control::author::Author;
use wire::data::corpus::Job;
use wire::data::hub::HubModelArgs;

use super::import::{FILES, store_upload};
use crate::data::hub::address::{Address, RepoKind};
use crate::data::hub::client::Client;
use crate::data::hub::downloads::DownloadFolder;
use crate::data::hub::error::HubError;
use crate::data::hub::fetch::Fetch;
use crate::data::hub::listing::{HubFile, Listing};
use crate::data::jobs::JobHandle;
use crate::data::no_job;
use crate::data::upload::Upload;
use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::name::{NAME_CHARS, checked_name};

/// Bytes of a checkpoint for each byte of the weights: those of 16 bits become 32.
const STORED_PER_BYTE: u64 = 2;

/// What a job downloads and makes of it.
struct Import {
    lab: Lab,
    client: Client,
    address: Address,
    listing: Listing,
    folder: DownloadFolder,
    name: String,
    project: String,
    author: Author,
}

/// Imports a model of the hub as a job, which names the run once it is done.
///
/// # Errors
/// The name or the revision does not exist on the hub, is not shown to the token, or has no model that is read; the hub cannot be reached;
/// 507 for a full disk.
pub async fn import(lab: &Lab, args: HubModelArgs, author: Author) -> Result<Job, ApiError> {
    let HubModelArgs { repo, revision, token, name, project } = args;
    let project = project.unwrap_or_else(default_project);
    let address = Address::new(RepoKind::Model, &repo, revision.as_deref())?;
    let client = Client::new(&lab.settings.hub, token)?;
    let given = name.map(|name| checked_name(&name)).transpose()?;
    let name = given.unwrap_or_else(|| address.name().chars().take(NAME_CHARS).collect());
    let (asking, asked) = (client.clone(), address.clone());
    let listing = tokio::task::spawn_blocking(move || asking.list(&asked)).await;
    let listing = listing.map_err(|source| ApiError::internal("a request to the hub", source))??;
    needed(&address, &listing)?;
    let folder = lab.data.begin_download(&address, &listing.commit)?;
    let job =
        lab.data.in_project(Some(project.clone())).begin_job(format!("Downloading {}", address.repo), None, "bytes");
    let id = job.id();
    let import = Import { lab: lab.clone(), client, address, listing, folder, name, project, author };
    tokio::spawn(import.run(job));
    lab.data.jobs.get(id).ok_or_else(|| no_job(id))
}

impl Import {
    async fn run(self, job: JobHandle) {
        let fetched = tokio::task::spawn_blocking(move || {
            let files = self.fetch(&job);
            (self, job, files)
        });
        // A panic drops the handle of the job, which has failed then.
        let Ok((import, job, files)) = fetched.await else { return };
        let ended = match files {
            Ok(files) => import.store(files, &job).await,
            Err(error) => Err(error),
        };
        let Import { address, folder, .. } = import;
        // Before the job ends: whoever waits for that may import again at once.
        match is_refused(&ended) {
            true => folder.discard(),
            false => folder.end(&ended),
        }
        match ended {
            Ok(run) => job.imported(run),
            Err(error) => {
                tracing::warn!("{address} could not be imported: {error}");
                job.failed(ApiError::from(error).to_string());
            }
        }
    }

    /// Downloads the small files first: the index names the shards that are needed.
    fn fetch(&self, job: &JobHandle) -> Result<Vec<(String, PathBuf)>, HubError> {
        let Self { client, address, listing, folder, .. } = self;
        let fetch = Fetch { client, address, listing, folder, job };
        let (weights, texts): (Vec<&HubFile>, Vec<&HubFile>) =
            needed(address, listing)?.into_iter().partition(|file| file.path.ends_with(".safetensors"));
        fetch.check_space(&texts, 0)?;
        let mut found = fetch.run(&texts)?;
        let index = found.iter().find(|(path, _)| name_of(path) == INDEX).map(|(_, place)| place);
        let weights = match index.filter(|_| !weights.iter().any(|file| name_of(&file.path) == WEIGHTS)) {
            Some(place) => named(weights, place)?,
            None => weights,
        };
        let bytes = weights.iter().filter_map(|file| file.bytes).fold(0, u64::saturating_add);
        fetch.check_space(&weights, bytes.saturating_mul(STORED_PER_BYTE))?;
        found.extend(fetch.run(&weights)?);
        Ok(found)
    }

    async fn store(&self, files: Vec<(String, PathBuf)>, job: &JobHandle) -> Result<RunId, HubError> {
        if job.is_cancelled() {
            return Err(HubError::Cancelled);
        }
        let upload = Upload::of(&self.lab.data, files)?;
        let from = format!("{} of the Hugging Face hub at {}", self.address.repo, self.listing.commit);
        let name = Some(self.name.clone());
        Ok(store_upload(&self.lab, upload, name, self.project.clone(), self.author.clone(), Some(from)).await?)
    }
}

/// Whether the model is one that is never imported.
fn is_refused(ended: &Result<RunId, HubError>) -> bool {
    matches!(ended, Err(HubError::Import(error)) if error.status == StatusCode::UNPROCESSABLE_ENTITY)
}

/// The files that the model needs.
fn needed<'a>(address: &Address, listing: &'a Listing) -> Result<Vec<&'a HubFile>, HubError> {
    let paths: Vec<&str> = listing.files.iter().map(|file| file.path.as_str()).collect();
    let selection = select(&paths).map_err(ApiError::from)?;
    let files: Vec<&HubFile> = selection.needed.into_iter().filter_map(|place| listing.files.get(place)).collect();
    let has = |name: &str| files.iter().any(|file| name_of(&file.path) == name);
    let missing = match (has(CONFIG), has(WEIGHTS) || has(INDEX)) {
        (false, _) => CONFIG,
        (true, false) => WEIGHTS,
        (true, true) if files.len() <= FILES => return Ok(files),
        (true, true) => {
            let message = format!("{address} has more than {FILES} files of weights");
            return Err(HubError::NoFiles { message, hint: "choose a smaller model".to_owned() });
        }
    };
    let hint =
        "models are read from config.json and safetensors: convert it with transformers, or choose another revision";
    Err(HubError::NoFiles { message: format!("{address} has no {missing}"), hint: hint.to_owned() })
}

/// The shards that an index names.
fn named<'a>(weights: Vec<&'a HubFile>, index: &PathBuf) -> Result<Vec<&'a HubFile>, HubError> {
    let text = std::fs::read(index).map_err(|source| HubError::Disk { path: index.clone(), source })?;
    let names = shards(&text).map_err(ApiError::from)?;
    Ok(weights.into_iter().filter(|file| names.iter().any(|name| name == name_of(&file.path))).collect())
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
