//! Perplexity of texts: each text is read in windows of the context that overlap by half, and every token is scored once, with at least half
//! a context before it where the text has as much.

use wire::task::item::TextItem;
use wire::task::result::name;

use super::sequences::{Sequence, nats};
use super::text::start_of;
use super::{Parts, Score, TaskModel};
use crate::error::{EngineError, TaskError};

pub(super) fn score(task: &TaskModel, items: &[TextItem]) -> Result<Score, EngineError> {
    let (mut sequences, mut bytes) = (vec![], 0);
    for (at, item) in items.iter().enumerate() {
        let (windows, scored) = windows(&task.parts, at + 1, &item.text)?;
        sequences.extend(windows);
        bytes += scored;
    }
    let tokens: usize = sequences.iter().map(Sequence::scored).sum();
    let nats: f64 = nats(task, &sequences)?.into_iter().sum();
    let per_token = nats / tokens as f64;
    Ok(Score {
        correct: None,
        metrics: vec![
            (name::NATS_PER_TOKEN, per_token),
            (name::PERPLEXITY, per_token.exp()),
            (name::BITS_PER_BYTE, nats / std::f64::consts::LN_2 / bytes as f64),
        ],
    })
}

/// The windows of a text, and the number of its bytes that they score: all, unless nothing stands before its first token.
fn windows(parts: &Parts, item: usize, text: &str) -> Result<(Vec<Sequence>, usize), EngineError> {
    let own = parts.tokens(item, text)?;
    let beginning = parts.beginning();
    let mut unscored = vec![];
    if beginning.is_empty() {
        own.first().into_iter().for_each(|first| parts.tokenizer.append_bytes(*first, &mut unscored));
    }
    let from = beginning.len().max(1);
    let tokens = [beginning, own].concat();
    if tokens.len() <= from {
        return Err(TaskError::NoTokens { item, text: start_of(text) }.into());
    }
    let spans = spans(tokens.len(), from, parts.model.seq);
    let sequence = |(start, from, end): (usize, usize, usize)| Sequence {
        tokens: tokens[start..end].to_vec(),
        from: from - start,
    };
    Ok((spans.into_iter().map(sequence).collect(), text.len() - unscored.len().min(text.len())))
}

/// The windows of `len` tokens of which those from `from` on are scored: first token, first scored token, end.
fn spans(len: usize, from: usize, context: usize) -> Vec<(usize, usize, usize)> {
    let (mut found, mut scored) = (vec![], from);
    while scored < len {
        // The first window is full of new tokens, the others begin half a context before theirs.
        let before = if found.is_empty() { context } else { (context / 2).max(1) };
        let start = scored.saturating_sub(before);
        let end = (start + context + 1).min(len);
        found.push((start, scored, end));
        scored = end;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::spans;

    #[test]
    fn every_token_is_scored_once_in_a_window_of_the_context() {
        for len in 2..80 {
            for context in [1, 2, 3, 8, 33] {
                let mut next = 1;
                for (start, from, end) in spans(len, 1, context) {
                    assert_eq!(from, next);
                    assert!(start < from && from < end && end - start <= context + 1, "{start} {from} {end}");
                    assert!(start == 0 || from - start >= (context / 2).max(1));
                    next = end;
                }
                assert_eq!(next, len);
            }
        }
    }
}
