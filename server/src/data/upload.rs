//! The files of an upload: written to a temporary folder first, then imported by the engine on a separate thread. No name from a request
//! becomes a path: files on disk are numbered, and names are only displayed.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use engine::DataError;
use engine::data::import::CorpusImport;
use futures_util::{Stream, StreamExt};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use utoipa::IntoParams;
use wire::CorpusId;
use wire::data::corpus::{CorpusInfo, Source};

use super::corpora::progress_of;
use super::jobs::JobHandle;
use super::{Data, Outcome};
use crate::error::ApiError;

/// Maximum number of files in one upload.
const FILES: usize = 20_000;
/// Files that the description of a dataset names.
const NAMED_FILES: usize = 20;

#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UploadQuery {
    /// Display name; by default the name of the first file.
    name: Option<String>,
    /// Field with the text, for JSON Lines.
    field: Option<String>,
    /// Name of a plain body; its extension says what it is. `text.txt` by default.
    filename: Option<String>,
}

impl Data {
    /// Receives the files of a request and imports them as a dataset.
    ///
    /// # Errors
    /// 413 for an upload above `max_bytes`, 422 for files without text; an interrupted upload; an IO error.
    pub async fn upload(
        &self,
        query: UploadQuery,
        max_bytes: u64,
        request: Request,
    ) -> Result<Outcome<CorpusInfo>, ApiError> {
        let mut upload = Upload::new(self, query, max_bytes)?;
        let filename = upload.query.filename.clone().unwrap_or_else(|| "text.txt".to_owned());
        upload.receive(request, &filename).await?;
        upload.check()?;
        let name = upload.name();
        let corpus = self.free_id(&name).await?;
        let job = self.begin_job(format!("Importing {name}"), corpus.clone(), "bytes");
        let (job_id, corpora) = (job.id(), self.corpora.clone());
        let work =
            async move { corpora.run_job(job, move |folder, job| import(folder, &corpus, &name, &upload, job)).await };
        self.finish_or_continue(job_id, work).await
    }

    /// An id made from a name that no dataset has yet.
    async fn free_id(&self, name: &str) -> Result<CorpusId, ApiError> {
        let taken: Vec<CorpusId> = self.corpora.list().await?.into_iter().map(|info| info.id).collect();
        let wanted = slug(name);
        let numbered = (2..10_000).map(|number| format!("{wanted}-{number}"));
        let ids = std::iter::once(wanted.clone()).chain(numbered).filter_map(|text| text.parse::<CorpusId>().ok());
        let mut free = ids.filter(|id| !taken.contains(id) && self.jobs.running_on(id).is_none());
        free.next().ok_or_else(|| {
            ApiError::conflict("corpus_exists", format!("all ids from {wanted} to {wanted}-9999 are taken"))
                .hint("choose another name")
        })
    }
}

fn import(
    corpora: &Path,
    id: &CorpusId,
    name: &str,
    upload: &Upload,
    job: &JobHandle,
) -> Result<CorpusInfo, DataError> {
    let names = upload.files.iter().take(NAMED_FILES).map(|(name, _)| name.clone()).collect();
    let mut intake = CorpusImport::new(corpora, id, name, Source::Files { names })?;
    for (name, path) in &upload.files {
        let file = File::open(path).map_err(|source| DataError::Incoming { name: name.clone(), source })?;
        intake.add(name, BufReader::new(file), upload.query.field.as_deref())?;
    }
    intake.finish(&mut progress_of(job))
}

/// The files of one request; they are deleted when this is dropped.
pub(crate) struct Upload {
    folder: TempDir,
    query: UploadQuery,
    /// The name of each file as given, for display, and its path.
    pub(crate) files: Vec<(String, PathBuf)>,
    /// Size of all files.
    pub(crate) bytes: u64,
    max_bytes: u64,
}

impl Upload {
    /// Makes a temporary folder for up to `max_bytes`.
    pub(crate) fn new(data: &Data, query: UploadQuery, max_bytes: u64) -> Result<Self, ApiError> {
        let folder = tempfile::Builder::new().prefix("upload-").tempdir_in(&data.incoming);
        let folder = folder.map_err(|source| ApiError::internal("making a folder for an upload", source))?;
        Ok(Self { folder, query, files: vec![], bytes: 0, max_bytes })
    }

    /// The folder of the files, and of whatever else is made of them.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Receives all files of a form, or a plain body as one file of this name.
    pub(crate) async fn receive(&mut self, request: Request, filename: &str) -> Result<(), ApiError> {
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

    /// `name` and `field` may also be fields of the form.
    async fn receive_field(&mut self, part: Field<'_>) -> Result<(), ApiError> {
        let key = part.name().unwrap_or_default().to_owned();
        let value = part.text().await.map_err(form_failed)?;
        match key.as_str() {
            "name" => self.query.name = Some(value),
            "field" if !value.is_empty() => self.query.field = Some(value),
            _ => {}
        }
        Ok(())
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
        let disk = |source: std::io::Error| ApiError::internal("writing an upload", source);
        let mut file = tokio::fs::File::create(&path).await.map_err(disk)?;
        while let Some(chunk) = content.next().await {
            let chunk = chunk?;
            self.bytes += chunk.len() as u64;
            if self.bytes > self.max_bytes {
                let message = format!("the upload is larger than {} MB", self.max_bytes / 1_000_000);
                return Err(too_large("too_large", message).hint("upload it in parts, as several datasets"));
            }
            file.write_all(&chunk).await.map_err(disk)?;
        }
        file.flush().await.map_err(disk)?;
        self.files.push((displayed(name), path));
        Ok(())
    }

    /// Refuses an upload without text before the engine reads it.
    fn check(&self) -> Result<(), ApiError> {
        if self.files.is_empty() {
            return Err(
                ApiError::invalid("text_empty", "the form has no file").hint("add a file with text to the form")
            );
        }
        if self.bytes == 0 {
            return Err(DataError::Empty { name: self.files[0].0.clone() }.into());
        }
        Ok(())
    }

    fn name(&self) -> String {
        let given = self.query.name.as_deref().map(displayed).filter(|name| !name.is_empty());
        given.unwrap_or_else(|| {
            let first = self.files.first().map_or("text", |(name, _)| name.as_str());
            let stem = if first.contains('/') {
                first.split('/').next()
            } else {
                first.rsplit_once('.').map(|(stem, _)| stem)
            };
            stem.filter(|stem| !stem.is_empty()).unwrap_or(first).to_owned()
        })
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| kind.starts_with("multipart/form-data"))
}

/// A name for display: one line, at most 120 characters. Never used as a path.
fn displayed(name: &str) -> String {
    name.trim().chars().filter(|c| !c.is_control()).take(120).collect()
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
}
