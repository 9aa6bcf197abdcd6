//! Training of a byte-pair encoding as long work: it reports its progress, and no word is so long that a merge takes quadratic time.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::data::tokenizer::train_bpe;
use crate::error::{DataError, Progress};

/// Maximum length of a word that is trained on, bytes. A merge searches the words that contain its pair, and removes from each what it
/// merged; on a word of 256 kB, as a text without spaces has them, that takes quadratic time.
const WORD_BYTES: usize = 256;
/// Time between two reports of progress.
const REPORT_EVERY: Duration = Duration::from_millis(250);

/// Trains a byte-pair encoding on chunks of text and writes it into a folder. Reports the bytes whose words are counted, then the seconds
/// since the merges began, as their number is not known before the end.
///
/// # Errors
/// Returns an error if the library fails, after a cancellation, or an IO error.
pub(crate) fn train(vocab: u32, chunks: &[&str], folder: &Path, progress: Progress<'_>) -> Result<(), DataError> {
    let total: u64 = chunks.iter().map(|chunk| chunk.len() as u64).sum();
    let counted = AtomicU64::new(0);
    let parts = chunks.iter().flat_map(|chunk| Parts { rest: chunk }).inspect(|part| {
        counted.fetch_add(part.len() as u64, Ordering::Relaxed);
    });
    thread::scope(|scope| {
        let (ended, end) = mpsc::sync_channel(1);
        scope.spawn(move || drop(ended.send(train_bpe(vocab, parts, folder))));
        let (mut is_wanted, mut merges_began) = (true, None::<Instant>);
        loop {
            match end.recv_timeout(REPORT_EVERY) {
                Ok(_) if !is_wanted => return Err(DataError::Cancelled),
                Ok(trained) => return trained,
                // The thread panicked; leaving the scope passes the panic on.
                Err(RecvTimeoutError::Disconnected) => return Err(DataError::Cancelled),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let done = counted.load(Ordering::Relaxed);
            is_wanted &= if done < total {
                progress(done, Some(total), "bytes counted")
            } else {
                let secs = merges_began.get_or_insert_with(Instant::now).elapsed().as_secs();
                progress(secs, None, "seconds of merging")
            };
        }
    })
}

/// Parts of a chunk that have no word longer than [`WORD_BYTES`]. The words themselves are those of the chunk: it is cut only inside of a
/// longer run of letters, of digits, of white space, or of other characters.
struct Parts<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let (mut run_start, mut run_class) = (0, None);
        for (at, c) in self.rest.char_indices() {
            let class = Some(class_of(c));
            if class != run_class {
                (run_start, run_class) = (at, class);
            } else if at + c.len_utf8() - run_start > WORD_BYTES {
                let (part, rest) = self.rest.split_at(at);
                self.rest = rest;
                return Some(part);
            }
        }
        Some(std::mem::take(&mut self.rest))
    }
}

/// The classes of characters that a word consists of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Letter,
    Digit,
    Space,
    Other,
}

fn class_of(c: char) -> Class {
    match c {
        c if c.is_whitespace() => Class::Space,
        c if c.is_alphabetic() => Class::Letter,
        c if c.is_numeric() => Class::Digit,
        _ => Class::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tokenizer::TextTokenizer;
    use wire::data::tokenizer::Tokenizer;

    fn parts(text: &str) -> Vec<&str> {
        Parts { rest: text }.collect()
    }

    #[test]
    fn only_longer_words_are_cut() {
        let ordinary = "It's a line, with words.\n".repeat(100);
        assert_eq!(parts(&ordinary), [ordinary.as_str()]);
        for long in ["x".repeat(1000), "中".repeat(1000), " ".repeat(1000), "7".repeat(700) + "...!" + &"-".repeat(600)]
        {
            let found = parts(&long);
            assert!(found.len() > 2 && found.concat() == long, "{}", found.len());
            assert!(found.iter().all(|part| parts(part) == [*part]), "no part has a word that would be cut");
        }
    }

    #[test]
    fn a_text_without_spaces_trains_with_progress_and_decodes() {
        let mut random = testing::Random::new(testing::seed(3));
        let text: String = (0..400_000).map(|_| ['a', 'c', 'g', 't'][random.below(4) as usize]).collect();
        let folder = crate::data::files::temporary_path(&std::env::temp_dir(), "training");
        std::fs::create_dir_all(&folder).unwrap();
        let mut reports = vec![];
        train(1000, &[&text], &folder, &mut |done, _, unit| {
            reports.push((done, unit));
            true
        })
        .unwrap();
        let tokenizer = TextTokenizer::open(Tokenizer::Bpe(1000), &folder).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let tokens = tokenizer.encode(&text).unwrap();
        assert!(tokens.len() < text.len() / 3, "{} tokens", tokens.len());
        assert_eq!(tokenizer.decode(&tokens), text);
        assert!(reports.iter().all(|(_, unit)| matches!(*unit, "bytes counted" | "seconds of merging")), "{reports:?}");
    }
}
