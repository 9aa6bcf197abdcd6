//! Imports a dataset of the hub as a job: its files are downloaded, then read like those of an upload.

use engine::DataError;
use engine::data::import::{Files, import_files};
use wire::CorpusId;
use wire::data::corpus::{Job, Source};
use wire::data::hub::HubDatasetArgs;
use wire::data::import::ImportOptions;

use super::address::{Address, RepoKind};
use super::client::Client;
use super::downloads::DownloadFolder;
use super::error::HubError;
use super::fetch::Fetch;
use super::listing::{HubFile, Listing};
use crate::data::corpora::progress_of;
use crate::data::jobs::JobHandle;
use crate::data::upload::{FILES, dataset_name};
use crate::data::{Data, background, no_job};
use crate::error::ApiError;

/// Ends of the names of files that are read, without those of compression.
const READ: [&str; 10] = [".txt", ".text", ".md", ".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".pq"];
/// Ends of the names of compressed files.
const COMPRESSED: [&str; 3] = [".gz", ".zst", ".zstd"];
/// Files that describe a dataset, without their ends.
const DESCRIPTIONS: [&str; 7] =
    ["readme", "license", "licence", "dataset_info", "dataset_infos", "dataset_dict", "state"];
/// Text that the files may hold for each of their bytes, and at least: tables are compressed to a tenth at most.
const TEXT_PER_BYTE: u64 = 10;
const TEXT_BYTES: u64 = 1_000_000_000;
/// Files that an error names.
const LISTED: usize = 10;

/// What a job downloads and makes of it.
struct Import {
    client: Client,
    address: Address,
    listing: Listing,
    files: Vec<HubFile>,
    folder: DownloadFolder,
    corpus: CorpusId,
    name: String,
    options: ImportOptions,
}

impl Data {
    /// Imports a dataset of the hub as a job.
    ///
    /// # Errors
    /// The name, the revision or the path does not exist on the hub or is not shown to the token; the hub cannot be reached; 507 for a full
    /// disk.
    pub async fn import_from_hub(&self, args: HubDatasetArgs) -> Result<Job, ApiError> {
        let HubDatasetArgs { repo, revision, path, token, name, options, project: _ } = args;
        let address = Address::new(RepoKind::Dataset, &repo, revision.as_deref())?;
        let client = Client::new(&self.hub, token)?;
        let name =
            name.as_deref().map(dataset_name).transpose()?.flatten().unwrap_or_else(|| address.name().to_owned());
        let (asking, asked) = (client.clone(), address.clone());
        let listing = tokio::task::spawn_blocking(move || asking.list(&asked)).await;
        let listing = listing.map_err(|source| ApiError::internal("a request to the hub", source))??;
        let files: Vec<HubFile> = select(&listing, path.as_deref())?.into_iter().cloned().collect();
        let folder = self.begin_download(&address, &listing.commit)?;
        let ids = self.ids.lock().await;
        let corpus = self.free_id(&name).await?;
        self.note_project(&corpus).await?;
        let job = self.begin_job(format!("Downloading {}", address.repo), corpus.clone(), "bytes");
        drop(ids);
        let id = job.id();
        let import = Import { client, address, listing, files, folder, corpus, name, options };
        let data = self.clone();
        background::spawn(move || {
            let ended = import.run(&data, &job);
            let Import { address, folder, corpus, .. } = import;
            if ended.is_err() {
                data.forget_failed(&corpus);
            }
            // Before the job ends: whoever waits for that may import again at once.
            folder.end(&ended);
            end(job, &address, ended);
            data.feed.wake_queue();
        });
        self.jobs.get(id).ok_or_else(|| no_job(id))
    }
}

impl Import {
    fn run(&self, data: &Data, job: &JobHandle) -> Result<(), HubError> {
        let Self { client, address, listing, folder, .. } = self;
        let fetch = Fetch { client, address, listing, folder, job };
        let files: Vec<&HubFile> = self.files.iter().collect();
        let bytes = files.iter().filter_map(|file| file.bytes).fold(0, u64::saturating_add);
        fetch.check_space(&files, bytes)?;
        let found = fetch.run(&files)?;
        let max_text_bytes = bytes.saturating_mul(TEXT_PER_BYTE).max(TEXT_BYTES);
        let from = Files { files: &found, options: &self.options, max_text_bytes };
        let source = Source::Hub { repo: address.repo.clone(), revision: listing.commit.clone() };
        let corpora = data.corpora.folder();
        let import = || import_files(corpora, &self.corpus, &self.name, source, from, &mut progress_of(job));
        match background::on_a_core(import) {
            Ok(_) => Ok(()),
            Err(DataError::Cancelled) => Err(HubError::Cancelled),
            Err(error) => Err(ApiError::from(error).into()),
        }
    }
}

/// Ends the job of an import that made no run.
fn end(job: JobHandle, address: &Address, ended: Result<(), HubError>) {
    match ended {
        Ok(()) => job.done(),
        Err(error) => {
            tracing::warn!("{address} could not be imported: {error}");
            job.failed(ApiError::from(error).to_string());
        }
    }
}

/// The files of a path, or all that are read.
///
/// # Errors
/// There are none, or too many.
pub(super) fn select<'a>(listing: &'a Listing, path: Option<&str>) -> Result<Vec<&'a HubFile>, HubError> {
    let path = path.map(|path| path.trim().trim_matches('/')).filter(|path| !path.is_empty());
    let is_below =
        |file: &&HubFile, folder: &str| file.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    let exact = listing.files.iter().find(|file| Some(file.path.as_str()) == path);
    let files: Vec<&HubFile> = match (exact, path) {
        (Some(file), _) => vec![file],
        (None, Some(folder)) => {
            listing.files.iter().filter(|file| is_below(file, folder) && is_read(&file.path)).collect()
        }
        (None, None) => listing.files.iter().filter(|file| is_read(&file.path)).collect(),
    };
    let what = path.map_or_else(|| "the dataset".to_owned(), |path| format!("the path {path:?} of the dataset"));
    if files.is_empty() {
        let named: Vec<&str> = listing.files.iter().map(|file| file.path.as_str()).take(LISTED).collect();
        let hint = format!("choose one of its {} files: {}", listing.files.len(), named.join(", "));
        return Err(HubError::NoFiles {
            message: format!("{what} has no file of text, JSON, CSV, TSV or Parquet"),
            hint,
        });
    }
    if files.len() > FILES {
        let message = format!("{what} has more than {FILES} files");
        return Err(HubError::NoFiles { message, hint: "choose a folder of it with `path`".to_owned() });
    }
    Ok(files)
}

/// Whether a file of a whole dataset is read: not its description, and nothing hidden.
fn is_read(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let plain = COMPRESSED.iter().find_map(|end| lower.strip_suffix(end)).unwrap_or(&lower);
    let name = plain.rsplit('/').next().unwrap_or(plain);
    let Some(stem) = READ.iter().find_map(|end| name.strip_suffix(end)) else { return false };
    !DESCRIPTIONS.contains(&stem) && !plain.split('/').any(|part| part.starts_with('.'))
}
