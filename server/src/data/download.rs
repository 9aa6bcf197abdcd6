//! Downloads a dataset: into a partial file that a later attempt continues, checked by its hash, then imported like an upload.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::data::import::{Files, import_files};
use ring::digest::{Context, SHA256};
use wire::data::corpus::{CatalogueEntry, Source};
use wire::data::import::ImportOptions;

use super::Data;
use super::background::on_a_core;
use super::corpora::{progress_of, with_hint};
use super::jobs::JobHandle;

/// Bytes between two reports of progress.
const REPORT_EVERY: u64 = 256 * 1024;

/// Errors of a download from the catalogue.
#[derive(Debug, thiserror::Error)]
enum DownloadError {
    #[error("cannot reach {host}: {source}; check the network, or download the file elsewhere and upload it")]
    Offline { host: String, source: Box<ureq::Error> },
    #[error("{host} answered with status {status}; the file may have moved: find it and upload it")]
    Status { host: String, status: u16 },
    #[error("the download stopped after {done} bytes: {source}; try again to continue from there")]
    Interrupted { done: u64, source: io::Error },
    #[error("the file has the SHA-256 {found} instead of {expected}, and was deleted: try again, or upload the file")]
    WrongHash { found: String, expected: String },
    #[error("{}: {source}", path.display())]
    Disk { path: PathBuf, source: io::Error },
    #[error("{}", with_hint(.0))]
    Dataset(#[from] engine::DataError),
}

/// Downloads and imports a dataset; the job says whether it failed.
pub(super) fn fetch(data: &Data, entry: &CatalogueEntry, job: JobHandle) {
    let part = data.incoming.join(format!("{}.part", entry.id));
    let ended = download(entry, &part, &job)
        .and_then(|()| check_hash(entry, &part))
        .and_then(|()| import(data, entry, &part, &job));
    match ended {
        Ok(()) => {
            if let Err(error) = fs::remove_file(&part) {
                tracing::warn!("{} could not be removed: {error}", part.display());
            }
            job.done();
        }
        Err(error) => {
            tracing::warn!("{} could not be downloaded: {error}", entry.id);
            job.failed(error.to_string());
        }
    }
}

fn download(entry: &CatalogueEntry, part: &Path, job: &JobHandle) -> Result<(), DownloadError> {
    let disk = |source| DownloadError::Disk { path: part.to_owned(), source };
    part.parent().map_or(Ok(()), fs::create_dir_all).map_err(disk)?;
    let have = fs::metadata(part).map_or(0, |metadata| metadata.len());
    let host = host_of(&entry.url);
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(Duration::from_secs(15)))
        .timeout_recv_response(Some(Duration::from_secs(30)))
        .http_status_as_error(false)
        .build()
        .into();
    let mut request = agent.get(&entry.url);
    if have > 0 {
        request = request.header("range", format!("bytes={have}-"));
    }
    let response =
        request.call().map_err(|source| DownloadError::Offline { host: host.clone(), source: Box::new(source) })?;
    let done = match response.status().as_u16() {
        200 => 0,
        206 => have,
        // The partial file is already complete: its hash decides.
        416 if have > 0 => return Ok(()),
        status => return Err(DownloadError::Status { host, status }),
    };
    let rest = response.headers().get("content-length").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let file =
        OpenOptions::new().create(true).write(true).append(done > 0).truncate(done == 0).open(part).map_err(disk)?;
    let total = rest.map_or(entry.download_bytes, |rest| done + rest);
    copy(response.into_body().into_reader(), file, part, done, total, job)
}

fn copy(
    mut from: impl Read,
    mut to: File,
    part: &Path,
    mut done: u64,
    total: u64,
    job: &JobHandle,
) -> Result<(), DownloadError> {
    let disk = |source| DownloadError::Disk { path: part.to_owned(), source };
    let mut buffer = vec![0; 64 * 1024];
    let mut reported = done;
    loop {
        let count = from.read(&mut buffer).map_err(|source| DownloadError::Interrupted { done, source })?;
        if count == 0 {
            break;
        }
        to.write_all(&buffer[..count]).map_err(disk)?;
        done += count as u64;
        if done - reported >= REPORT_EVERY {
            reported = done;
            job.progress(done, Some(total), "bytes");
        }
    }
    if done < total {
        return Err(DownloadError::Interrupted { done, source: io::ErrorKind::UnexpectedEof.into() });
    }
    to.sync_all().map_err(disk)
}

fn check_hash(entry: &CatalogueEntry, part: &Path) -> Result<(), DownloadError> {
    let Some(expected) = &entry.sha256 else { return Ok(()) };
    let found = hash_of(part).map_err(|source| DownloadError::Disk { path: part.to_owned(), source })?;
    if found == *expected {
        return Ok(());
    }
    fs::remove_file(part).map_err(|source| DownloadError::Disk { path: part.to_owned(), source })?;
    Err(DownloadError::WrongHash { found, expected: expected.clone() })
}

/// SHA-256 of a file, in hex.
pub(super) fn hash_of(path: &Path) -> io::Result<String> {
    let mut context = Context::new(&SHA256);
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        context.update(&buffer[..count]);
    }
    Ok(context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn import(data: &Data, entry: &CatalogueEntry, part: &Path, job: &JobHandle) -> Result<(), DownloadError> {
    let name = entry.url.rsplit('/').next().unwrap_or("text.txt").to_owned();
    let files = [(name, part.to_owned())];
    let options = ImportOptions { field: entry.field.clone(), ..ImportOptions::default() };
    let from = Files { files: &files, options: &options, max_text_bytes: u64::MAX };
    let source = Source::Catalogue { url: entry.url.clone() };
    let import = || import_files(data.corpora.folder(), &entry.id, &entry.name, source, from, &mut progress_of(job));
    on_a_core(import)?;
    Ok(())
}

/// The host of an address, for messages.
pub(super) fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', ':']).next().unwrap_or(rest).to_owned()
}

#[cfg(test)]
mod tests;
