//! A model of `transformers` as the weights of a first checkpoint. Its files are untrusted: names, sizes and values are checked before
//! anything is stored, and an error has the value and what to do.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use wire::data::tokenizer::Tokenizer;
use wire::model::ModelPlan;

use super::names::{HEAD, tensors};
use super::{CONFIG, Shape, TOKENIZER, WEIGHTS, config, failed, prefix, refused};
use crate::error::{EngineError, TokenizerError};
use crate::files::Mapped;
use crate::model::params;
use crate::optim::checkpoint::HostState;
use crate::tokenizer::{TextTokenizer, hugging_face, save_imported};

/// Maximum size of config and tokenizer, bytes; GPT-2's tokenizer has 3.6 MB.
const TEXT_BYTES: u64 = 64 << 20;
/// Maximum number of unknown tensors that an error lists.
const LISTED: usize = 5;

/// A model that can be imported.
pub struct Import {
    /// Architecture of the model.
    pub shape: Shape,
    /// The model as a plan.
    pub model: ModelPlan,
    pub tokenizer: Tokenizer,
    /// The file of the tokenizer; `None` for a built-in tokenizer.
    tokenizer_file: Option<Vec<u8>>,
    weights: Vec<Vec<f32>>,
}

/// Reads a model from files, each with its name as given and its path.
///
/// # Errors
/// A pickle, a missing file, or anything else that cannot be imported, with the reason.
pub fn read(files: &[(String, PathBuf)]) -> Result<Import, EngineError> {
    let files = Files::new(files)?;
    let (config_path, weights_path) = (files.need(CONFIG)?, files.need(WEIGHTS)?);
    let config::Read { shape, plan: model, eot } = config::read(&read_text(CONFIG, config_path)?)?;
    let text = files.find(TOKENIZER).map(|path| read_text(TOKENIZER, path)).transpose()?;
    let tokenizer = tokenizer_of(text.as_deref(), model.vocab, eot)?;
    let mapped = Mapped::open(weights_path)?;
    let weights = weights(shape, &model, mapped.bytes())?;
    let (tokenizer, tokenizer_file) = tokenizer;
    Ok(Import { shape, model, tokenizer, tokenizer_file, weights })
}

impl Import {
    /// Stores the tokenizer in the folder of the corpora, from which runs of the model read it.
    ///
    /// # Errors
    /// Returns an IO error if the file cannot be written.
    pub fn keep_tokenizer(&self, corpora: &Path) -> Result<(), EngineError> {
        match &self.tokenizer_file {
            Some(file) => Ok(save_imported(corpora, file).map(drop)?),
            None => Ok(()),
        }
    }

    /// The weights, to be written as a checkpoint.
    pub fn state(self) -> HostState {
        HostState::of_weights(&params::layout(&self.model), self.weights)
    }
}

/// Files by the last component of their names.
struct Files<'a>(HashMap<&'a str, &'a Path>);

impl<'a> Files<'a> {
    fn new(files: &'a [(String, PathBuf)]) -> Result<Self, EngineError> {
        let mut found = HashMap::new();
        for (full, path) in files {
            let name = full.rsplit(['/', '\\']).next().unwrap_or(full);
            super::tensors::check_kind(name, &first_bytes(path)?)?;
            if found.insert(name, path.as_path()).is_some() {
                return Err(refused(name, "it was given twice", "import the files of one model"));
            }
        }
        Ok(Self(found))
    }

    fn find(&self, name: &str) -> Option<&'a Path> {
        self.0.get(name).copied()
    }

    fn need(&self, name: &str) -> Result<&'a Path, EngineError> {
        self.find(name).ok_or_else(|| {
            if self.0.keys().any(|found| found.ends_with(".safetensors") && found.contains("-of-")) {
                return refused(
                    name,
                    "the weights are in several shards",
                    "save them as one: model.save_pretrained(FOLDER, max_shard_size=\"100GB\")",
                );
            }
            let mut names: Vec<&str> = self.0.keys().copied().take(20).collect();
            names.sort_unstable();
            let message = format!(
                "missing from the upload, which has {}",
                if names.is_empty() { "no files".to_owned() } else { names.join(", ") }
            );
            refused(name, message, "a model is config.json, model.safetensors and tokenizer.json")
        })
    }
}

fn first_bytes(path: &Path) -> Result<Vec<u8>, EngineError> {
    let mut first = vec![];
    let read = File::open(path).and_then(|file| file.take(8).read_to_end(&mut first));
    read.map_err(|source| failed(path.display().to_string(), source, "upload it again"))?;
    Ok(first)
}

