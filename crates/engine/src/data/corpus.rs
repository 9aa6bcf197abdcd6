//! The corpora of a data folder: listed, read, removed. Generators and imports write them through a [draft](super::draft).
//!
//! A corpus is a folder that never changes once it exists: `info.json`, `text.bin` (all documents, end to end), `documents.bin` (the end of
//! each), and `entropy.bin` (nats of each document, generated corpora only). It is written to a temporary folder and
//! renamed.

use std::fs;
use std::path::Path;

use wire::data::corpus::CorpusInfo;
use wire::id::CorpusId;

use crate::data::documents::Documents;
use crate::data::files::temporary_path;
use crate::data::shards;
use crate::error::DataError;

/// All corpora, in the order of their ids. Folders that cannot be read are left out.
pub fn list(corpora: &Path) -> Result<Vec<CorpusInfo>, DataError> {
    let entries = match fs::read_dir(corpora) {
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
        entries => entries.map_err(DataError::disk("could not list", corpora))?,
    };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<CorpusId>().ok());
    let mut infos: Vec<CorpusInfo> = ids.filter_map(|id| read(corpora, &id).ok()).collect();
    infos.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(infos)
}

/// One corpus, with its token shards.
pub fn read(corpora: &Path, id: &CorpusId) -> Result<CorpusInfo, DataError> {
    let folder = corpora.join(id.as_str());
    let path = folder.join("info.json");
    if !path.exists() {
        return Err(DataError::NoCorpus { id: id.to_string() });
    }
    let text = fs::read(&path).map_err(DataError::disk("could not read", &path))?;
    let mut info: CorpusInfo = serde_json::from_slice(&text).map_err(|source| DataError::altered(&path, source))?;
    info.datasets = shards::made_of(&folder);
    Ok(info)
}

/// Removes a corpus with its token shards.
pub fn remove(corpora: &Path, id: &CorpusId) -> Result<(), DataError> {
    let folder = corpora.join(id.as_str());
    if !folder.exists() {
        return Err(DataError::NoCorpus { id: id.to_string() });
    }
    shards::remove_mixes_of(corpora, id)?;
    // The rename removes the corpus atomically. After a crash, a later import removes the renamed folder.
    let removed = temporary_path(corpora, id.as_str());
    fs::rename(&folder, &removed).map_err(DataError::disk("could not remove", &folder))?;
    fs::remove_dir_all(&removed).map_err(DataError::disk("could not remove", &removed))
}

/// The documents of a corpus.
pub fn documents(corpora: &Path, id: &CorpusId) -> Result<Documents, DataError> {
    if !corpora.join(id.as_str()).join("info.json").exists() {
        return Err(DataError::NoCorpus { id: id.to_string() });
    }
    Documents::open(&corpora.join(id.as_str()))
}

/// Corpora by their ids.
///
/// # Errors
/// There are no ids, or a corpus is unknown.
pub(crate) fn read_all(corpora: &Path, ids: &[CorpusId]) -> Result<Vec<CorpusInfo>, DataError> {
    if ids.is_empty() {
        return Err(DataError::Empty { name: "the list of corpora".to_owned() });
    }
    ids.iter().map(|id| read(corpora, id)).collect()
}
