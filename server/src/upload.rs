//! Text that people bring: streamed to a folder of its own first, then taken in by the engine on a thread of its own.
//! No name from a request becomes a path: files on disk are numbered, and names are only shown.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use axum::extract::multipart::MultipartError;
use axum::extract::{FromRequest, Multipart, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use engine::DataError;
use engine::intake::Intake;
use futures_util::{Stream, StreamExt};
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use utoipa::IntoParams;
use wire::corpus::{CorpusInfo, Job, Source};
use wire::{ApiErrorBody, CorpusId};

use crate::api_error::{ApiError, Query};
use crate::app_state::AppState;
use crate::auth::Steerer;
use crate::clock::random;
use crate::corpora::{begin_job, soon_or_later};
use crate::jobs::JobHandle;
use crate::texts::told;

/// Most files of one upload.
const FILES: usize = 20_000;

/// What the body is.
#[derive(Default, Deserialize, IntoParams)]
pub struct UploadQuery {
    /// Name for people; the file's own unless told.
    name: Option<String>,
    /// Field that holds the text, for JSON Lines.
    field: Option<String>,
    /// Name of a plain body, whose ending says what it is; `.txt` unless told.
    filename: Option<String>,
}

/// Brings a text: a plain body with `filename=`, or files of a form (a folder is several). Long work goes on as a job.
#[utoipa::path(post, path = "/corpora", tag = "texts", params(UploadQuery),
    request_body(content = Vec<u8>, description = "Text, Markdown or JSON Lines; or multipart/form-data with one or more files.", content_type = "application/octet-stream"),
    responses((status = 201, body = CorpusInfo), (status = 202, body = Job), (status = 413, body = ApiErrorBody), (status = 422, body = ApiErrorBody)))]
pub async fn upload_corpus(
    _: Steerer,
    State(state): State<AppState>,
    Query(query): Query<UploadQuery>,
    request: Request,
) -> Result<Response, ApiError> {
    let mut received = Received::new(&state, query, state.settings.upload_bytes)?;
    let filename = received.query.filename.clone().unwrap_or_else(|| "text.txt".to_owned());
    received.take(&state, request, &filename).await?;
    received.check()?;
    let name = received.name();
    let corpus = free_id(&state, &name).await?;
    let job = begin_job(&state, format!("Bringing in {name}"), corpus.clone(), "bytes");
    let (job_id, texts) = (job.id(), state.texts.clone());
    let work =
        async move { texts.as_job(job, move |folder, job| take_in(folder, &corpus, &name, &received, job)).await };
    soon_or_later(&state, job_id, StatusCode::CREATED, work).await
}

fn is_form(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| kind.starts_with("multipart/form-data"))
}

fn take_in(
    corpora: &Path,
    id: &CorpusId,
    name: &str,
    received: &Received,
    job: &JobHandle,
) -> Result<CorpusInfo, DataError> {
    let names = received.files.iter().take(20).map(|(name, _)| name.clone()).collect();
    let mut intake = Intake::new(corpora, id, name, Source::Files { names })?;
    for (name, path) in &received.files {
        let file = File::open(path).map_err(|source| DataError::Incoming { name: name.clone(), source })?;
        intake.add(name, BufReader::new(file), received.query.field.as_deref())?;
    }
    intake.finish(&mut told(job))
}

/// Files on their way in; dropped, they are gone.
pub(crate) struct Received {
    /// Where they lie, and whatever else is made of them.
    pub(crate) folder: PathBuf,
    query: UploadQuery,
    /// The name of each as given, for people, and its place.
    pub(crate) files: Vec<(String, PathBuf)>,
    /// Size of all together.
    pub(crate) bytes: u64,
    most_bytes: u64,
}

impl Received {
    /// Makes room for up to `most_bytes`.
    pub(crate) fn new(state: &AppState, query: UploadQuery, most_bytes: u64) -> Result<Self, ApiError> {
        let folder = state.settings.incoming().join(format!("upload-{:016x}", random()));
        std::fs::create_dir_all(&folder).map_err(|source| ApiError::internal("making room for an upload", source))?;
        Ok(Self { folder, query, files: vec![], bytes: 0, most_bytes })
    }

    /// Takes what a request brings: all files of a form, or its body as one file of this name.
    pub(crate) async fn take(&mut self, state: &AppState, request: Request, filename: &str) -> Result<(), ApiError> {
        if is_form(request.headers()) {
            let form = Multipart::from_request(request, state)
                .await
                .map_err(|rejection| ApiError::new(StatusCode::BAD_REQUEST, "form_malformed", rejection.body_text()))?;
            return self.take_form(form).await;
        }
        let body = request.into_body().into_data_stream().map(|part| part.map_err(broken));
        self.take_file(filename, body).await
    }

