//! Modular addition, the text of grokking (Power et al. 2022): `12+45=57`, every pair of numbers below a prime once.

use crate::corpus::draft::Draft;
use crate::data_error::{DataError, Progress};
use crate::random::Counter;

/// The prime.
const MODULUS: u64 = 97;

/// Nats of one document: two even draws; the sum follows from them.
fn nats() -> f64 {
    2.0 * (MODULUS as f64).ln()
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
        draft.append(&format!("{a:02}+{b:02}={:02}", (a + b) % MODULUS))?;
        draft.end_document(Some(nats()));
    }
    progress(pairs.len() as u64, Some(pairs.len() as u64), "documents");
    Ok(())
}
