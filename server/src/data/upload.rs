//! The files of an upload: written to a temporary folder first, then imported by the engine on a separate thread. No name from a request
//! becomes a path: files on disk are numbered, and names are only displayed and say what a file holds.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use engine::data::import::{Files, import_files};
use futures_util::{Stream, StreamExt};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use utoipa::IntoParams;
use wire::CorpusId;
use wire::data::corpus::{CorpusInfo, Source};
use wire::data::import::ImportOptions;

use super::background::on_a_core;
use super::corpora::progress_of;
use super::disk::{check_space, write_failed};
use super::{Data, Outcome};
use crate::error::ApiError;

/// Maximum number of files in one upload.
pub(super) const FILES: usize = 20_000;
/// Characters of the name of a dataset or a file.
const NAME_CHARS: usize = 120;
/// Text that an upload of the maximum size may hold for each of its bytes; texts are compressed to a third or a quarter.
const TEXT_PER_BYTE: u64 = 4;
/// Bytes between two checks of the free space.
const CHECK_BYTES: u64 = 16_000_000;

#[derive(Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UploadQuery {
    /// Display name, at most 120 characters; by default the name of the first file or of the folder, cut to that length.
    pub(crate) name: Option<String>,
    /// Name of a plain body; its extension says what it is. `text.txt` by default.
    pub(crate) filename: Option<String>,
    /// The project that alone may use the dataset; all by default, for whoever may steer the whole lab.
    pub(crate) project: Option<String>,
}

impl Data {
    /// Receives the files of a request and imports them as a dataset.
    ///
    /// # Errors
    /// 413 for an upload above `max_bytes`, 422 for files without text, 507 for a full disk; an interrupted upload; an IO error.
    pub async fn upload(
        &self,
        query: UploadQuery,
        options: ImportOptions,
        max_bytes: u64,
        request: Request,
    ) -> Result<Outcome<CorpusInfo>, ApiError> {
        let upload = Arc::new(self.receive(query, options, max_bytes, request).await?);
        let (name, options) = (upload.name(), upload.options.clone());
        self.import(upload, &name, options, || ()).await
    }

    /// Receives the files of a request.
    pub(super) async fn receive(
        &self,
        query: UploadQuery,
        options: ImportOptions,
        max_bytes: u64,
        request: Request,
    ) -> Result<Upload, ApiError> {
        let filename = query.filename.clone().unwrap_or_else(|| "text.txt".to_owned());
        let mut upload = Upload::new(self, max_bytes)?;
        (upload.given_name, upload.options) = (query.name.as_deref().map(dataset_name).transpose()?.flatten(), options);
        upload.receive(request, &filename).await?;
        if upload.files.is_empty() {
            return Err(
                ApiError::invalid("text_empty", "the form has no file").hint("add a file with text to the form")
            );
        }
        Ok(upload)
    }

    /// Imports received files as a dataset of this name; `imported` is called once that is done.
    ///
    /// # Errors
    /// 422 for files without text, a missing field, or a strict import that would skip something; 507 for a full disk; an IO error.
    pub(super) async fn import(
        &self,
        upload: Arc<Upload>,
        name: &str,
        options: ImportOptions,
        imported: impl FnOnce() + Send + 'static,
    ) -> Result<Outcome<CorpusInfo>, ApiError> {
        check_space(self.corpora.folder(), upload.bytes)?;
        let ids = self.ids.lock().await;
        let (name, corpus) = (name.to_owned(), self.free_id(name).await?);
        self.note_project(&corpus).await?;
        let job = self.begin_job(format!("Importing {name}"), corpus.clone(), "bytes");
        drop(ids);
        let (job_id, corpora, data) = (job.id(), self.corpora.clone(), self.clone());
        let work = async move {
            let info = corpora.run_job(job, move |folder, job| {
                let from = upload.as_files(&options);
                let source = Source::Files { names: vec![] };
                let ended = on_a_core(|| import_files(folder, &corpus, &name, source, from, &mut progress_of(job)));
                if ended.is_err() {
                    data.forget_failed(&corpus);
                }
                ended
            });
            let info = info.await?;
            imported();
            Ok(info)
        };
        self.finish_or_continue(job_id, work).await
    }

