//! Which files of a folder make its model. A folder as trainers and hubs leave it has optimizer states, other formats and subfolders beside
//! them; these are not opened.

use std::collections::BTreeSet;

pub use super::weights::shards;
use super::{CONFIG, GENERATION, INDEX, TOKENIZER, TOKENIZER_CONFIG, WEIGHTS, refused};
use crate::error::EngineError;

/// Files of a model besides its weights.
const TEXTS: [&str; 8] = [
    CONFIG,
    GENERATION,
    TOKENIZER,
    TOKENIZER_CONFIG,
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
];

/// The files of a folder that are read, and the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Indices of the files that are read.
    pub needed: Vec<usize>,
    /// Indices of the others.
    pub ignored: Vec<usize>,
}

/// Selects files by their paths: those of the top folder that has a `config.json`.
///
/// # Errors
/// Several such folders, none of them above the others.
pub fn select<S: AsRef<str>>(paths: &[S]) -> Result<Selection, EngineError> {
    let paths: Vec<(&str, &str)> = paths.iter().map(|path| split(path.as_ref())).collect();
    let top = top(&paths)?;
    let is_in_top = |name: &str| paths.contains(&(top, name));
    let is_sharded = is_in_top(INDEX) && !is_in_top(WEIGHTS);
    let is_needed = |(folder, name): &(&str, &str)| {
        let is_weights = *name == WEIGHTS || is_sharded && (*name == INDEX || name.ends_with(".safetensors"));
        *folder == top && (is_weights || TEXTS.contains(name))
    };
    let (needed, ignored) = (0..paths.len()).partition(|place| is_needed(&paths[*place]));
    Ok(Selection { needed, ignored })
}

/// Folder and name of a path.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once(['/', '\\']).unwrap_or(("", path))
}

/// The folder of the model.
fn top<'a>(paths: &[(&'a str, &'a str)]) -> Result<&'a str, EngineError> {
    let folders_with = |file: &str| -> BTreeSet<&'a str> {
        paths.iter().filter(|(_, name)| *name == file).map(|(folder, _)| *folder).collect()
    };
    let weights = &folders_with(WEIGHTS) | &folders_with(INDEX);
    let configs = folders_with(CONFIG);
    let candidates = if configs.is_empty() { weights.clone() } else { configs };
    let depth = |folder: &str| if folder.is_empty() { 0 } else { 1 + folder.matches(['/', '\\']).count() };
    let Some(least) = candidates.iter().map(|folder| depth(folder)).min() else { return Ok("") };
    let tops: Vec<&str> = candidates.into_iter().filter(|folder| depth(folder) == least).collect();
    let complete: Vec<&str> = tops.iter().copied().filter(|folder| weights.contains(folder)).collect();
    match (tops.as_slice(), complete.as_slice()) {
        ([only], _) | (_, [only]) => Ok(only),
        _ => {
            let message = format!("there are several models: {}", tops.join(", "));
            Err(refused(CONFIG, message, "import one folder at a time"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needed(paths: &[&str]) -> Vec<String> {
        let chosen = select(paths).unwrap();
        assert_eq!(chosen.needed.len() + chosen.ignored.len(), paths.len());
        chosen.needed.into_iter().map(|place| paths[place].to_owned()).collect()
    }

    #[test]
    fn the_top_folder_wins_and_nothing_else_is_read() {
        let trainer = [
            "config.json",
            "model.safetensors",
            "tokenizer.json",
            "optimizer.pt",
            "training_args.bin",
            "onnx/config.json",
        ];
        assert_eq!(needed(&trainer), trainer[..3]);
        let nested = [
            "m/config.json",
            "m/model.safetensors",
            "m/checkpoint-5/config.json",
            "m/checkpoint-5/model.safetensors",
            ".DS_Store",
        ];
        assert_eq!(needed(&nested), nested[..2]);
        let shards = [
            "m/config.json",
            "m/model-00001-of-00002.safetensors",
            "m/model.safetensors.index.json",
            "m/pytorch_model.bin",
        ];
        assert_eq!(needed(&shards), shards[..3]);
        let both =
            ["config.json", "model.safetensors", "model.safetensors.index.json", "model-00001-of-00001.safetensors"];
        assert_eq!(needed(&both), both[..2]);
        let beside = ["a/config.json", "b/config.json", "b/model.safetensors"];
        assert_eq!(needed(&beside), beside[1..]);
        assert_eq!(needed(&[r"win\config.json", r"win\sub\config.json"]), [r"win\config.json"]);
        assert_eq!(needed(&["notes.txt"]), Vec::<String>::new());
    }

    #[test]
    fn models_side_by_side_are_refused_with_their_folders() {
        let paths = ["a/config.json", "a/model.safetensors", "b/config.json", "b/model.safetensors"];
        let message = select(&paths).unwrap_err().to_string();
        assert!(message.contains("several models: a, b"), "{message}");
    }
}
