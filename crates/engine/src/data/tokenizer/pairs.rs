//! A byte-pair encoding over [words](super::words): the two neighbouring tokens whose bytes together are the token with the lowest id are
//! merged first, the leftmost of equals.
//!
//! Most words of a text are repetitions, so the tokens of a word are kept in a table, one for each thread that encodes. The ids are those of
//! `tiktoken`, which tests compare.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::words::Words;

/// No token.
const NONE: u32 = u32::MAX;

/// A byte-pair encoding that is ready to use.
pub(super) struct BytePairs {
    /// Token of each byte.
    bytes: [u32; 256],
    /// Token of each sequence of bytes that is one.
    tokens: HashMap<Vec<u8>, u32>,
    /// Length of the longest token, bytes.
    longest: usize,
    by_digit: bool,
    /// Not in use by a thread. Their contents change no result.
    workspaces: Mutex<Vec<Workspace>>,
}

impl BytePairs {
    /// The encoding with these bytes for each token; `None` for tokens without text. `None` if a byte has no token.
    pub(super) fn new(pieces: &[Option<Vec<u8>>], by_digit: bool) -> Option<Self> {
        let tokens: HashMap<Vec<u8>, u32> =
            pieces.iter().enumerate().filter_map(|(id, piece)| Some((piece.clone()?, id as u32))).collect();
        let mut bytes = [NONE; 256];
        for (byte, token) in bytes.iter_mut().enumerate() {
            *token = *tokens.get([byte as u8].as_slice())?;
        }
        let longest = tokens.keys().map(Vec::len).max().unwrap_or(0);
        Some(Self { bytes, tokens, longest, by_digit, workspaces: Mutex::new(vec![]) })
    }

    /// Whether every digit is a separate word.
    pub(super) fn splits_digits(&self) -> bool {
        self.by_digit
    }

    /// Appends the tokens of a text.
    pub(super) fn encode(&self, text: &str, tokens: &mut Vec<u32>) {
        // A panic of another thread leaves complete workspaces in the list.
        let free = || self.workspaces.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = free().pop();
        let mut workspace = kept.unwrap_or_default();
        for word in Words::new(text, self.by_digit) {
            self.encode_word(text.as_bytes(), word, &mut workspace, tokens);
        }
        free().push(workspace);
    }

    /// Appends the tokens of one word of a text.
    #[inline(always)]
    fn encode_word(&self, text: &[u8], word: Range<usize>, workspace: &mut Workspace, tokens: &mut Vec<u32>) {
        let Some(key) = key_of(text, &word) else {
            return self.merge(&text[word], &mut workspace.merge, tokens);
        };
        let entry = &mut workspace.words[slot_of(key)];
        if entry.key == key {
            tokens.extend_from_slice(&entry.tokens[..entry.count as usize]);
            return;
        }
        let before = tokens.len();
        self.merge(&text[word], &mut workspace.merge, tokens);
        let found = &tokens[before..];
        if let Some(kept) = entry.tokens.get_mut(..found.len()) {
            kept.copy_from_slice(found);
            (entry.key, entry.count) = (key, found.len() as u32);
        }
    }

    fn token(&self, bytes: &[u8]) -> u32 {
        if bytes.len() > self.longest { NONE } else { self.tokens.get(bytes).copied().unwrap_or(NONE) }
    }

    /// Appends the tokens of a word. The time is that of sorting its bytes, however long it is.
    fn merge(&self, word: &[u8], merge: &mut Merge, tokens: &mut Vec<u32>) {
        let whole = self.token(word);
        if whole != NONE {
            return tokens.push(whole);
        }
        let Merge { parts, queue } = merge;
        parts.clear();
        parts.extend(word.iter().enumerate().map(|(at, byte)| Part {
            token: self.bytes[usize::from(*byte)],
            merged: word.get(at..at + 2).map_or(NONE, |pair| self.token(pair)),
            before: at.wrapping_sub(1) as u32,
            end: at as u32 + 1,
        }));
        let mergeable = parts.iter().enumerate().filter(|(_, part)| part.merged != NONE);
        queue.extend(mergeable.map(|(at, part)| Reverse((part.merged, at as u32))));
        while let Some(Reverse((token, at))) = queue.pop() {
            let left = parts[at as usize];
            // An entry is out of date after a merge of either part. The bytes that it stood for have grown since, so their token differs.
            if left.merged != token {
                continue;
            }
            let right = parts[left.end as usize];
            parts[left.end as usize].merged = NONE;
            parts[at as usize] = Part { token, end: right.end, ..left };
            if let Some(next) = parts.get_mut(right.end as usize) {
                next.before = at;
            }
            let mut offer = |first: u32| {
                let Some(part) = parts.get(first as usize) else { return };
                let end = parts.get(part.end as usize).map(|next| next.end as usize);
                let merged = end.map_or(NONE, |end| self.token(&word[first as usize..end]));
                parts[first as usize].merged = merged;
                if merged != NONE {
                    queue.push(Reverse((merged, first)));
                }
            };
            offer(at);
            offer(left.before);
        }
        let mut at = 0;
        while let Some(part) = parts.get(at) {
            tokens.push(part.token);
            at = part.end as usize;
        }
    }
}

