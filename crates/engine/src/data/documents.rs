//! The documents of a corpus, mapped from disk, and their split into training and validation.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use wire::data::corpus::Source;

use crate::data::files::Mapped;
use crate::error::DataError;

/// Held-out tenths of the sums of modular addition. With one tenth a model generalizes at once; with seven it first memorizes the
/// training sums, and the validation loss falls much later.
pub(crate) const SUMS_HELD_OUT_TENTHS: u64 = 7;

/// Held-out tenths of the documents, for validation.
pub(crate) fn held_out_tenths(source: &Source) -> u64 {
    match source {
        Source::Generated { generator, .. } if generator == "modular-addition" => SUMS_HELD_OUT_TENTHS,
        _ => 1,
    }
}

/// Documents of one corpus, mapped from disk.
pub struct Documents {
    folder: PathBuf,
    text: Mapped,
    ends: Vec<usize>,
}

impl Documents {
    /// Opens the folder of a corpus and checks that its files match.
    pub(crate) fn open(folder: &Path) -> Result<Self, DataError> {
        let (text, ends_path) = (Mapped::open(&folder.join("text.bin"))?, folder.join("documents.bin"));
        let ends: Vec<usize> =
            read_words(&ends_path)?.into_iter().map(|word| u64::from_le_bytes(word) as usize).collect();
        let whole = std::str::from_utf8(text.bytes()).map_err(|source| DataError::altered(&text.path, source))?;
        let rising = ends.windows(2).all(|pair| pair[0] <= pair[1]);
        let fits = rising && ends.last() == Some(&whole.len()) && ends.iter().all(|end| whole.is_char_boundary(*end));
        if !fits {
            return Err(DataError::altered(&ends_path, "its document ends do not match the text"));
        }
        Ok(Self { folder: folder.to_owned(), text, ends })
    }

    /// Number of documents.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no documents.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Byte range of a document in the text; empty past the end.
    pub fn range(&self, index: usize) -> Range<usize> {
        let end = self.ends.get(index).copied().unwrap_or(self.text.bytes().len());
        let start = index.checked_sub(1).map_or(0, |before| self.ends.get(before).copied().unwrap_or(end));
        start..end
    }

    /// One document; empty past the end.
    pub fn get(&self, index: usize) -> &str {
        self.slice(self.range(index))
    }

    /// All documents, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// The text between two character boundaries; empty if the range has other boundaries.
    pub(crate) fn slice(&self, range: Range<usize>) -> &str {
        self.text.bytes().get(range).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    /// Surprisal of each document under its generator, nats; `None` for imported corpora.
    pub(crate) fn entropies(&self) -> Result<Option<Vec<f64>>, DataError> {
        let path = self.folder.join("entropy.bin");
        if !path.exists() {
            return Ok(None);
        }
        let nats: Vec<f64> = read_words(&path)?.into_iter().map(f64::from_le_bytes).collect();
        if nats.len() != self.len() || nats.iter().any(|nats| !nats.is_finite() || *nats < 0.0) {
            return Err(DataError::altered(&path, "it does not have one entropy for each document"));
        }
        Ok(Some(nats))
    }

    /// Splits the documents into training and validation.
    ///
    /// With many documents the hash of its text assigns each to a split, `held_out_tenths` tenths of them to validation, so equal documents
    /// stay together and a growing corpus never moves a document. With fewer than [`FEW`] the last tenth of each document is held out, since
    /// hashes of so few are not uniform.
    pub(crate) fn split(&self, held_out_tenths: u64) -> Split {
        let split = |side: &(dyn Fn(usize) -> Sides + Sync)| {
            let (train, valid) = (0..self.len()).into_par_iter().map(side).unzip();
            Split { train, valid }
        };
        if self.len() >= FEW {
            let by_hash = split(&|index| self.by_hash(index, held_out_tenths));
            if (1e-9..1.0).contains(&by_hash.valid_share()) {
                return by_hash;
            }
        }
        split(&|index| self.by_end(index))
    }

    fn by_hash(&self, index: usize, held_out_tenths: u64) -> Sides {
        let Range { start, end } = self.range(index);
        if is_held_out(self.get(index), held_out_tenths) { (start..start, start..end) } else { (start..end, end..end) }
    }

    fn by_end(&self, index: usize) -> Sides {
        let (Range { start, end }, document) = (self.range(index), self.get(index));
        let cut = start + document.floor_char_boundary(document.len() - document.len().div_ceil(10));
        (start..cut, cut..end)
    }
}

/// Whether the hash of a document assigns it to the validation split.
pub(crate) fn is_held_out(document: &str, held_out_tenths: u64) -> bool {
    let hash = blake3::hash(document.as_bytes());
    u64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap_or_default()) % 10 < held_out_tenths
}

/// Number of documents below which the end of each document is held out.
pub(crate) const FEW: usize = 64;

/// The bytes of a document in the training and in the validation split.
type Sides = (Range<usize>, Range<usize>);

/// The bytes of each document in either split; a document may be empty in one of them.
pub(crate) struct Split {
    pub(crate) train: Vec<Range<usize>>,
    pub(crate) valid: Vec<Range<usize>>,
}

impl Split {
    /// Fraction of the bytes in the validation split.
    pub(crate) fn valid_share(&self) -> f64 {
        let bytes = |side: &[Range<usize>]| side.iter().map(|range| range.len()).sum::<usize>();
        let (train, valid) = (bytes(&self.train), bytes(&self.valid));
        valid as f64 / (train + valid).max(1) as f64
    }
}

/// A file of eight-byte words.
fn read_words(path: &Path) -> Result<Vec<[u8; 8]>, DataError> {
    let bytes = fs::read(path).map_err(DataError::disk("could not read", path))?;
    let (words, rest) = bytes.as_chunks::<8>();
    if rest.is_empty() {
        Ok(words.to_vec())
    } else {
        Err(DataError::altered(path, "its length is not a multiple of 8"))
    }
}
