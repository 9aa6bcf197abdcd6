//! Texts as token shards: made once for each tokenizer, kept on disk with their hashes, mapped, and read as batches.
//!
//! One text: `<corpus>/<tokenizer>/{info.json, tokenizer.json, train.bin, valid.bin}`. Several texts share one tokenizer and one
//! folder, `.mix-<hash>/<tokenizer>/`, with shards named by text. Shards are written aside and renamed whole, so that two makers of
//! the same shards do no harm: the second finds the first one's in place. Which windows a step reads is [`crate::batch`].

mod shard;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use wire::corpus::{CorpusInfo, DatasetInfo, Source};
use wire::id::CorpusId;
use wire::spec::Tokenizer;

use crate::arithmetic;
use crate::batch::{Batch, Window, train_windows, valid_windows};
use crate::corpus::draft::{aside, sweep, write_json};
use crate::corpus::{self, Documents, Split};
use crate::data_error::{DataError, Progress};
use crate::dataset::shard::{Shard, ShardInfo, ShardWriter};
use crate::tokenizer::{self, TextTokenizer, stretches};

/// Bytes of text that a vocabulary is learnt from at most: more changes little, and memory is bounded.
const LEARN_BYTES: usize = 64 << 20;
/// Stretches cut at once before they are written.
const STRETCHES_AT_ONCE: usize = 64;
/// Tokens shown as a sample.
const SAMPLE_TOKENS: usize = 200;

/// What `info.json` of a folder of shards holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    info: DatasetInfo,
    /// BLAKE3 of `tokenizer.json`, in hex; none for tokenizers that need no file.
    tokenizer_hash: Option<String>,
    parts: Vec<Part>,
}

/// The shards of one text.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Part {
    corpus: CorpusId,
    content_hash: String,
    documents: u64,
    train: ShardInfo,
    valid: ShardInfo,
}

/// Makes the shards of these texts where they are not there yet.
///
/// Errors: an unknown text, a text too short to be split, too many characters for `char`, a cancel, the disk.
pub fn prepare(
    corpora: &Path,
    texts: &[CorpusId],
    tokenizer: Tokenizer,
    progress: Progress<'_>,
) -> Result<DatasetInfo, DataError> {
    let infos = read_all(corpora, texts)?;
    let place = folder(corpora, &infos, tokenizer);
    if let Ok(kept) = fitting(&place, &infos) {
        return Ok(kept.info);
    }
    let parent = place.parent().unwrap_or(corpora);
    fs::create_dir_all(parent).map_err(DataError::disk("could not create", parent))?;
    sweep(parent);
    let fresh = aside(parent, &tokenizer.to_string());
    let made =
        make(corpora, &infos, tokenizer, &fresh, progress).and_then(|info| put(&fresh, &place, &infos).map(|()| info));
    let _ = fs::remove_dir_all(&fresh); // gone already where all went well
    made
}

fn read_all(corpora: &Path, texts: &[CorpusId]) -> Result<Vec<CorpusInfo>, DataError> {
    if texts.is_empty() {
        return Err(DataError::Empty { name: "the list of texts".to_owned() });
    }
    texts.iter().map(|id| corpus::read(corpora, id)).collect()
}

/// Renames fresh shards into place; those of a faster maker stay, broken ones make way.
fn put(fresh: &Path, place: &Path, infos: &[CorpusInfo]) -> Result<(), DataError> {
    if fs::rename(fresh, place).is_ok() || fitting(place, infos).is_ok() {
        return Ok(());
    }
    let broken = aside(place.parent().unwrap_or(place), "broken");
    fs::rename(place, &broken)
        .and_then(|()| fs::rename(fresh, place))
        .map_err(DataError::disk("could not replace", place))?;
    fs::remove_dir_all(&broken).map_err(DataError::disk("could not remove", &broken))
}

/// The folder for shards of these texts. Its hash follows the texts' contents and order.
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

