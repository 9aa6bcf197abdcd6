//! The tokenization of corpora into token shards.

use std::fs;
use std::path::Path;

use rayon::prelude::*;
use wire::data::corpus::{CorpusInfo, DatasetInfo};
use wire::data::tokenizer::Tokenizer;
use wire::id::CorpusId;

use crate::data::corpus;
use crate::data::documents::{Documents, Split, held_out_tenths};
use crate::data::files::{sweep, temporary_path, write_json};
use crate::data::shards::shard::{ShardInfo, ShardWriter};
use crate::data::shards::{Part, ShardsFile, folder, matching, put, shard_path, tokenizer_hash};
use crate::data::tokenizer::{self, TextTokenizer, chunks, training};
use crate::error::{DataError, Progress};

/// Maximum size of the text from which a vocabulary is trained, bytes: more text changes little, and memory is bounded.
const TRAINING_BYTES: usize = 64 << 20;
/// Chunks of text that are tokenized together before they are written.
const CHUNKS_AT_ONCE: usize = 64;
const SAMPLE_TOKENS: usize = 200;

/// Tokenizes corpora that have no shards of this tokenizer yet.
///
/// # Errors
/// An unknown corpus, a corpus too short to be split, too many characters for `char`, a cancellation, or an IO error.
pub fn prepare(
    corpora: &Path,
    ids: &[CorpusId],
    tokenizer: Tokenizer,
    progress: Progress<'_>,
) -> Result<DatasetInfo, DataError> {
    let infos = corpus::read_all(corpora, ids)?;
    let target = folder(corpora, &infos, tokenizer);
    if let Ok(file) = matching(&target, &infos) {
        return Ok(file.info);
    }
    let parent = target.parent().unwrap_or(corpora);
    fs::create_dir_all(parent).map_err(DataError::disk("could not create", parent))?;
    sweep(parent);
    let fresh = temporary_path(parent, &tokenizer.to_string());
    let made =
        make(corpora, &infos, tokenizer, &fresh, progress).and_then(|info| put(&fresh, &target, &infos).map(|()| info));
    let _ = fs::remove_dir_all(&fresh); // already renamed if there was no error
    made
}

/// A corpus that is being tokenized.
struct Text<'a> {
    info: &'a CorpusInfo,
    documents: Documents,
    split: Split,
}

fn make(
    corpora: &Path,
    infos: &[CorpusInfo],
    kind: Tokenizer,
    folder: &Path,
    progress: Progress<'_>,
) -> Result<DatasetInfo, DataError> {
    fs::create_dir_all(folder).map_err(DataError::disk("could not create", folder))?;
    let texts = infos.iter().map(|info| Text::open(corpora, info)).collect::<Result<Vec<_>, _>>()?;
    if !progress(0, None, "bytes") {
        return Err(DataError::Cancelled);
    }
    let tokenizer = make_tokenizer(corpora, &texts, kind, folder, progress)?;
    let has_eot = infos.iter().map(|info| info.documents).sum::<u64>() > 1;
    let mut work = Tokenization {
        folder,
        tokenizer: &tokenizer,
        eot: tokenizer.eot().filter(|_| has_eot),
        parts: texts.len(),
        done: 0,
        total: infos.iter().map(|info| info.text_bytes).sum(),
        progress,
    };
    let mut parts = vec![];
    let mut counts = Counts { train: vec![0; tokenizer.vocab()], valid: vec![0; tokenizer.vocab()] };
    for text in &texts {
        let train = work.tokenize(text, "train", &text.split.train, &mut counts.train)?;
        let valid = work.tokenize(text, "valid", &text.split.valid, &mut counts.valid)?;
        let shorter = train.tokens.min(valid.tokens);
        if shorter < 2 {
            return Err(DataError::TooShort { id: text.info.id.to_string(), tokens: shorter });
        }
        parts.push(Part {
            corpus: text.info.id.clone(),
            content_hash: text.info.content_hash.clone(),
            documents: text.info.documents,
            train,
            valid,
        });
    }
    let info = describe(&texts, kind, &tokenizer, &parts, &counts)?;
    write_json(
        &folder.join("info.json"),
        &ShardsFile { info: info.clone(), tokenizer_hash: tokenizer_hash(folder), parts },
    )?;
    Ok(info)
}

