//! Checkpoints of imported and of made models, stored in a lab folder.

use std::path::Path;

use engine::data::dataset;
use engine::data::tokenizer::TextTokenizer;
use engine::interop::import::Import;
use engine::optim::checkpoint::{self, Checkpoint, FORMAT, Manifest};
use wire::control::checkpoint::{Cause, CheckpointId, CheckpointInfo};
use wire::data::tokenizer::Tokenizer;
use wire::hyperparameters::recipe::Recipe;
use wire::model::ModelPlan;
use wire::run::plan::RunPlan;
use wire::run::preset;

/// The manifest of a checkpoint at step 0.
pub(crate) fn manifest(model: ModelPlan, tokenizer: Tokenizer) -> Manifest {
    let preset = preset::find("tiny", None).unwrap();
    let plan = RunPlan {
        preset: preset.name,
        steps: 10,
        seed: 1,
        recipe: Recipe { model, ..preset.recipe },
        tokenizer,
        mix: vec![],
        device: "cpu".parse().unwrap(),
        prompt: String::new(),
        origin: None,
    };
    let info = CheckpointInfo {
        id: CheckpointId { segment: 0, step: 0 },
        cause: Cause::Imported,
        at_ms: 0,
        bytes: 0,
        hash: String::new(),
        changes: 0,
        loss_train: None,
        loss_valid: None,
        best_valid: None,
    };
    let hyperparameters = plan.live();
    Manifest {
        format: FORMAT,
        run: "guest".parse().unwrap(),
        info,
        plan,
        hyperparameters,
        secs: 0.0,
        noise_scale: Default::default(),
        loss_scale: None,
    }
}

/// Stores an import and opens its checkpoint and tokenizer.
pub(crate) fn keep(import: Import, lab: &Path) -> (Checkpoint, TextTokenizer) {
    import.keep_tokenizer(lab).unwrap();
    let manifest = manifest(import.model.clone(), import.tokenizer);
    let tokenizer = dataset::open_tokenizer(lab, &[], import.tokenizer).unwrap();
    let written = import.state().write(lab, manifest).unwrap();
    let saved = checkpoint::open(&checkpoint::folder(lab, &written.run, written.info.id)).unwrap();
    (saved, tokenizer)
}
