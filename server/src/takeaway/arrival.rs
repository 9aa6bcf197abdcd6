//! What comes in: an archive of a run, or a model's files, by one route. All of it is received, laid out and checked in a folder of its
//! own, and becomes a run at once or not at all.

use std::path::{Path, PathBuf};

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use engine::tokenizer::keep_brought;
use serde::Deserialize;
use store::{Adopted, NewRun, StoreError};
use utoipa::IntoParams;
use wire::device::{DeviceInfo, DeviceKind};
use wire::event::{Author, EventRecord};
use wire::{ApiErrorBody, DeviceId, Event, RunId, RunState, RunView};

use super::guest::{self, Name};
use super::tarball::{copy, each_member, is_tarball, unfit};
use super::unpack::{self, Unpacked};
use crate::api_error::{ApiError, Query};
use crate::app_state::AppState;
use crate::auth::{Steerer, author};
use crate::clock::{now_ms, random};
use crate::runs::{self, store_error};
use crate::upload::{Received, UploadQuery};

/// Most files of one model.
const FILES: usize = 64;

/// What comes in, as what.
#[derive(Deserialize, IntoParams)]
pub struct ImportQuery {
    /// Name for people; the run's own unless told, or the model's file's.
    name: Option<String>,
}

/// Brings in a run's archive, or a model of GPT-2's or Llama's shape from `transformers` (config.json, model.safetensors, tokenizer.json, as
/// files of a form or as one tar). It becomes a run that is over: with its curves, journal and checkpoints, to look at, write with and fork.
#[utoipa::path(post, path = "/runs/import", tag = "runs", params(ImportQuery),
    request_body(content = Vec<u8>, description = "A tar; or multipart/form-data with a tar or a model's files.", content_type = "application/x-tar"),
    responses((status = 201, body = RunView), (status = 413, body = ApiErrorBody), (status = 422, description = "What is wrong with it.", body = ApiErrorBody)))]
pub async fn import_run(
    Steerer(identity): Steerer,
    State(state): State<AppState>,
    Query(query): Query<ImportQuery>,
    request: Request,
) -> Result<(StatusCode, Json<RunView>), ApiError> {
    let mut received = Received::new(&state, UploadQuery::default(), state.settings.import_bytes)?;
    received.take(&state, request, "archive.tar").await?;
    let shared = state.clone();
    let author = author(&identity);
    // Whoever asked may go; a run that is half-way in still comes in whole or not at all.
    let work = tokio::spawn(async move { take_in(&shared, received, query.name, author).await });
    let id = work.await.map_err(|source| ApiError::internal("bringing a run in", source))??;
    Ok((StatusCode::CREATED, Json(runs::view_of(&state, &id).await?)))
}

async fn take_in(
    state: &AppState,
    received: Received,
    wanted: Option<String>,
    author: Author,
) -> Result<RunId, ApiError> {
    if received.files.is_empty() || received.bytes == 0 {
        return Err(ApiError::invalid("upload_empty", "nothing came in")
            .hint("send a run's archive, or config.json, model.safetensors and tokenizer.json"));
    }
    let wanted = wanted.map(|name| runs::checked_name(&name)).transpose()?;
    let taken = state.store.runs(true).await.map_err(|source| ApiError::internal("listing the runs", source))?;
    let taken: Vec<(RunId, String)> = taken.into_iter().map(|run| (run.id, run.name)).collect();
    let (devices, corpora) = (state.fleet.infos(), state.texts.folder().to_owned());
    let laid_out = tokio::task::spawn_blocking(move || {
        let adopted = lay_out(&received, wanted, author, &taken, &devices, &corpora);
        // The folder goes when this is dropped.
        adopted.map(|adopted| (adopted, received))
    });
    let (adopted, _received) = laid_out.await.map_err(|source| ApiError::internal("reading an upload", source))??;
    let id = adopted.run.id.clone();
    let summary = state.store.adopt_run(adopted).await.map_err(|source| match source {
        StoreError::NotAdoptable { .. } | StoreError::SeriesName { .. } => unfit(source.to_string()),
        other => store_error(&id, other),
    })?;
    state.hub.publish(summary, vec![], vec![], vec![]);
    state.lab_changed();
    Ok(id)
}

/// An archive by its papers, anything else as a model.
fn lay_out(
    received: &Received,
    wanted: Option<String>,
    author: Author,
    taken: &[(RunId, String)],
    devices: &[DeviceInfo],
    corpora: &Path,
) -> Result<Adopted, ApiError> {
    let folder = received.folder.join("laid-out");
    std::fs::create_dir_all(&folder).map_err(|source| ApiError::internal("keeping an upload", source))?;
    let tarball = match received.files.as_slice() {
        [(_, path)] if is_tarball(path) => Some(path),
        _ => None,
    };
    if let Some(tarball) = tarball
        && holds_run(tarball)?
    {
        let unpacked = unpack::unpack(tarball, &folder)?;
        return adopt(unpacked, wanted, author, taken, devices, corpora);
    }
    let (files, given) = match tarball {
        Some(tarball) => unpack_model(tarball, &folder)?,
        None => (received.files.clone(), "model".to_owned()),
    };
    let (_, id) = wire::id::name_run(random());
    let name = free_name(&wanted.unwrap_or(given), taken);
    let device = choose_device(None, devices);
    guest::read(&files, &folder, corpora, Name { id, name, author, at_ms: now_ms() }, &device)
}

