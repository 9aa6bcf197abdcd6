//! Text to token ids and back: bytes, characters, byte-pair encodings trained on the corpus, GPT-2's tokenizer, and imported tokenizers.
//!
//! Byte-pair encodings are trained by the `tokenizers` crate and applied by `pairs`; `tiktoken-rs` has GPT-2's tokens. All but `char`
//! encode every text, and decoding gives back exactly what was encoded. An imported tokenizer is stored beside the corpora under its hash.
//! One that a lab exported is read by [`hugging_face`]; any other is computed by the `tokenizers` crate (`imported`).
//!
//! A text of a dataset is encoded as ordinary text by our own tokenizers. In a prompt the end-of-text token may be typed; imported tokenizers
//! find their special tokens in both.

pub mod hugging_face;
pub(crate) mod imported;
mod pairs;
mod spelling;
pub(crate) mod training;
mod words;

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, TokenizerBuilder, TokenizerImpl, Trainer};
use wire::data::tokenizer::Tokenizer;

use self::pairs::BytePairs;
use self::words::Words;
use crate::data::files::{write_json, write_synced};
use crate::error::{DataError, TokenizerError};

/// The text of the end-of-text token in token lists.
pub(crate) const EOT_PIECE: &str = "<|endoftext|>";
/// Size of the chunks that text is tokenized in, bytes: it bounds memory and splits the work over all cores.
const CHUNK_BYTES: usize = 64 * 1024;
/// Maximum length of a chunk, bytes; a longer word is split.
const MAX_CHUNK_BYTES: usize = 256 * 1024;

/// A tokenizer that is ready to use.
pub struct TextTokenizer {
    /// Bytes of each token; `None` for tokens without text.
    pieces: Vec<Option<Vec<u8>>>,
    eot: Option<u32>,
    /// Tokens that end a generated text.
    ends: Vec<u32>,
    /// The token of an empty prompt, where it is not end of text.
    bos: Option<u32>,
    /// Special tokens of an imported tokenizer.
    names: HashMap<u32, String>,
    kind: Kind,
}

enum Kind {
    Byte,
    /// Token of each character by its code point; `u32::MAX` if unknown.
    Char(Vec<u32>),
    Bpe(Arc<BytePairs>),
    Imported(Box<imported::ImportedTokenizer>),
}

/// The contents of `tokenizer.json` for `char`.
#[derive(Serialize, Deserialize)]
struct CharFile {
    alphabet: String,
    has_eot: bool,
}

impl TextTokenizer {
    fn own(pieces: Vec<Option<Vec<u8>>>, eot: Option<u32>, kind: Kind) -> Self {
        Self { pieces, eot, ends: eot.into_iter().collect(), bos: None, names: HashMap::new(), kind }
    }

    /// The tokenizer of the 256 bytes, with token 256 for end of text.
    pub fn byte() -> Self {
        let pieces = (0..=255u8).map(|byte| Some(vec![byte])).chain([None]).collect();
        Self::own(pieces, Some(256), Kind::Byte)
    }

    /// The tokenizer of these characters in sorted order, with an end-of-text token if `has_eot`.
    pub fn char(alphabet: &str, has_eot: bool) -> Self {
        let chars: BTreeSet<char> = alphabet.chars().collect();
        let mut ids = vec![u32::MAX; chars.last().map_or(0, |last| *last as usize + 1)];
        chars.iter().enumerate().for_each(|(id, c)| ids[*c as usize] = id as u32);
        let end = has_eot.then_some(None);
        let pieces = chars.iter().map(|c| Some(c.to_string().into_bytes())).chain(end).collect();
        Self::own(pieces, has_eot.then_some(chars.len() as u32), Kind::Char(ids))
    }

