//! A model from elsewhere as a run: finished, without a text or a curve, and with one checkpoint at step 0 that can be looked at, written
//! with, and forked with a text to be trained on.

use std::path::{Path, PathBuf};

use engine::checkpoint::{FORMAT, Manifest};
use engine::interop::import::{self, Import};
use store::{Adopted, NewRun};
use wire::checkpoint::{Cause, CheckpointId, CheckpointInfo};
use wire::device::DeviceInfo;
use wire::event::{Author, EventRecord};
use wire::plan::{Batch, Optimizer, RatePlan, Recipe};
use wire::run::References;
use wire::{Dials, Event, RunId, RunPlan, RunSpec, RunState, preset};

use super::model::refused;
use crate::api_error::ApiError;

/// A model is trained on more gently than it was trained at first, and for a while.
const RATE: f64 = 1e-4;
const WARMUP_STEPS: u64 = 50;
const STEPS: u64 = 1000;
const ROWS: usize = 4;

/// Who brings it, and as what.
pub struct Name {
    /// Its run's id, new in this lab.
    pub id: RunId,
    /// Its run's name.
    pub name: String,
    /// Whoever brought it.
    pub author: Author,
    /// Now, in milliseconds since 1970.
    pub at_ms: i64,
}

/// Reads a model's files and lays its checkpoint out in `folder`.
///
/// # Errors
/// Whatever does not fit, with the reason; the disk.
pub fn read(
    files: &[(String, PathBuf)],
    folder: &Path,
    corpora: &Path,
    name: Name,
    device: &DeviceInfo,
) -> Result<Adopted, ApiError> {
    let import = import::read(files).map_err(refused)?;
    import.keep_tokenizer(corpora).map_err(refused)?;
    let what = format!("a model of {}'s shape, {} parameters", import.shape.name(), import.model.parameters());
    let plan = plan(&import, device);
    wire::plan::check_numbers(&plan)?;
    let root = folder.join("model");
    let info = write(import, &plan, &name, &root)?;
    let Name { id, name, author, at_ms } = name;
    let line = |number, event| EventRecord {
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
        corpus: "no text yet".to_owned(),
        spec: RunSpec { name: Some(name.clone()), tokenizer: Some(plan.tokenizer), ..RunSpec::default() },
        estimate: plan.estimate(device),
        references: References::new(plan.recipe.model.vocab, None),
        device_name: device.name.clone(),
        created_ms: at_ms,
        author: author.clone(),
        name,
        plan,
    };
    Ok(Adopted {
        events: (1..).zip(events).map(|(number, event)| line(number, event)).collect(),
        state: RunState::Finished,
        message: None,
        curves: vec![],
        checkpoints,
        pinned: vec![],
        run,
    })
}

/// Usual numbers around the model's own.
fn plan(import: &Import, device: &DeviceInfo) -> RunPlan {
    let usual = preset::presets().swap_remove(0).recipe;
    let recipe = Recipe {
        model: import.model.clone(),
        optimizer: Optimizer { rate: RATE, ..usual.optimizer },
        schedule: RatePlan { warmup_steps: WARMUP_STEPS, ..usual.schedule },
        batch: Batch { rows: ROWS, accumulation: 1, shards: (device.cores.max(1) as usize).min(ROWS) },
        ..usual
    };
    RunPlan {
        preset: "brought in".to_owned(),
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

fn write(import: Import, plan: &RunPlan, name: &Name, root: &Path) -> Result<CheckpointInfo, ApiError> {
    let info = CheckpointInfo {
        id: CheckpointId { segment: 0, step: 0 },
        cause: Cause::Imported,
        at_ms: name.at_ms,
        bytes: 0,
        hash: String::new(),
        changes: 0,
        loss_train: None,
        loss_valid: None,
        best_valid: None,
    };
    let manifest =
        Manifest { format: FORMAT, run: name.id.clone(), info, plan: plan.clone(), dials: Dials::new(plan), secs: 0.0 };
    Ok(import.snapshot().write(root, manifest).map_err(refused)?.info)
}