/// The tokenizer of prepared shards alone: no shard is read. Bytes, GPT-2's and one that came with a model need no texts.
///
/// Errors: not prepared, a file altered.
pub fn open_tokenizer(corpora: &Path, texts: &[CorpusId], kind: Tokenizer) -> Result<TextTokenizer, DataError> {
    match kind {
        Tokenizer::Byte => return Ok(TextTokenizer::byte()),
        Tokenizer::Gpt2 => return Ok(TextTokenizer::gpt2()),
        Tokenizer::Brought(hash) => return TextTokenizer::open(kind, &tokenizer::brought_folder(corpora, hash)),
        Tokenizer::Char | Tokenizer::Bpe(_) => {}
    }
    let infos = read_all(corpora, texts)?;
    let folder = folder(corpora, &infos, kind);
    if !folder.join("info.json").exists() {
        return Err(not_prepared(texts, kind));
    }
    kept_tokenizer(&folder, &fitting(&folder, &infos)?, kind)
}

fn not_prepared(texts: &[CorpusId], tokenizer: Tokenizer) -> DataError {
    let corpora = texts.iter().map(CorpusId::as_str).collect::<Vec<_>>().join(", ");
    DataError::NotPrepared { corpora, tokenizer: tokenizer.to_string() }
}

/// The tokenizer beside the shards, if it is the one they were cut with.
fn kept_tokenizer(folder: &Path, kept: &Kept, kind: Tokenizer) -> Result<TextTokenizer, DataError> {
    let path = folder.join("tokenizer.json");
    if tokenizer_hash(folder) != kept.tokenizer_hash {
        return Err(DataError::altered(&path, "its contents do not have the hash they were written with"));
    }
    let tokenizer = TextTokenizer::open(kind, folder)?;
    if kept.info.tokenizer != kind || tokenizer.vocab() != kept.info.vocab as usize {
        return Err(DataError::altered(&path, "it does not fit the shards beside it"));
    }
    Ok(tokenizer)
}

fn tokenizer_hash(folder: &Path) -> Option<String> {
    fs::read(folder.join("tokenizer.json")).ok().map(|file| blake3::hash(&file).to_hex().to_string())
}

fn shard_path(folder: &Path, parts: usize, id: &CorpusId, side: &str) -> PathBuf {
    folder.join(if parts == 1 { format!("{side}.bin") } else { format!("{id}.{side}.bin") })
}

/// What a folder keeps, if it was made from these texts and its files have their lengths. Cheap: no shard is read.
fn fitting(folder: &Path, infos: &[CorpusInfo]) -> Result<Kept, DataError> {
    let path = folder.join("info.json");
    let text = fs::read(&path).map_err(DataError::disk("could not read", &path))?;
    let kept: Kept = serde_json::from_slice(&text).map_err(|source| DataError::altered(&path, source.to_string()))?;
    let is_of = |part: &Part, info: &CorpusInfo| {
        part.corpus == info.id && part.content_hash == info.content_hash && part.documents == info.documents
    };
    if kept.parts.len() != infos.len() || !kept.parts.iter().zip(infos).all(|(part, info)| is_of(part, info)) {
        return Err(DataError::altered(&path, "it was made from other texts"));
    }
    for part in &kept.parts {
        for (side, shard) in [("train", &part.train), ("valid", &part.valid)] {
            shard.check_length(&shard_path(folder, infos.len(), &part.corpus, side), kept.info.vocab)?;
        }
    }
    Ok(kept)
}

/// Shards made of a single text, as its folder shows them.
pub(crate) fn made_of(corpus: &Path) -> Vec<DatasetInfo> {
    let kept =
        |entry: fs::DirEntry| serde_json::from_slice::<Kept>(&fs::read(entry.path().join("info.json")).ok()?).ok();
    let mut made: Vec<DatasetInfo> = fs::read_dir(corpus)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| name.parse::<Tokenizer>().is_ok()))
        .filter_map(|entry| Some(kept(entry)?.info))
        .collect();
    made.sort_by_key(|info| info.tokenizer);
    made
}

