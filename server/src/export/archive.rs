//! A run as one tar file: its record, journal, time series, tokenizer and checkpoints, and last a manifest with the hash of each file, so that
//! a file that is cut short has no manifest.
//!
//! ```text
//! <run>/run.json                           RunRecord
//! <run>/journal.jsonl                      one EventRecord per line, numbered from 1; evaluations with their window losses
//! <run>/series/<n>.points                  the n-th series of the record: step (u64) and value (f64) in turn, little-endian
//! <run>/tokenizer.json                     Hugging Face's format, for a tokenizer that is trained on the datasets or was imported
//! <run>/checkpoints/<id>/checkpoint.json   manifest of the checkpoint
//! <run>/checkpoints/<id>/state.safetensors weights and optimizer state
//! <run>/manifest.json                      Manifest
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use engine::data::dataset;
use engine::data::tokenizer::hugging_face;
use engine::optim::checkpoint::{MANIFEST as CHECKPOINT, STATE};
use serde::{Deserialize, Serialize};
use store::{Curve, OpenCheckpoint, Store, StoreError};
use utoipa::ToSchema;
use wire::data::tokenizer::Tokenizer;
use wire::evaluation::{StoredLosses, WindowLosses};
use wire::run::References;
use wire::run::plan::Estimate;
use wire::{CheckpointId, Event, EventRecord, RunId, RunPlan, RunSpec, RunState};

use super::tarball::{Member, Tarball};
use crate::live::clock::now_ms;

/// Version of the format. An archive of another version is refused.
pub const FORMAT: u32 = 2;
/// File of the record.
pub const RECORD: &str = "run.json";
/// File of the journal.
pub const JOURNAL: &str = "journal.jsonl";
/// File of the manifest.
pub const MANIFEST: &str = "manifest.json";
/// Events in one read.
const EVENTS: u32 = 5000;

/// Content of `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// Version of the program that wrote it.
    pub kindling: String,
    /// Every other file of the archive.
    pub members: Vec<Member>,
}

/// Content of `run.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Id in the lab that exported it.
    pub run: RunId,
    /// Display name.
    pub name: String,
    /// Display names of its datasets.
    pub corpus: String,
    /// Creation time, ms since 1970.
    pub created_ms: i64,
    /// State at the export.
    pub state: RunState,
    /// The reason of a failure.
    pub message: Option<String>,
    /// Display name of its device.
    pub device_name: String,
    pub spec: RunSpec,
    pub plan: RunPlan,
    /// Estimated cost.
    pub estimate: Estimate,
    /// Reference losses.
    pub references: References,
    /// Checkpoints that are never pruned.
    pub pinned: Vec<CheckpointId>,
    /// Segment and name of each time series.
    pub series: Vec<(u32, String)>,
}

/// Which checkpoints an archive contains.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Checkpoints {
    /// All that are kept.
    #[default]
    All,
    Newest,
    None,
}

/// A run, ready to be written.
pub struct Archive {
    record: RunRecord,
    events: Vec<EventRecord>,
    curves: Vec<Curve>,
    corpora: PathBuf,
    checkpoints: Vec<(CheckpointId, PathBuf)>,
    _held: Vec<OpenCheckpoint>,
}

impl Archive {
    /// Gathers the parts of a run. Series are read first and the journal last, so that the journal covers all the other parts.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`]; an IO error.
    pub async fn gather(store: &Store, run: &RunId, which: Checkpoints) -> Result<Self, StoreError> {
        let curves = store.curves(run, None).await?;
        let mut views = store.checkpoints(run).await?;
        // Those on another machine come with a later archive.
        views.retain(|view| view.is_available);
        match which {
            Checkpoints::All => {}
            Checkpoints::Newest => drop(views.drain(..views.len().saturating_sub(1))),
            Checkpoints::None => views.clear(),
        }
        let (mut checkpoints, mut held, mut pinned) = (vec![], vec![], vec![]);
        for view in views {
            let Some(hold) = store.open_checkpoint(run, view.info.id).await? else { continue };
            held.push(hold);
            checkpoints.push((view.info.id, store.checkpoint_dir(run, view.info.id)));
            pinned.extend(view.is_pinned.then_some(view.info.id));
        }
        let mut events: Vec<EventRecord> = vec![];
        loop {
            let more = store.events(run, events.len() as u64, EVENTS).await?;
            if more.is_empty() {
                break;
            }
            events.extend(more);
        }
        add_windows(&mut events, store.all_window_losses(run).await?);
        let view = store.run(run).await?.ok_or_else(|| StoreError::UnknownRun { run: run.clone() })?;
        let record = RunRecord {
            run: run.clone(),
            name: view.summary.name,
            corpus: view.summary.corpus,
            created_ms: view.summary.created_ms,
            state: view.summary.state,
            message: view.summary.message,
            device_name: view.device_name,
            spec: view.spec,
            plan: view.plan,
            estimate: view.estimate,
            references: view.references,
            pinned,
            series: curves.iter().map(|curve| (curve.segment, curve.name.clone())).collect(),
        };
        Ok(Self { record, events, curves, corpora: store.dir().join("corpora"), checkpoints, _held: held })
    }