fn read_text(name: &str, path: &Path) -> Result<Vec<u8>, EngineError> {
    let mut text = vec![];
    let read = File::open(path).and_then(|file| file.take(TEXT_BYTES + 1).read_to_end(&mut text));
    read.map_err(|source| failed(name, source, "upload it again"))?;
    if text.len() as u64 > TEXT_BYTES {
        return Err(refused(name, format!("it is larger than {TEXT_BYTES} bytes"), "upload the one of the model"));
    }
    Ok(text)
}

/// The tokenizer, and the file to store if it is not a built-in one.
fn tokenizer_of(
    text: Option<&[u8]>,
    vocab: usize,
    eot: Option<u32>,
) -> Result<(Tokenizer, Option<Vec<u8>>), EngineError> {
    let Some(text) = text else {
        if vocab == 50_257 {
            return Ok((Tokenizer::Gpt2, None));
        }
        let message =
            format!("it is missing, and only GPT-2's own may be left out (this model has {vocab} tokens, GPT-2 50257)");
        return Err(refused(TOKENIZER, message, "upload it too: tokenizer.save_pretrained(FOLDER) writes it"));
    };
    let unfit = |source: TokenizerError| {
        failed(TOKENIZER, source, "bytes, characters, and byte-level BPE with GPT-2's pre-tokenization can be imported")
    };
    let read = hugging_face::read(text, vocab, eot).map_err(unfit)?;
    Ok(match () {
        () if read.is_same(&TextTokenizer::byte()) => (Tokenizer::Byte, None),
        () if vocab == 50_257 && read.is_same(&TextTokenizer::gpt2()) => (Tokenizer::Gpt2, None),
        () => {
            let file = hugging_face::write(&read);
            (crate::tokenizer::imported(&file), Some(file))
        }
    })
}

fn weights(shape: Shape, plan: &ModelPlan, bytes: &[u8]) -> Result<Vec<Vec<f32>>, EngineError> {
    let file = super::tensors::open(bytes)?;
    let mut found: HashMap<&str, TensorView<'_>> = HashMap::new();
    for (full, view) in file.iter() {
        let name = full.strip_prefix(prefix(shape)).unwrap_or(full);
        if is_buffer(name) {
            continue;
        }
        if found.insert(name, view).is_some() {
            return Err(refused(
                WEIGHTS,
                format!("{name} is given twice, with and without {:?}", prefix(shape)),
                "save it again",
            ));
        }
    }
    let mut parameters = HashMap::new();
    for tensor in tensors(shape, plan) {
        let view = found.remove(tensor.name.as_str()).ok_or_else(|| {
            let message = format!(
                "{} is missing; config.json has {} layers of {}'s architecture",
                tensor.name,
                plan.layers,
                shape.name()
            );
            refused(WEIGHTS, message, "upload the config.json of these weights")
        })?;
        let values = super::tensors::values(&tensor.name, &view, &tensor.shape)?;
        let is_embedding = tensor.name == "wte.weight" || tensor.name == "embed_tokens.weight";
        if let Some(head) = found.get(HEAD).filter(|_| is_embedding && plan.tied_head) {
            check_tied(head, &view)?;
            found.remove(HEAD);
        }
        parameters.extend(tensor.parameters().iter().cloned().zip(tensor.split(values)));
    }
    if !found.is_empty() {
        let mut names: Vec<&str> = found.into_keys().collect();
        names.sort_unstable();
        let more = if names.len() > LISTED { " and more" } else { "" };
        names.truncate(LISTED);
        let message =
            format!("it has tensors that {}'s architecture does not have: {}{more}", shape.name(), names.join(", "));
        return Err(refused(WEIGHTS, message, "models with other components are not supported"));
    }
    let taken = params::layout(plan).into_iter().map(|spec| {
        parameters
            .remove(&spec.name)
            .ok_or_else(|| refused(WEIGHTS, format!("{} has no counterpart", spec.name), "another model"))
    });
    taken.collect()
}

/// Whether a tensor is a constant that older files contain in addition to the weights.
fn is_buffer(name: &str) -> bool {
    [".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq"].iter().any(|end| name.ends_with(end))
}

/// Checks that a head in the file equals the embedding, if config.json ties them.
fn check_tied(head: &TensorView<'_>, embedding: &TensorView<'_>) -> Result<(), EngineError> {
    if head.data() == embedding.data() {
        return Ok(());
    }
    let message = format!("{HEAD} differs from the embedding, and config.json ties them (tie_word_embeddings)");
    Err(refused(WEIGHTS, message, "set tie_word_embeddings to false in config.json"))
}