fn make_tokenizer(
    corpora: &Path,
    texts: &[Text<'_>],
    kind: Tokenizer,
    folder: &Path,
    progress: Progress<'_>,
) -> Result<TextTokenizer, DataError> {
    match kind {
        Tokenizer::Byte | Tokenizer::Gpt2 => {}
        Tokenizer::Imported(hash) => tokenizer::copy_imported(corpora, hash, folder)?,
        Tokenizer::Char => {
            if let Some(text) = texts.iter().find(|text| text.info.alphabet.is_empty()) {
                return Err(DataError::TooManyChars { id: text.info.id.to_string() });
            }
            let alphabet: String = texts.iter().map(|text| text.info.alphabet.as_str()).collect();
            tokenizer::save_char(&alphabet, texts.iter().map(|text| text.info.documents).sum::<u64>() > 1, folder)?;
        }
        Tokenizer::Bpe(vocab) => {
            let all: Vec<&str> = texts.iter().flat_map(Text::train_chunks).collect();
            let bytes: usize = all.iter().map(|chunk| chunk.len()).sum();
            let some: Vec<&str> = all.into_iter().step_by(bytes.div_ceil(TRAINING_BYTES).max(1)).collect();
            training::train(vocab, &some, folder, progress)?;
        }
    }
    TextTokenizer::open(kind, folder)
}

impl<'a> Text<'a> {
    fn open(corpora: &Path, info: &'a CorpusInfo) -> Result<Self, DataError> {
        let documents = corpus::documents(corpora, &info.id)?;
        Ok(Self { info, split: documents.split(held_out_tenths(&info.source)), documents })
    }

    fn train_chunks(&self) -> impl Iterator<Item = &str> {
        let all = self.documents.slice(0..self.info.text_bytes as usize);
        self.split
            .train
            .iter()
            .flat_map(move |range| chunks(all, range.clone()))
            .map(|chunk| self.documents.slice(chunk))
    }
}

/// The tokenization of all corpora, with its progress in bytes.
struct Tokenization<'a> {
    folder: &'a Path,
    tokenizer: &'a TextTokenizer,
    eot: Option<u32>,
    parts: usize,
    done: u64,
    total: u64,
    progress: Progress<'a>,
}

impl Tokenization<'_> {
    /// Tokenizes one split of a corpus into its shard, on all cores, in the order of the text.
    fn tokenize(
        &mut self,
        text: &Text<'_>,
        side: &str,
        ranges: &[std::ops::Range<usize>],
        counts: &mut [u64],
    ) -> Result<ShardInfo, DataError> {
        let mut shard =
            ShardWriter::new(&shard_path(self.folder, self.parts, &text.info.id, side), self.tokenizer.vocab())?;
        let all = text.documents.slice(0..text.info.text_bytes as usize);
        let pieces: Vec<Piece> = ranges
            .iter()
            .flat_map(|range| {
                let piece = move |chunk: std::ops::Range<usize>| Piece {
                    is_first: chunk.start == range.start,
                    is_last: chunk.end == range.end,
                    chunk,
                };
                self.tokenizer.chunks(all, range.clone()).into_iter().map(piece)
            })
            .collect();
        let batches = batches_of(&pieces);
        let (tokenizer, eot) = (self.tokenizer, self.eot);
        let encode = |batch: &[Piece]| -> Result<Vec<Vec<u32>>, DataError> {
            batch.par_iter().map(|piece| piece.encode(all, tokenizer, eot)).collect()
        };
        let mut encoded = encode(batches.first().copied().unwrap_or_default())?;
        for (index, batch) in batches.iter().enumerate() {
            // The tokens of a batch are written while those of the next are computed.
            let (written, next) = rayon::join(
                || write(&mut shard, &encoded, counts),
                || batches.get(index + 1).copied().map(&encode).transpose(),
            );
            written?;
            self.done += batch.iter().map(|piece| piece.chunk.len() as u64).sum::<u64>();
            if !(self.progress)(self.done, Some(self.total), "bytes") {
                return Err(DataError::Cancelled);
            }
            encoded = next?.unwrap_or_default();
        }
        shard.finish()
    }
}

/// Writes and counts the tokens of chunks.
fn write(shard: &mut ShardWriter, chunks: &[Vec<u32>], counts: &mut [u64]) -> Result<(), DataError> {
    for tokens in chunks {
        tokens.iter().for_each(|token| counts[*token as usize] += 1);
        shard.write(tokens)?;
    }
    Ok(())
}