    /// Writes the archive. Blocks.
    ///
    /// # Errors
    /// An IO error; a reader that has disconnected.
    pub fn write(self, out: &mut dyn Write) -> io::Result<()> {
        let mut tarball = Tarball::new(out, self.record.run.as_str(), now_ms());
        tarball.add(RECORD, &serde_json::to_vec_pretty(&self.record)?)?;
        let mut journal = vec![];
        for record in &self.events {
            serde_json::to_writer(&mut journal, record)?;
            journal.push(b'\n');
        }
        tarball.add(JOURNAL, &journal)?;
        for (index, curve) in self.curves.into_iter().enumerate() {
            tarball.add_with(&format!("series/{index}.points"), curve.len * 16, |out| write_points(curve, out))?;
        }
        if let Some(tokenizer) = tokenizer_file(&self.record.plan, &self.corpora) {
            tarball.add(engine::interop::TOKENIZER, &tokenizer)?;
        }
        for (id, folder) in &self.checkpoints {
            let [about, state] = [CHECKPOINT, STATE].map(|name| File::open(folder.join(name)).map(|file| (name, file)));
            for (name, mut file) in [about?, state?] {
                let bytes = file.metadata()?.len();
                tarball.add_with(&format!("checkpoints/{id}/{name}"), bytes, |out| {
                    io::copy(&mut Read::by_ref(&mut file).take(bytes), out).map(drop)
                })?;
            }
        }
        let members = tarball.members.clone();
        let manifest = Manifest { format: FORMAT, kindling: env!("CARGO_PKG_VERSION").to_owned(), members };
        tarball.add(MANIFEST, &serde_json::to_vec_pretty(&manifest)?)?;
        tarball.close()
    }
}

/// Adds the window losses of the evaluations, which the store keeps apart from the journal, to their events.
fn add_windows(events: &mut [EventRecord], stored: Vec<StoredLosses>) {
    let mut at: BTreeMap<(u32, u64), WindowLosses> =
        stored.into_iter().map(|stored| ((stored.segment, stored.step), stored.losses)).collect();
    // The last event of a step has them: what is stored is that of the last evaluation.
    for record in events.iter_mut().rev() {
        let place = (record.segment, record.step);
        if let Event::Evaluated { windows, .. } = &mut record.event {
            *windows = at.remove(&place).map(Box::new);
        }
    }
}

fn write_points(mut curve: Curve, out: &mut dyn Write) -> io::Result<()> {
    loop {
        let points = curve.read().map_err(io::Error::other)?;
        if points.is_empty() {
            return Ok(());
        }
        let words = points.iter().flat_map(|point| [point.step.to_le_bytes(), point.value.to_le_bytes()]);
        out.write_all(&words.flatten().collect::<Vec<u8>>())?;
    }
}

/// The tokenizer, if another lab does not have it; `None` if it was deleted with its dataset.
fn tokenizer_file(plan: &RunPlan, corpora: &std::path::Path) -> Option<Vec<u8>> {
    match plan.tokenizer {
        Tokenizer::Byte | Tokenizer::Gpt2 => None,
        Tokenizer::Char | Tokenizer::Bpe(_) | Tokenizer::Imported(_) => {
            let opened = dataset::open_tokenizer(corpora, &plan.corpora(), plan.tokenizer).ok()?;
            Some(hugging_face::write(&opened))
        }
    }
}
