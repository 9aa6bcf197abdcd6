//! The weights of a model: the tensors of one file or of all its shards, each by the name that `transformers` gives it. Wrappers of training
//! programs prefix names; known prefixes are stripped and reported.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;

use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::Value;
use wire::model::ModelPlan;

use super::names::{self, HEAD, tensors};
use super::{INDEX, Shape, WEIGHTS, failed, prefix, refused};
use crate::data::files::Mapped;
use crate::error::EngineError;
use crate::model::params;

/// Maximum number of unknown tensors that an error lists.
const LISTED: usize = 5;
/// Prefixes of a whole model inside another module: DataParallel, Lightning.
const WRAPPERS: [&str; 2] = ["module.", "model."];
/// Wrappers of modules anywhere in a model: torch.compile, FSDP, activation checkpointing.
const INNER_WRAPPERS: [&str; 3] = ["_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module."];

/// The files of the weights, mapped.
pub(super) struct WeightFiles(Vec<(String, Mapped)>);

/// A tensor and the file that it is in.
struct Found<'a> {
    file: &'a str,
    view: TensorView<'a>,
}

/// Values of all parameters, in the model's order, and the prefixes that were stripped.
pub(super) struct Weights {
    pub(super) values: Vec<Vec<f32>>,
    pub(super) stripped: BTreeSet<String>,
}

impl WeightFiles {
    /// Opens the one file, or the shards that an index names; returns also their names.
    ///
    /// # Errors
    /// A shard that is missing, an index that is not one.
    pub(super) fn open(find: impl Fn(&str) -> Option<PathBuf>, index: Option<&[u8]>) -> Result<Self, EngineError> {
        let names = match (find(WEIGHTS), index) {
            (None, Some(index)) => shards(index)?,
            _ => vec![WEIGHTS.to_owned()],
        };
        let open = |name: String| {
            let path = find(&name).ok_or_else(|| missing(&name))?;
            Ok((name, Mapped::open(&path)?))
        };
        Ok(Self(names.into_iter().map(open).collect::<Result<_, EngineError>>()?))
    }

    /// Names of the files.
    pub(super) fn names(&self) -> HashSet<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// Reads every parameter of a model.
    ///
    /// # Errors
    /// Damaged files; tensors that are missing, given twice or unknown; values that are not finite.
    pub(super) fn read(&self, shape: Shape, plan: &ModelPlan) -> Result<Weights, EngineError> {
        let opened =
            self.0.iter().map(|(name, mapped)| Ok((name.as_str(), super::tensors::open(name, mapped.bytes())?)));
        let opened = opened.collect::<Result<Vec<_>, EngineError>>()?;
        let (found, stripped) = by_name(shape, plan, &opened)?;
        Ok(Weights { values: parameters(shape, plan, found)?, stripped })
    }
}

fn missing(name: &str) -> EngineError {
    refused(name, format!("it is missing, and {INDEX} names it"), "upload all shards of the model")
}

/// Names of the shards of an index, in order.
///
/// # Errors
/// The index is not JSON, has no shards, or names one outside its folder.
pub fn shards(index: &[u8]) -> Result<Vec<String>, EngineError> {
    let tree: Value = serde_json::from_slice(index).map_err(|source| failed(INDEX, source, "save it again"))?;
    let map = tree["weight_map"].as_object().filter(|map| !map.is_empty());
    let map = map.ok_or_else(|| refused(INDEX, "it has no weight_map", "save the model again"))?;
    let named = map.values().map(|shard| {
        let is_name = |name: &&str| !name.contains(['/', '\\']) && name.ends_with(".safetensors");
        shard.as_str().filter(is_name).map(str::to_owned).ok_or_else(|| {
            refused(
                INDEX,
                format!("it names the shard {shard}"),
                "shards are .safetensors files in the folder of the model",
            )
        })
    });
    Ok(named.collect::<Result<BTreeSet<String>, _>>()?.into_iter().collect())
}

type ByName<'a> = BTreeMap<String, Found<'a>>;

/// All tensors by their names without prefixes, and the prefixes that only wrappers add.
fn by_name<'a>(
    shape: Shape,
    plan: &ModelPlan,
    files: &'a [(&'a str, SafeTensors<'a>)],
) -> Result<(ByName<'a>, BTreeSet<String>), EngineError> {
    let expected: HashSet<String> =
        tensors(shape, plan).into_iter().map(|tensor| tensor.name).chain([HEAD.to_owned()]).collect();
    let (mut found, mut stripped) = (ByName::new(), BTreeSet::new());
    for (file, opened) in files {
        for (full, view) in opened.iter() {
            let name = match own_name(full, prefix(shape), &expected) {
                Some((name, wrappers)) => {
                    stripped.extend(wrappers);
                    name
                }
                None if is_buffer(full) => continue,
                None => full.to_owned(),
            };
            if found.insert(name.clone(), Found { file, view }).is_some() {
                return Err(refused(*file, format!("{name} is given twice, under two names"), "save it again"));
            }
        }
    }
    Ok((found, stripped))
}

