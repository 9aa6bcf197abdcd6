//! The texts of the lab on disk: made, listed, read, removed. How files come in is [`crate::intake`], tokens are [`crate::dataset`].
//!
//! A corpus is a folder that never changes once it is there: `info.json`, `text.bin` (all documents, end to end), `documents.bin`
//! (where each ends), and `entropy.bin` (nats of each document, generated texts only). It is written aside and renamed.

pub(crate) mod draft;

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use rayon::prelude::*;
use wire::corpus::{CorpusInfo, Source};
use wire::id::CorpusId;

use crate::corpus::draft::Draft;
use crate::data_error::{DataError, Progress};
use crate::{arithmetic, dataset, induction, tales};

/// Makes a text with a known entropy: `tales`, `modular-addition` or `induction`. The same generator and seed are made once only.
///
/// Errors: an unknown generator, an id taken by another text, a cancel, the disk.
pub fn generate(
    corpora: &Path,
    id: &CorpusId,
    generator: &str,
    seed: u64,
    progress: Progress<'_>,
) -> Result<CorpusInfo, DataError> {
    let source = Source::Generated { generator: generator.to_owned(), seed };
    if let Ok(info) = read(corpora, id) {
        return if info.source == source { Ok(info) } else { Err(DataError::CorpusExists { id: id.to_string() }) };
    }
    let name = match generator {
        "tales" => "Tales",
        "modular-addition" => "Modular addition",
        "induction" => "Induction",
        other => return Err(DataError::NoGenerator { generator: other.to_owned() }),
    };
    let mut draft = Draft::new(corpora, id, name, source)?;
    match generator {
        "tales" => tales::write(seed, tales::STORIES, &mut draft, progress)?,
        "induction" => induction::write(seed, &mut draft, progress)?,
        _ => arithmetic::write(seed, &mut draft, progress)?,
    }
    draft.finish()
}

/// All texts of the lab, in the order of their ids. Folders that cannot be read are left out.
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

/// One text, with the token shards made of it so far.
pub fn read(corpora: &Path, id: &CorpusId) -> Result<CorpusInfo, DataError> {
    let folder = corpora.join(id.as_str());
    let path = folder.join("info.json");
    if !path.exists() {
        return Err(DataError::NoCorpus { id: id.to_string() });
    }
    let text = fs::read(&path).map_err(DataError::disk("could not read", &path))?;
    let mut info: CorpusInfo =
        serde_json::from_slice(&text).map_err(|source| DataError::altered(&path, source.to_string()))?;
    info.datasets = dataset::made_of(&folder);
    Ok(info)
}

/// Removes a text with all that was made of it.
pub fn remove(corpora: &Path, id: &CorpusId) -> Result<(), DataError> {
    let folder = corpora.join(id.as_str());
    if !folder.exists() {
        return Err(DataError::NoCorpus { id: id.to_string() });
    }
    dataset::remove_mixes_of(corpora, id)?;
    // The rename makes it vanish at once; a crash in between leaves only a folder that the next draft sweeps away.
    let gone = draft::aside(corpora, id.as_str());
    fs::rename(&folder, &gone).map_err(DataError::disk("could not remove", &folder))?;
    fs::remove_dir_all(&gone).map_err(DataError::disk("could not remove", &gone))
}

/// What each word of a generated document costs under its generator, in nats: byte ranges that follow each other, and last an empty
/// one for the end of the document. Their sum is the document's entropy. `None` for what the generator cannot write.
pub fn surprisal(generator: &str, document: &str) -> Option<Vec<(Range<usize>, f64)>> {
    match generator {
        "tales" => tales::surprisal(document),
        "modular-addition" => arithmetic::surprisal(document),
        "induction" => induction::surprisal(document),
        _ => None,
    }
}

/// Tenths of a text's documents that are held out.
pub(crate) fn held_out_tenths(source: &Source) -> u64 {
    match source {
        Source::Generated { generator, .. } if generator == "modular-addition" => arithmetic::HELD_OUT_TENTHS,
        _ => 1,
    }
}

/// The documents of a text.
pub fn documents(corpora: &Path, id: &CorpusId) -> Result<Documents, DataError> {
    if !corpora.join(id.as_str()).join("info.json").exists() {
        return Err(DataError::NoCorpus { id: id.to_string() });
    }
    Documents::open(&corpora.join(id.as_str()))
}

/// Documents of one text, mapped from disk.
pub struct Documents {
    folder: PathBuf,
    text: Mapped,
    ends: Vec<usize>,
}

