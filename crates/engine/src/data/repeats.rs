//! Training windows whose text has already occurred elsewhere in the datasets, as in a corpus that contains a file twice.
//!
//! Compared are the [`SPAN`] tokens from the start of a window on, because a short window repeats phrases by chance: of the 5.6 million
//! characters of the corpus Tales, a tenth of all spans of 64 occurs twice, and none of 200. A window that is drawn again at the same place
//! is not counted: windows are drawn with replacement, and epochs count these.
//!
//! The windows of a run are a pure function of its hyperparameters, so the count is computed again after a resume or a rollback.

use std::collections::HashSet;

use crate::data::batch::Window;
use crate::data::dataset::Dataset;

/// Tokens that are compared, at least; those of a longer window all are.
const SPAN: usize = 256;
/// Windows of a run that are compared without exception. Beyond it, half as many per doubling are, so that the memory stays small and a run of
/// a billion windows is counted again in a second.
const ALL_BELOW: u64 = 1 << 18;

/// The count of a run.
#[derive(Default)]
pub struct Repeats {
    /// Dataset and first token of the compared windows, in one number, which halves the memory.
    places: HashSet<u64>,
    /// Hashes of their text.
    texts: HashSet<u64>,
    /// Windows so far, compared or not.
    windows: u64,
    repeated: u64,
}

impl Repeats {
    /// Adds the next micro-batch of the run: `size` windows of `seq` tokens, which are drawn only if one of them is compared.
    pub fn add(&mut self, data: &Dataset, size: usize, seq: usize, draw: impl FnOnce() -> Vec<Window>) {
        let first = self.windows;
        self.windows += size as u64;
        if !(first..self.windows).any(is_compared) {
            return;
        }
        for (_, window) in (first..).zip(draw()).filter(|(number, _)| is_compared(*number)) {
            let is_new = self.places.insert(place(window));
            if is_new && !self.texts.insert(data.text_hash(window, seq.max(SPAN))) {
                self.repeated += 1;
            }
        }
    }

    /// Windows so far whose text came before at another place.
    pub fn count(&self) -> u64 {
        self.repeated
    }
}

/// Dataset and first token: no dataset of a machine has 2^40 tokens.
fn place(window: Window) -> u64 {
    (window.dataset as u64) << 40 | window.start as u64
}

/// Whether a window of a run is compared, by its number: all below [`ALL_BELOW`], then half as many per doubling.
fn is_compared(number: u64) -> bool {
    number < ALL_BELOW || number.is_multiple_of(2 << (number.ilog2() - ALL_BELOW.ilog2()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compared_windows_are_spread_over_doublings() {
        let count = |from: u64, to: u64| (from..to).filter(|number| is_compared(*number)).count() as u64;
        assert_eq!(count(0, ALL_BELOW), ALL_BELOW);
        assert_eq!(count(ALL_BELOW, 2 * ALL_BELOW), ALL_BELOW / 2);
        assert_eq!(count(8 * ALL_BELOW, 16 * ALL_BELOW), ALL_BELOW / 2);
    }
}
