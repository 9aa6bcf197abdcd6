//! Reads the archive of a run without trusting it: the path of a member is never used on disk, only a table of known files. An archive with
//! a missing, altered or unknown file, or of another version, is refused as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use engine::optim::checkpoint::{self, MANIFEST as CHECKPOINT, STATE};
use engine::{EngineError, interop};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use wire::error::in_words;
use wire::{CheckpointId, Event, EventRecord, RunId, RunPlan};

use super::archive::{FORMAT, JOURNAL, MANIFEST, Manifest, RECORD, RunRecord};
use super::tarball::{Member, copy, each_member, invalid};
use crate::data::disk::write_failed;
use crate::error::ApiError;

/// Maximum size of a file that is read into memory, bytes.
const TEXT_BYTES: u64 = 256 << 20;

/// An unpacked archive; every file has the hash of the manifest.
pub struct Unpacked {
    /// Contents of `run.json`.
    pub record: RunRecord,
    /// Events of `journal.jsonl`.
    pub events: Vec<EventRecord>,
    /// Tokenizer, if the archive has one.
    pub tokenizer: Option<Vec<u8>>,
    /// Time series: segment, name, file of points.
    pub series: Vec<(u32, String, PathBuf)>,
    /// Folder with a folder for each checkpoint.
    pub checkpoints: PathBuf,
    /// Version of the program that wrote it.
    pub kindling: String,
}

