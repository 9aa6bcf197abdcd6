//! A comparison to be added to the research journal.

use wire::{Author, RunId};

/// The conclusion of a comparison, with its runs as they are then.
#[derive(Debug, Clone, PartialEq)]
pub struct NewComparison {
    pub project: String,
    pub author: Author,
    /// All runs, those of the baseline first.
    pub runs: Vec<RunId>,
    /// Their names.
    pub names: String,
    /// The conclusion, in sentences.
    pub text: String,
}
