//! A checkpoint as a folder that `transformers` loads: small files in memory, weights written from the checkpoint one tensor at a time.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde_json::json;
use wire::model::ModelPlan;

use super::generation::Generation;
use super::names::{HfTensor, tensors};
use super::{CONFIG, GENERATION, Shape, TOKENIZER, TOKENIZER_CONFIG, WEIGHTS, config, failed, prefix, refused};
use crate::data::tokenizer::{TextTokenizer, hugging_face};
use crate::error::EngineError;
use crate::optim::checkpoint::Checkpoint;

/// An export of a checkpoint.
pub struct Export {
    /// Architecture of the model.
    pub shape: Shape,
    /// Every file except the weights: name and contents.
    pub files: Vec<(&'static str, Vec<u8>)>,
    saved: Checkpoint,
    tensors: Vec<HfTensor>,
    header: Vec<u8>,
}

impl Export {
    /// Prepares an export; nothing is written yet.
    ///
    /// # Errors
    /// The model has none of the architectures of [`Shape`], or the tokenizer has another vocabulary size.
    pub fn new(saved: Checkpoint, tokenizer: &TextTokenizer) -> Result<Self, EngineError> {
        let plan = &saved.manifest.plan.recipe.model;
        let shape =
            Shape::of(plan).map_err(|source| refused("this model", source.message, source.hint.unwrap_or_default()))?;
        if tokenizer.vocab() != plan.vocab {
            let message = format!("it has {} tokens, and the model has {}", tokenizer.vocab(), plan.vocab);
            return Err(refused("the tokenizer", message, "import the dataset of the run again"));
        }
        let files = small_files(shape, plan, tokenizer)?;
        let tensors = tensors(shape, plan);
        let header = super::tensors::header(&tensors, prefix(shape));
        Ok(Self { shape, files, saved, tensors, header })
    }

    /// Size of the weights file, bytes.
    pub fn weights_bytes(&self) -> u64 {
        let numbers: usize = self.tensors.iter().map(HfTensor::len).sum();
        self.header.len() as u64 + (numbers * size_of::<f32>()) as u64
    }

    /// Writes `model.safetensors`.
    ///
    /// # Errors
    /// The checkpoint cannot be read, or the output is closed.
    pub fn write_weights(&self, out: &mut dyn Write) -> Result<(), EngineError> {
        let failed = |source: std::io::Error| {
            refused(WEIGHTS, format!("it could not be written: {source}"), "free some space and try again")
        };
        out.write_all(&self.header).map_err(failed)?;
        for tensor in &self.tensors {
            let parts = tensor.parameters().iter().map(|name| self.weight(name)).collect::<Result<Vec<_>, _>>()?;
            out.write_all(bytemuck::cast_slice(&tensor.join(parts))).map_err(failed)?;
        }
        out.flush().map_err(failed)
    }

    /// The values of a parameter in the standard parametrization, which is the only one of `transformers`.
    fn weight(&self, name: &str) -> Result<Option<Vec<f32>>, EngineError> {
        let factor = self.saved.manifest.plan.recipe.model.standard_factor(name) as f32;
        let mut values = self.saved.weight(name)?;
        if factor != 1.0 {
            values.iter_mut().flatten().for_each(|value| *value *= factor);
        }
        Ok(values)
    }

    /// Writes all files into a folder, which is created if it does not exist.
    ///
    /// # Errors
    /// The errors of [`Export::write_weights`].
    pub fn write_folder(&self, folder: &Path) -> Result<(), EngineError> {
        let failed = |source: std::io::Error| failed(folder.display().to_string(), source, "choose another folder");
        std::fs::create_dir_all(folder).map_err(failed)?;
        for (name, content) in &self.files {
            std::fs::write(folder.join(name), content).map_err(failed)?;
        }
        let file = File::create(folder.join(WEIGHTS)).map_err(failed)?;
        self.write_weights(&mut BufWriter::with_capacity(1 << 20, file))
    }
}

fn small_files(
    shape: Shape,
    plan: &ModelPlan,
    tokenizer: &TextTokenizer,
) -> Result<Vec<(&'static str, Vec<u8>)>, EngineError> {
    let tokens = Generation { bos: tokenizer.bos(), eos: tokenizer.ends().to_vec() };
    let mut generation = json!({ "do_sample": true });
    tokens.write(&mut generation);
    let mut about = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": plan.seq,
        "clean_up_tokenization_spaces": false,
    });
    // A token that is not special in the tokenizer would become so by its name here.
    let special = |id: Option<u32>| id.filter(|id| tokenizer.is_special(*id)).map(|id| tokenizer.decode_token(id));
    for (key, id) in [("bos_token", tokens.bos), ("eos_token", tokens.eos.first().copied())] {
        if let Some(token) = special(id) {
            about[key] = token.into();
        }
    }
    let pretty = |value: &serde_json::Value| {
        serde_json::to_vec_pretty(value).map_err(|source| failed(CONFIG, source, "export another checkpoint"))
    };
    Ok(vec![
        (CONFIG, pretty(&config::write(shape, plan, &tokens))?),
        (GENERATION, pretty(&generation)?),
        (TOKENIZER, hugging_face::write(tokenizer)),
        (TOKENIZER_CONFIG, pretty(&about)?),
    ])
}
