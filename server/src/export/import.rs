//! Imports: the archive of a run, or the files of a model. An upload is received, unpacked and checked in a separate folder, and becomes a
//! run as a whole or not at all.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use axum::extract::Request;
use engine::data::tokenizer::save_imported;
use store::{ImportedRun, NewRun, StoreError};
use wire::control::author::Author;
use wire::control::event::EventRecord;
use wire::device::{DeviceInfo, DeviceKind};
use wire::{DeviceId, Event, RunId, RunSpec, RunState};

use super::imported_model::{self, NewEntry};
use super::tarball::{copy, each_member, invalid, is_tarball};
use super::unpack::{self, Unpacked};
use crate::data::background;
use crate::data::disk::write_failed;
use crate::data::upload::Upload;
use crate::error::ApiError;
use crate::lab::Lab;
use crate::lab::name::{NAME_CHARS, checked_name};
use crate::live::clock::now_ms;
use crate::runs::create::new_id;
use crate::runs::origins;

/// Maximum number of files that a model needs: its texts, and the shards of its weights.
pub(super) const FILES: usize = 256;

/// Imports what a request contains as a run.
///
/// # Errors
/// 413 for a large upload, 422 for invalid content; an interrupted upload; an IO error.
pub async fn import(
    lab: &Lab,
    request: Request,
    name: Option<String>,
    project: String,
    author: Author,
) -> Result<RunId, ApiError> {
    let mut upload = Upload::new(&lab.data, lab.settings.import_bytes)?;
    upload.receive(request, "archive.tar").await?;
    let shared = lab.clone();
    // The caller may disconnect: a run that has been received is imported as a whole.
    let work = tokio::spawn(async move { store_upload(&shared, upload, name, project, author, None).await });
    work.await.map_err(|source| ApiError::internal("importing a run", source))?
}

/// Imports received files as a run; `from` says where a model comes from, for the journal.
///
/// # Errors
/// 422 for invalid content; an IO error.
pub(super) async fn store_upload(
    lab: &Lab,
    upload: Upload,
    wanted: Option<String>,
    project: String,
    author: Author,
    from: Option<String>,
) -> Result<RunId, ApiError> {
    if upload.files.is_empty() || upload.bytes == 0 {
        return Err(ApiError::invalid("upload_empty", "the upload is empty")
            .hint("send the archive of a run, or all files of the folder of a model: config.json, model.safetensors, tokenizer.json"));
    }
    let wanted = wanted.map(|name| checked_name(&name)).transpose()?;
    let taken = lab.store().runs(true).await?;
    let context = Context {
        wanted,
        from,
        author,
        taken: taken.into_iter().map(|run| (run.id, run.name)).collect(),
        devices: lab.workers.fleet.infos(),
        corpora: lab.data.corpora.folder().to_owned(),
    };
    // The folder of the upload is deleted when it is dropped, after the run is stored.
    let read = background::spawn(move || read_upload(&upload, context).map(|imported_run| (imported_run, upload)));
    let (mut imported_run, _upload) =
        read.await.map_err(|source| ApiError::internal("reading an upload", source))??;
    origins::check(lab, &imported_run.run.plan, &project).await?;
    imported_run.run.spec.project = Some(project);
    let id = imported_run.run.id.clone();
    let summary = lab.store().import_run(imported_run).await.map_err(|error| match error {
        StoreError::InvalidImport { .. } | StoreError::SeriesName { .. } => invalid(error.to_string()).source(error),
        other => other.into(),
    })?;
    lab.feed.hub.publish(summary, vec![], vec![], vec![]);
    lab.feed.lab_changed();
    Ok(id)
}

/// What an import needs to know of the lab and the request.
struct Context {
    /// Display name in the request.
    wanted: Option<String>,
    from: Option<String>,
    author: Author,
    /// Ids and names of the runs of the lab.
    taken: Vec<(RunId, String)>,
    devices: Vec<DeviceInfo>,
    corpora: PathBuf,
}

/// Reads the archive of a run, or else a model.
fn read_upload(upload: &Upload, context: Context) -> Result<ImportedRun, ApiError> {
    let folder = upload.folder().join("unpacked");
    std::fs::create_dir_all(&folder).map_err(|source| write_failed("unpacking an upload", source))?;
    let tarball = match upload.files.as_slice() {
        [(_, path)] if is_tarball(path) => Some(path),
        [(name, _)] if name.to_ascii_lowercase().ends_with(".tar") => return Err(not_an_archive(name)),
        _ => None,
    };
    if let Some(tarball) = tarball
        && is_run(tarball)?
    {
        return adopt(unpack::unpack(tarball, &folder)?, context);
    }
    let (files, given) = match tarball {
        Some(tarball) => unpack_model(tarball, &folder)?,
        None => (upload.files.clone(), "model".to_owned()),
    };
    let Context { wanted, from, author, taken, devices, corpora } = context;
    let name = free_name(&wanted.unwrap_or(given), &taken);
    let entry = NewEntry { id: new_id().1, name, from, author, at_ms: now_ms() };
    imported_model::read(&files, &folder, &corpora, entry, &choose_device(None, &devices))
}

fn not_an_archive(name: &str) -> ApiError {
    ApiError::invalid("archive_invalid", format!("{name:?} is not a run archive"))
        .hint("choose a .tar file that Kindling exported, or all files of the model's folder")
}