fn holds_run(tarball: &Path) -> Result<bool, ApiError> {
    let mut found = false;
    each_member(tarball, |path, _, _| {
        found |= path.ends_with("/run.json") || path.ends_with("/manifest.json");
        Ok(())
    })?;
    Ok(found)
}

/// A model's files out of a tarball, under numbers, with the names they had and that of their folder.
fn unpack_model(tarball: &Path, folder: &Path) -> Result<(Vec<(String, PathBuf)>, String), ApiError> {
    let mut files = vec![];
    let mut given = None;
    each_member(tarball, |path, bytes, content| {
        if files.len() >= FILES {
            return Err(unfit(format!("a model has no more than {FILES} files")));
        }
        let to = folder.join(files.len().to_string());
        copy(path, bytes, content, &to)?;
        if let Some((top, _)) = path.split_once('/') {
            given.get_or_insert_with(|| top.to_owned());
        }
        files.push((path.to_owned(), to));
        Ok(())
    })?;
    Ok((files, given.unwrap_or_else(|| "model".to_owned())))
}

/// An archive as a run of this lab: under a name of its own, on a device that is here, with its tokenizer kept.
fn adopt(
    unpacked: Unpacked,
    wanted: Option<String>,
    author: Author,
    taken: &[(RunId, String)],
    devices: &[DeviceInfo],
    corpora: &Path,
) -> Result<Adopted, ApiError> {
    let Unpacked { papers, mut events, tokenizer, curves, checkpoints, kindling } = unpacked;
    let mut plan = papers.plan;
    if let Some(file) = tokenizer {
        plan.tokenizer = keep_brought(corpora, &file)?;
    }
    let device = choose_device(Some(&plan.device), devices);
    plan.device = device.id;
    let id = match taken.iter().any(|(id, _)| *id == papers.run) {
        true => wire::id::name_run(random()).1,
        false => papers.run.clone(),
    };
    unpack::rename(&checkpoints, &id, &plan)?;
    let last = events.last();
    let (segment, step) = (events.iter().map(|line| line.segment).max().unwrap_or(0), last.map_or(0, |line| line.step));
    events.push(EventRecord {
        number: events.len() as u64 + 1,
        segment,
        step,
        at_ms: now_ms(),
        author: author.clone(),
        command_id: None,
        reason: None,
        event: Event::Imported { from: format!("the run {} of another lab (kindling {kindling})", papers.run) },
    });
    let name = free_name(&wanted.unwrap_or(papers.name), taken);
    let (state, message) = match papers.state {
        RunState::Finished => (RunState::Finished, None),
        RunState::Failed => (RunState::Failed, papers.message),
        _ => (RunState::Stopped, None),
    };
    let run = NewRun {
        id,
        name,
        corpus: papers.corpus,
        spec: papers.spec,
        plan,
        estimate: papers.estimate,
        references: papers.references,
        device_name: papers.device_name,
        created_ms: papers.created_ms,
        author,
    };
    Ok(Adopted { run, events, state, message, curves, checkpoints, pinned: papers.pinned })
}

/// The name, or the first with a number that no run has.
fn free_name(wanted: &str, taken: &[(RunId, String)]) -> String {
    let plain: String = wanted.chars().filter(|c| !c.is_control()).take(runs::NAME_CHARS - 6).collect();
    let plain = if plain.trim().is_empty() { "model" } else { plain.trim() };
    let numbered = (2..).map(|number| format!("{plain} {number}"));
    let mut names = std::iter::once(plain.to_owned()).chain(numbered);
    names.find(|name| !taken.iter().any(|(_, other)| other == name)).unwrap_or_else(|| plain.to_owned())
}

/// The device of this name, or the fastest here; where none has reported yet, this machine's processor.
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
    fn a_name_is_free_and_plain() {
        let taken: Vec<(RunId, String)> =
            ["amber-fox", "amber-fox 2"].iter().map(|name| ("x".parse().unwrap(), (*name).to_owned())).collect();
        assert_eq!(free_name("amber-fox", &taken), "amber-fox 3");
        assert_eq!(free_name("gpt2\n", &taken), "gpt2");
        assert_eq!(free_name(" \t", &taken), "model");
        assert!(free_name(&"x".repeat(500), &taken).chars().count() <= runs::NAME_CHARS);
    }
}
