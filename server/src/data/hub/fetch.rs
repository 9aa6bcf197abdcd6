//! Downloads files of a repository into a folder. What an earlier attempt has received is not sent again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::address::Address;
use super::client::{Client, Rest};
use super::downloads::DownloadFolder;
use super::error::HubError;
use super::listing::{HubFile, Listing};
use crate::data::disk::check_space;
use crate::data::download::hash_of;
use crate::data::jobs::JobHandle;

/// Bytes between two reports of progress.
const REPORT_EVERY: u64 = 256 * 1024;
/// Bytes between two checks of the free space.
const CHECK_EVERY: u64 = 16_000_000;

/// One download: from where, to where, and who watches it.
pub struct Fetch<'a> {
    pub client: &'a Client,
    pub address: &'a Address,
    pub listing: &'a Listing,
    pub folder: &'a DownloadFolder,
    pub job: &'a JobHandle,
}

/// Bytes of all files of a download.
struct Counted {
    done: u64,
    total: u64,
    reported: u64,
}

impl Fetch<'_> {
    /// Checks that the disk has room for files, and for `extra` bytes made of them.
    ///
    /// # Errors
    /// 507 for a disk with less space.
    pub fn check_space(&self, files: &[&HubFile], extra: u64) -> Result<(), HubError> {
        let missing = |file: &&HubFile| file.bytes.unwrap_or(0).saturating_sub(size_of(&self.folder.place(&file.path)));
        let needed = files.iter().map(missing).fold(extra, u64::saturating_add);
        Ok(check_space(self.folder.path(), needed)?)
    }

    /// Downloads files; returns each with the place where it is.
    ///
    /// # Errors
    /// As for [`Client::list`]; a file of another size or hash than the hub lists; an interrupted download; a cancelled job; an IO error.
    pub fn run(&self, files: &[&HubFile]) -> Result<Vec<(String, PathBuf)>, HubError> {
        let total = files.iter().filter_map(|file| file.bytes).fold(0, u64::saturating_add);
        let mut counted = Counted { done: 0, total, reported: 0 };
        let mut places = vec![];
        for file in files {
            let place = self.folder.place(&file.path);
            self.complete(file, &place, &mut counted)?;
            check_hash(file, &place)?;
            places.push((file.path.clone(), place));
        }
        Ok(places)
    }

    /// Downloads the rest of a file. After an interruption the next request continues, as long as each brings something.
    fn complete(&self, file: &HubFile, place: &Path, counted: &mut Counted) -> Result<(), HubError> {
        let before = counted.done;
        loop {
            let have = size_of(place);
            counted.done = before + have;
            if file.bytes == Some(have) && place.exists() {
                return Ok(());
            }
            match self.receive(file, place, have, counted) {
                Err(HubError::Interrupted { done, .. }) if done > have => {}
                ended => return ended,
            }
        }
    }

    fn receive(&self, file: &HubFile, place: &Path, have: u64, counted: &mut Counted) -> Result<(), HubError> {
        let disk = |source| HubError::Disk { path: place.to_owned(), source };
        if let Some(expected) = file.bytes.filter(|expected| *expected < have) {
            return Err(self.altered(file, place, have, expected));
        }
        let Rest { from, total, content } = self.client.open(self.address, &self.listing.commit, file, have)?;
        if let (Some(expected), Some(found)) = (file.bytes, total)
            && expected != found
        {
            return Err(self.altered(file, place, found, expected));
        }
        let to = OpenOptions::new().create(true).write(true).append(from > 0).truncate(from == 0).open(place);
        counted.done = counted.done - have + from;
        let expected = file.bytes.or(total);
        self.copy(content, to.map_err(disk)?, file, (place, from, expected), counted)
    }

    fn copy(
        &self,
        mut from: impl Read,
        mut to: File,
        file: &HubFile,
        (place, begun, expected): (&Path, u64, Option<u64>),
        counted: &mut Counted,
    ) -> Result<(), HubError> {
        let disk = |source| HubError::Disk { path: place.to_owned(), source };
        let stopped = |done, source| HubError::Interrupted { path: file.path.clone(), done, source };
        let mut buffer = vec![0; 64 * 1024];
        let (mut done, mut checked) = (begun, begun);
        loop {
            if self.job.is_cancelled() {
                return Err(HubError::Cancelled);
            }
            let count = from.read(&mut buffer).map_err(|source| stopped(done, source))?;
            if count == 0 {
                break;
            }
            to.write_all(&buffer[..count]).map_err(disk)?;
            (done, counted.done) = (done + count as u64, counted.done + count as u64);
            if let Some(expected) = expected.filter(|expected| done > *expected) {
                return Err(self.altered(file, place, done, expected));
            }
            if done - checked >= CHECK_EVERY {
                checked = done;
                check_space(self.folder.path(), CHECK_EVERY)?;
            }
            self.report(counted);
        }
        if expected.is_some_and(|expected| done < expected) {
            return Err(stopped(done, io::ErrorKind::UnexpectedEof.into()));
        }
        to.sync_all().map_err(disk)
    }

    fn report(&self, counted: &mut Counted) {
        if counted.done >= counted.reported + REPORT_EVERY {
            counted.reported = counted.done;
            self.job.progress(counted.done, Some(counted.total.max(counted.done)), "bytes");
        }
    }

    /// The error for a file of another size than the hub lists. It is deleted, so that the next attempt does not continue it.
    fn altered(&self, file: &HubFile, place: &Path, found: u64, expected: u64) -> HubError {
        discard(place, HubError::Size { path: file.path.clone(), found, expected })
    }
}

fn check_hash(file: &HubFile, place: &Path) -> Result<(), HubError> {
    let Some(expected) = &file.sha256 else { return Ok(()) };
    let found = hash_of(place).map_err(|source| HubError::Disk { path: place.to_owned(), source })?;
    match found.eq_ignore_ascii_case(expected) {
        true => Ok(()),
        false => Err(discard(place, HubError::Hash { path: file.path.clone(), found, expected: expected.clone() })),
    }
}

/// Deletes a file that the error is about.
fn discard(place: &Path, error: HubError) -> HubError {
    match fs::remove_file(place) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => HubError::Disk { path: place.to_owned(), source },
        _ => error,
    }
}

fn size_of(place: &Path) -> u64 {
    place.metadata().map_or(0, |data| data.len())
}