/// A chunk of a text, and whether it begins or ends its document.
struct Piece {
    chunk: std::ops::Range<usize>,
    is_first: bool,
    is_last: bool,
}

impl Piece {
    /// Tokens of the chunk, with BOS and EOS of the tokenizer at the ends of the document, and end of text after it.
    fn encode(&self, all: &str, tokenizer: &TextTokenizer, eot: Option<u32>) -> Result<Vec<u32>, DataError> {
        let (before, after) = tokenizer.frame();
        let mut tokens = if self.is_first { before.to_vec() } else { vec![] };
        tokenizer.encode_chunk(&all[self.chunk.clone()], &mut tokens)?;
        if self.is_last {
            tokens.extend(after);
            tokens.extend(eot.filter(|eot| after.last() != Some(eot)));
        }
        Ok(tokens)
    }
}

/// Groups of chunks of a few megabytes each: enough work for all cores, little memory.
fn batches_of(pieces: &[Piece]) -> Vec<&[Piece]> {
    let (mut batches, mut start, mut bytes) = (vec![], 0, 0);
    for (index, piece) in pieces.iter().enumerate() {
        bytes += piece.chunk.len();
        if bytes >= CHUNKS_AT_ONCE * 64 * 1024 {
            batches.push(&pieces[start..=index]);
            (start, bytes) = (index + 1, 0);
        }
    }
    batches.push(&pieces[start..]);
    batches
}

/// Occurrences of each token in either split.
struct Counts {
    train: Vec<u64>,
    valid: Vec<u64>,
}

impl Counts {
    /// Unigram entropy: mean of -ln p over the validation tokens, with p from the training counts plus one (Laplace), so that no token is
    /// impossible. It is the loss of a model that knows only the frequency of each token.
    fn unigram_nats(&self) -> f64 {
        let all: f64 = self.train.iter().map(|count| *count as f64 + 1.0).sum();
        let held_out: f64 = self.valid.iter().map(|count| *count as f64).sum();
        let nats =
            self.train.iter().zip(&self.valid).map(|(train, valid)| *valid as f64 * (all / (*train as f64 + 1.0)).ln());
        nats.sum::<f64>() / held_out.max(1.0)
    }
}

fn describe(
    texts: &[Text<'_>],
    kind: Tokenizer,
    tokenizer: &TextTokenizer,
    parts: &[Part],
    counts: &Counts,
) -> Result<DatasetInfo, DataError> {
    let valid_tokens: u64 = parts.iter().map(|part| part.valid.tokens).sum();
    let valid_bytes: usize = texts.iter().flat_map(|text| &text.split.valid).map(|range| range.len()).sum();
    let floors = texts.iter().map(held_out_nats).collect::<Result<Vec<Option<f64>>, DataError>>()?;
    let first = texts.iter().flat_map(|text| text.train_chunks().next()).next().unwrap_or_default();
    let few: String = first.chars().take(4 * SAMPLE_TOKENS).collect();
    let sample = tokenizer
        .encode(&few)?
        .into_iter()
        .take(SAMPLE_TOKENS)
        .map(|token| (token, tokenizer.decode_token(token)))
        .collect();
    Ok(DatasetInfo {
        tokenizer: kind,
        vocab: tokenizer.vocab() as u32,
        unused: tokenizer.unused() as u32,
        train_tokens: parts.iter().map(|part| part.train.tokens).sum(),
        valid_tokens,
        bytes_per_token: valid_bytes as f64 / valid_tokens.max(1) as f64,
        unigram_nats: counts.unigram_nats(),
        floor_nats: floors.into_iter().sum::<Option<f64>>().map(|nats| nats / valid_tokens.max(1) as f64),
        sample,
    })
}

/// Surprisal of the validation documents of a generated corpus under its generator, nats. It includes the end of each document, which is a
/// token too.
fn held_out_nats(text: &Text<'_>) -> Result<Option<f64>, DataError> {
    let is_whole =
        |index: usize, range: &std::ops::Range<usize>| range.is_empty() || *range == text.documents.range(index);
    if !text.split.valid.iter().enumerate().all(|(index, range)| is_whole(index, range)) {
        return Ok(None);
    }
    let sum = |nats: Vec<f64>| {
        nats.iter().zip(&text.split.valid).filter(|(_, range)| !range.is_empty()).map(|(nats, _)| nats).sum()
    };
    Ok(text.documents.entropies()?.map(sum))
}
