//! Token shards: made once for each tokenizer, stored with their hashes, mapped, and read as batches.
//!
//! One corpus: `<corpus>/<tokenizer>/{info.json, tokenizer.json, train.bin, valid.bin}`. Several corpora of a mix share one tokenizer and one
//! folder, `.mix-<hash>/<tokenizer>/`, with shards named by corpus. Shards are written aside and renamed whole, so that two processes that
//! tokenize the same corpora do no harm: the second finds the shards of the first. The windows of a step are [`crate::data::batch`]'s.

mod shard;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use wire::data::corpus::{CorpusInfo, DatasetInfo, Source};
use wire::data::tokenizer::Tokenizer;
use wire::id::CorpusId;

use crate::data::batch::{Batch, Window, train_windows, valid_windows};
use crate::data::corpus::{self, Documents, Split};
use crate::data::dataset::shard::{Shard, ShardInfo, ShardWriter};
use crate::data::modular_addition;
use crate::error::{DataError, Progress};
use crate::files::{aside, sweep, write_json};
use crate::tokenizer::{self, TextTokenizer, chunks};

/// Maximum number of bytes that a vocabulary is trained on: more changes little, and memory is bounded.
const TRAINING_BYTES: usize = 64 << 20;
/// Chunks of text that are tokenized together before they are written.
const CHUNKS_AT_ONCE: usize = 64;
const SAMPLE_TOKENS: usize = 200;

/// The contents of `info.json` in a folder of shards.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct ShardsFile {
    info: DatasetInfo,
    /// BLAKE3 of `tokenizer.json`, in hex; none for tokenizers that need no file.
    tokenizer_hash: Option<String>,
    parts: Vec<Part>,
}

/// The shards of one corpus.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Part {
    corpus: CorpusId,
    content_hash: String,
    documents: u64,
    train: ShardInfo,
    valid: ShardInfo,
}

/// Tokenizes corpora that have no shards of this tokenizer yet.
///
/// # Errors
/// An unknown corpus, one too short to be split, too many characters for `char`, a cancellation, the disk.
pub fn prepare(
    corpora: &Path,
    texts: &[CorpusId],
    tokenizer: Tokenizer,
    progress: Progress<'_>,
) -> Result<DatasetInfo, DataError> {
    let infos = read_all(corpora, texts)?;
    let place = folder(corpora, &infos, tokenizer);
    if let Ok(file) = matching(&place, &infos) {
        return Ok(file.info);
    }
    let parent = place.parent().unwrap_or(corpora);
    fs::create_dir_all(parent).map_err(DataError::disk("could not create", parent))?;
    sweep(parent);
    let fresh = aside(parent, &tokenizer.to_string());
    let made =
        make(corpora, &infos, tokenizer, &fresh, progress).and_then(|info| put(&fresh, &place, &infos).map(|()| info));
    let _ = fs::remove_dir_all(&fresh); // renamed already where all went well
    made
}

fn read_all(corpora: &Path, texts: &[CorpusId]) -> Result<Vec<CorpusInfo>, DataError> {
    if texts.is_empty() {
        return Err(DataError::Empty { name: "the list of corpora".to_owned() });
    }
    texts.iter().map(|id| corpus::read(corpora, id)).collect()
}

/// Renames new shards into place. Intact ones of another process stay, damaged ones are replaced.
fn put(fresh: &Path, place: &Path, infos: &[CorpusInfo]) -> Result<(), DataError> {
    if fs::rename(fresh, place).is_ok() || matching(place, infos).is_ok() {
        return Ok(());
    }
    let damaged = aside(place.parent().unwrap_or(place), "damaged");
    fs::rename(place, &damaged)
        .and_then(|()| fs::rename(fresh, place))
        .map_err(DataError::disk("could not replace", place))?;
    fs::remove_dir_all(&damaged).map_err(DataError::disk("could not remove", &damaged))
}