impl Documents {
    /// Opens a corpus folder and checks that its files fit each other.
    pub(crate) fn open(folder: &Path) -> Result<Self, DataError> {
        let (text, ends_path) = (Mapped::open(&folder.join("text.bin"))?, folder.join("documents.bin"));
        let ends: Vec<usize> =
            read_words(&ends_path)?.into_iter().map(|word| u64::from_le_bytes(word) as usize).collect();
        let whole =
            std::str::from_utf8(text.bytes()).map_err(|source| DataError::altered(&text.path, source.to_string()))?;
        let rising = ends.windows(2).all(|pair| pair[0] <= pair[1]);
        let fits = rising && ends.last() == Some(&whole.len()) && ends.iter().all(|end| whole.is_char_boundary(*end));
        if !fits {
            return Err(DataError::altered(&ends_path, "its document ends do not fit the text"));
        }
        Ok(Self { folder: folder.to_owned(), text, ends })
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The document's bytes in the text; empty past the end.
    pub fn range(&self, index: usize) -> Range<usize> {
        let end = self.ends.get(index).copied().unwrap_or(self.text.bytes().len());
        let start = index.checked_sub(1).map_or(0, |before| self.ends.get(before).copied().unwrap_or(end));
        start..end
    }

    /// One document; empty past the end.
    pub fn get(&self, index: usize) -> &str {
        self.slice(self.range(index))
    }

    /// In order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// A stretch of the text between two character boundaries; empty where it is none.
    pub(crate) fn slice(&self, range: Range<usize>) -> &str {
        self.text.bytes().get(range).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    /// Nats of each document under its generator; none for texts from outside.
    pub(crate) fn entropies(&self) -> Result<Option<Vec<f64>>, DataError> {
        let path = self.folder.join("entropy.bin");
        if !path.exists() {
            return Ok(None);
        }
        let nats: Vec<f64> = read_words(&path)?.into_iter().map(f64::from_le_bytes).collect();
        if nats.len() != self.len() || nats.iter().any(|nats| !nats.is_finite() || *nats < 0.0) {
            return Err(DataError::altered(&path, "it does not hold one entropy for each document"));
        }
        Ok(Some(nats))
    }

    /// Cuts the documents into train and validation.
    ///
    /// Many documents: each goes to one side by the hash of its text, so many tenths of them to validation, so equal texts stay together and
    /// a growing corpus never moves a document. Fewer than [`FEW`]: hashes would be a lottery, so the last tenth of each is held out.
    pub(crate) fn split(&self, held_out_tenths: u64) -> Split {
        let cut = |side: &(dyn Fn(usize) -> Sides + Sync)| {
            let (train, valid) = (0..self.len()).into_par_iter().map(side).unzip();
            Split { train, valid }
        };
        if self.len() >= FEW {
            let by_hash = cut(&|index| self.by_hash(index, held_out_tenths));
            if (1e-9..1.0).contains(&by_hash.valid_share()) {
                return by_hash;
            }
        }
        cut(&|index| self.by_end(index))
    }

    fn by_hash(&self, index: usize, held_out_tenths: u64) -> Sides {
        let Range { start, end } = self.range(index);
        let hash = blake3::hash(self.get(index).as_bytes());
        let digit = u64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap_or_default()) % 10;
        if digit < held_out_tenths { (start..start, start..end) } else { (start..end, end..end) }
    }

    fn by_end(&self, index: usize) -> Sides {
        let (Range { start, end }, document) = (self.range(index), self.get(index));
        let cut = start + document.floor_char_boundary(document.len() - document.len().div_ceil(10));
        (start..cut, cut..end)
    }
}

/// Below this many documents, each gives its own end to validation.
pub const FEW: usize = 64;

/// A document's bytes to train on, and those held out.
type Sides = (Range<usize>, Range<usize>);

/// The bytes of each document on either side; a document may be empty on one of them.
pub(crate) struct Split {
    pub(crate) train: Vec<Range<usize>>,
    pub(crate) valid: Vec<Range<usize>>,
}

impl Split {
    /// Share of the bytes held out.
    pub(crate) fn valid_share(&self) -> f64 {
        let bytes = |side: &[Range<usize>]| side.iter().map(|range| range.len()).sum::<usize>();
        let (train, valid) = (bytes(&self.train), bytes(&self.valid));
        valid as f64 / (train + valid).max(1) as f64
    }
}

/// A file mapped into memory. The lab's files never change once renamed into place.
pub(crate) struct Mapped {
    pub(crate) path: PathBuf,
    map: Option<Mmap>,
}

impl Mapped {
    /// Maps a file; an empty one, which cannot be mapped, is empty bytes.
    #[allow(unsafe_code)]
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        let open = || {
            let file = fs::File::open(path)?;
            // SAFETY: the engine's one exception. The map is read-only and the file is written once, aside, before its rename;
            // a person who cuts it short under a running training would end the worker, which the server notices.
            if file.metadata()?.len() == 0 { Ok(None) } else { unsafe { Mmap::map(&file) }.map(Some) }
        };
        let map = open().map_err(DataError::disk("could not read", path))?;
        Ok(Self { path: path.to_owned(), map })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.map.as_deref().unwrap_or_default()
    }
}

/// A file of eight-byte words.
fn read_words(path: &Path) -> Result<Vec<[u8; 8]>, DataError> {
    let bytes = fs::read(path).map_err(DataError::disk("could not read", path))?;
    let (words, rest) = bytes.as_chunks::<8>();
    if rest.is_empty() { Ok(words.to_vec()) } else { Err(DataError::altered(path, "its length is no multiple of 8")) }
}
