//! The token shards of one or more corpora, opened and read as batches. See [`crate::data::batch`] for the
//! windows of a step.

use std::path::Path;
use std::sync::OnceLock;

use wire::data::corpus::{CorpusInfo, DatasetInfo, Source};
use wire::data::tokenizer::Tokenizer;
use wire::evaluation::place_of;
use wire::id::CorpusId;

use crate::data::batch::{Batch, Window, train_windows, valid_windows};
use crate::data::corpus::read_all;
use crate::data::modular_addition;
use crate::data::shards::shard::Shard;
use crate::data::shards::{Part, folder, matching, shard_path, shards_tokenizer};
pub use crate::data::tokenization::prepare;
use crate::data::tokenizer::{self, TextTokenizer};
use crate::error::DataError;

/// Reads only the tokenizer of the shards. `byte`, `gpt2` and imported tokenizers need no corpora.
///
/// # Errors
/// The corpora have not been tokenized, or a file was altered.
pub fn open_tokenizer(corpora: &Path, ids: &[CorpusId], kind: Tokenizer) -> Result<TextTokenizer, DataError> {
    match kind {
        Tokenizer::Byte => return Ok(TextTokenizer::byte()),
        Tokenizer::Gpt2 => return Ok(TextTokenizer::gpt2()),
        Tokenizer::Imported(hash) => return TextTokenizer::open(kind, &tokenizer::imported_folder(corpora, hash)),
        Tokenizer::Char | Tokenizer::Bpe(_) => {}
    }
    let infos = read_all(corpora, ids)?;
    let folder = folder(corpora, &infos, kind);
    if !folder.join("info.json").exists() {
        return Err(not_prepared(ids, kind));
    }
    shards_tokenizer(&folder, &matching(&folder, &infos)?, kind)
}

fn not_prepared(ids: &[CorpusId], tokenizer: Tokenizer) -> DataError {
    let corpora = ids.iter().map(CorpusId::as_str).collect::<Vec<_>>().join(", ");
    DataError::NotPrepared { corpora, tokenizer: tokenizer.to_string() }
}

/// Token shards of one or more corpora, opened for training.
pub struct Dataset {
    info: DatasetInfo,
    tokenizer: TextTokenizer,
    train: Vec<Shard>,
    valid: Vec<Shard>,
    /// The prime, if the only corpus is modular addition.
    modulus: Option<u64>,
    /// Tokens by their frequency in the training split.
    common: OnceLock<Vec<u32>>,
}

/// Maximum number of tokens of each corpus that are counted to find the most frequent ones.
const COUNTED_TOKENS: usize = 1 << 20;

