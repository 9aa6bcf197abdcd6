//! A run as the server assigns it.

use wire::run::history::Past;
use wire::{RunId, RunPlan};

/// A run that this worker is to train.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// Id of the run.
    pub run: RunId,
    pub plan: Box<RunPlan>,
    /// Its past, with the checkpoint to resume from; empty for a new run.
    pub past: Box<Past>,
}
