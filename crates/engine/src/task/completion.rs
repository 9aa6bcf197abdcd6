//! Exact completion: the model continues the prompt with its most likely tokens until the text is as long as the answer, or ends. The item
//! is right if the text is the answer, byte by byte.

use std::sync::Arc;

use wire::task::item::CompletionItem;
use wire::task::result::name;

use super::sequences::{Sequence, nats};
use super::{Parts, Score, TaskModel};
use crate::error::EngineError;
use crate::model::sample::{SampleArgs, TokenContext, Truncation, generate};

/// Tokens that a completion may have beyond the bytes of the answer: tokens without text, such as special ones.
const SPARE_TOKENS: usize = 8;

pub(super) fn score(task: &TaskModel, items: &[CompletionItem]) -> Result<Score, EngineError> {
    let sequences = items.iter().enumerate().map(|(at, item)| {
        // One continuation gives one sequence.
        task.parts.continuations(at + 1, &item.prompt, &[&item.answer])
    });
    let sequences: Vec<Sequence> = sequences.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
    let correct = matches(task, items)?;
    let nats: f64 = nats(task, &sequences)?.into_iter().sum();
    let tokens: usize = sequences.iter().map(Sequence::scored).sum();
    let bytes: usize = items.iter().map(|item| item.answer.len()).sum();
    Ok(Score {
        correct: Some(correct),
        metrics: vec![
            (name::EXACT_MATCH, correct as f64 / items.len() as f64),
            (name::ANSWER_NATS_PER_TOKEN, nats / tokens as f64),
            (name::ANSWER_BITS_PER_BYTE, nats / std::f64::consts::LN_2 / bytes as f64),
        ],
    })
}

/// Number of items whose completion is the answer; the items are split over the replicas.
fn matches(task: &TaskModel, items: &[CompletionItem]) -> Result<u64, EngineError> {
    let (parts, items, replicas) = (task.parts.clone(), Arc::new(items.to_vec()), task.replicas.count());
    let counts = task.replicas.map(move |replica| {
        let own = items.iter().enumerate().skip(replica).step_by(replicas);
        own.map(|(at, item)| is_match(&parts, at + 1, item)).sum::<Result<u64, EngineError>>()
    })?;
    counts.into_iter().sum()
}

/// 1 if the completion of an item is its answer, else 0.
fn is_match(parts: &Parts, number: usize, item: &CompletionItem) -> Result<u64, EngineError> {
    let prompt = [parts.beginning(), parts.tokens(number, &item.prompt)?].concat();
    let mut reader = TokenContext::new(&parts.model, &parts.weights, &prompt, parts.tokenizer.start(), &parts.device);
    let args = SampleArgs {
        tokens: (item.answer.len() + SPARE_TOKENS) as u32,
        temperature: 0.0,
        seed: 0,
        start: parts.tokenizer.start(),
        ends: parts.tokenizer.ends(),
    };
    let mut written = vec![];
    generate(&mut reader, args, Truncation::NONE, |drawn| {
        if !parts.tokenizer.ends().contains(&drawn.token) {
            parts.tokenizer.append_bytes(drawn.token, &mut written);
        }
        // A completion that has left the answer is wrong, whatever follows.
        written.len() < item.answer.len() && item.answer.as_bytes().starts_with(&written)
    })?;
    Ok(u64::from(written == item.answer.as_bytes()))
}