impl Dataset {
    /// Opens the shards of corpora and checks every byte against its hash.
    ///
    /// # Errors
    /// The corpora have not been tokenized, or a file was altered or truncated.
    pub fn open(corpora: &Path, ids: &[CorpusId], tokenizer: Tokenizer) -> Result<Self, DataError> {
        let infos = read_all(corpora, ids)?;
        let folder = folder(corpora, &infos, tokenizer);
        if !folder.join("info.json").exists() {
            return Err(not_prepared(ids, tokenizer));
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

    /// Tokens of the numbers 0 to p - 1, if the text is arithmetic modulo p and each number is one token.
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
                (0..shard.len().min(COUNTED_TOKENS)).for_each(|index| counts[shard.get(index) as usize] += 1);
            }
            let mut tokens: Vec<u32> = (0..counts.len() as u32).filter(|token| counts[*token as usize] > 0).collect();
            tokens.sort_by_key(|token| (std::cmp::Reverse(counts[*token as usize]), *token));
            tokens
        });
        &all[..max.min(all.len())]
    }

    /// Number of validation windows of `seq` tokens in all corpora with a weight above 0.
    pub fn valid_window_count(&self, seq: usize, weights: &[f64]) -> usize {
        let of = |(shard, weight): (&Shard, &f64)| if *weight > 0.0 { (shard.len() - 1) / seq.max(1) } else { 0 };
        self.valid.iter().zip(weights).map(of).sum()
    }

    /// Index of the corpus of each sequence of a training batch; arguments as for [`Self::train_batch`].
    pub fn train_datasets(
        &self,
        seed: u64,
        step: u64,
        micro_batch: u64,
        size: usize,
        seq: usize,
        weights: &[f64],
    ) -> Vec<usize> {
        self.train_windows(seed, step, micro_batch, size, seq, weights).iter().map(|window| window.dataset).collect()
    }

    /// The windows of a training batch; arguments as for [`Self::train_batch`].
    pub fn train_windows(
        &self,
        seed: u64,
        step: u64,
        micro_batch: u64,
        size: usize,
        seq: usize,
        weights: &[f64],
    ) -> Vec<Window> {
        let lens: Vec<usize> = self.train.iter().map(Shard::len).collect();
        train_windows(seed, step, micro_batch, size, seq, &lens, weights)
    }

    /// A hash of the `tokens` tokens from the start of a training window on, equal for equal tokens.
    pub(crate) fn text_hash(&self, window: Window, tokens: usize) -> u64 {
        self.train[window.dataset].hash_of(window.start, tokens)
    }

    /// Counts and reference losses.
    pub fn info(&self) -> &DatasetInfo {
        &self.info
    }

    pub fn tokenizer(&self) -> &TextTokenizer {
        &self.tokenizer
    }

    /// Number of training tokens of a corpus, given by its index.
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
        batch(&self.train, &self.train_windows(seed, step, micro_batch, size, seq, weights), seq)
    }

    /// Validation batch `index`, the same every time; `None` after the last full batch, or if there is no validation window.
    pub fn valid_batch(&self, index: u64, size: usize, seq: usize, weights: &[f64]) -> Option<Batch> {
        let lens: Vec<usize> = self.valid.iter().map(Shard::len).collect();
        Some(batch(&self.valid, &valid_windows(index, size, seq, &lens, weights)?, seq))
    }

    /// Number of whole windows of the validation split of a corpus, given by its index.
    pub fn valid_slots(&self, part: usize, seq: usize) -> usize {
        self.valid.get(part).map_or(0, |shard| shard.len().saturating_sub(1) / seq.max(1))
    }

    /// The first `count` validation windows of a corpus in the fixed order, read in the order of the text. If these are all windows, the rest of
    /// the stream follows as a shorter sequence, so that each token but the first is a target exactly once; means must then weight batches by
    /// `size * seq`.
    pub fn valid_part(&self, part: usize, count: usize, size: usize, seq: usize) -> impl Iterator<Item = Batch> + '_ {
        let (size, seq, whole) = (size.max(1), seq.max(1), self.valid_slots(part, seq));
        let mut slots: Vec<usize> = match count < whole {
            true => (0..count as u64).map(|k| place_of(k, whole as u64) as usize).collect(),
            false => (0..whole).collect(),
        };
        slots.sort_unstable();
        let rest = self.valid[part].len().saturating_sub(1) % seq;
        let last = (count >= whole && rest > 0)
            .then(|| batch(&self.valid, &[Window { dataset: part, start: whole * seq }], rest));
        let full = (0..slots.len()).step_by(size).map(move |first| {
            let slots = &slots[first..slots.len().min(first + size)];
            let windows: Vec<Window> = slots.iter().map(|slot| Window { dataset: part, start: slot * seq }).collect();
            batch(&self.valid, &windows, seq)
        });
        full.chain(last)
    }

    /// The whole validation split once, corpus by corpus, as [`Self::valid_part`] reads it.
    pub fn valid_all(&self, size: usize, seq: usize) -> impl Iterator<Item = Batch> + '_ {
        (0..self.valid.len()).flat_map(move |part| self.valid_part(part, usize::MAX, size, seq))
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
        batch.inputs.extend((window.start..window.start + seq).map(|index| shard.get(index)));
        batch.targets.extend((window.start + 1..window.start + seq + 1).map(|index| shard.get(index)));
    }
    batch
}