/// The folder of the shards of these corpora. Its hash depends on their contents and order.
fn folder(corpora: &Path, infos: &[CorpusInfo], tokenizer: Tokenizer) -> PathBuf {
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

/// The tokenizer of the shards alone; no shard is read. `byte`, `gpt2` and imported tokenizers need no corpora.
///
/// # Errors
/// Corpora that have not been tokenized, an altered file.
pub fn open_tokenizer(corpora: &Path, texts: &[CorpusId], kind: Tokenizer) -> Result<TextTokenizer, DataError> {
    match kind {
        Tokenizer::Byte => return Ok(TextTokenizer::byte()),
        Tokenizer::Gpt2 => return Ok(TextTokenizer::gpt2()),
        Tokenizer::Imported(hash) => return TextTokenizer::open(kind, &tokenizer::imported_folder(corpora, hash)),
        Tokenizer::Char | Tokenizer::Bpe(_) => {}
    }
    let infos = read_all(corpora, texts)?;
    let folder = folder(corpora, &infos, kind);
    if !folder.join("info.json").exists() {
        return Err(not_prepared(texts, kind));
    }
    shards_tokenizer(&folder, &matching(&folder, &infos)?, kind)
}

fn not_prepared(texts: &[CorpusId], tokenizer: Tokenizer) -> DataError {
    let corpora = texts.iter().map(CorpusId::as_str).collect::<Vec<_>>().join(", ");
    DataError::NotPrepared { corpora, tokenizer: tokenizer.to_string() }
}

/// The tokenizer beside the shards, if it is the one that they were tokenized with.
fn shards_tokenizer(folder: &Path, file: &ShardsFile, kind: Tokenizer) -> Result<TextTokenizer, DataError> {
    let path = folder.join("tokenizer.json");
    if tokenizer_hash(folder) != file.tokenizer_hash {
        return Err(DataError::altered(&path, "its contents do not have the hash they were written with"));
    }
    let tokenizer = TextTokenizer::open(kind, folder)?;
    if file.info.tokenizer != kind || tokenizer.vocab() != file.info.vocab as usize {
        return Err(DataError::altered(&path, "it does not match the shards beside it"));
    }
    Ok(tokenizer)
}

fn tokenizer_hash(folder: &Path) -> Option<String> {
    fs::read(folder.join("tokenizer.json")).ok().map(|file| blake3::hash(&file).to_hex().to_string())
}

fn shard_path(folder: &Path, parts: usize, id: &CorpusId, side: &str) -> PathBuf {
    folder.join(if parts == 1 { format!("{side}.bin") } else { format!("{id}.{side}.bin") })
}

/// The description of a folder of shards, if it was made from these corpora and its files have their lengths. No shard is read.
fn matching(folder: &Path, infos: &[CorpusInfo]) -> Result<ShardsFile, DataError> {
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
        let holds =
            fs::read_dir(mix.path()).into_iter().flatten().flatten().any(|made| made.path().join(&name).exists());
        if holds {
            fs::remove_dir_all(mix.path()).map_err(DataError::disk("could not remove", &mix.path()))?;
        }
    }
    Ok(())
}

/// One corpus while it is tokenized.
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
    let tokenizer = make_tokenizer(corpora, &texts, kind, folder)?;
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
            tokenizer::train_bpe(vocab, all.into_iter().step_by(bytes.div_ceil(TRAINING_BYTES).max(1)), folder)?;
        }
    }
    TextTokenizer::open(kind, folder)
}

impl<'a> Text<'a> {
    fn open(corpora: &Path, info: &'a CorpusInfo) -> Result<Self, DataError> {
        let documents = corpus::documents(corpora, &info.id)?;
        Ok(Self { info, split: documents.split(corpus::held_out_tenths(&info.source)), documents })
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
        let pieces: Vec<(std::ops::Range<usize>, bool)> = ranges
            .iter()
            .flat_map(|range| chunks(all, range.clone()).into_iter().map(move |chunk| (chunk.end == range.end, chunk)))
            .map(|(is_last, chunk)| (chunk, is_last))
            .collect();
        let batches = batches_of(&pieces);
        for batch in batches {
            let encode = |(chunk, is_last): &(std::ops::Range<usize>, bool)| {
                let mut tokens = vec![];
                self.tokenizer.encode_chunk(&all[chunk.clone()], &mut tokens)?;
                tokens.extend(self.eot.filter(|_| *is_last));
                Ok(tokens)
            };
            let encoded = batch.par_iter().map(encode).collect::<Result<Vec<Vec<u32>>, DataError>>()?;
            for tokens in encoded {
                tokens.iter().for_each(|token| counts[*token as usize] += 1);
                shard.write(&tokens)?;
            }
            self.done += batch.iter().map(|(chunk, _)| chunk.len() as u64).sum::<u64>();
            if !(self.progress)(self.done, Some(self.total), "bytes") {
                return Err(DataError::Cancelled);
            }
        }
        shard.finish()
    }
}