fn is_run(tarball: &Path) -> Result<bool, ApiError> {
    let mut found = false;
    each_member(tarball, |path, _, _| {
        found |= path.ends_with("/run.json") || path.ends_with("/manifest.json");
        Ok(())
    })?;
    Ok(found)
}

/// Unpacks the needed files of a model under numbers; returns all files with their names, and the name of their folder. The others are not
/// written: they have the place of an empty file.
fn unpack_model(tarball: &Path, folder: &Path) -> Result<(Vec<(String, PathBuf)>, String), ApiError> {
    let mut paths = vec![];
    each_member(tarball, |path, _, _| {
        paths.push(path.to_owned());
        Ok(())
    })?;
    let needed: HashSet<usize> = engine::interop::folder::select(&paths)?.needed.into_iter().collect();
    if needed.len() > FILES {
        return Err(invalid(format!("the tar file has more than {FILES} files of weights, too many for a model")));
    }
    let ignored = folder.join("ignored");
    let mut files: Vec<(String, PathBuf)> = vec![];
    each_member(tarball, |path, bytes, content| {
        let place = files.len();
        let to = if needed.contains(&place) { folder.join(place.to_string()) } else { ignored.clone() };
        if needed.contains(&place) {
            copy(path, bytes, content, &to)?;
        }
        files.push((path.to_owned(), to));
        Ok(())
    })?;
    let given = paths.first().and_then(|path| path.split_once('/')).map_or("model", |(top, _)| top);
    Ok((files, given.to_owned()))
}

/// The run of an archive as a run of this lab: with a free id and name, on a device of this lab, and with its tokenizer stored.
fn adopt(unpacked: Unpacked, context: Context) -> Result<ImportedRun, ApiError> {
    let Unpacked { record, mut events, tokenizer, series, checkpoints, kindling } = unpacked;
    let Context { wanted, author, taken, devices, corpora, .. } = context;
    let mut plan = record.plan;
    if let Some(file) = tokenizer {
        plan.tokenizer = save_imported(&corpora, &file)?;
    }
    plan.device = choose_device(Some(&plan.device), &devices).id;
    let id = match taken.iter().any(|(id, _)| *id == record.run) {
        true => new_id().1,
        false => record.run.clone(),
    };
    unpack::rename(&checkpoints, &id, &plan)?;
    let from = format!("the run {} of another lab (kindling {kindling})", record.run);
    events.push(imported(&events, author.clone(), from));
    let (state, message) = match record.state {
        RunState::Finished => (RunState::Finished, None),
        RunState::Failed => (RunState::Failed, record.message),
        _ => (RunState::Stopped, None),
    };
    let run = NewRun {
        id,
        name: free_name(&wanted.unwrap_or(record.name), &taken),
        corpus: record.corpus,
        // A pool of another lab.
        spec: RunSpec { pool: None, ..record.spec },
        plan,
        estimate: record.estimate,
        references: record.references,
        device_name: record.device_name,
        created_ms: record.created_ms,
        author,
    };
    Ok(ImportedRun { run, events, state, message, curves: series, checkpoints, pinned: record.pinned })
}

/// The event of the import, after all events of the archive.
fn imported(events: &[EventRecord], author: Author, from: String) -> EventRecord {
    EventRecord {
        number: events.len() as u64 + 1,
        segment: events.iter().map(|record| record.segment).max().unwrap_or(0),
        step: events.last().map_or(0, |record| record.step),
        at_ms: now_ms(),
        author,
        command_id: None,
        reason: None,
        event: Event::Imported { from },
    }
}

/// The name, with a number appended if a run has it already.
fn free_name(wanted: &str, taken: &[(RunId, String)]) -> String {
    let plain: String = wanted.chars().filter(|c| !c.is_control()).take(NAME_CHARS - 6).collect();
    let plain = if plain.trim().is_empty() { "model" } else { plain.trim() };
    let numbered = (2..).map(|number| format!("{plain} {number}"));
    let mut names = std::iter::once(plain.to_owned()).chain(numbered);
    names.find(|name| !taken.iter().any(|(_, other)| other == name)).unwrap_or_else(|| plain.to_owned())
}

/// The device with this id, or else the fastest; if none has connected yet, the CPU of this machine.
fn choose_device(wanted: Option<&DeviceId>, devices: &[DeviceInfo]) -> DeviceInfo {
    let named = devices.iter().find(|device| Some(&device.id) == wanted);
    let fastest = || devices.iter().max_by(|a, b| a.flops_per_sec.total_cmp(&b.flops_per_sec)).cloned();
    named
        .cloned()
        .or_else(fastest)
        .unwrap_or_else(|| DeviceInfo { kind: DeviceKind::Cpu, ..engine::device::EngineDevice::processor().info })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_imported_run_gets_a_free_name() {
        let taken: Vec<(RunId, String)> =
            ["amber-fox", "amber-fox 2"].iter().map(|name| ("x".parse().unwrap(), (*name).to_owned())).collect();
        assert_eq!(free_name("amber-fox", &taken), "amber-fox 3");
        assert_eq!(free_name("gpt2\n", &taken), "gpt2");
        assert_eq!(free_name(" \t", &taken), "model");
        assert!(free_name(&"x".repeat(500), &taken).chars().count() <= NAME_CHARS);
    }
}
