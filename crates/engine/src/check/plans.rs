//! Datasets and plans of the parts that use the training loop.

use std::path::Path;

use wire::RunPlan;
use wire::data::corpus::CorpusInfo;
use wire::run::plan::{self, PlanView};

use crate::data::{corpus, dataset, generators};
use crate::device::EngineDevice;
use crate::error::EngineError;
use crate::train::bench;

/// Id of the dataset.
const CORPUS: &str = "check";

/// The plan of a preset on a generated dataset, which is tokenized; `overrides` as in a spec.
///
/// # Errors
/// The folder cannot be written, or an override does not resolve.
pub(super) fn of_preset(
    device: &EngineDevice,
    folder: &Path,
    preset: &str,
    overrides: serde_json::Value,
) -> Result<PlanView, EngineError> {
    let id = CORPUS.parse().map_err(|source: wire::id::IdError| unplanned(&source))?;
    if !folder.join(CORPUS).exists() {
        generators::generate(folder, &id, "tales", 1, &mut |_, _, _| true)?;
    }
    resolved(device, &corpus::list(folder)?, folder, preset, overrides)
}

/// The plan of the smallest preset on a dataset of a few lines.
///
/// # Errors
/// The errors of [`of_preset`].
pub(super) fn tiny(device: &EngineDevice, folder: &Path) -> Result<RunPlan, EngineError> {
    let id = CORPUS.parse().map_err(|source: wire::id::IdError| unplanned(&source))?;
    let lines = folder.join("lines.txt");
    let text = "the cat sat on the mat and the dog sat on the log.\n".repeat(40);
    std::fs::write(&lines, text).map_err(|source| unplanned(&format!("{}: {source}", lines.display())))?;
    bench::import_text(folder, &id, &lines)?;
    let overrides = serde_json::json!({
        "model.layers": 1, "model.heads": 2, "model.kv_heads": 2, "model.d_model": 16, "model.d_ff": 32, "model.seq": 8,
        "batch.size": 4, "batch.replicas": 1,
    });
    Ok(resolved(device, &corpus::list(folder)?, folder, "tiny", overrides)?.plan)
}

fn resolved(
    device: &EngineDevice,
    corpora: &[CorpusInfo],
    folder: &Path,
    preset: &str,
    overrides: serde_json::Value,
) -> Result<PlanView, EngineError> {
    let spec = serde_json::json!({
        "preset": preset, "corpus": CORPUS, "tokenizer": "char", "steps": 1_000_000, "seed": 1, "device": device.info.id,
        "overrides": overrides,
    });
    let spec = serde_json::from_value(spec).map_err(|source| unplanned(&source))?;
    let view =
        plan::resolve(&spec, corpora, std::slice::from_ref(&device.info)).map_err(|source| unplanned(&source))?;
    dataset::prepare(folder, &view.plan.corpora(), view.plan.tokenizer, &mut |_, _, _| true)?;
    Ok(view)
}

fn unplanned(source: &dyn std::fmt::Display) -> EngineError {
    wire::PlanError::new("overrides", source.to_string()).into()
}