    /// GPT-2's tokenizer of 50,257 tokens.
    pub fn gpt2() -> Self {
        static GPT2: LazyLock<(Vec<Option<Vec<u8>>>, Arc<BytePairs>)> = LazyLock::new(|| {
            let theirs = tiktoken_rs::r50k_base_singleton();
            let pieces: Vec<Option<Vec<u8>>> =
                (0..50_256).map(|id| theirs.decode_bytes(&[id]).ok()).chain([None]).collect();
            let pairs = BytePairs::new(&pieces, false).expect("GPT-2 has a token for each byte");
            (pieces, Arc::new(pairs))
        });
        let (pieces, pairs) = &*GPT2;
        Self::own(pieces.clone(), Some(50_256), Kind::Bpe(Arc::clone(pairs)))
    }

    /// Opens the tokenizer of a folder of shards.
    ///
    /// # Errors
    /// The file is missing, altered or truncated.
    pub(crate) fn open(kind: Tokenizer, folder: &Path) -> Result<Self, DataError> {
        let path = folder.join("tokenizer.json");
        let read = || std::fs::read(&path).map_err(DataError::disk("could not read", &path));
        match kind {
            Tokenizer::Byte => Ok(Self::byte()),
            Tokenizer::Gpt2 => Ok(Self::gpt2()),
            Tokenizer::Char => {
                let file: CharFile =
                    serde_json::from_slice(&read()?).map_err(|source| DataError::altered(&path, source))?;
                Ok(Self::char(&file.alphabet, file.has_eot))
            }
            Tokenizer::Bpe(vocab) => {
                let file: PairsFile =
                    serde_json::from_slice(&read()?).map_err(|source| DataError::altered(&path, source))?;
                Self::bpe(&file.model.vocab, vocab, Some(0), false).map_err(|source| DataError::altered(&path, source))
            }
            Tokenizer::Imported(_) => {
                let file = read()?;
                if imported_kind(&file) != kind {
                    return Err(DataError::altered(&path, "its hash differs from the one in its name"));
                }
                read_imported(&file).map_err(|source| DataError::altered(&path, source))
            }
        }
    }

    /// The byte-pair encoding with this byte-level spelling of each token and its id, as in Hugging Face's `tokenizer.json`.
    pub(crate) fn bpe(
        spelled: &HashMap<String, u32>,
        vocab: u32,
        eot: Option<u32>,
        by_digit: bool,
    ) -> Result<Self, TokenizerError> {
        let mut pieces: Vec<Option<Vec<u8>>> = vec![None; vocab as usize];
        let bytes = byte_of_letter();
        for (letters, id) in spelled.iter().filter(|(_, id)| Some(**id) != eot) {
            let slot = pieces
                .get_mut(*id as usize)
                .ok_or_else(|| unsupported(format!("token {id} is past the vocabulary")))?;
            if slot.is_some() {
                return Err(unsupported(format!("token {id} is given twice")));
            }
            // The name of an unused token has a letter outside the spelling, so it has no text.
            *slot = letters.chars().map(|letter| bytes.get(&letter).copied()).collect::<Option<Vec<u8>>>();
        }
        let pairs = BytePairs::new(&pieces, by_digit).ok_or_else(|| unsupported("it has no token for some bytes"))?;
        Ok(Self::own(pieces, eot, Kind::Bpe(Arc::new(pairs))))
    }

    /// Bytes of each token; `None` for tokens without text.
    pub(crate) fn pieces(&self) -> &[Option<Vec<u8>>] {
        &self.pieces
    }

    /// Whether the tokenizer is a byte-pair encoding.
    pub(crate) fn is_bpe(&self) -> bool {
        matches!(self.kind, Kind::Bpe(_))
    }

    /// Whether every digit is a separate word.
    pub(crate) fn splits_digits(&self) -> bool {
        matches!(&self.kind, Kind::Bpe(pairs) if pairs.splits_digits())
    }

    /// Whether every byte is a token.
    pub(crate) fn is_bytes(&self) -> bool {
        matches!(self.kind, Kind::Byte)
    }

    /// The file of a tokenizer that the `tokenizers` crate computes.
    pub(crate) fn imported(&self) -> Option<&imported::ImportedFile> {
        match &self.kind {
            Kind::Imported(tokenizer) => Some(tokenizer.file()),
            _ => None,
        }
    }

