//! A checkpoint as a folder that Hugging Face's `transformers` loads, in one tar file.

use std::io::{self, Write};
use std::path::Path;

use engine::EngineError;
use engine::data::dataset;
use engine::interop::WEIGHTS;
use engine::interop::export::Export;
use engine::optim::checkpoint;
use wire::{CheckpointId, RunId};

use super::tarball::Tarball;
use crate::live::clock::now_ms;

/// Opens a checkpoint of a lab for the export.
///
/// # Errors
/// A damaged checkpoint, a tokenizer that was deleted with its dataset, an architecture that `transformers` does not know.
pub fn open(data: &Path, run: &RunId, id: CheckpointId) -> Result<Export, EngineError> {
    let saved = checkpoint::open(&checkpoint::folder(&data.join("checkpoints"), run, id))?;
    let plan = &saved.manifest.plan;
    let tokenizer = dataset::open_tokenizer(&data.join("corpora"), &plan.corpora(), plan.tokenizer)?;
    Export::new(saved, &tokenizer)
}

/// Writes the folder `name` as a tar file. Blocks.
///
/// # Errors
/// An IO error; a reader that has disconnected.
pub fn write(export: &Export, name: &str, out: &mut dyn Write) -> io::Result<()> {
    let mut tarball = Tarball::new(out, name, now_ms());
    for (path, content) in &export.files {
        tarball.add(path, content)?;
    }
    tarball.add_with(WEIGHTS, export.weights_bytes(), |out| export.write_weights(out).map_err(io::Error::other))?;
    tarball.close()
}
