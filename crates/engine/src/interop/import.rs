//! A model of `transformers` as the weights of a first checkpoint. Its files are untrusted: names, sizes and values are checked before
//! anything is stored, and an error has the value and what to do.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;
use wire::data::tokenizer::Tokenizer;
use wire::model::ModelPlan;

use super::folder::{self, Selection};
use super::generation::{self, Generation};
use super::tokenizer_files::{self, TokenizerFiles};
use super::weights::WeightFiles;
use super::{CONFIG, GENERATION, INDEX, Shape, TOKENIZER, TOKENIZER_CONFIG, WEIGHTS, config, failed, refused, tensors};
use crate::data::files::Mapped;
use crate::data::tokenizer::save_imported;
use crate::error::EngineError;
use crate::model::params;
use crate::optim::checkpoint::HostState;

/// Maximum size of config and tokenizer, bytes; GPT-2's tokenizer has 3.6 MB.
const TEXT_BYTES: u64 = 64 << 20;
/// Maximum number of ignored files that a note lists.
const LISTED: usize = 10;
/// Prefix of a byte order mark.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// A model that can be imported.
pub struct Import {
    /// Architecture of the model.
    pub shape: Shape,
    /// The model as a plan.
    pub model: ModelPlan,
    pub tokenizer: Tokenizer,
    /// What was left out or changed, one sentence each without a period.
    pub notes: Vec<String>,
    /// Files that were not read, by their names as given.
    pub ignored: Vec<String>,
    /// The file of the tokenizer; `None` for a built-in tokenizer.
    tokenizer_file: Option<Vec<u8>>,
    weights: Vec<Vec<f32>>,
}

/// Reads a model from files, each with its name as given and its path. Only the needed files of the top folder are opened.
///
/// # Errors
/// Pickles in place of weights, a missing file, or anything else that cannot be imported, with the reason.
pub fn read(files: &[(String, PathBuf)]) -> Result<Import, EngineError> {
    let files = Files::new(files)?;
    let config = files.json(CONFIG)?.ok_or_else(|| files.missing(CONFIG))?;
    let config::Read { shape, plan: model, generation } = config::read(&config)?;
    let mut notes = vec![];
    let generation = generation_of(&files, generation, model.vocab, &mut notes)?;
    let tokenizer = tokenizer_files::read(&files.tokenizer()?, shape, model.vocab, &generation)?;
    notes.extend(tokenizer.notes);
    if !files.has(WEIGHTS) && !files.has(INDEX) {
        return Err(files.missing(WEIGHTS));
    }
    let index = files.text(INDEX)?;
    let weight_files = WeightFiles::open(|name| files.find(name).map(Path::to_owned), index.as_deref())?;
    let weights = weight_files.read(shape, &model)?;
    if !weights.stripped.is_empty() {
        let prefixes: Vec<String> = weights.stripped.into_iter().collect();
        notes.push(format!("the prefixes {} of tensor names were stripped", prefixes.join(", ")));
    }
    let ignored = files.ignored(&weight_files);
    if !ignored.is_empty() {
        notes.push(format!("files that are not needed were ignored: {}", list(&ignored)));
    }
    let (values, tokenizer_file) = (weights.values, tokenizer.file);
    Ok(Import { shape, model, tokenizer: tokenizer.tokenizer, notes, ignored, tokenizer_file, weights: values })
}

/// Where texts begin and end, of `generation_config.json` where there is one.
fn generation_of(
    files: &Files<'_>,
    of_config: Generation,
    vocab: usize,
    notes: &mut Vec<String>,
) -> Result<Generation, EngineError> {
    let own = files.json(GENERATION)?;
    let generation = own.as_ref().map_or(Ok(of_config), |own| Generation::read(GENERATION, own))?;
    let applied = own.as_ref().map(generation::processors).unwrap_or_default();
    if !applied.is_empty() {
        notes.push(format!("settings of {GENERATION} that completions do not apply: {}", applied.join(", ")));
    }
    let (generation, unknown) = generation.within(vocab);
    if !unknown.is_empty() {
        let ids: Vec<String> = unknown.iter().map(u32::to_string).collect();
        notes.push(format!("bos_token_id or eos_token_id {} is not a token of the model", ids.join(", ")));
    }
    Ok(generation)
}