    /// Whether it encodes every text as `other` does.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (self.is_bpe(), self.splits_digits(), self.is_bytes(), self.eot, &self.pieces)
            == (other.is_bpe(), other.splits_digits(), other.is_bytes(), other.eot, &other.pieces)
    }

    /// Tokens of a text, without those of a post-processor ([`TextTokenizer::frame`]).
    ///
    /// # Errors
    /// `char`: up to 20 characters without a token.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, DataError> {
        if let Kind::Imported(tokenizer) = &self.kind {
            return tokenizer.encode(text);
        }
        let mut tokens = Vec::with_capacity(text.len() / 2);
        for chunk in chunks(text, 0..text.len()) {
            self.encode_chunk(&text[chunk], &mut tokens)?;
        }
        Ok(tokens)
    }

    /// Tokens that an imported tokenizer puts before and after each text: its post-processor's BOS and EOS.
    pub fn frame(&self) -> (&[u32], &[u32]) {
        match &self.kind {
            Kind::Imported(tokenizer) => tokenizer.frame(),
            _ => (&[], &[]),
        }
    }

    /// Tokens of a prompt, and the characters that were dropped because they have no token, each once. A typed `<|endoftext|>` is the
    /// end-of-text token.
    pub fn encode_prompt(&self, text: &str) -> (Vec<u32>, Vec<char>) {
        let (before, after) = self.frame();
        let is_imported = matches!(self.kind, Kind::Imported(_));
        let parts = if is_imported || self.eot.is_none() { vec![text] } else { text.split(EOT_PIECE).collect() };
        let (mut tokens, mut dropped) = (before.to_vec(), BTreeSet::new());
        for (place, part) in parts.into_iter().enumerate() {
            tokens.extend(self.eot.filter(|_| place > 0));
            let (known, unknown) = self.known(part);
            tokens.extend(self.encode(&known).unwrap_or_default());
            dropped.extend(unknown);
        }
        tokens.extend(after);
        (tokens, dropped.into_iter().collect())
    }

    /// A text without the characters that have no token, and these.
    fn known(&self, text: &str) -> (String, BTreeSet<char>) {
        let Kind::Char(ids) = &self.kind else { return (text.to_owned(), BTreeSet::new()) };
        let is_known = |c: &char| char_id(ids, *c).is_some();
        (text.chars().filter(is_known).collect(), text.chars().filter(|c| !is_known(c)).collect())
    }

    /// Splits `range` of a text into chunks whose tokens together are those of the whole.
    pub(crate) fn chunks(&self, text: &str, range: Range<usize>) -> Vec<Range<usize>> {
        match &self.kind {
            Kind::Imported(tokenizer) => tokenizer.chunks(text, range),
            _ => chunks(text, range),
        }
    }

    /// Tokens of one of the [`TextTokenizer::chunks`] of a text.
    pub(crate) fn encode_chunk(&self, text: &str, tokens: &mut Vec<u32>) -> Result<(), DataError> {
        match &self.kind {
            Kind::Byte => tokens.extend(text.bytes().map(u32::from)),
            Kind::Char(ids) => {
                let before = tokens.len();
                tokens.extend(text.chars().map_while(|c| char_id(ids, c)));
                // Only a text with unknown characters has fewer tokens than characters. The number of bytes, an upper bound, is compared first.
                if tokens.len() - before < text.len() && tokens.len() - before < text.chars().count() {
                    let unknown: BTreeSet<char> = text.chars().filter(|c| char_id(ids, *c).is_none()).collect();
                    return Err(DataError::UnknownChars { chars: unknown.into_iter().take(20).collect() });
                }
            }
            Kind::Bpe(pairs) => pairs.encode(text, tokens),
            Kind::Imported(tokenizer) => tokens.extend(tokenizer.encode(text)?),
        }
        Ok(())
    }

    /// Text of tokens. End of text becomes a blank line; bytes that are not UTF-8 become U+FFFD.
    pub fn decode(&self, tokens: &[u32]) -> String {
        let mut bytes = vec![];
        tokens.iter().for_each(|token| self.append_bytes(*token, &mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Appends the bytes of a token, which may be a part of a character. End of text becomes a blank line.
    pub fn append_bytes(&self, token: u32, bytes: &mut Vec<u8>) {
        match self.pieces.get(token as usize) {
            Some(Some(piece)) => bytes.extend_from_slice(piece),
            _ if Some(token) == self.eot => bytes.extend_from_slice(b"\n\n"),
            _ => {}
        }
    }

    /// Number of tokens that no text gives, besides the end-of-text token: a byte-pair encoding has them if its text gave fewer merges than
    /// the vocabulary size.
    pub(crate) fn unused(&self) -> usize {
        self.pieces.iter().filter(|piece| piece.is_none()).count().saturating_sub(usize::from(self.eot.is_some()))
    }

    /// Vocabulary size; every id is below it.
    pub fn vocab(&self) -> usize {
        self.pieces.len()
    }

    /// The end-of-text token, which separates documents.
    pub fn eot(&self) -> Option<u32> {
        self.eot
    }

    /// The tokens that end a generated text; an imported model may have several.
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// The token at which texts begin, where they begin with one.
    pub(crate) fn bos(&self) -> Option<u32> {
        if self.imported().is_some() { self.bos } else { self.eot }
    }

    /// The token that an empty prompt consists of.
    pub fn start(&self) -> Option<u32> {
        self.bos.or(self.eot)
    }

    /// Whether a token is special: it has no text.
    pub(crate) fn is_special(&self, token: u32) -> bool {
        self.eot == Some(token) && self.imported().is_none() || self.names.contains_key(&token)
    }

    /// One token as text: its text, or a name in angle brackets.
    pub fn decode_token(&self, token: u32) -> String {
        match self.pieces.get(token as usize) {
            Some(Some(piece)) => match std::str::from_utf8(piece) {
                Ok(text) => text.to_owned(),
                Err(_) => piece.iter().map(|byte| format!("<{byte:02x}>")).collect(),
            },
            _ if self.names.contains_key(&token) => self.names[&token].clone(),
            _ if Some(token) == self.eot => EOT_PIECE.to_owned(),
            _ => "<unused>".to_owned(),
        }
    }
}

fn char_id(ids: &[u32], c: char) -> Option<u32> {
    ids.get(c as usize).copied().filter(|id| *id != u32::MAX)
}

fn unsupported(what: impl Into<String>) -> TokenizerError {
    TokenizerError::Unsupported(what.into())
}

fn failed(tokenizer: &str, source: impl std::fmt::Display) -> DataError {
    DataError::Tokenizer { tokenizer: tokenizer.to_owned(), source: source.to_string().into() }
}

/// The identifier of an imported tokenizer: the hash of its file.
pub(crate) fn imported_kind(file: &[u8]) -> Tokenizer {
    let hash = blake3::hash(file);
    Tokenizer::Imported(hash.as_bytes().first_chunk().map_or(0, |first| u64::from_be_bytes(*first)))
}

/// The folder of an imported tokenizer.
pub(crate) fn imported_folder(corpora: &Path, hash: u64) -> PathBuf {
    corpora.join(".tokenizers").join(format!("{hash:016x}"))
}

/// Reads a stored tokenizer.
fn read_imported(file: &[u8]) -> Result<TextTokenizer, TokenizerError> {
    match imported::ImportedFile::parse(file)? {
        Some(file) => file.open(),
        None => hugging_face::read_own(file),
    }
}

/// Stores the tokenizer of an imported model or run, and returns its identifier.
///
/// # Errors
/// Returns an error if the file is not a supported tokenizer, or an IO error.
pub fn save_imported(corpora: &Path, file: &[u8]) -> Result<Tokenizer, DataError> {
    let kind = imported_kind(file);
    let Tokenizer::Imported(hash) = kind else { return Ok(kind) };
    let folder = imported_folder(corpora, hash);
    let path = folder.join("tokenizer.json");
    read_imported(file).map_err(|source| DataError::altered(Path::new("tokenizer.json"), source))?;
    if std::fs::read(&path).is_ok_and(|kept| kept == file) {
        return Ok(kind);
    }
    std::fs::create_dir_all(&folder).map_err(DataError::disk("could not create", &folder))?;
    // Written to a temporary path, so that an incomplete file is never read.
    let temporary = crate::data::files::temporary_path(&folder, "tokenizer");
    write_synced(&temporary, file)?;
    std::fs::rename(&temporary, &path).map_err(DataError::disk("could not write", &path))?;
    Ok(kind)
}

/// Copies an imported tokenizer into the folder of the shards that it tokenizes.
pub(crate) fn copy_imported(corpora: &Path, hash: u64, folder: &Path) -> Result<(), DataError> {
    let path = imported_folder(corpora, hash).join("tokenizer.json");
    let file = std::fs::read(&path).map_err(DataError::disk("could not read", &path))?;
    write_synced(&folder.join("tokenizer.json"), &file)
}

/// Writes a character tokenizer into a folder.
pub(crate) fn save_char(alphabet: &str, has_eot: bool, folder: &Path) -> Result<(), DataError> {
    write_json(&folder.join("tokenizer.json"), &CharFile { alphabet: alphabet.to_owned(), has_eot })
}

/// Trains a byte-pair encoding on chunks of text and writes it into a folder, in Hugging Face's format: id 0 is end of text, then the 256
/// bytes, then merges by frequency, then unused tokens if the text gives fewer merges than the vocabulary size.
pub(crate) fn train_bpe<'a>(
    vocab: u32,
    chunks: impl Iterator<Item = &'a str> + Send,
    folder: &Path,
) -> Result<(), DataError> {
    let fail = |source: tokenizers::Error| failed("bpe", source);
    let end = AddedToken::from(EOT_PIECE, true);
    let builder = BpeTrainer::builder()
        .vocab_size(vocab as usize)
        .min_frequency(2)
        .special_tokens(vec![end])
        .show_progress(false);
    let mut trainer = builder.initial_alphabet(ByteLevel::alphabet().into_iter().collect()).build();
    let mut letters = ['\0'; 256];
    byte_of_letter().into_iter().for_each(|(letter, byte)| letters[usize::from(byte)] = letter);
    let spell = |word: &[u8]| -> String { word.iter().map(|byte| letters[usize::from(*byte)]).collect() };
    let words_of = |chunk: &str| Ok(Words::new(chunk, false).map(|word| spell(&chunk.as_bytes()[word])).collect());
    trainer.feed(chunks, words_of).map_err(fail)?;
    let mut pairs = BPE::default();
    let special = trainer.train(&mut pairs).map_err(fail)?;
    let words = ByteLevel::default().add_prefix_space(false).trim_offsets(false);
    let build = TokenizerBuilder::<BPE, tokenizers::NormalizerWrapper, ByteLevel, ByteLevel, ByteLevel>::new();
    let build = build.with_model(pairs).with_normalizer(None).with_pre_tokenizer(Some(words));
    let mut trained: TokenizerImpl<_, _, _, _, _> =
        build.with_post_processor(Some(words)).with_decoder(Some(words)).build().map_err(fail)?;
    trained.add_special_tokens(&special);
    let mut json = serde_json::to_value(&trained).map_err(|source| failed("bpe", source))?;
    if let Some(spelled) = json.pointer_mut("/model/vocab").and_then(|spelled| spelled.as_object_mut()) {
        for id in spelled.len()..vocab as usize {
            spelled.insert(format!("<unused {id}>"), id.into());
        }
    }
    write_synced(&folder.join("tokenizer.json"), json.to_string().as_bytes())
}

/// The part of a byte-pair `tokenizer.json` that is read.
#[derive(Deserialize)]
struct PairsFile {
    model: PairsModel,
}

#[derive(Deserialize)]
struct PairsModel {
    vocab: HashMap<String, u32>,
}

/// Byte-level spelling (GPT-2): printable bytes of Latin-1 are their own characters, the rest are letters from U+0100 on.
pub(crate) fn byte_of_letter() -> HashMap<char, u8> {
    let is_printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut free = (0x100u32..).filter_map(char::from_u32);
    (0..=255u8)
        .filter_map(|byte| Some((if is_printable(byte) { char::from(byte) } else { free.next()? }, byte)))
        .collect()
}

/// Splits `range` of a text at positions that no token crosses: before a line end that follows a visible character, because no [word](words)
/// has white space after another character, and no word before it depends on what follows.
pub(crate) fn chunks(text: &str, range: Range<usize>) -> Vec<Range<usize>> {
    let (mut all, mut start) = (vec![], range.start);
    while range.end - start > CHUNK_BYTES {
        let latest = range.end.min(start + MAX_CHUNK_BYTES);
        let bytes = text.as_bytes();
        let is_seam = |at: &usize| bytes[*at] == b'\n' && text[..*at].ends_with(|c: char| !c.is_whitespace());
        let seam = (start + CHUNK_BYTES..latest).find(is_seam);
        let end = seam.unwrap_or(if latest == range.end { latest } else { text.floor_char_boundary(latest) });
        all.push(start..end);
        start = end;
    }
    if start < range.end {
        all.push(start..range.end);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::random::Counter;

    /// Texts of every kind of character, with runs of white space and things that look special.
    fn texts() -> impl Iterator<Item = String> {
        let alphabets: [&[char]; 4] = [
            &['a', 'b', ' ', '\n', '\'', 's', '.', '1'],
            &['é', 'ß', '中', '🙂', '\u{200d}', '\u{301}'],
            &[' ', '\t', '\n', '\r', '\u{a0}', 'x'],
            &['\0', '<', '|', '>', '\u{feff}', '\u{10ffff}'],
        ];
        let seed = testing::seed(11);
        (0..400).map(move |case| {
            let mut random = Counter::new(seed, case);
            let chars = (0..random.below(60)).map(|_| {
                let alphabet = alphabets[random.below(4) as usize];
                if random.below(8) == 0 {
                    char::from_u32(random.below(0x11_0000) as u32).unwrap_or('?')
                } else {
                    alphabet[random.below(alphabet.len() as u64) as usize]
                }
            });
            let text: String = chars.collect();
            if case % 7 == 0 { format!("{text}<|endoftext|>{text}") } else { text }
        })
    }

    fn trained(vocab: u32, text: &str) -> TextTokenizer {
        let folder = crate::data::files::temporary_path(&std::env::temp_dir(), "pairs");
        std::fs::create_dir_all(&folder).unwrap();
        train_bpe(vocab, [text].into_iter(), &folder).unwrap();
        let tokenizer = TextTokenizer::open(Tokenizer::Bpe(vocab), &folder).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        tokenizer
    }

    #[test]
    fn decoding_gives_back_what_was_encoded() {
        let all: String = texts().collect();
        for tokenizer in
            [TextTokenizer::byte(), TextTokenizer::char(&all, true), trained(600, &all), TextTokenizer::gpt2()]
        {
            for text in texts().chain([all.clone(), "y".repeat(300_000), format!("{}x", " ".repeat(300_000))]) {
                let Ok(tokens) = tokenizer.encode(&text) else {
                    assert!(text.starts_with('y'), "only char may fail, and only for a character without a token");
                    continue;
                };
                assert!(
                    tokens.iter().all(|token| (*token as usize) < tokenizer.vocab() && Some(*token) != tokenizer.eot())
                );
                assert!(tokenizer.decode(&tokens) == text, "{text:?}");
            }
        }
    }

    #[test]
    fn chunks_do_not_change_the_tokens() {
        let line = |i: usize| format!("It's line {i},  with\tspaces \n\n and a 'tail'{}\n", " ".repeat(i % 5));
        let text: String = (0..8_000).map(line).collect();
        let pairs = tiktoken_rs::r50k_base_singleton();
        assert!(chunks(&text, 0..text.len()).len() > 3);
        assert_eq!(TextTokenizer::gpt2().encode(&text).unwrap(), pairs.encode_ordinary(&text));
    }

    #[test]
    fn separate_digits_are_tokenized_as_by_tokenizers() {
        use tokenizers::pre_tokenizers::{PreTokenizerWrapper, digits::Digits, sequence::Sequence};
        let words: [PreTokenizerWrapper; 2] = [Digits::new(true).into(), ByteLevel::new(false, true, true).into()];
        let mut theirs = tokenizers::Tokenizer::new(BPE::default());
        theirs.with_pre_tokenizer(Some(Sequence::new(words.into())));
        let alphabet = byte_of_letter().into_keys().collect();
        let trainer = BpeTrainer::builder().vocab_size(500).initial_alphabet(alphabet).show_progress(false).build();
        let line = |i: usize| format!("It's {i} of  {}, 'tis {} ½ ٣\n", i * i, i % 7);
        let text: String = (0..500).map(line).collect();
        theirs.train(&mut tokenizers::models::TrainerWrapper::from(trainer), [text.as_str()].into_iter()).unwrap();
        let file = serde_json::to_value(&theirs).unwrap();
        let vocab = theirs.get_vocab_size(true);
        let ours = hugging_face::read(&file, vocab, None).unwrap();
        assert!(ours.splits_digits());
        let again = hugging_face::read_own(&hugging_face::write(&ours)).unwrap();
        assert!(again.is_same(&ours), "writing and reading do not change it");
        for text in texts().chain([text]) {
            assert_eq!(ours.encode(&text).unwrap(), theirs.encode(text.as_str(), false).unwrap().get_ids(), "{text:?}");
        }
    }

    #[test]
    fn gpt2_ids_are_those_of_gpt2() {
        let tokenizer = TextTokenizer::gpt2();
        assert_eq!(tokenizer.encode("Hello world").unwrap(), [15496, 995]);
        assert_eq!(tokenizer.encode_prompt("Hello<|endoftext|> world").0, [15496, 50_256, 995]);
        assert_eq!(
            (tokenizer.vocab(), tokenizer.eot(), tokenizer.decode_token(50_256)),
            (50_257, Some(50_256), EOT_PIECE.to_owned())
        );
    }

    #[test]
    fn a_trained_vocabulary_has_the_requested_size_even_for_a_short_text() {
        let poor = trained(5000, "the cat sat on the mat, the cat sat");
        assert_eq!((poor.vocab(), poor.decode_token(4999)), (5000, "<unused>".to_owned()));
        assert!(poor.encode("the cat").unwrap().len() <= 2, "a frequent word is one token");
        let text: String = (0..2000).map(|i| format!("word{} ", i * i)).collect();
        let rich = trained(400, &text);
        assert!(rich.vocab() == 400 && rich.decode_token(399) != "<unused>");
    }

    #[test]
    fn characters_are_sorted_and_unknown_ones_are_listed() {
        let tokenizer = TextTokenizer::char("cab", true);
        assert_eq!((tokenizer.encode("abc").unwrap(), tokenizer.vocab(), tokenizer.eot()), (vec![0, 1, 2], 4, Some(3)));
        let message = tokenizer.encode("abé🙂é").unwrap_err().to_string();
        assert!(message.contains('é') && message.contains('🙂'), "{message}");
        assert_eq!(tokenizer.encode_prompt("aéb"), (vec![0, 1], vec!['é']));
        assert_eq!(tokenizer.encode_prompt("a<|endoftext|>éb"), (vec![0, 3, 1], vec!['é']));
        assert_eq!(tokenizer.decode(&[0, 3, 1, 99]), "a\n\nb");
    }
}
