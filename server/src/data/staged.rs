//! Uploads that wait to be imported: their files are on disk, so that different options can be previewed and one of them imported without
//! sending the files again. Each is deleted an hour after it was last asked for, and when the server ends.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::Request;
use engine::data::import::{ISSUES_FILE, preview_files};
use store::Identity;
use wire::data::corpus::CorpusInfo;
use wire::data::import::{ImportOptions, StagedUpload};

use super::upload::{Upload, UploadQuery, dataset_name};
use super::{Data, Outcome};
use crate::error::ApiError;
use crate::live::clock::now_ms;

/// How long an upload waits after it was last asked for.
const KEPT_FOR: Duration = Duration::from_secs(3600);
/// Uploads that wait at the same time, of all senders and of one.
const MAX_STAGED: usize = 16;
const MAX_OF_ONE: usize = 4;
/// Text that a preview reads, bytes.
const PREVIEW_BYTES: u64 = 64_000_000;

/// The waiting uploads by their ids; cloning shares them.
#[derive(Clone, Default)]
pub(super) struct Staged(Arc<Mutex<BTreeMap<String, Waiting>>>);

/// Whose an upload is; for others it does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadOwner {
    Person(i64),
    /// A token without a person, by its id.
    Token(i64),
}

impl UploadOwner {
    pub fn of(identity: &Identity) -> Self {
        identity.person.map_or(Self::Token(identity.token_id), Self::Person)
    }
}

struct Waiting {
    owner: UploadOwner,
    upload: Arc<Upload>,
    expires_ms: i64,
}

impl Staged {
    fn add(&self, owner: UploadOwner, upload: Upload) -> Result<String, ApiError> {
        let mut waiting = self.lock();
        check_room(&waiting, owner)?;
        let folder = upload.folder().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let id = folder.trim_start_matches("upload-").to_owned();
        waiting.insert(id.clone(), Waiting { owner, upload: Arc::new(upload), expires_ms: expiry() });
        Ok(id)
    }

    /// An upload and when it expires, which is put off.
    fn get(&self, owner: UploadOwner, id: &str) -> Result<(Arc<Upload>, i64), ApiError> {
        let mut waiting = self.lock();
        let found = waiting.get_mut(id).filter(|found| found.owner == owner).ok_or_else(|| {
            ApiError::not_found(format!("there is no upload {id}"))
                .hint("uploads expire after an hour and when the server restarts: upload the files again")
        })?;
        found.expires_ms = expiry();
        Ok((found.upload.clone(), found.expires_ms))
    }

    fn remove(&self, id: &str) -> Option<Arc<Upload>> {
        self.lock().remove(id).map(|waiting| waiting.upload)
    }

    /// Deletes an upload once it has expired.
    async fn expire(self, id: String) {
        loop {
            let left = match self.lock().get(&id) {
                Some(waiting) => waiting.expires_ms - now_ms(),
                None => return,
            };
            if left <= 0 {
                self.remove(&id);
                return;
            }
            tokio::time::sleep(Duration::from_millis(left.unsigned_abs())).await;
        }
    }

    // Code that holds this lock only looks up, inserts and removes, so the map is consistent also after a panic.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Checks that someone may add an upload to those that wait.
fn check_room(waiting: &BTreeMap<String, Waiting>, owner: UploadOwner) -> Result<(), ApiError> {
    let own = waiting.values().filter(|waiting| waiting.owner == owner).count();
    let message = match own >= MAX_OF_ONE {
        true => format!("{MAX_OF_ONE} of your uploads wait to be imported"),
        false if waiting.len() >= MAX_STAGED => format!("{MAX_STAGED} uploads wait to be imported"),
        false => return Ok(()),
    };
    Err(ApiError::busy(message).hint("import or cancel one of them, or wait until they expire"))
}

fn expiry() -> i64 {
    now_ms() + KEPT_FOR.as_millis() as i64
}

impl Data {
    /// Receives the files of a request, keeps them, and says what an import of them gives.
    ///
    /// # Errors
    /// As [`Self::upload`] for what is received; 429 while too many uploads wait.
    pub async fn stage(
        &self,
        owner: UploadOwner,
        query: UploadQuery,
        options: ImportOptions,
        max_bytes: u64,
        request: Request,
    ) -> Result<StagedUpload, ApiError> {
        check_room(&self.staged.lock(), owner)?;
        let upload = self.receive(query, options, max_bytes, request).await?;
        let options = upload.options.clone();
        let id = self.staged.add(owner, upload)?;
        tokio::spawn(self.staged.clone().expire(id.clone()));
        let preview = self.preview(owner, &id, options).await;
        if preview.is_err() {
            self.staged.remove(&id);
        }
        preview
    }

    /// What an import of a waiting upload gives with these options.
    ///
    /// # Errors
    /// 404 for an upload that does not wait, 422 for an unknown encoding; an IO error.
    pub async fn preview(
        &self,
        owner: UploadOwner,
        id: &str,
        options: ImportOptions,
    ) -> Result<StagedUpload, ApiError> {
        let (upload, expires_ms) = self.staged.get(owner, id)?;
        let (name, bytes, list) = (upload.name(), upload.bytes, upload.folder().join(ISSUES_FILE));
        let work = move || preview_files(upload.as_files(&options), PREVIEW_BYTES, &list);
        let read = tokio::task::spawn_blocking(work).await;
        let report = read.map_err(|source| ApiError::internal("reading an upload", source))??;
        Ok(StagedUpload { id: id.to_owned(), name, bytes, expires_ms, report })
    }

    /// Imports a waiting upload, which is deleted once that is done. A refused import can be tried again with other options.
    ///
    /// # Errors
    /// 404 for an upload that does not wait; as [`Self::upload`] for what it holds.
    pub async fn import_staged(
        &self,
        owner: UploadOwner,
        id: &str,
        name: Option<&str>,
        options: ImportOptions,
    ) -> Result<Outcome<CorpusInfo>, ApiError> {
        let (upload, _) = self.staged.get(owner, id)?;
        let name = name.map(dataset_name).transpose()?.flatten().unwrap_or_else(|| upload.name());
        let (staged, imported) = (self.staged.clone(), id.to_owned());
        self.import(upload, &name, options, move || drop(staged.remove(&imported))).await
    }

    /// Deletes a waiting upload.
    ///
    /// # Errors
    /// 404 for one that does not wait.
    pub fn discard(&self, owner: UploadOwner, id: &str) -> Result<(), ApiError> {
        self.staged.get(owner, id)?;
        self.staged.remove(id);
        Ok(())
    }

    /// The list of what the last preview of a waiting upload skipped.
    ///
    /// # Errors
    /// 404 for an upload that does not wait.
    pub fn staged_issues(&self, owner: UploadOwner, id: &str) -> Result<PathBuf, ApiError> {
        Ok(self.staged.get(owner, id)?.0.folder().join(ISSUES_FILE))
    }
}
