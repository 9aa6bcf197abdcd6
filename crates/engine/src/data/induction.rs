//! Induction, a corpus on which heads learn to copy (Olsson et al. 2022): each document is a random block of distinct letters, repeated
//! [`COPIES`] times. Only attention to earlier tokens can predict it: after the first copy, each letter is followed by the same letter as before.

use std::ops::Range;

use crate::data::draft::Draft;
use crate::error::{DataError, Progress};
use crate::kernels::random::Counter;

/// Letters to draw from. Many, so that consecutive documents rarely have letters in common.
const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// Minimum length of a block, letters.
const MIN_LETTERS: usize = 8;
/// Maximum length of a block, letters. Lengths differ, so that copying from a fixed distance does not work.
const MAX_LETTERS: usize = 16;
/// Copies of a block in a document.
const COPIES: usize = 4;
/// Documents of the built-in corpus: about two million characters.
const DOCUMENTS: u64 = 40_000;
/// Number of documents between two reports of progress.
const AT_ONCE: u64 = 4000;

/// Document number `document` of a seed.
fn write_blocks(seed: u64, document: u64) -> String {
    let mut random = Counter::at(&[seed, 0x1d_0c70, document]);
    let len = MIN_LETTERS + random.below((MAX_LETTERS - MIN_LETTERS + 1) as u64) as usize;
    let mut letters = *LETTERS;
    random.shuffle(&mut letters);
    letters[..len].iter().map(|letter| char::from(*letter)).collect::<String>().repeat(COPIES)
}

/// Surprisal of a document with a block of `len` letters, nats: that of the length plus that of the letters, drawn without replacement.
fn nats(len: usize) -> f64 {
    let lengths = (MAX_LETTERS - MIN_LETTERS + 1) as f64;
    lengths.ln() + (0..len).map(|drawn| ((LETTERS.len() - drawn) as f64).ln()).sum::<f64>()
}

/// Surprisal of each letter, and last of the end, nats. It marginalizes over the length of the block: every length that is consistent with the
/// text so far counts with its probability.
pub(crate) fn surprisal(document: &str) -> Option<Vec<(Range<usize>, f64)>> {
    let bytes = document.as_bytes();
    let len = bytes.len() / COPIES;
    let is_sound = (MIN_LETTERS..=MAX_LETTERS).contains(&len) && bytes.len() == len * COPIES && is_block(&bytes[..len]);
    if !is_sound || bytes.chunks(len).any(|copy| copy != &bytes[..len]) {
        return None;
    }
    // -ln of the probability of the first `read` letters.
    let cost = |read: usize| -> f64 {
        let odds = (MIN_LETTERS..=MAX_LETTERS)
            .filter(|block| fits(&bytes[..read], *block))
            .map(|block| (0..read.min(block)).map(|drawn| 1.0 / (LETTERS.len() - drawn) as f64).product::<f64>());
        -(odds.sum::<f64>() / (MAX_LETTERS - MIN_LETTERS + 1) as f64).ln()
    };
    let costs: Vec<f64> = (0..=bytes.len()).map(cost).collect();
    let letters = costs.windows(2).enumerate().map(|(index, pair)| (index..index + 1, pair[1] - pair[0]));
    let end = (bytes.len()..bytes.len(), nats(len) - costs[bytes.len()]);
    Some(letters.chain([end]).collect())
}

/// Whether a block consists of distinct letters of the alphabet.
fn is_block(block: &[u8]) -> bool {
    block.iter().enumerate().all(|(index, letter)| LETTERS.contains(letter) && !block[..index].contains(letter))
}

/// Whether a document with a block of length `block` can have this prefix.
fn fits(read: &[u8], block: usize) -> bool {
    read.len() <= block * COPIES
        && is_block(&read[..read.len().min(block)])
        && (block..read.len()).all(|index| read[index] == read[index - block])
}

/// Writes the documents of a seed.
pub(crate) fn write(seed: u64, draft: &mut Draft, progress: Progress<'_>) -> Result<(), DataError> {
    for document in 0..DOCUMENTS {
        if document % AT_ONCE == 0 && !progress(document, Some(DOCUMENTS), "documents") {
            return Err(DataError::Cancelled);
        }
        let text = write_blocks(seed, document);
        draft.append(&text)?;
        draft.end_document(Some(nats(text.len() / COPIES)));
    }
    progress(DOCUMENTS, Some(DOCUMENTS), "documents");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surprisals_sum_to_the_nats_of_the_document() {
        for document in 0..2000 {
            let text = write_blocks(1, document);
            let len = text.len() / COPIES;
            let surprisals = surprisal(&text).expect(&text);
            let sum: f64 = surprisals.iter().map(|(_, nats)| nats).sum();
            assert!((sum - nats(len)).abs() < 1e-9, "{text}: {sum}");
            assert!(surprisals.iter().all(|(_, nats)| *nats > -1e-12));
            let copied: f64 = surprisals[len + 1..].iter().map(|(_, nats)| nats).sum();
            assert!(copied < 1e-9, "after the first repeated letter everything is known: {copied}");
            assert!(surprisal(&text[1..]).is_none() && surprisal(&format!("{text}?")).is_none());
        }
        assert!(surprisal(&"AABCDEFG".repeat(COPIES)).is_none() && surprisal("").is_none());
    }

    #[test]
    fn blocks_are_uniform() {
        let texts: Vec<String> = (0..8000).map(|document| write_blocks(2, document)).collect();
        let lengths = MAX_LETTERS - MIN_LETTERS + 1;
        let of_len = |len: usize| texts.iter().filter(|text| text.len() == len * COPIES).count() as f64;
        let even = texts.len() as f64 / lengths as f64;
        let chi_square: f64 = (MIN_LETTERS..=MAX_LETTERS).map(|len| (of_len(len) - even).powi(2) / even).sum();
        assert!(chi_square < 30.0, "{chi_square}"); // 8 degrees of freedom
        let first = |letter: &u8| texts.iter().filter(|text| text.as_bytes()[0] == *letter).count() as f64;
        let even = texts.len() as f64 / LETTERS.len() as f64;
        let chi_square: f64 = LETTERS.iter().map(|letter| (first(letter) - even).powi(2) / even).sum();
        assert!(chi_square < 110.0, "{chi_square}"); // 61 degrees of freedom
        assert!(texts.iter().all(|text| is_block(&text.as_bytes()[..text.len() / COPIES])));
    }
}