    /// An id made from a name that no dataset has yet: the first free number follows the name. For somebody who does not see all datasets it is
    /// always a random text, because a number would tell that another project has a dataset of this name.
    pub(super) async fn free_id(&self, name: &str) -> Result<CorpusId, ApiError> {
        let taken: Vec<CorpusId> = self.corpora.list().await?.into_iter().map(|info| info.id).collect();
        let wanted = slug(name);
        let plain = Some(wanted.clone()).filter(|_| self.sees_all);
        let numbered = (2..10_000).map(|number| match self.sees_all {
            true => format!("{wanted}-{number}"),
            false => format!("{wanted}-{}", wire::id::tail(RandomState::new().build_hasher().finish())),
        });
        let ids = plain.into_iter().chain(numbered).filter_map(|text| text.parse::<CorpusId>().ok());
        let mut free = ids.filter(|id| !taken.contains(id) && self.jobs.running_on(id).is_none());
        free.next().ok_or_else(|| {
            ApiError::conflict("corpus_exists", format!("all ids from {wanted} to {wanted}-9999 are taken"))
                .hint("choose another name")
        })
    }
}

/// The files of one request; they are deleted when this is dropped.
pub(crate) struct Upload {
    folder: TempDir,
    given_name: Option<String>,
    pub(super) options: ImportOptions,
    /// The name of each file as given, for display, and where it is.
    pub(crate) files: Vec<(String, PathBuf)>,
    /// Size of all files.
    pub(crate) bytes: u64,
    max_bytes: u64,
    /// Bytes at the last check of the free space.
    checked_bytes: u64,
}

impl Upload {
    /// Makes a temporary folder for up to `max_bytes`.
    pub(crate) fn new(data: &Data, max_bytes: u64) -> Result<Self, ApiError> {
        let folder = tempfile::Builder::new().prefix("upload-").rand_bytes(16).tempdir_in(&data.incoming);
        let folder = folder.map_err(|source| write_failed("making a folder for an upload", source))?;
        let options = ImportOptions::default();
        Ok(Self { folder, given_name: None, options, files: vec![], bytes: 0, max_bytes, checked_bytes: 0 })
    }

    /// Files that are on disk already, and stay there.
    pub(crate) fn of(data: &Data, files: Vec<(String, PathBuf)>) -> Result<Self, ApiError> {
        let mut upload = Self::new(data, u64::MAX)?;
        upload.bytes = files.iter().filter_map(|(_, path)| Some(path.metadata().ok()?.len())).sum();
        upload.files = files;
        Ok(upload)
    }

    /// The files as the engine reads them, with these options.
    pub(super) fn as_files<'a>(&'a self, options: &'a ImportOptions) -> Files<'a> {
        Files { files: &self.files, options, max_text_bytes: self.max_bytes.saturating_mul(TEXT_PER_BYTE) }
    }

    /// The folder of the files, and of whatever else is made of them.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Receives all files of a form, or a plain body as one file of this name.
    pub(crate) async fn receive(&mut self, request: Request, filename: &str) -> Result<(), ApiError> {
        let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        check_space(self.folder(), length.unwrap_or(0).min(self.max_bytes))?;
        if is_form(request.headers()) {
            let form = Multipart::from_request(request, &())
                .await
                .map_err(|rejection| ApiError::new(StatusCode::BAD_REQUEST, "form_malformed", rejection.body_text()))?;
            return self.receive_form(form).await;
        }
        let body = request.into_body().into_data_stream().map(|part| part.map_err(interrupted));
        self.receive_file(filename, body).await
    }

    async fn receive_form(&mut self, mut form: Multipart) -> Result<(), ApiError> {
        while let Some(part) = form.next_field().await.map_err(form_failed)? {
            let Some(filename) = part.file_name().map(str::to_owned) else {
                self.receive_field(part).await?;
                continue;
            };
            self.receive_file(&filename, part.map(|chunk| chunk.map_err(form_failed))).await?;
        }
        Ok(())
    }

    /// The name and the options may also be fields of the form.
    async fn receive_field(&mut self, part: Field<'_>) -> Result<(), ApiError> {
        let key = part.name().unwrap_or_default().to_owned();
        let value = part.text().await.map_err(form_failed)?;
        if key == "name" {
            self.given_name = dataset_name(&value)?;
            return Ok(());
        }
        set_option(&mut self.options, &key, &value)
    }

