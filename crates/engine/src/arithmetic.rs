//! Modular addition, the text of grokking (Power et al. 2022): `12+45=57`, every pair of numbers below a prime once.

use std::ops::Range;

use crate::corpus::draft::Draft;
use crate::data_error::{DataError, Progress};
use crate::random::Counter;

/// The prime.
pub(crate) const MODULUS: u64 = 97;

/// Tenths of the sums that are held out. With a tenth a model sees so many that it understands at once; with half of them it first learns
/// them by heart, and what it says of the others becomes right much later.
pub(crate) const HELD_OUT_TENTHS: u64 = 5;

/// Nats of one number drawn evenly. A document costs two of them; the sum follows.
fn nats() -> f64 {
    (MODULUS as f64).ln()
}

/// A number as the text writes it.
pub(crate) fn write_number(n: u64) -> String {
    format!("{n:02}")
}

fn write_sum(a: u64, b: u64) -> String {
    format!("{}+{}={}", write_number(a), write_number(b), write_number((a + b) % MODULUS))
}

/// What each piece of `12+45=57` costs: the two numbers cost the same, all else nothing.
pub(crate) fn surprisal(document: &str) -> Option<Vec<(Range<usize>, f64)>> {
    let number = |range: Range<usize>| document.get(range)?.parse::<u64>().ok().filter(|number| *number < MODULUS);
    let (a, b) = (number(0..2)?, number(3..5)?);
    (document == write_sum(a, b)).then(|| vec![(0..2, nats()), (2..3, 0.0), (3..5, nats()), (5..8, 0.0), (8..8, 0.0)])
}

/// Writes all pairs in an order drawn from the seed.
pub(crate) fn write(seed: u64, draft: &mut Draft, progress: Progress<'_>) -> Result<(), DataError> {
    let mut pairs: Vec<u64> = (0..MODULUS * MODULUS).collect();
    Counter::new(seed, 0).shuffle(&mut pairs);
    if !progress(0, Some(pairs.len() as u64), "documents") {
        return Err(DataError::Cancelled);
    }
    for pair in &pairs {
        let (a, b) = (pair / MODULUS, pair % MODULUS);
        draft.append(&write_sum(a, b))?;
        draft.end_document(Some(2.0 * nats()));
    }
    progress(pairs.len() as u64, Some(pairs.len() as u64), "documents");
    Ok(())
}