/// The kind of a file in an archive.
#[derive(Debug, PartialEq, Eq)]
enum MemberKind {
    Text(&'static str),
    Series(usize),
    Checkpoint(CheckpointId, &'static str),
}

impl MemberKind {
    /// The kind of the member with this path below the archive's folder.
    fn of(path: &str) -> Option<Self> {
        let one_of = |name: &str, known: &[&'static str]| known.iter().find(|known| **known == name).copied();
        match path.split('/').collect::<Vec<_>>().as_slice() {
            [name] => one_of(name, &[RECORD, JOURNAL, MANIFEST, interop::TOKENIZER]).map(Self::Text),
            ["series", name] => {
                let digits =
                    name.strip_suffix(".points").filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
                digits.parse().ok().map(Self::Series)
            }
            ["checkpoints", id, name] => Some(Self::Checkpoint(id.parse().ok()?, one_of(name, &[CHECKPOINT, STATE])?)),
            _ => None,
        }
    }

    fn path(&self, folder: &Path) -> PathBuf {
        match self {
            Self::Text(name) => folder.join(name),
            Self::Series(index) => folder.join("series").join(format!("{index}.points")),
            Self::Checkpoint(id, name) => folder.join("checkpoints").join(id.to_string()).join(name),
        }
    }
}

/// Unpacks an archive into an empty folder and checks it against its manifest.
///
/// # Errors
/// What is invalid, with the name of the file.
pub fn unpack(tarball: &Path, folder: &Path) -> Result<Unpacked, ApiError> {
    let disk = |source: std::io::Error| write_failed("unpacking an upload", source);
    fs::create_dir_all(folder.join("series")).map_err(disk)?;
    fs::create_dir_all(folder.join("checkpoints")).map_err(disk)?;
    let mut found = vec![];
    let mut root = None;
    each_member(tarball, |full, bytes, content| {
        let (top, path) = full.split_once('/').ok_or_else(|| invalid(format!("{full:?} is not in a folder")))?;
        if *root.get_or_insert_with(|| top.to_owned()) != top {
            return Err(invalid(format!("{full:?} is in another folder than the first file")));
        }
        let kind = MemberKind::of(path).ok_or_else(|| invalid(format!("{full:?} is not a file of an archive")))?;
        let to = kind.path(folder);
        if let MemberKind::Checkpoint(id, _) = kind {
            fs::create_dir_all(folder.join("checkpoints").join(id.to_string())).map_err(disk)?;
        }
        let blake3 = copy(full, bytes, content, &to)?;
        found.push(Member { path: path.to_owned(), bytes, blake3 });
        Ok(())
    })?;
    check_version(folder)?;
    let manifest: Manifest = read_json(folder, MANIFEST)?;
    found.retain(|member| member.path != MANIFEST);
    compare(&manifest.members, &found)?;
    let record: RunRecord = read_json(folder, RECORD)?;
    check_imported(&record.plan)?;
    let events = read_journal(folder)?;
    let series: Vec<(u32, String, PathBuf)> = record
        .series
        .iter()
        .enumerate()
        .map(|(index, (segment, name))| (*segment, name.clone(), MemberKind::Series(index).path(folder)))
        .collect();
    let named: BTreeSet<&(u32, String)> = record.series.iter().collect();
    let count = found.iter().filter(|member| member.path.starts_with("series/")).count();
    if named.len() != series.len() || count != series.len() || !series.iter().all(|(.., file)| file.is_file()) {
        return Err(invalid(format!(
            "the archive has {count} series files, and {RECORD} names {} series",
            named.len()
        )));
    }
    let tokenizer = folder.join(interop::TOKENIZER);
    let tokenizer = tokenizer.exists().then(|| fs::read(&tokenizer)).transpose().map_err(disk)?;
    let checkpoints = folder.join("checkpoints");
    check_checkpoints(&checkpoints, &record.plan, &events)?;
    Ok(Unpacked { record, events, tokenizer, series, checkpoints, kindling: manifest.kindling })
}

/// Version and author of an archive of any version.
#[derive(Deserialize)]
struct Version {
    format: u32,
    kindling: String,
}

/// The version is checked before anything else, because the other files of another version may not decode.
fn check_version(folder: &Path) -> Result<(), ApiError> {
    let Version { format, kindling } = read_json(folder, MANIFEST)?;
    if format == FORMAT {
        return Ok(());
    }
    let message = format!(
        "the archive has format {format}, written by kindling {kindling}, and kindling {} reads format {FORMAT}",
        env!("CARGO_PKG_VERSION")
    );
    Err(invalid(message).hint(match format < FORMAT {
        true => "it cannot be converted: import it with the version of kindling that wrote it",
        false => "import it with a newer version of kindling",
    }))
}

/// Checks that the files are those of the manifest.
fn compare(listed: &[Member], found: &[Member]) -> Result<(), ApiError> {
    let listed: BTreeMap<&str, &Member> = listed.iter().map(|member| (member.path.as_str(), member)).collect();
    for member in found {
        let expected = listed.get(member.path.as_str());
        let expected = expected.ok_or_else(|| invalid(format!("{:?} is not in the manifest", member.path)))?;
        if *expected != member {
            return Err(invalid(format!("{:?} was altered: its hash is not that of the manifest", member.path)));
        }
    }
    let found: BTreeSet<&str> = found.iter().map(|member| member.path.as_str()).collect();
    match listed.keys().find(|path| !found.contains(*path)) {
        Some(missing) => Err(invalid(format!("{missing:?} is missing"))),
        None => Ok(()),
    }
}

fn read_json<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<T, ApiError> {
    let path = folder.join(name);
    let bytes = fs::metadata(&path)
        .map_err(|_| invalid(format!("{name} is missing: the archive is cut short, or not the archive of a run")))?;
    if bytes.len() > TEXT_BYTES {
        return Err(invalid(format!("{name} is larger than {TEXT_BYTES} bytes")));
    }
    let text = fs::read(&path).map_err(|source| ApiError::internal("reading an upload", source))?;
    serde_json::from_slice(&text)
        .map_err(|source| invalid(format!("{name} cannot be decoded: {}", in_words(&source))).source(source))
}

fn read_journal(folder: &Path) -> Result<Vec<EventRecord>, ApiError> {
    let path = folder.join(JOURNAL);
    let file = File::open(&path).map_err(|_| invalid(format!("{JOURNAL} is missing")))?;
    if file.metadata().map_or(0, |meta| meta.len()) > TEXT_BYTES {
        return Err(invalid(format!("{JOURNAL} is larger than {TEXT_BYTES} bytes")));
    }
    let lines = BufReader::new(file).lines();
    let line = |(place, line): (usize, std::io::Result<String>)| {
        let line = line.map_err(|source| invalid(format!("{JOURNAL}, line {}: {source}", place + 1)))?;
        serde_json::from_str(&line)
            .map_err(|source| invalid(format!("{JOURNAL}, line {}: {}", place + 1, in_words(source))))
    };
    lines.enumerate().map(line).collect()
}

fn check_imported(plan: &RunPlan) -> Result<(), ApiError> {
    wire::run::plan::check_imported(plan).map_err(|source| invalid(format!("{RECORD}: {source}")))
}

/// Checks that each checkpoint is undamaged, is in the journal, and has the plan's model.
fn check_checkpoints(root: &Path, plan: &RunPlan, events: &[EventRecord]) -> Result<(), ApiError> {
    let in_journal = |id: CheckpointId| {
        events.iter().rev().find_map(|record| match &record.event {
            Event::Checkpointed { checkpoint } if checkpoint.id == id => Some(checkpoint),
            _ => None,
        })
    };
    for id in ids(root)? {
        let saved = checkpoint::open(&root.join(id.to_string())).map_err(|source| {
            let why = match source {
                EngineError::Checkpoint { source, .. } => source.to_string(),
                other => other.to_string(),
            };
            invalid(format!("checkpoint {id}: {why}"))
        })?;
        let manifest = &saved.manifest;
        let is_known =
            in_journal(id).is_some_and(|info| (&info.hash, info.id) == (&manifest.info.hash, manifest.info.id));
        if !is_known {
            return Err(invalid(format!("checkpoint {id} is not the one in the journal")));
        }
        if manifest.plan.recipe.model != plan.recipe.model {
            return Err(invalid(format!("checkpoint {id} has another model than the plan")));
        }
    }
    Ok(())
}

fn ids(root: &Path) -> Result<Vec<CheckpointId>, ApiError> {
    let entries = fs::read_dir(root).map_err(|source| ApiError::internal("reading an upload", source))?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

/// Makes the checkpoints those of the imported run, with its plan in this lab.
///
/// # Errors
/// An IO error.
pub fn rename(root: &Path, run: &RunId, plan: &RunPlan) -> Result<(), ApiError> {
    for id in ids(root)? {
        let folder = root.join(id.to_string());
        let mut manifest = checkpoint::manifest(&folder)?;
        (manifest.run, manifest.plan) = (run.clone(), plan.clone());
        manifest.write(&folder)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_an_archive_have_a_place() {
        assert_eq!(MemberKind::of("series/12.points"), Some(MemberKind::Series(12)));
        let id = CheckpointId { segment: 0, step: 5 };
        assert_eq!(MemberKind::of("checkpoints/0-5/state.safetensors"), Some(MemberKind::Checkpoint(id, STATE)));
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
            assert_eq!(MemberKind::of(strange), None, "{strange}");
        }
    }
}
