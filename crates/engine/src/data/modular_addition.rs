//! Modular addition, the corpus of grokking (Power et al. 2022): `12+45=57`, every pair of numbers below a prime, repeated in several orders.

use std::ops::Range;

use crate::data::draft::Draft;
use crate::error::{DataError, Progress};
use crate::kernels::random::Counter;

/// The prime.
pub(crate) const MODULUS: u64 = 97;

/// Copies of every pair in the text, each time in another order, so that the order of the sums cannot be memorized.
const ROUNDS: u64 = 24;

/// Entropy of one operand, uniform in `0..MODULUS`, nats. A document has two operands, which determine the sum.
fn nats() -> f64 {
    (MODULUS as f64).ln()
}

/// A number with two digits.
pub(crate) fn write_number(n: u64) -> String {
    format!("{n:02}")
}

fn write_sum(a: u64, b: u64) -> String {
    format!("{}+{}={}", write_number(a), write_number(b), write_number((a + b) % MODULUS))
}

/// Surprisal of each part of `12+45=57`: the same for the two numbers, 0 for the rest.
pub(crate) fn surprisal(document: &str) -> Option<Vec<(Range<usize>, f64)>> {
    let number = |range: Range<usize>| document.get(range)?.parse::<u64>().ok().filter(|number| *number < MODULUS);
    let (a, b) = (number(0..2)?, number(3..5)?);
    (document == write_sum(a, b)).then(|| vec![(0..2, nats()), (2..3, 0.0), (3..5, nats()), (5..8, 0.0), (8..8, 0.0)])
}

/// Writes all pairs in orders drawn from the seed.
pub(crate) fn write(seed: u64, draft: &mut Draft, progress: Progress<'_>) -> Result<(), DataError> {
    let mut pairs: Vec<u64> = (0..MODULUS * MODULUS).collect();
    let total = pairs.len() as u64 * ROUNDS;
    for round in 0..ROUNDS {
        if !progress(pairs.len() as u64 * round, Some(total), "documents") {
            return Err(DataError::Cancelled);
        }
        Counter::new(seed, round).shuffle(&mut pairs);
        for pair in &pairs {
            let (a, b) = (pair / MODULUS, pair % MODULUS);
            draft.append(&write_sum(a, b))?;
            draft.end_document(Some(2.0 * nats()));
        }
    }
    progress(total, Some(total), "documents");
    Ok(())
}