/// Removes the shards of every mix that holds a text.
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

/// One text while it is cut.
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
    let mut work = Work {
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
        let train = work.cut(text, "train", &text.split.train, &mut counts.train)?;
        let valid = work.cut(text, "valid", &text.split.valid, &mut counts.valid)?;
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
    write_json(&folder.join("info.json"), &Kept { info: info.clone(), tokenizer_hash: tokenizer_hash(folder), parts })?;
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
        Tokenizer::Brought(hash) => tokenizer::copy_brought(corpora, hash, folder)?,
        Tokenizer::Char => {
            if let Some(text) = texts.iter().find(|text| text.info.alphabet.is_empty()) {
                return Err(DataError::TooManyChars { id: text.info.id.to_string() });
            }
            let alphabet: String = texts.iter().map(|text| text.info.alphabet.as_str()).collect();
            tokenizer::keep_char(&alphabet, texts.iter().map(|text| text.info.documents).sum::<u64>() > 1, folder)?;
        }
        Tokenizer::Bpe(vocab) => {
            let all: Vec<&str> = texts.iter().flat_map(Text::train_stretches).collect();
            let bytes: usize = all.iter().map(|stretch| stretch.len()).sum();
            tokenizer::learn_pairs(vocab, all.into_iter().step_by(bytes.div_ceil(LEARN_BYTES).max(1)), folder)?;
        }
    }
    TextTokenizer::open(kind, folder)
}

impl<'a> Text<'a> {
    fn open(corpora: &Path, info: &'a CorpusInfo) -> Result<Self, DataError> {
        let documents = corpus::documents(corpora, &info.id)?;
        Ok(Self { info, split: documents.split(corpus::held_out_tenths(&info.source)), documents })
    }

    fn train_stretches(&self) -> impl Iterator<Item = &str> {
        let all = self.documents.slice(0..self.info.text_bytes as usize);
        self.split
            .train
            .iter()
            .flat_map(move |range| stretches(all, range.clone()))
            .map(|stretch| self.documents.slice(stretch))
    }
}

/// The cutting of all texts, with its progress in bytes.
struct Work<'a> {
    folder: &'a Path,
    tokenizer: &'a TextTokenizer,
    eot: Option<u32>,
    parts: usize,
    done: u64,
    total: u64,
    progress: Progress<'a>,
}

impl Work<'_> {
    /// Cuts one side of a text into its shard, on all cores, in the text's order.
    fn cut(
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
            .flat_map(|range| {
                stretches(all, range.clone()).into_iter().map(move |stretch| (stretch.end == range.end, stretch))
            })
            .map(|(is_last, stretch)| (stretch, is_last))
            .collect();
        let batches = batches_of(&pieces);
        for batch in batches {
            let encode = |(stretch, is_last): &(std::ops::Range<usize>, bool)| {
                let mut tokens = vec![];
                self.tokenizer.encode_stretch(&all[stretch.clone()], &mut tokens)?;
                tokens.extend(self.eot.filter(|_| *is_last));
                Ok(tokens)
            };
            let cut = batch.par_iter().map(encode).collect::<Result<Vec<Vec<u32>>, DataError>>()?;
            for tokens in cut {
                tokens.iter().for_each(|token| counts[*token as usize] += 1);
                shard.write(&tokens)?;
            }
            self.done += batch.iter().map(|(stretch, _)| stretch.len() as u64).sum::<u64>();
            if !(self.progress)(self.done, Some(self.total), "bytes") {
                return Err(DataError::Cancelled);
            }
        }
        shard.finish()
    }
}

