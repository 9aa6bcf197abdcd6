//! An imported model as a run: finished, without dataset and time series, with one checkpoint at step 0, which can be used for
//! inspections, completions, and forks that train on a dataset.

use std::path::{Path, PathBuf};

use engine::interop::import::{self, Import};
use engine::optim::checkpoint::{FORMAT, Manifest};
use store::{ImportedRun, NewRun};
use wire::control::author::Author;
use wire::control::checkpoint::{Cause, CheckpointId, CheckpointInfo};
use wire::control::event::EventRecord;
use wire::device::DeviceInfo;
use wire::hyperparameters::recipe::{Batch, Optimizer, Recipe, SchedulePlan};
use wire::run::References;
use wire::run::preset;
use wire::{Event, RunId, RunPlan, RunSpec, RunState};

use crate::error::ApiError;

/// Defaults for training it further: a small learning rate, and a few steps.
const LEARNING_RATE: f64 = 1e-4;
const WARMUP_STEPS: u64 = 50;
const STEPS: u64 = 1000;
const BATCH_SIZE: usize = 4;

/// The run to make of a model.
pub struct NewEntry {
    /// Id, new in this lab.
    pub id: RunId,
    /// Display name.
    pub name: String,
    /// Where the model comes from, if not from uploaded files.
    pub from: Option<String>,
    /// Author of the import.
    pub author: Author,
    /// Time of the import, ms since 1970.
    pub at_ms: i64,
}

/// Reads the files of a model and writes its checkpoint below `folder`.
///
/// # Errors
/// What is invalid in a file, or not supported; an IO error.
pub fn read(
    files: &[(String, PathBuf)],
    folder: &Path,
    corpora: &Path,
    entry: NewEntry,
    device: &DeviceInfo,
) -> Result<ImportedRun, ApiError> {
    let import = import::read(files)?;
    import.keep_tokenizer(corpora)?;
    let what = entry.from.iter().cloned().chain([describe(&import)]).collect::<Vec<_>>().join(": ");
    let plan = plan(&import, device);
    wire::run::plan::check_imported(&plan)?;
    let root = folder.join("model");
    let info = write(import, &plan, &entry, &root)?;
    let NewEntry { id, name, author, at_ms, .. } = entry;
    let record = |number, event| EventRecord {
        number,
        segment: 0,
        step: 0,
        at_ms,
        author: author.clone(),
        command_id: None,
        reason: None,
        event,
    };
    let events = [Event::Imported { from: what }, Event::Checkpointed { checkpoint: info }, Event::Finished];
    let checkpoints = root.join(id.as_str());
    let run = NewRun {
        id,
        corpus: "no dataset".to_owned(),
        spec: RunSpec { name: Some(name.clone()), tokenizer: Some(plan.tokenizer), ..RunSpec::default() },
        estimate: plan.estimate(device, &[]),
        references: References::new(plan.recipe.model.vocab, None),
        device_name: device.name.clone(),
        created_ms: at_ms,
        author: author.clone(),
        name,
        plan,
    };
    Ok(ImportedRun {
        events: (1..).zip(events).map(|(number, event)| record(number, event)).collect(),
        state: RunState::Finished,
        message: None,
        curves: vec![],
        checkpoints,
        pinned: vec![],
        run,
    })
}

/// The model, and what was left out or changed.
fn describe(import: &Import) -> String {
    let model = format!("a {} model with {} parameters", import.shape.name(), import.model.parameters());
    std::iter::once(model).chain(import.notes.iter().cloned()).collect::<Vec<_>>().join("; ")
}

/// A plan with the model's architecture and the hyperparameters of the smallest preset.
fn plan(import: &Import, device: &DeviceInfo) -> RunPlan {
    let preset = preset::presets().swap_remove(0).recipe;
    let recipe = Recipe {
        model: import.model.clone(),
        optimizer: Optimizer { learning_rate: LEARNING_RATE, ..preset.optimizer },
        schedule: SchedulePlan { warmup_steps: WARMUP_STEPS, ..preset.schedule },
        batch: Batch { size: BATCH_SIZE, accumulation: 1, replicas: (device.cores.max(1) as usize).min(BATCH_SIZE) },
        ..preset
    };
    RunPlan {
        preset: "imported".to_owned(),
        steps: STEPS,
        seed: 1,
        recipe,
        tokenizer: import.tokenizer,
        mix: vec![],
        device: device.id.clone(),
        prompt: "The".to_owned(),
        origin: None,
    }
}

fn write(import: Import, plan: &RunPlan, entry: &NewEntry, root: &Path) -> Result<CheckpointInfo, ApiError> {
    let info = CheckpointInfo {
        id: CheckpointId { segment: 0, step: 0 },
        cause: Cause::Imported,
        at_ms: entry.at_ms,
        bytes: 0,
        hash: String::new(),
        changes: 0,
        loss_train: None,
        loss_valid: None,
        best_valid: None,
    };
    let manifest = Manifest {
        format: FORMAT,
        run: entry.id.clone(),
        info,
        plan: plan.clone(),
        hyperparameters: plan.live(),
        secs: 0.0,
        noise_scale: Default::default(),
        loss_scale: None,
    };
    Ok(import.state().write(root, manifest)?.info)
}
