//! A corpus that is being written: in a temporary folder, counted and hashed meanwhile, and renamed at the end. If the writer is dropped
//! before the rename, the folder is deleted.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use wire::data::corpus::{CorpusInfo, Source};
use wire::id::CorpusId;

use crate::data::documents::{Documents, held_out_tenths};
use crate::data::files::{sweep, temporary_path, write_json, write_synced};
use crate::error::DataError;

/// Length of the sample, characters.
const SAMPLE_CHARS: usize = 1000;
/// Maximum number of unique characters that are listed.
const ALPHABET_CHARS: usize = 65_536;

/// A corpus that is being written. If it is dropped before [`Draft::finish`], its folder is deleted.
pub(crate) struct Draft {
    corpora: PathBuf,
    folder: PathBuf,
    text: BufWriter<File>,
    hasher: blake3::Hasher,
    ends: Vec<u64>,
    entropies: Vec<f64>,
    seen: Vec<bool>,
    info: CorpusInfo,
    is_finished: bool,
}

impl Draft {
    /// Creates the temporary folder of a corpus.
    ///
    /// # Errors
    /// Returns an error if the id exists, or an IO error.
    pub(crate) fn new(corpora: &Path, id: &CorpusId, name: &str, source: Source) -> Result<Self, DataError> {
        if corpora.join(id.as_str()).exists() {
            return Err(DataError::CorpusExists { id: id.to_string() });
        }
        fs::create_dir_all(corpora).map_err(DataError::disk("could not create", corpora))?;
        sweep(corpora);
        let folder = temporary_path(corpora, id.as_str());
        fs::create_dir_all(&folder).map_err(DataError::disk("could not create", &folder))?;
        let path = folder.join("text.bin");
        let file = File::create(&path).map_err(DataError::disk("could not create", &path))?;
        let info = CorpusInfo {
            id: id.clone(),
            name: name.chars().filter(|c| !c.is_control()).take(120).collect(),
            source,
            documents: 0,
            text_bytes: 0,
            chars: 0,
            alphabet: String::new(),
            sample: String::new(),
            valid_share: 0.0,
            content_hash: String::new(),
            entropy_nats: None,
            created_ms: SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, |since| since.as_millis() as i64),
            datasets: vec![],
            import: None,
            project: None,
        };
        Ok(Self {
            corpora: corpora.to_owned(),
            folder,
            text: BufWriter::with_capacity(1 << 20, file),
            hasher: blake3::Hasher::new(),
            ends: vec![],
            entropies: vec![],
            seen: vec![false; char::MAX as usize + 1],
            info,
            is_finished: false,
        })
    }

    /// The description of the corpus so far.
    pub(crate) fn info(&mut self) -> &mut CorpusInfo {
        &mut self.info
    }

    /// The folder that it is written in.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.clone()
    }

    /// Adds to the current document.
    pub(crate) fn append(&mut self, text: &str) -> Result<(), DataError> {
        let starts_another = !self.has_open_document() && !self.info.sample.is_empty();
        self.text.write_all(text.as_bytes()).map_err(DataError::disk("could not write", &self.folder))?;
        self.hasher.update(text.as_bytes());
        self.info.text_bytes += text.len() as u64;
        let mut missing = SAMPLE_CHARS.saturating_sub(self.info.chars as usize);
        if starts_another && missing > 0 {
            self.info.sample.push('\n');
        }
        for c in text.chars() {
            self.seen[c as usize] = true;
            self.info.chars += 1;
            if missing > 0 {
                missing -= 1;
                self.info.sample.push(c);
            }
        }
        Ok(())
    }

    /// Whether anything was appended since the last document's end.
    pub(crate) fn has_open_document(&self) -> bool {
        self.info.text_bytes > self.ends.last().copied().unwrap_or(0)
    }

    /// Ends the current document; `entropy_nats` is its surprisal under the generator, for generated corpora. A document without text is left
    /// out.
    pub(crate) fn end_document(&mut self, entropy_nats: Option<f64>) {
        if !self.has_open_document() {
            return;
        }
        self.ends.push(self.info.text_bytes);
        self.entropies.extend(entropy_nats);
    }

    /// Renames the finished corpus to its final folder.
    ///
    /// # Errors
    /// Returns an error for a corpus without text or an id that another process created meanwhile, or an IO error.
    pub(crate) fn finish(mut self) -> Result<CorpusInfo, DataError> {
        self.end_document(None);
        if self.ends.is_empty() {
            return Err(DataError::Empty { name: self.info.name.clone() });
        }
        let text = self.text.flush().and_then(|()| self.text.get_ref().sync_all());
        text.map_err(DataError::disk("could not write", &self.folder))?;
        write_synced(&self.folder.join("documents.bin"), &words(self.ends.iter().map(|end| end.to_le_bytes())))?;
        if self.entropies.len() == self.ends.len() {
            write_synced(
                &self.folder.join("entropy.bin"),
                &words(self.entropies.iter().map(|nats| nats.to_le_bytes())),
            )?;
            self.info.entropy_nats = Some(self.entropies.iter().sum());
        }
        self.info.documents = self.ends.len() as u64;
        self.info.content_hash = self.hasher.finalize().to_hex().to_string();
        let unique = || (0..=char::MAX as u32).filter(|code| self.seen[*code as usize]).filter_map(char::from_u32);
        if unique().count() <= ALPHABET_CHARS {
            self.info.alphabet = unique().collect();
        }
        self.info.valid_share = Documents::open(&self.folder)?.split(held_out_tenths(&self.info.source)).valid_share();
        write_json(&self.folder.join("info.json"), &self.info)?;
        let target = self.corpora.join(self.info.id.as_str());
        if target.exists() {
            return Err(DataError::CorpusExists { id: self.info.id.to_string() });
        }
        fs::rename(&self.folder, &target).map_err(DataError::disk("could not create", &target))?;
        self.is_finished = true;
        Ok(self.info.clone())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_finished {
            let _ = fs::remove_dir_all(&self.folder); // `sweep` removes what is left after a day
        }
    }
}

fn words(words: impl Iterator<Item = [u8; 8]>) -> Vec<u8> {
    words.flatten().collect()
}
