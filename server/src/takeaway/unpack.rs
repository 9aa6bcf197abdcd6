//! An archive read as a stranger's: each member goes to a place that its path is looked up in a table for, never to the path itself;
//! what is missing, altered, unknown or of another version is refused before anything of the run can be seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use engine::checkpoint::{self, MANIFEST as CHECKPOINT, STATE};
use engine::{EngineError, interop};
use serde::de::DeserializeOwned;
use wire::{CheckpointId, Event, EventRecord, RunId, RunPlan};

use super::archive::{FORMAT, JOURNAL, MANIFEST, Manifest, PAPERS, Papers};
use super::model;
use super::tarball::{Member, copy, each_member, unfit};
use crate::api_error::ApiError;

/// Longest file that is read whole, bytes.
const TEXT_BYTES: u64 = 256 << 20;

/// An archive laid out, every byte as its manifest has it.
pub struct Unpacked {
    /// The run's papers.
    pub papers: Papers,
    /// Its journal.
    pub events: Vec<EventRecord>,
    /// Its tokenizer, where it came along.
    pub tokenizer: Option<Vec<u8>>,
    /// Its curves: segment, name, file of points.
    pub curves: Vec<(u32, String, PathBuf)>,
    /// A folder of folders.
    pub checkpoints: PathBuf,
    /// Version of the program that wrote it.
    pub kindling: String,
}

/// Where a member goes.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Text(&'static str),
    Curve(usize),
    Checkpoint(CheckpointId, &'static str),
}