    async fn receive_file(
        &mut self,
        name: &str,
        mut content: impl Stream<Item = Result<Bytes, ApiError>> + Unpin,
    ) -> Result<(), ApiError> {
        let too_large = |code: &str, message| ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, code, message);
        if self.files.len() >= FILES {
            return Err(too_large("too_many_files", format!("the upload has more than {FILES} files"))
                .hint("join them into one JSON Lines file"));
        }
        let path = self.folder().join(self.files.len().to_string());
        let disk = |source: std::io::Error| write_failed("writing an upload", source);
        let mut file = tokio::fs::File::create(&path).await.map_err(disk)?;
        while let Some(chunk) = content.next().await {
            let chunk = chunk?;
            self.bytes += chunk.len() as u64;
            if self.bytes > self.max_bytes {
                let message = format!("the upload is larger than {} MB", self.max_bytes / 1_000_000);
                return Err(too_large("too_large", message).hint("upload it in parts, as several datasets"));
            }
            if self.bytes > self.checked_bytes + CHECK_BYTES {
                check_space(self.folder(), CHECK_BYTES)?;
                self.checked_bytes = self.bytes;
            }
            file.write_all(&chunk).await.map_err(disk)?;
        }
        file.flush().await.map_err(disk)?;
        self.files.push((shortened(name), path));
        Ok(())
    }

    /// The given name, or one made of the first file's.
    pub(super) fn name(&self) -> String {
        self.given_name.clone().unwrap_or_else(|| {
            let first = self.files.first().map_or("text", |(name, _)| name.as_str());
            let stem = if first.contains('/') {
                first.split('/').next()
            } else {
                first.rsplit_once('.').map(|(stem, _)| stem)
            };
            cut(stem.filter(|stem| !stem.is_empty()).unwrap_or(first))
        })
    }
}

/// Sets an option from its text form.
///
/// # Errors
/// 422 for an unknown option or an invalid value, so that none is dropped silently.
pub(crate) fn set_option(options: &mut ImportOptions, key: &str, value: &str) -> Result<(), ApiError> {
    match options.set(key, value) {
        Ok(true) => Ok(()),
        Ok(false) => Err(ApiError::invalid("value_invalid", format!("an upload has no option {key:?}"))
            .field(key)
            .hint("name, field, split, separator, encoding, line_ends and strict are options")),
        Err(error) => Err(ApiError::invalid("value_invalid", format!("{key}: {error}")).field(key)),
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| kind.starts_with("multipart/form-data"))
}

/// The name of a dataset as it is stored and displayed: trimmed, on one line, at most [`NAME_CHARS`] characters; `None` for an empty one.
/// Never used as a path.
///
/// # Errors
/// 422 for any other name.
pub(crate) fn dataset_name(name: &str) -> Result<Option<String>, ApiError> {
    let name = name.trim();
    if name.chars().count() > NAME_CHARS || name.chars().any(char::is_control) {
        let message = format!("{:?} … is not a valid name for a dataset", cut(name));
        return Err(ApiError::invalid("name_invalid", message)
            .field("name")
            .hint(format!("give at most {NAME_CHARS} characters on one line")));
    }
    Ok(Some(name.to_owned()).filter(|name| !name.is_empty()))
}

/// A name made of that of a file, cut to [`NAME_CHARS`] characters.
fn cut(name: &str) -> String {
    name.trim().chars().filter(|c| !c.is_control()).take(NAME_CHARS).collect()
}

/// The name of a file for display, with its end, which says what it holds.
fn shortened(name: &str) -> String {
    let plain: Vec<char> = name.trim().chars().filter(|c| !c.is_control()).collect();
    if plain.len() <= NAME_CHARS {
        return plain.into_iter().collect();
    }
    let half = NAME_CHARS / 2;
    plain[..half].iter().chain(&['…']).chain(&plain[plain.len() - half..]).collect()
}

/// The letters, digits and dashes of a name; `text` if it has none.
fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.to_lowercase().chars() {
        match c {
            'a'..='z' | '0'..='9' => slug.push(c),
            _ if slug.is_empty() || slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
    }
    slug.truncate(48);
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "text".to_owned() } else { slug.to_owned() }
}

fn interrupted(source: axum::Error) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "upload_broken", format!("the upload was interrupted: {source}"))
        .hint("upload it again")
}

fn form_failed(source: MultipartError) -> ApiError {
    ApiError::new(source.status(), "form_malformed", format!("the form cannot be read: {}", source.body_text()))
        .hint("send multipart/form-data with one part for each file")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_made_from_names_are_never_paths() {
        for (name, id) in [
            ("Tiny Shakespeare", "tiny-shakespeare"),
            ("../../etc/passwd", "etc-passwd"),
            ("Märchen", "m-rchen"),
            ("日本", "text"),
            ("--", "text"),
            ("a.b", "a-b"),
        ] {
            assert_eq!(slug(name), id);
            assert!(slug(name).parse::<CorpusId>().is_ok());
        }
        assert!(slug(&"x".repeat(500)).parse::<CorpusId>().is_ok());
    }

    #[test]
    fn long_names_of_files_keep_their_end() {
        let long = format!("{}.jsonl", "ä".repeat(400));
        assert!(shortened(&long).ends_with(".jsonl") && shortened(&long).chars().count() <= NAME_CHARS + 1);
        assert_eq!(shortened(" a\nb.txt "), "ab.txt");
    }
}
