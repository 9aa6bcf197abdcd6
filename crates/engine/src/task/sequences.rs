//! The log-likelihood of a part of many sequences. Sequences of similar lengths are computed in one batch, padded at their ends: attention
//! is causal, so what follows a token does not change its loss.

use super::TaskModel;
use crate::data::batch::Batch;
use crate::error::EngineError;
use crate::model::evaluate::token_losses;

/// Maximum number of tokens of a batch, with padding. It bounds the memory of activations.
const BATCH_TOKENS: usize = 4096;

/// A sequence whose tokens from `from` on are scored. `from` is at least 1, and no longer than the context after the first token.
pub(super) struct Sequence {
    pub(super) tokens: Vec<u32>,
    pub(super) from: usize,
}

impl Sequence {
    /// Number of tokens that the model reads: all but the last.
    fn inputs(&self) -> usize {
        self.tokens.len() - 1
    }

    /// Number of scored tokens.
    pub(super) fn scored(&self) -> usize {
        self.tokens.len() - self.from
    }
}

/// The negative log-likelihood of the scored tokens of each sequence, given those before, nats.
///
/// # Errors
/// A replica panicked.
pub(super) fn nats(task: &TaskModel, sequences: &[Sequence]) -> Result<Vec<f64>, EngineError> {
    let mut order: Vec<usize> = (0..sequences.len()).collect();
    order.sort_by_key(|at| sequences[*at].inputs());
    let mut nats = vec![0.0; sequences.len()];
    let mut rest = order.as_slice();
    while !rest.is_empty() {
        let (batch, later) = rest.split_at(batch_size(rest, sequences));
        rest = later;
        let rows: Vec<&Sequence> = batch.iter().map(|at| &sequences[*at]).collect();
        let losses = token_losses(
            &task.parts.model,
            &task.parts.weights,
            &padded(&rows),
            Some(&task.replicas),
            &task.parts.device,
        )?;
        let seq = losses.len() / rows.len();
        for ((at, row), losses) in batch.iter().zip(&rows).zip(losses.chunks(seq)) {
            nats[*at] = losses[row.from - 1..row.inputs()].iter().map(|nats| f64::from(*nats)).sum();
        }
    }
    Ok(nats)
}

/// Number of sequences of the next batch, at least one; `order` is by length.
fn batch_size(order: &[usize], sequences: &[Sequence]) -> usize {
    let fits = |(count, at): &(usize, &usize)| (count + 1) * sequences[**at].inputs() <= BATCH_TOKENS;
    order.iter().enumerate().take_while(fits).count().max(1)
}

/// Sequences as a batch, padded at their ends.
fn padded(rows: &[&Sequence]) -> Batch {
    let seq = rows.iter().map(|row| row.inputs()).max().unwrap_or(0);
    let mut batch =
        Batch { size: rows.len(), seq, inputs: vec![0; rows.len() * seq], targets: vec![0; rows.len() * seq] };
    for (row, at) in rows.iter().zip((0..).step_by(seq.max(1))) {
        for (index, pair) in row.tokens.windows(2).enumerate() {
            (batch.inputs[at + index], batch.targets[at + index]) = (pair[0] as i32, pair[1] as i32);
        }
    }
    batch
}