/// Lists of stretches that together hold some megabytes: enough for all cores, little in memory.
fn batches_of(pieces: &[(std::ops::Range<usize>, bool)]) -> Vec<&[(std::ops::Range<usize>, bool)]> {
    let (mut batches, mut start, mut bytes) = (vec![], 0, 0);
    for (place, (stretch, _)) in pieces.iter().enumerate() {
        bytes += stretch.len();
        if bytes >= STRETCHES_AT_ONCE * 64 * 1024 {
            batches.push(&pieces[start..=place]);
            (start, bytes) = (place + 1, 0);
        }
    }
    batches.push(&pieces[start..]);
    batches
}

/// How often each token stands on either side.
struct Counts {
    train: Vec<u64>,
    valid: Vec<u64>,
}

impl Counts {
    /// Mean of -ln p over the held-out tokens, with p from the training counts plus one (Laplace), so that no token is impossible:
    /// the loss that a model would have which knows only how frequent each token is.
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
    let first = texts.iter().flat_map(|text| text.train_stretches().next()).next().unwrap_or_default();
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

/// Nats of a generated text's held-out documents. What ends a document is a token too, and costs what the generator gave it.
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

/// Token shards of one or more texts, open for training.
pub struct Dataset {
    info: DatasetInfo,
    tokenizer: TextTokenizer,
    train: Vec<Shard>,
    valid: Vec<Shard>,
    /// The prime, where the one text is modular addition.
    modulus: Option<u64>,
    /// Tokens by how often they stand in the training text.
    common: OnceLock<Vec<u32>>,
}

/// Tokens of each text that are counted to find the commonest.
const COUNTED_TOKENS: usize = 1 << 20;

impl Dataset {
    /// Opens prepared shards and checks every byte against its hash.
    ///
    /// Errors: not prepared, a file altered or cut short (named, with the way out).
    pub fn open(corpora: &Path, texts: &[CorpusId], tokenizer: Tokenizer) -> Result<Self, DataError> {
        let infos = read_all(corpora, texts)?;
        let folder = folder(corpora, &infos, tokenizer);
        if !folder.join("info.json").exists() {
            return Err(not_prepared(texts, tokenizer));
        }
        let kept = fitting(&folder, &infos)?;
        let text_tokenizer = kept_tokenizer(&folder, &kept, tokenizer)?;
        let open = |part: &Part, side, shard| {
            Shard::open(&shard_path(&folder, infos.len(), &part.corpus, side), shard, kept.info.vocab)
        };
        let train = kept.parts.iter().map(|part| open(part, "train", &part.train)).collect::<Result<_, _>>()?;
        let valid = kept.parts.iter().map(|part| open(part, "valid", &part.valid)).collect::<Result<_, _>>()?;
        let is_sums = |info: &CorpusInfo| matches!(&info.source, Source::Generated { generator, .. } if generator == "modular-addition");
        let modulus = matches!(infos.as_slice(), [only] if is_sums(only)).then_some(arithmetic::MODULUS);
        Ok(Self { info: kept.info, tokenizer: text_tokenizer, train, valid, modulus, common: OnceLock::new() })
    }

    /// Tokens of the numbers 0 to p - 1, where the text is arithmetic modulo p and each number is one token.
    pub fn number_tokens(&self) -> Option<Vec<u32>> {
        let token = |number: u64| match self.tokenizer.encode(&arithmetic::write_number(number)).ok()?.as_slice() {
            [only] => Some(*only),
            _ => None,
        };
        (0..self.modulus?).map(token).collect()
    }

    /// The commonest tokens of the training text, commonest first; those that stand in it at all. They are counted once.
    pub fn common_tokens(&self, most: usize) -> &[u32] {
        let all = self.common.get_or_init(|| {
            let mut counts = vec![0u64; self.tokenizer.vocab()];
            for shard in &self.train {
                (0..shard.len().min(COUNTED_TOKENS)).for_each(|place| counts[shard.get(place) as usize] += 1);
            }
            let mut tokens: Vec<u32> = (0..counts.len() as u32).filter(|token| counts[*token as usize] > 0).collect();
            tokens.sort_by_key(|token| (std::cmp::Reverse(counts[*token as usize]), *token));
            tokens
        });
        &all[..most.min(all.len())]
    }