/// What a thread keeps between the texts that it encodes: 1 MB.
struct Workspace {
    words: Vec<Entry>,
    merge: Merge,
}

/// Parts of a word that is being merged, and their possible merges.
#[derive(Default)]
struct Merge {
    /// By the first byte of each part; the places between are out of date.
    parts: Vec<Part>,
    /// The token that a merge gives, and the first byte of its left part.
    queue: BinaryHeap<Reverse<(u32, u32)>>,
}

/// A part of a word.
#[derive(Clone, Copy)]
struct Part {
    token: u32,
    /// The token of this part with the next; [`NONE`] if it is no token.
    merged: u32,
    /// The first byte of the part before; past the word for the first.
    before: u32,
    end: u32,
}

/// Words that are kept; a power of two.
const KEPT_WORDS: usize = 1 << 15;

/// The tokens of one word.
#[derive(Clone, Copy, Default)]
struct Entry {
    /// [`key_of`] the word; 0 for none.
    key: u128,
    tokens: [u32; 3],
    count: u32,
}

impl Default for Workspace {
    fn default() -> Self {
        Self { words: vec![Entry::default(); KEPT_WORDS], merge: Merge::default() }
    }
}

/// The bytes of a word of up to 15 bytes, and its length; `None` for a longer word.
#[inline(always)]
fn key_of(text: &[u8], word: &Range<usize>) -> Option<u128> {
    let len = word.len();
    if len > 15 {
        return None;
    }
    // Sixteen bytes are read at once where the text has them.
    let mut bytes = [0; 16];
    match text.get(word.start..word.start + 16) {
        Some(sixteen) => bytes.copy_from_slice(sixteen),
        None => bytes[..len].copy_from_slice(&text[word.clone()]),
    }
    let word = u128::from_le_bytes(bytes) & ((1 << (8 * len)) - 1);
    Some(word | (len as u128) << 120)
}

/// The place of a word in the table; a later word with the same place replaces it.
#[inline(always)]
fn slot_of(key: u128) -> usize {
    let (low, high) = (key as u64, (key >> 64) as u64);
    let mixed = (low ^ high.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    (mixed >> (64 - KEPT_WORDS.trailing_zeros())) as usize
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;
    use tiktoken_rs::CoreBPE;

    use super::super::words::tests::{WORDS, WORDS_AND_DIGITS};
    use super::super::{TextTokenizer, chunks};
    use super::*;

    /// Words of a few letters, so that they repeat, long words, and any characters: more different words than are kept.
    fn text(random: &mut testing::Random, words: u64) -> String {
        let word = |random: &mut testing::Random| -> String {
            let len = match random.below(100) {
                0 => random.below(300),
                _ => 1 + random.below(18),
            };
            let ends = [" ", " ", "\n", "", "'s ", "  ", "1", ", "];
            let chars = (0..len).map(|_| match random.below(40) {
                0 => char::from_u32(random.below(0x11_0000) as u32).unwrap_or('?'),
                _ => char::from(b'a' + random.below(6) as u8),
            });
            chars.collect::<String>() + ends[random.below(ends.len() as u64) as usize]
        };
        (0..words).map(|_| word(random)).collect()
    }

    #[test]
    fn chunks_that_threads_encode_at_once_have_the_tokens_of_tiktoken() {
        let mut random = testing::Random::new(testing::seed(13));
        let pieces = TextTokenizer::gpt2().pieces().to_vec();
        let ranks = || pieces.iter().enumerate().filter_map(|(id, piece)| Some((piece.clone()?, id as u32))).collect();
        for (by_digit, pattern) in [(false, WORDS), (true, WORDS_AND_DIGITS)] {
            let theirs = CoreBPE::new(ranks(), [].into_iter().collect(), pattern).unwrap();
            let ours = BytePairs::new(&pieces, by_digit).unwrap();
            let text = text(&mut random, 60_000);
            let expected = theirs.encode_ordinary(&text);
            let mut serial = vec![];
            ours.encode(&text, &mut serial);
            assert!(serial == expected, "in one piece, by digit: {by_digit}");
            let seams = chunks(&text, 0..text.len());
            assert!(seams.len() > 2, "{} chunks", seams.len());
            let encode = |chunk: Range<usize>| {
                let mut tokens = vec![];
                ours.encode(&text[chunk], &mut tokens);
                tokens
            };
            let parallel: Vec<Vec<u32>> = seams.into_par_iter().map(encode).collect();
            assert!(parallel.concat() == expected, "in chunks, by digit: {by_digit}");
        }
    }

    #[test]
    fn a_long_word_is_merged_as_by_tiktoken() {
        let pairs = tiktoken_rs::r50k_base_singleton();
        let tokenizer = TextTokenizer::gpt2();
        for word in ["y".repeat(5000), "ab".repeat(4000) + "c", "aaab".repeat(1000), " ".repeat(9000), "=".repeat(3001)]
        {
            assert!(tokenizer.encode(&word).unwrap() == pairs.encode_ordinary(&word), "{}", &word[..4]);
        }
    }
}
