//! A whole run as one tarball: its papers, journal, curves, tokenizer and checkpoints, and last a manifest with the hash of each, so
//! that a file that broke off has none.
//!
//! ```text
//! <run>/run.json                           Papers
//! <run>/journal.jsonl                      an EventRecord in each line, numbered from 1
//! <run>/series/<n>.points                  the n-th of the papers' curves: step (u64) and value (f64) in turn, little-endian
//! <run>/tokenizer.json                     Hugging Face's form, where it is learnt from the run's texts or came with a model
//! <run>/checkpoints/<id>/checkpoint.json   as the lab keeps it
//! <run>/checkpoints/<id>/state.safetensors weights and moments
//! <run>/manifest.json                      Manifest
//! ```

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use axum::extract::State;
use axum::response::Response;
use engine::checkpoint::{MANIFEST as CHECKPOINT, STATE};
use engine::{dataset, interop};
use serde::{Deserialize, Serialize};
use store::{Curve, HeldCheckpoint, Store, StoreError};
use utoipa::{IntoParams, ToSchema};
use wire::plan::Estimate;
use wire::run::References;
use wire::spec::Tokenizer;
use wire::{CheckpointId, EventRecord, RunId, RunPlan, RunSpec, RunState};

use super::pipe::stream;
use super::tarball::{Member, Tarball};
use crate::api_error::{ApiError, Path, Query};
use crate::app_state::AppState;
use crate::auth::Viewer;
use crate::clock::now_ms;
use crate::runs::{store_error, summary};

/// Version of the form.
pub const FORMAT: u32 = 1;
/// The papers' file.
pub const PAPERS: &str = "run.json";
/// The journal's file.
pub const JOURNAL: &str = "journal.jsonl";
/// The manifest's file.
pub const MANIFEST: &str = "manifest.json";
/// Journal lines in one read.
const LINES: u32 = 5000;

/// What `manifest.json` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// Version of the program that wrote it.
    pub kindling: String,
    /// Every other file.
    pub members: Vec<Member>,
}

/// What `run.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Papers {
    /// Id in its lab.
    pub run: RunId,
    /// Name for people.
    pub name: String,
    /// Its texts, for people.
    pub corpus: String,
    /// When it was asked for, in milliseconds since 1970.
    pub created_ms: i64,
    /// How it stood.
    pub state: RunState,
    /// Why it failed, where it did.
    pub message: Option<String>,
    /// The device in words.
    pub device_name: String,
    /// As typed.
    pub spec: RunSpec,
    /// As resolved.
    pub plan: RunPlan,
    /// What it costs.
    pub estimate: Estimate,
    /// Lines to read the loss against.
    pub references: References,
    /// Checkpoints that are never pruned.
    pub pinned: Vec<CheckpointId>,
    /// Segment and name of each curve.
    pub curves: Vec<(u32, String)>,
}

/// Which checkpoints go along.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Along {
    /// All that are kept.
    #[default]
    All,
    /// The last one that was taken.
    Newest,
    /// None.
    None,
}

/// What goes into an archive.
#[derive(Deserialize, IntoParams)]
pub struct WhichParts {
    /// `all`, `newest` or `none`; all unless told.
    #[serde(default)]
    checkpoints: Along,
}

/// A whole run as one tar, for another lab to import: plan, journal, curves, tokenizer and checkpoints, each with its hash.
#[utoipa::path(get, path = "/runs/{id}/archive", tag = "runs", params(("id" = RunId, Path), WhichParts),
    responses((status = 200, content_type = "application/x-tar", body = Vec<u8>)))]
pub async fn export_run(
    _: Viewer,
    State(state): State<AppState>,
    Path(run): Path<RunId>,
    Query(which): Query<WhichParts>,
) -> Result<Response, ApiError> {
    summary(&state, &run).await?;
    let archive = Archive::gather(&state.store, &run, which.checkpoints).await;
    let archive = archive.map_err(|source| store_error(&run, source))?;
    Ok(stream("application/x-tar", &format!("{run}.tar"), move |out| archive.write(out)))
}

/// A run as it stands, ready to be written.
pub struct Archive {
    papers: Papers,
    events: Vec<EventRecord>,
    curves: Vec<Curve>,
    corpora: PathBuf,
    checkpoints: Vec<(CheckpointId, PathBuf)>,
    _held: Vec<HeldCheckpoint>,
}

impl Archive {
    /// Gathers what there is. Curves come first and the journal last, so that the journal knows of all that the rest holds.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`], the disk.
    pub async fn gather(store: &Store, run: &RunId, along: Along) -> Result<Self, StoreError> {
        let curves = store.curves(run, None).await?;
        let mut views = store.checkpoints(run).await?;
        match along {
            Along::All => {}
            Along::Newest => drop(views.drain(..views.len().saturating_sub(1))),
            Along::None => views.clear(),
        }
        let (mut checkpoints, mut held, mut pinned) = (vec![], vec![], vec![]);
        for view in views {
            let Some(hold) = store.hold_checkpoint(run, view.info.id).await? else { continue };
            held.push(hold);
            checkpoints.push((view.info.id, store.checkpoint_dir(run, view.info.id)));
            pinned.extend(view.is_pinned.then_some(view.info.id));
        }
        let mut events: Vec<EventRecord> = vec![];
        loop {
            let more = store.events(run, events.len() as u64, LINES).await?;
            if more.is_empty() {
                break;
            }
            events.extend(more);
        }
        let view = store.run(run).await?.ok_or_else(|| StoreError::UnknownRun { run: run.clone() })?;
        let papers = Papers {
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
            curves: curves.iter().map(|curve| (curve.segment, curve.name.clone())).collect(),
        };
        Ok(Self { papers, events, curves, corpora: store.dir().join("corpora"), checkpoints, _held: held })
    }

    /// Writes it, waiting for the disk and the reader.
    ///
    /// # Errors
    /// The disk, or a reader who has gone.
    pub fn write(self, out: &mut dyn Write) -> io::Result<()> {
        let mut tarball = Tarball::new(out, self.papers.run.as_str(), now_ms());
        tarball.add(PAPERS, &serde_json::to_vec_pretty(&self.papers)?)?;
        let mut journal = vec![];
        for record in &self.events {
            serde_json::to_writer(&mut journal, record)?;
            journal.push(b'\n');
        }
        tarball.add(JOURNAL, &journal)?;
        for (place, curve) in self.curves.into_iter().enumerate() {
            tarball.add_with(&format!("series/{place}.points"), curve.len * 16, |out| write_points(curve, out))?;
        }
        if let Some(tokenizer) = tokenizer_file(&self.papers.plan, &self.corpora) {
            tarball.add(interop::TOKENIZER, &tokenizer)?;
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

/// The tokenizer, where another lab would not have it. One that is gone with its text stays behind.
fn tokenizer_file(plan: &RunPlan, corpora: &std::path::Path) -> Option<Vec<u8>> {
    match plan.tokenizer {
        Tokenizer::Byte | Tokenizer::Gpt2 => None,
        Tokenizer::Char | Tokenizer::Bpe(_) | Tokenizer::Brought(_) => {
            let opened = dataset::open_tokenizer(corpora, &plan.corpora(), plan.tokenizer).ok()?;
            Some(interop::vocabulary::write(&opened))
        }
    }
}