fn list(names: &[String]) -> String {
    let first = names.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(LISTED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
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

/// The needed files of a folder by their names, and the others.
struct Files<'a> {
    needed: HashMap<&'a str, (&'a str, &'a Path)>,
    ignored: Vec<&'a str>,
}

impl<'a> Files<'a> {
    fn new(files: &'a [(String, PathBuf)]) -> Result<Self, EngineError> {
        let paths: Vec<&str> = files.iter().map(|(full, _)| full.as_str()).collect();
        let Selection { needed, ignored } = folder::select(&paths)?;
        let mut found = HashMap::new();
        for (full, path) in needed.into_iter().map(|place| &files[place]) {
            let (_, name) = folder::split(full);
            let before = found.insert(name, (full.as_str(), path.as_path()));
            // A form without folders may have the same file of a subfolder.
            if before.is_some_and(|(_, other)| !is_same(other, path)) {
                let hint = "import the files of one model, or send their folders in the file names";
                return Err(refused(name, "it was given twice, with different contents", hint));
            }
        }
        let files = Self { needed: found, ignored: ignored.into_iter().map(|place| paths[place]).collect() };
        files.check_weights()?;
        Ok(files)
    }

    /// Without safetensors, the weights of other formats are named.
    fn check_weights(&self) -> Result<(), EngineError> {
        if self.has(WEIGHTS) || self.has(INDEX) {
            return Ok(());
        }
        let mut names: Vec<&str> = self.ignored.iter().map(|full| folder::split(full).1).collect();
        names.sort_unstable();
        if let Some(name) = names.iter().find(|name| name.starts_with("adapter_model.")) {
            let hint = "merge it first: model.merge_and_unload().save_pretrained(FOLDER)";
            return Err(refused(*name, "it is an adapter, and the weights of its base model are missing", hint));
        }
        if names.iter().any(|name| name.ends_with(".safetensors") && name.contains("-of-")) {
            let hint = "upload it too, or save one file: model.save_pretrained(FOLDER, max_shard_size=\"100GB\")";
            return Err(refused(INDEX, "it is missing, and the weights are in several shards", hint));
        }
        names.iter().try_for_each(|name| tensors::check_kind(name, &[]))
    }

    fn find(&self, name: &str) -> Option<&'a Path> {
        self.needed.get(name).map(|(_, path)| *path)
    }

    fn has(&self, name: &str) -> bool {
        self.needed.contains_key(name)
    }

    fn text(&self, name: &str) -> Result<Option<Vec<u8>>, EngineError> {
        self.find(name).map(|path| read_text(name, path)).transpose()
    }

    fn json(&self, name: &str) -> Result<Option<Value>, EngineError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let parse = serde_json::from_slice(&text).map(Some);
        parse.map_err(|source| {
            refused(
                name,
                format!("it is not JSON: {source}"),
                "NaN and Infinity are not JSON numbers; save the model again",
            )
        })
    }

    fn tokenizer(&self) -> Result<TokenizerFiles, EngineError> {
        let merges = self.text("merges.txt")?.map(String::from_utf8).transpose();
        Ok(TokenizerFiles {
            tokenizer: self.json(TOKENIZER)?,
            vocab: self.json("vocab.json")?,
            merges: merges.map_err(|source| failed("merges.txt", source, "save the tokenizer again"))?,
            config: self.json(TOKENIZER_CONFIG)?.unwrap_or_default(),
            special: self.json("special_tokens_map.json")?.unwrap_or_default(),
            added: self.json("added_tokens.json")?.unwrap_or_default(),
            names: self.ignored.iter().map(|full| folder::split(full).1.to_owned()).collect(),
        })
    }

    /// Files that were not read, among them shards that the index does not name.
    fn ignored(&self, weights: &WeightFiles) -> Vec<String> {
        let read = weights.names();
        let unnamed = self.needed.iter().filter(|(name, _)| name.ends_with(".safetensors") && !read.contains(**name));
        let unnamed = unnamed.map(|(_, (full, _))| *full);
        let mut ignored: Vec<String> = self.ignored.iter().copied().chain(unnamed).map(str::to_owned).collect();
        ignored.sort_unstable();
        ignored
    }

    fn missing(&self, name: &str) -> EngineError {
        let all = self.needed.values().map(|(full, _)| *full).chain(self.ignored.iter().copied());
        let mut names: Vec<&str> = all.collect();
        names.sort_unstable();
        names.truncate(20);
        let there = if names.is_empty() { "no files".to_owned() } else { names.join(", ") };
        let hint = "a model needs config.json, model.safetensors and tokenizer.json";
        refused(name, format!("the file is missing; the upload has {there}"), hint)
    }
}

/// Whether two files have the same contents.
fn is_same(one: &Path, other: &Path) -> bool {
    match (Mapped::open(one), Mapped::open(other)) {
        (Ok(one), Ok(other)) => one.bytes() == other.bytes(),
        _ => false,
    }
}

/// A text without its byte order mark.
fn read_text(name: &str, path: &Path) -> Result<Vec<u8>, EngineError> {
    let mut text = vec![];
    let read = File::open(path).and_then(|file| file.take(TEXT_BYTES + 1).read_to_end(&mut text));
    read.map_err(|source| failed(name, source, "upload it again"))?;
    if text.len() as u64 > TEXT_BYTES {
        return Err(refused(name, format!("it is larger than {TEXT_BYTES} bytes"), "upload the one of the model"));
    }
    if text.starts_with(BOM) {
        text.drain(..BOM.len());
    }
    Ok(text)
}
