//! The files of a tokenized dataset by fixed names, so that a worker of another machine can fetch them: the descriptions of its corpora
//! (`corpus-0`, ...), that of its shards (`shards`), its tokenizer (`tokenizer`, if it has a file) and the shards of each corpus (`train-0`,
//! `valid-0`, ...). Training reads nothing else. Places are computed from the plan, on both machines.

use std::fs;
use std::path::{Path, PathBuf};

use wire::RunPlan;
use wire::data::corpus::CorpusInfo;
use wire::transport::transfer::TransferFile;

use crate::data::corpus::read_all;
use crate::data::shards::{folder, matching, shard_path};
use crate::error::DataError;

/// A name and the place of its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetFile {
    pub name: String,
    pub path: PathBuf,
}

/// An identifier of the tokenized dataset of a plan: the first 32 hex digits of a BLAKE3 over the tokenizer and the hashes of the texts.
pub fn key(plan: &RunPlan) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(format!("{}\n", plan.tokenizer).as_bytes());
    for part in &plan.mix {
        hasher.update(format!("{} {}\n", part.corpus, part.content_hash).as_bytes());
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

/// The descriptions of the corpora of a plan.
pub fn descriptions(corpora: &Path, plan: &RunPlan) -> Vec<DatasetFile> {
    let place = |(index, part): (usize, &wire::run::plan::MixPart)| DatasetFile {
        name: format!("corpus-{index}"),
        path: corpora.join(part.corpus.as_str()).join("info.json"),
    };
    plan.mix.iter().enumerate().map(place).collect()
}

/// The places of the shards and the tokenizer of a plan. They depend on the descriptions, which must be there.
///
/// # Errors
/// A description is missing, or is that of another text than the plan's.
pub fn shards(corpora: &Path, plan: &RunPlan) -> Result<Vec<DatasetFile>, DataError> {
    let infos = described(corpora, plan)?;
    let folder = folder(corpora, &infos, plan.tokenizer);
    let file = |name: &str, path: PathBuf| DatasetFile { name: name.to_owned(), path };
    let mut files = vec![file("shards", folder.join("info.json")), file("tokenizer", folder.join("tokenizer.json"))];
    for (index, info) in infos.iter().enumerate() {
        for side in ["train", "valid"] {
            files.push(file(&format!("{side}-{index}"), shard_path(&folder, infos.len(), &info.id, side)));
        }
    }
    Ok(files)
}

/// The files of a tokenized dataset, with sizes and hashes. The hashes of the shards are those of their description.
///
/// # Errors
/// The corpora have other texts than the plan's, are not tokenized, or a file cannot be read.
pub fn list(corpora: &Path, plan: &RunPlan) -> Result<Vec<(TransferFile, PathBuf)>, DataError> {
    let infos = described(corpora, plan)?;
    let description = matching(&folder(corpora, &infos, plan.tokenizer), &infos)?;
    let places = descriptions(corpora, plan).into_iter().chain(shards(corpora, plan)?);
    let mut listed = vec![];
    for DatasetFile { name, path } in places {
        let shard_hash = name.split_once('-').and_then(|(side, index)| {
            let part = description.parts.get(index.parse::<usize>().ok()?)?;
            match side {
                "train" => Some(part.train.hash().to_owned()),
                "valid" => Some(part.valid.hash().to_owned()),
                _ => None,
            }
        });
        let bytes = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(_) if name == "tokenizer" && description.tokenizer_hash.is_none() => continue,
            Err(source) => return Err(DataError::disk("could not read", &path)(source)),
        };
        let hash = match shard_hash {
            Some(hash) => hash,
            None => {
                blake3::hash(&fs::read(&path).map_err(DataError::disk("could not read", &path))?).to_hex().to_string()
            }
        };
        listed.push((TransferFile { name, bytes, hash }, path));
    }
    Ok(listed)
}

fn described(corpora: &Path, plan: &RunPlan) -> Result<Vec<CorpusInfo>, DataError> {
    let infos = read_all(corpora, &plan.corpora())?;
    for (info, part) in infos.iter().zip(&plan.mix) {
        if info.content_hash != part.content_hash {
            let path = corpora.join(part.corpus.as_str()).join("info.json");
            return Err(DataError::altered(
                &path,
                "the text of the dataset differs from the text that the run was planned with",
            ));
        }
    }
    Ok(infos)
}