    /// Held-out windows of this many tokens in all texts of some weight.
    pub fn held_windows(&self, seq: usize, weights: &[f64]) -> usize {
        let of = |(shard, weight): (&Shard, &f64)| if *weight > 0.0 { (shard.len() - 1) / seq.max(1) } else { 0 };
        self.valid.iter().zip(weights).map(of).sum()
    }

    /// For each row of a training batch the place of the text that it comes from; arguments as for [`Self::train_batch`].
    pub fn train_parts(&self, seed: u64, step: u64, pass: u64, rows: usize, seq: usize, weights: &[f64]) -> Vec<usize> {
        let lens: Vec<usize> = self.train.iter().map(Shard::len).collect();
        train_windows(seed, step, pass, rows, seq, &lens, weights).iter().map(|window| window.part).collect()
    }

    /// Counts and reference losses.
    pub fn info(&self) -> &DatasetInfo {
        &self.info
    }

    /// Its tokenizer.
    pub fn tokenizer(&self) -> &TextTokenizer {
        &self.tokenizer
    }

    /// Training tokens of one text, by its place.
    pub fn train_tokens(&self, part: usize) -> usize {
        self.train.get(part).map_or(0, Shard::len)
    }

    /// The batch of a step's pass: a pure function of its arguments. `weights`: one for each text, in the order given to `open`.
    /// A text shorter than a window is read round and round.
    pub fn train_batch(&self, seed: u64, step: u64, pass: u64, rows: usize, seq: usize, weights: &[f64]) -> Batch {
        let lens: Vec<usize> = self.train.iter().map(Shard::len).collect();
        batch(&self.train, &train_windows(seed, step, pass, rows, seq, &lens, weights), seq)
    }

    /// Validation batch `index`, the same every time; `None` once all held-out windows were read, or where there is not one.
    pub fn valid_batch(&self, index: u64, rows: usize, seq: usize, weights: &[f64]) -> Option<Batch> {
        let lens: Vec<usize> = self.valid.iter().map(Shard::len).collect();
        Some(batch(&self.valid, &valid_windows(index, rows, seq, &lens, weights)?, seq))
    }

    /// All held-out text once, text by text: each token but a stream's first is a target exactly once. The last batches of a text have
    /// fewer rows, and at last one shorter row, so means must weigh batches by `rows * seq`.
    pub fn valid_all(&self, rows: usize, seq: usize) -> impl Iterator<Item = Batch> + '_ {
        let (rows, seq) = (rows.max(1), seq.max(1));
        let of_part = move |part: usize| {
            let targets = self.valid[part].len().saturating_sub(1);
            let (whole, rest) = (targets / seq, targets % seq);
            let full = (0..whole).step_by(rows).map(move |first| {
                let windows: Vec<Window> =
                    (first..whole.min(first + rows)).map(|slot| Window { part, start: slot * seq }).collect();
                batch(&self.valid, &windows, seq)
            });
            let last = (rest > 0).then(|| batch(&self.valid, &[Window { part, start: whole * seq }], rest));
            full.chain(last)
        };
        (0..self.valid.len()).flat_map(of_part)
    }
}

fn batch(shards: &[Shard], windows: &[Window], seq: usize) -> Batch {
    let mut batch = Batch {
        rows: windows.len(),
        seq,
        inputs: Vec::with_capacity(windows.len() * seq),
        targets: Vec::with_capacity(windows.len() * seq),
    };
    for window in windows {
        let shard = &shards[window.part];
        batch.inputs.extend((window.start..window.start + seq).map(|place| shard.get(place)));
        batch.targets.extend((window.start + 1..window.start + seq + 1).map(|place| shard.get(place)));
    }
    batch
}
