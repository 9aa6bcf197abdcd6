//! Token shards on disk: their folders, descriptions and hashes.
//!
//! One corpus: `<corpus>/<tokenizer>/{info.json, tokenizer.json, train.bin, valid.bin}`. Several corpora of a mix share one tokenizer and one
//! folder, `.mix-<hash>/<tokenizer>/`, with shards named by corpus. Shards are written to a temporary folder, which is renamed, so that two
//! processes may tokenize the same corpora: the second finds the shards of the first.

pub(crate) mod shard;

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wire::data::corpus::{CorpusInfo, DatasetInfo};
use wire::data::tokenizer::Tokenizer;
use wire::id::CorpusId;

use crate::data::files::temporary_path;
use crate::data::shards::shard::ShardInfo;
use crate::data::tokenizer::TextTokenizer;
use crate::error::DataError;

/// The contents of `info.json` in a folder of shards.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ShardsFile {
    pub(crate) info: DatasetInfo,
    /// BLAKE3 of `tokenizer.json`, in hex; `None` for tokenizers that need no file.
    pub(crate) tokenizer_hash: Option<String>,
    pub(crate) parts: Vec<Part>,
}

/// The shards of one corpus.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) corpus: CorpusId,
    pub(crate) content_hash: String,
    pub(crate) documents: u64,
    pub(crate) train: ShardInfo,
    pub(crate) valid: ShardInfo,
}

/// Renames new shards to their final folder. Intact shards of another process are kept, damaged ones are replaced.
pub(crate) fn put(fresh: &Path, target: &Path, infos: &[CorpusInfo]) -> Result<(), DataError> {
    if fs::rename(fresh, target).is_ok() || matching(target, infos).is_ok() {
        return Ok(());
    }
    let damaged = temporary_path(target.parent().unwrap_or(target), "damaged");
    fs::rename(target, &damaged)
        .and_then(|()| fs::rename(fresh, target))
        .map_err(DataError::disk("could not replace", target))?;
    fs::remove_dir_all(&damaged).map_err(DataError::disk("could not remove", &damaged))
}

/// The folder of the shards of these corpora. Its hash depends on their contents and order.
pub(crate) fn folder(corpora: &Path, infos: &[CorpusInfo], tokenizer: Tokenizer) -> PathBuf {
    let group = match infos {
        [only] => only.id.to_string(),
        several => {
            let mut hasher = blake3::Hasher::new();
            for info in several {
                hasher.update(format!("{} {} {}\n", info.id, info.content_hash, info.documents).as_bytes());
            }
            format!(".mix-{}", &hasher.finalize().to_hex()[..16])
        }
    };
    corpora.join(group).join(tokenizer.to_string())
}

/// The tokenizer in the folder of the shards. An error if its hash differs from the one in their description.
pub(crate) fn shards_tokenizer(folder: &Path, file: &ShardsFile, kind: Tokenizer) -> Result<TextTokenizer, DataError> {
    let path = folder.join("tokenizer.json");
    if tokenizer_hash(folder) != file.tokenizer_hash {
        return Err(DataError::altered(&path, "its hash differs from the recorded one"));
    }
    let tokenizer = TextTokenizer::open(kind, folder)?;
    if file.info.tokenizer != kind || tokenizer.vocab() != file.info.vocab as usize {
        return Err(DataError::altered(&path, "it does not match the shards in its folder"));
    }
    Ok(tokenizer)
}

pub(crate) fn tokenizer_hash(folder: &Path) -> Option<String> {
    fs::read(folder.join("tokenizer.json")).ok().map(|file| blake3::hash(&file).to_hex().to_string())
}

pub(crate) fn shard_path(folder: &Path, parts: usize, id: &CorpusId, side: &str) -> PathBuf {
    folder.join(if parts == 1 { format!("{side}.bin") } else { format!("{id}.{side}.bin") })
}

/// The description of a folder of shards, if it was made from these corpora and its files have their lengths. No shard is read.
pub(crate) fn matching(folder: &Path, infos: &[CorpusInfo]) -> Result<ShardsFile, DataError> {
    let path = folder.join("info.json");
    let text = fs::read(&path).map_err(DataError::disk("could not read", &path))?;
    let file: ShardsFile = serde_json::from_slice(&text).map_err(|source| DataError::altered(&path, source))?;
    let is_of = |part: &Part, info: &CorpusInfo| {
        part.corpus == info.id && part.content_hash == info.content_hash && part.documents == info.documents
    };
    if file.parts.len() != infos.len() || !file.parts.iter().zip(infos).all(|(part, info)| is_of(part, info)) {
        return Err(DataError::altered(&path, "it was made from other corpora"));
    }
    for part in &file.parts {
        for (side, shard) in [("train", &part.train), ("valid", &part.valid)] {
            shard.check_length(&shard_path(folder, infos.len(), &part.corpus, side), file.info.vocab)?;
        }
    }
    Ok(file)
}

/// The shards of a single corpus, from its folder.
pub(crate) fn made_of(corpus: &Path) -> Vec<DatasetInfo> {
    let file = |entry: fs::DirEntry| {
        serde_json::from_slice::<ShardsFile>(&fs::read(entry.path().join("info.json")).ok()?).ok()
    };
    let mut made: Vec<DatasetInfo> = fs::read_dir(corpus)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| name.parse::<Tokenizer>().is_ok()))
        .filter_map(|entry| Some(file(entry)?.info))
        .collect();
    made.sort_by_key(|info| info.tokenizer);
    made
}

/// Removes the shards of every mix that includes a corpus.
pub(crate) fn remove_mixes_of(corpora: &Path, id: &CorpusId) -> Result<(), DataError> {
    let entries = fs::read_dir(corpora).map_err(DataError::disk("could not list", corpora))?;
    for mix in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(".mix-")) {
        let name = format!("{id}.train.bin");
        let includes_corpus =
            fs::read_dir(mix.path()).into_iter().flatten().flatten().any(|made| made.path().join(&name).exists());
        if includes_corpus {
            fs::remove_dir_all(mix.path()).map_err(DataError::disk("could not remove", &mix.path()))?;
        }
    }
    Ok(())
}
