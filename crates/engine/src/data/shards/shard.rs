//! One stream of tokens on disk: 16 bits each if the vocabulary allows, otherwise 32, little-endian, nothing else in the file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::data::files::Mapped;
use crate::error::DataError;
use crate::kernels::random::key;

/// Length and hash of a shard, from `info.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ShardInfo {
    /// Number of tokens.
    pub(crate) tokens: u64,
    /// BLAKE3 of the file, in hex.
    hash: String,
}

impl ShardInfo {
    /// BLAKE3 of the file, in hex.
    pub(crate) fn hash(&self) -> &str {
        &self.hash
    }

    /// Returns an error if the file is missing or has another length.
    pub(crate) fn check_length(&self, path: &Path, vocab: u32) -> Result<(), DataError> {
        let found = std::fs::metadata(path).map_err(DataError::disk("could not read", path))?.len();
        let expected = self.tokens.saturating_mul(width(vocab as usize) as u64);
        if found == expected {
            Ok(())
        } else {
            Err(DataError::altered(path, format!("{found} bytes instead of {expected}")))
        }
    }
}

fn width(vocab: usize) -> usize {
    if vocab <= 65_536 { 2 } else { 4 }
}

/// A shard that is being written.
pub(crate) struct ShardWriter {
    path: PathBuf,
    file: BufWriter<File>,
    hasher: blake3::Hasher,
    width: usize,
    tokens: u64,
}

impl ShardWriter {
    pub(crate) fn new(path: &Path, vocab: usize) -> Result<Self, DataError> {
        let file = File::create(path).map_err(DataError::disk("could not create", path))?;
        Ok(Self {
            path: path.to_owned(),
            file: BufWriter::with_capacity(1 << 20, file),
            hasher: blake3::Hasher::new(),
            width: width(vocab),
            tokens: 0,
        })
    }

    pub(crate) fn write(&mut self, tokens: &[u32]) -> Result<(), DataError> {
        self.tokens += tokens.len() as u64;
        match self.width {
            2 => {
                self.append(tokens.iter().map(|token| (*token as u16).to_le_bytes()).collect::<Vec<_>>().as_flattened())
            }
            _ => self.append(tokens.iter().map(|token| token.to_le_bytes()).collect::<Vec<_>>().as_flattened()),
        }
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), DataError> {
        self.hasher.update(bytes);
        self.file.write_all(bytes).map_err(DataError::disk("could not write", &self.path))
    }

    pub(crate) fn finish(mut self) -> Result<ShardInfo, DataError> {
        let synced = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        synced.map_err(DataError::disk("could not write", &self.path))?;
        Ok(ShardInfo { tokens: self.tokens, hash: self.hasher.finalize().to_hex().to_string() })
    }
}

/// A shard that is mapped for reading.
pub(crate) struct Shard {
    map: Mapped,
    width: usize,
}

impl Shard {
    /// Maps a shard and checks every byte, and every token against the vocabulary.
    pub(crate) fn open(path: &Path, info: &ShardInfo, vocab: u32) -> Result<Self, DataError> {
        info.check_length(path, vocab)?;
        let shard = Self { map: Mapped::open(path)?, width: width(vocab as usize) };
        if blake3::hash(shard.map.bytes()).to_hex().as_str() != info.hash {
            return Err(DataError::altered(path, "its hash differs from the recorded one"));
        }
        if shard.len() < 2 || shard.largest() >= vocab {
            return Err(DataError::altered(path, "it contains token ids outside the vocabulary of the tokenizer"));
        }
        Ok(shard)
    }

    /// Number of tokens; at least two.
    pub(crate) fn len(&self) -> usize {
        self.map.bytes().len() / self.width
    }

    /// The largest token.
    fn largest(&self) -> u32 {
        let bytes = self.map.bytes();
        let largest = match self.width {
            2 => bytes.as_chunks::<2>().0.iter().map(|token| u32::from(u16::from_le_bytes(*token))).max(),
            _ => bytes.as_chunks::<4>().0.iter().map(|token| u32::from_le_bytes(*token)).max(),
        };
        largest.unwrap_or(0)
    }

    /// One token; an index past the end starts again at the first token.
    pub(crate) fn get(&self, index: usize) -> i32 {
        let at = index % self.len() * self.width;
        match self.map.bytes()[at..at + self.width] {
            [a, b] => i32::from(u16::from_le_bytes([a, b])),
            [a, b, c, d] => i32::from_le_bytes([a, b, c, d]),
            _ => 0, // a width is two or four
        }
    }

    /// A hash of `tokens` tokens from `start` on, equal for equal tokens; past the end they continue with the first token.
    pub(crate) fn hash_of(&self, start: usize, tokens: usize) -> u64 {
        let (from, wanted, bytes) = (start * self.width, tokens * self.width, self.map.bytes());
        match bytes.get(from..from + wanted) {
            Some(span) => hash(span),
            None => hash(&(from..from + wanted).map(|at| bytes[at % bytes.len()]).collect::<Vec<u8>>()),
        }
    }
}

/// A 64-bit hash, eight bytes at a time. Collisions are as rare as for random numbers, unless a text is made for them.
fn hash(bytes: &[u8]) -> u64 {
    let word = |part: &[u8]| {
        let mut word = [0; 8];
        word[..part.len()].copy_from_slice(part);
        u64::from_le_bytes(word)
    };
    let add = |hash: u64, part: &[u8]| (hash.rotate_left(5) ^ word(part)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    key(&[bytes.chunks(8).fold(bytes.len() as u64, add)])
}