    /// Takes all files of a form.
    async fn take_form(&mut self, mut form: Multipart) -> Result<(), ApiError> {
        while let Some(part) = form.next_field().await.map_err(form_broken)? {
            let Some(filename) = part.file_name().map(str::to_owned) else {
                self.take_word(part).await?;
                continue;
            };
            self.take_file(&filename, part.map(|chunk| chunk.map_err(form_broken))).await?;
        }
        Ok(())
    }

    /// `name` and `field` may come as words of the form, too.
    async fn take_word(&mut self, part: axum::extract::multipart::Field<'_>) -> Result<(), ApiError> {
        let key = part.name().unwrap_or_default().to_owned();
        let word = part.text().await.map_err(form_broken)?;
        match key.as_str() {
            "name" => self.query.name = Some(word),
            "field" if !word.is_empty() => self.query.field = Some(word),
            _ => {}
        }
        Ok(())
    }

    /// Takes one file.
    async fn take_file(
        &mut self,
        name: &str,
        mut content: impl Stream<Item = Result<Bytes, ApiError>> + Unpin,
    ) -> Result<(), ApiError> {
        if self.files.len() >= FILES {
            return Err(ApiError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_many_files",
                format!("more than {FILES} files"),
            )
            .hint("join them into one JSON Lines file"));
        }
        let path = self.folder.join(self.files.len().to_string());
        let disk = |source: std::io::Error| ApiError::internal("keeping an upload", source);
        let mut file = tokio::fs::File::create(&path).await.map_err(disk)?;
        while let Some(chunk) = content.next().await {
            let chunk = chunk?;
            self.bytes += chunk.len() as u64;
            if self.bytes > self.most_bytes {
                let message = format!("the upload is larger than {} MB", self.most_bytes / 1_000_000);
                return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
                    .hint("put it into the lab's folder with: kindling train, or bring it in parts"));
            }
            file.write_all(&chunk).await.map_err(disk)?;
        }
        file.flush().await.map_err(disk)?;
        self.files.push((shown(name), path));
        Ok(())
    }

    /// Refuses what can be seen to be no upload before the engine looks at it.
    fn check(&self) -> Result<(), ApiError> {
        if self.files.is_empty() {
            return Err(ApiError::invalid("text_empty", "the form holds no file").hint("bring a file with text in it"));
        }
        if self.bytes == 0 {
            return Err(DataError::Empty { name: self.files[0].0.clone() }.into());
        }
        Ok(())
    }

    fn name(&self) -> String {
        let given = self.query.name.as_deref().map(shown).filter(|name| !name.is_empty());
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

impl Drop for Received {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            tracing::warn!("{} could not be removed: {error}", self.folder.display());
        }
    }
}

/// A name as it may be shown: one line, no more than 120 characters. Never used as a path.
fn shown(name: &str) -> String {
    name.trim().chars().filter(|c| !c.is_control()).take(120).collect()
}

/// An id made of a name that no text has yet.
async fn free_id(state: &AppState, name: &str) -> Result<CorpusId, ApiError> {
    let taken: Vec<CorpusId> = state.texts.list().await?.into_iter().map(|info| info.id).collect();
    let wanted = slug(name);
    let numbered = (2..10_000).map(|number| format!("{wanted}-{number}"));
    let ids = std::iter::once(wanted.clone()).chain(numbered).filter_map(|text| text.parse::<CorpusId>().ok());
    let mut free = ids.filter(|id| !taken.contains(id) && state.jobs.running_on(id).is_none());
    free.next().ok_or_else(|| {
        ApiError::conflict("corpus_exists", format!("all names like {wanted} are taken")).hint("choose another name")
    })
}

/// Letters, digits and dashes of a name; `text` where nothing is left of it.
fn slug(name: &str) -> String {
    let mut made = String::new();
    for c in name.to_lowercase().chars() {
        match c {
            'a'..='z' | '0'..='9' => made.push(c),
            _ if made.is_empty() || made.ends_with('-') => {}
            _ => made.push('-'),
        }
    }
    made.truncate(48);
    let made = made.trim_end_matches('-');
    if made.is_empty() { "text".to_owned() } else { made.to_owned() }
}

fn broken(source: axum::Error) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "upload_broken", format!("the upload broke off: {source}")).hint("try again")
}

fn form_broken(source: MultipartError) -> ApiError {
    ApiError::new(source.status(), "form_malformed", format!("the form broke off: {}", source.body_text()))
        .hint("try again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_ids_and_never_paths() {
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