/// The name of a tensor without prefixes, and the prefixes of wrappers, where the model has this tensor.
fn own_name(full: &str, prefix: &str, expected: &HashSet<String>) -> Option<(String, Vec<String>)> {
    let mut wrappers = vec![];
    let mut name = full.to_owned();
    for inner in INNER_WRAPPERS.iter().filter(|inner| full.contains(**inner)) {
        name = name.replace(inner, "");
        wrappers.push((*inner).to_owned());
    }
    loop {
        let plain = name.strip_prefix(prefix).filter(|plain| *plain != HEAD).unwrap_or(&name);
        if expected.contains(plain) {
            return Some((plain.to_owned(), wrappers));
        }
        let wrapper = WRAPPERS.iter().find(|wrapper| name.starts_with(**wrapper))?;
        name = name[wrapper.len()..].to_owned();
        wrappers.push((*wrapper).to_owned());
    }
}

/// Whether a tensor is a constant that older files contain in addition to the weights.
fn is_buffer(name: &str) -> bool {
    [".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq"].iter().any(|end| name.ends_with(end))
}

/// Values of all parameters in the model's order.
fn parameters(shape: Shape, plan: &ModelPlan, mut found: ByName<'_>) -> Result<Vec<Vec<f32>>, EngineError> {
    if plan.tied_head {
        tie(shape, &mut found)?;
    }
    let mut parameters = HashMap::new();
    for tensor in tensors(shape, plan) {
        let Found { file, view } = found.remove(&tensor.name).ok_or_else(|| {
            let message = format!(
                "{} is missing; config.json has {} layers of {}'s architecture",
                tensor.name,
                plan.layers,
                shape.name()
            );
            refused(WEIGHTS, message, "upload the config.json of these weights")
        })?;
        let values = super::tensors::values(file, &tensor.name, &view, &tensor.shape)?;
        parameters.extend(tensor.parameters().iter().cloned().zip(tensor.split(values)));
    }
    if !found.is_empty() {
        return Err(unknown(shape, found));
    }
    let taken = params::layout(plan).into_iter().map(|spec| {
        parameters
            .remove(&spec.name)
            .ok_or_else(|| refused(WEIGHTS, format!("{} has no counterpart", spec.name), "another model"))
    });
    taken.collect()
}

/// A tied matrix is stored as embedding, as head or as both, which must then be equal.
fn tie(shape: Shape, found: &mut ByName<'_>) -> Result<(), EngineError> {
    let Some(head) = found.remove(HEAD) else { return Ok(()) };
    let embedding = names::embedding(shape);
    match found.get(embedding) {
        None => {
            found.insert(embedding.to_owned(), head);
            Ok(())
        }
        Some(embedding) if embedding.view.data() == head.view.data() => Ok(()),
        Some(_) => {
            let message = format!("{HEAD} differs from the embedding, and config.json ties them (tie_word_embeddings)");
            Err(refused(WEIGHTS, message, "set tie_word_embeddings to false in config.json"))
        }
    }
}

fn unknown(shape: Shape, found: ByName<'_>) -> EngineError {
    let file = found.values().next().map_or(WEIGHTS, |found| found.file).to_owned();
    let mut names: Vec<String> = found.into_keys().collect();
    let more = if names.len() > LISTED { " and more" } else { "" };
    names.truncate(LISTED);
    let message =
        format!("it has tensors that {}'s architecture does not have: {}{more}", shape.name(), names.join(", "));
    refused(file, message, "models with other components are not supported")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_the_prefixes_of_wrappers_and_no_others() {
        let expected: HashSet<String> =
            ["layers.0.mlp.up_proj.weight", "embed_tokens.weight", HEAD].map(str::to_owned).into();
        for (full, name, wrappers) in [
            ("model.layers.0.mlp.up_proj.weight", "layers.0.mlp.up_proj.weight", &[][..]),
            ("layers.0.mlp.up_proj.weight", "layers.0.mlp.up_proj.weight", &[]),
            ("_orig_mod.model.embed_tokens.weight", "embed_tokens.weight", &["_orig_mod."]),
            ("module._orig_mod.model.embed_tokens.weight", "embed_tokens.weight", &["_orig_mod.", "module."]),
            ("model.model.embed_tokens.weight", "embed_tokens.weight", &["model."]),
            ("model.lm_head.weight", HEAD, &["model."]),
            ("module.lm_head.weight", HEAD, &["module."]),
            ("model.layers.0._orig_mod.mlp.up_proj.weight", "layers.0.mlp.up_proj.weight", &["_orig_mod."]),
        ] {
            let (found, stripped) = own_name(full, "model.", &expected).unwrap();
            assert_eq!(
                (found.as_str(), stripped.as_slice()),
                (name, wrappers.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>().as_slice())
            );
        }
        for other in ["model.score.weight", "encoder.embed_tokens.weight", "model.layers.0.mlp.experts.weight"] {
            assert!(own_name(other, "model.", &expected).is_none(), "{other}");
        }
    }

    #[test]
    fn an_index_names_files_of_its_folder_only() {
        let names = shards(br#"{"weight_map":{"a":"b.safetensors","c":"a.safetensors","d":"b.safetensors"}}"#).unwrap();
        assert_eq!(names, ["a.safetensors", "b.safetensors"]);
        for bad in [
            "{}",
            "[]",
            r#"{"weight_map":{"a":"../x.safetensors"}}"#,
            r#"{"weight_map":{"a":1}}"#,
            r#"{"weight_map":{"a":"x.bin"}}"#,
        ] {
            assert!(shards(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