/// Groups of chunks of some megabytes each: enough for all cores, little in memory.
fn batches_of(pieces: &[(std::ops::Range<usize>, bool)]) -> Vec<&[(std::ops::Range<usize>, bool)]> {
    let (mut batches, mut start, mut bytes) = (vec![], 0, 0);
    for (place, (chunk, _)) in pieces.iter().enumerate() {
        bytes += chunk.len();
        if bytes >= CHUNKS_AT_ONCE * 64 * 1024 {
            batches.push(&pieces[start..=place]);
            (start, bytes) = (place + 1, 0);
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
    /// impossible. The loss of a model that knows only how frequent each token is.
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
    let sample =
        tokenizer.encode(&few)?.into_iter().take(SAMPLE_TOKENS).map(|token| (token, tokenizer.piece(token))).collect();
    Ok(DatasetInfo {
        tokenizer: kind,
        vocab: tokenizer.vocab() as u32,
        train_tokens: parts.iter().map(|part| part.train.tokens).sum(),
        valid_tokens,
        bytes_per_token: valid_bytes as f64 / valid_tokens.max(1) as f64,
        unigram_nats: counts.unigram_nats(),
        floor_nats: floors.into_iter().sum::<Option<f64>>().map(|nats| nats / valid_tokens.max(1) as f64),
        sample,
    })
}

/// Nats of the validation documents of a generated corpus. The end of a document is a token too, with the nats of the generator.
fn held_out_nats(text: &Text<'_>) -> Result<Option<f64>, DataError> {
    let is_whole =
        |place: usize, range: &std::ops::Range<usize>| range.is_empty() || *range == text.documents.range(place);
    if !text.split.valid.iter().enumerate().all(|(place, range)| is_whole(place, range)) {
        return Ok(None);
    }
    let sum = |nats: Vec<f64>| {
        nats.iter().zip(&text.split.valid).filter(|(_, range)| !range.is_empty()).map(|(nats, _)| nats).sum()
    };
    Ok(text.documents.entropies()?.map(sum))
}

/// Token shards of one or more corpora, opened for training.
pub struct Dataset {
    info: DatasetInfo,
    tokenizer: TextTokenizer,
    train: Vec<Shard>,
    valid: Vec<Shard>,
    /// The prime, where the only corpus is modular addition.
    modulus: Option<u64>,
    /// Tokens by their frequency in the training split.
    common: OnceLock<Vec<u32>>,
}

/// Tokens of each corpus that are counted for the most frequent ones.
const COUNTED_TOKENS: usize = 1 << 20;

impl Dataset {
    /// Opens the shards of corpora and checks every byte against its hash.
    ///
    /// # Errors
    /// Corpora that have not been tokenized; a file that was altered or truncated.
    pub fn open(corpora: &Path, texts: &[CorpusId], tokenizer: Tokenizer) -> Result<Self, DataError> {
        let infos = read_all(corpora, texts)?;
        let folder = folder(corpora, &infos, tokenizer);
        if !folder.join("info.json").exists() {
            return Err(not_prepared(texts, tokenizer));
        }
        let file = matching(&folder, &infos)?;
        let text_tokenizer = shards_tokenizer(&folder, &file, tokenizer)?;
        let open = |part: &Part, side, shard| {
            Shard::open(&shard_path(&folder, infos.len(), &part.corpus, side), shard, file.info.vocab)
        };
        let train = file.parts.iter().map(|part| open(part, "train", &part.train)).collect::<Result<_, _>>()?;
        let valid = file.parts.iter().map(|part| open(part, "valid", &part.valid)).collect::<Result<_, _>>()?;
        let is_sums = |info: &CorpusInfo| matches!(&info.source, Source::Generated { generator, .. } if generator == "modular-addition");
        let modulus = matches!(infos.as_slice(), [only] if is_sums(only)).then_some(modular_addition::MODULUS);
        Ok(Self { info: file.info, tokenizer: text_tokenizer, train, valid, modulus, common: OnceLock::new() })
    }

    /// Tokens of the numbers 0 to p - 1, where the text is arithmetic modulo p and each number is one token.
    pub fn number_tokens(&self) -> Option<Vec<u32>> {
        let token = |number: u64| match self.tokenizer.encode(&modular_addition::write_number(number)).ok()?.as_slice()
        {
            [only] => Some(*only),
            _ => None,
        };
        (0..self.modulus?).map(token).collect()
    }

    /// At most `max` tokens that occur in the training split, most frequent first. They are counted once.
    pub fn common_tokens(&self, max: usize) -> &[u32] {
        let all = self.common.get_or_init(|| {
            let mut counts = vec![0u64; self.tokenizer.vocab()];
            for shard in &self.train {
                (0..shard.len().min(COUNTED_TOKENS)).for_each(|place| counts[shard.get(place) as usize] += 1);
            }
            let mut tokens: Vec<u32> = (0..counts.len() as u32).filter(|token| counts[*token as usize] > 0).collect();
            tokens.sort_by_key(|token| (std::cmp::Reverse(counts[*token as usize]), *token));
            tokens
        });
        &all[..max.min(all.len())]
    }

    /// Validation windows of this many tokens in all corpora with a weight above 0.
    pub fn valid_window_count(&self, seq: usize, weights: &[f64]) -> usize {
        let of = |(shard, weight): (&Shard, &f64)| if *weight > 0.0 { (shard.len() - 1) / seq.max(1) } else { 0 };
        self.valid.iter().zip(weights).map(of).sum()
    }

    /// The corpus of each sequence of a training batch, by its index; arguments as for [`Self::train_batch`].
    pub fn train_datasets(
        &self,
        seed: u64,
        step: u64,
        micro_batch: u64,
        size: usize,
        seq: usize,
        weights: &[f64],
    ) -> Vec<usize> {
        let lens: Vec<usize> = self.train.iter().map(Shard::len).collect();
        train_windows(seed, step, micro_batch, size, seq, &lens, weights).iter().map(|window| window.dataset).collect()
    }

    /// Counts and reference losses.
    pub fn info(&self) -> &DatasetInfo {
        &self.info
    }

    pub fn tokenizer(&self) -> &TextTokenizer {
        &self.tokenizer
    }

    /// Training tokens of one corpus, by its index.
    pub fn train_tokens(&self, part: usize) -> usize {
        self.train.get(part).map_or(0, Shard::len)
    }

    /// A micro-batch of a step: a pure function of its arguments. `weights`: one for each corpus, in the order given to `open`. A corpus shorter
    /// than a window is repeated.
    pub fn train_batch(
        &self,
        seed: u64,
        step: u64,
        micro_batch: u64,
        size: usize,
        seq: usize,
        weights: &[f64],
    ) -> Batch {
        let lens: Vec<usize> = self.train.iter().map(Shard::len).collect();
        batch(&self.train, &train_windows(seed, step, micro_batch, size, seq, &lens, weights), seq)
    }

    /// Validation batch `index`, the same every time; `None` once all validation windows were read, or where there is none.
    pub fn valid_batch(&self, index: u64, size: usize, seq: usize, weights: &[f64]) -> Option<Batch> {
        let lens: Vec<usize> = self.valid.iter().map(Shard::len).collect();
        Some(batch(&self.valid, &valid_windows(index, size, seq, &lens, weights)?, seq))
    }

    /// The whole validation split once, corpus by corpus: each token but the first of a stream is a target exactly once. The last batches of a
    /// corpus have fewer sequences, and at last one shorter sequence, so means must weigh batches by `size * seq`.
    pub fn valid_all(&self, size: usize, seq: usize) -> impl Iterator<Item = Batch> + '_ {
        let (size, seq) = (size.max(1), seq.max(1));
        let of_part = move |part: usize| {
            let targets = self.valid[part].len().saturating_sub(1);
            let (whole, rest) = (targets / seq, targets % seq);
            let full = (0..whole).step_by(size).map(move |first| {
                let windows: Vec<Window> =
                    (first..whole.min(first + size)).map(|slot| Window { dataset: part, start: slot * seq }).collect();
                batch(&self.valid, &windows, seq)
            });
            let last = (rest > 0).then(|| batch(&self.valid, &[Window { dataset: part, start: whole * seq }], rest));
            full.chain(last)
        };
        (0..self.valid.len()).flat_map(of_part)
    }
}

fn batch(shards: &[Shard], windows: &[Window], seq: usize) -> Batch {
    let mut batch = Batch {
        size: windows.len(),
        seq,
        inputs: Vec::with_capacity(windows.len() * seq),
        targets: Vec::with_capacity(windows.len() * seq),
    };
    for window in windows {
        let shard = &shards[window.dataset];
        batch.inputs.extend((window.start..window.start + seq).map(|place| shard.get(place)));
        batch.targets.extend((window.start + 1..window.start + seq + 1).map(|place| shard.get(place)));
    }
    batch
}