impl Place {
    /// By the path below the archive's folder.
    fn of(path: &str) -> Option<Self> {
        let among = |name: &str, known: &[&'static str]| known.iter().find(|known| **known == name).copied();
        match path.split('/').collect::<Vec<_>>().as_slice() {
            [name] => among(name, &[PAPERS, JOURNAL, MANIFEST, interop::TOKENIZER]).map(Self::Text),
            ["series", name] => {
                let digits =
                    name.strip_suffix(".points").filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
                digits.parse().ok().map(Self::Curve)
            }
            ["checkpoints", id, name] => Some(Self::Checkpoint(id.parse().ok()?, among(name, &[CHECKPOINT, STATE])?)),
            _ => None,
        }
    }

    fn path(&self, folder: &Path) -> PathBuf {
        match self {
            Self::Text(name) => folder.join(name),
            Self::Curve(place) => folder.join("series").join(format!("{place}.points")),
            Self::Checkpoint(id, name) => folder.join("checkpoints").join(id.to_string()).join(name),
        }
    }
}

/// Lays an archive out in an empty folder and holds it against its manifest.
///
/// # Errors
/// What is wrong with it, with the member's name.
pub fn unpack(tarball: &Path, folder: &Path) -> Result<Unpacked, ApiError> {
    let kept = |source: std::io::Error| ApiError::internal("keeping an upload", source);
    fs::create_dir_all(folder.join("series")).map_err(kept)?;
    fs::create_dir_all(folder.join("checkpoints")).map_err(kept)?;
    let mut found = vec![];
    let mut root = None;
    each_member(tarball, |full, bytes, content| {
        let (top, path) = full.split_once('/').ok_or_else(|| unfit(format!("{full:?} is in no folder")))?;
        if *root.get_or_insert_with(|| top.to_owned()) != top {
            return Err(unfit(format!("{full:?} is in another folder than the rest")));
        }
        let place = Place::of(path).ok_or_else(|| unfit(format!("{full:?} is no part of a run")))?;
        let to = place.path(folder);
        if let Place::Checkpoint(id, _) = place {
            fs::create_dir_all(folder.join("checkpoints").join(id.to_string())).map_err(kept)?;
        }
        let blake3 = copy(full, bytes, content, &to)?;
        found.push(Member { path: path.to_owned(), bytes, blake3 });
        Ok(())
    })?;
    let manifest: Manifest = read_json(folder, MANIFEST)?;
    if manifest.format != FORMAT {
        let message = format!("it has format {} and this program reads {FORMAT}", manifest.format);
        return Err(unfit(message).hint("use the newer program"));
    }
    found.retain(|member| member.path != MANIFEST);
    compare(&manifest.members, &found)?;
    let papers: Papers = read_json(folder, PAPERS)?;
    check_numbers(&papers.plan)?;
    let events = read_journal(folder)?;
    let curves: Vec<(u32, String, PathBuf)> = papers
        .curves
        .iter()
        .enumerate()
        .map(|(place, (segment, name))| (*segment, name.clone(), Place::Curve(place).path(folder)))
        .collect();
    let named: BTreeSet<&(u32, String)> = papers.curves.iter().collect();
    let count = found.iter().filter(|member| member.path.starts_with("series/")).count();
    if named.len() != curves.len() || count != curves.len() || !curves.iter().all(|(.., file)| file.is_file()) {
        return Err(unfit(format!("it holds {count} curves and names {}", named.len())));
    }
    let tokenizer = folder.join(interop::TOKENIZER);
    let tokenizer = tokenizer.exists().then(|| fs::read(&tokenizer)).transpose().map_err(kept)?;
    let checkpoints = folder.join("checkpoints");
    check_checkpoints(&checkpoints, &papers.plan, &events)?;
    Ok(Unpacked { papers, events, tokenizer, curves, checkpoints, kindling: manifest.kindling })
}

/// Every member is in the manifest as it is here, and none is missing.
fn compare(listed: &[Member], found: &[Member]) -> Result<(), ApiError> {
    let listed: BTreeMap<&str, &Member> = listed.iter().map(|member| (member.path.as_str(), member)).collect();
    for member in found {
        let expected = listed.get(member.path.as_str());
        let expected = expected.ok_or_else(|| unfit(format!("{:?} is not in its manifest", member.path)))?;
        if *expected != member {
            return Err(unfit(format!("{:?} was altered: it does not have the hash in the manifest", member.path)));
        }
    }
    let found: BTreeSet<&str> = found.iter().map(|member| member.path.as_str()).collect();
    match listed.keys().find(|path| !found.contains(*path)) {
        Some(missing) => Err(unfit(format!("{missing:?} is missing"))),
        None => Ok(()),
    }
}

fn read_json<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<T, ApiError> {
    let path = folder.join(name);
    let bytes = fs::metadata(&path)
        .map_err(|_| unfit(format!("{name} is missing, so it is cut short or no archive of a run")))?;
    if bytes.len() > TEXT_BYTES {
        return Err(unfit(format!("{name} is larger than {TEXT_BYTES} bytes")));
    }
    let text = fs::read(&path).map_err(|source| ApiError::internal("reading an upload", source))?;
    serde_json::from_slice(&text).map_err(|source| unfit(format!("{name} cannot be read: {source}")))
}

fn read_journal(folder: &Path) -> Result<Vec<EventRecord>, ApiError> {
    let path = folder.join(JOURNAL);
    let file = File::open(&path).map_err(|_| unfit(format!("{JOURNAL} is missing")))?;
    if file.metadata().map_or(0, |meta| meta.len()) > TEXT_BYTES {
        return Err(unfit(format!("{JOURNAL} is larger than {TEXT_BYTES} bytes")));
    }
    let lines = BufReader::new(file).lines();
    let line = |(place, line): (usize, std::io::Result<String>)| {
        let line = line.map_err(|source| unfit(format!("{JOURNAL}, line {}: {source}", place + 1)))?;
        serde_json::from_str(&line).map_err(|source| unfit(format!("{JOURNAL}, line {}: {source}", place + 1)))
    };
    lines.enumerate().map(line).collect()
}

fn check_numbers(plan: &RunPlan) -> Result<(), ApiError> {
    wire::plan::check_numbers(plan).map_err(|source| unfit(format!("{PAPERS}: {source}")))
}

/// Each checkpoint is whole, is the journal's, and is of the plan's model.
fn check_checkpoints(root: &Path, plan: &RunPlan, events: &[EventRecord]) -> Result<(), ApiError> {
    let told = |id: CheckpointId| {
        events.iter().rev().find_map(|record| match &record.event {
            Event::Checkpointed { checkpoint } if checkpoint.id == id => Some(checkpoint),
            _ => None,
        })
    };
    for id in ids(root)? {
        let saved = checkpoint::open(&root.join(id.to_string())).map_err(|source| {
            let why = match source {
                EngineError::Checkpoint { message, .. } => message,
                other => other.to_string(),
            };
            unfit(format!("checkpoint {id}: {why}"))
        })?;
        let manifest = &saved.manifest;
        let is_told = told(id).is_some_and(|info| (&info.hash, info.id) == (&manifest.info.hash, manifest.info.id));
        if !is_told {
            return Err(unfit(format!("checkpoint {id} is not the one that its journal tells of")));
        }
        if manifest.plan.recipe.model != plan.recipe.model {
            return Err(unfit(format!("checkpoint {id} is of another model than the plan's")));
        }
    }
    Ok(())
}

fn ids(root: &Path) -> Result<Vec<CheckpointId>, ApiError> {
    let entries = fs::read_dir(root).map_err(|source| ApiError::internal("reading an upload", source))?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

/// Makes the checkpoints those of another run, by its plan here.
///
/// # Errors
/// The disk.
pub fn rename(root: &Path, run: &RunId, plan: &RunPlan) -> Result<(), ApiError> {
    for id in ids(root)? {
        let folder = root.join(id.to_string());
        let mut manifest = checkpoint::manifest(&folder).map_err(model::refused)?;
        (manifest.run, manifest.plan) = (run.clone(), plan.clone());
        manifest.write(&folder).map_err(model::refused)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_parts_of_a_run_have_a_place() {
        assert_eq!(Place::of("series/12.points"), Some(Place::Curve(12)));
        let id = CheckpointId { segment: 0, step: 5 };
        assert_eq!(Place::of("checkpoints/0-5/state.safetensors"), Some(Place::Checkpoint(id, STATE)));
        for strange in [
            "",
            "x",
            "series/a.points",
            "series/+1.points",
            "series/1.points/x",
            "checkpoints/0-5/x",
            "checkpoints/../run.json",
            "run.json/x",
        ] {
            assert_eq!(Place::of(strange), None, "{strange}");
        }
    }
}
