//! The descriptions of an experiment to create and of its runs.

use wire::experiment::ExperimentSpec;
use wire::experiment::record::Side;
use wire::{Author, RunSpec};

use crate::new_run::NewRun;

/// An experiment to create.
#[derive(Debug, Clone, PartialEq)]
pub struct NewExperiment {
    pub project: String,
    pub author: Author,
    /// The person who creates it; `None` for a token of the lab.
    pub person: Option<i64>,
    /// The token of a program with which they create it; `None` for a browser.
    pub token: Option<i64>,
    pub spec: ExperimentSpec,
    /// Specification of the runs of the baseline, without a seed.
    pub baseline: RunSpec,
    /// Specification of the runs with the change, without a seed.
    pub variant: RunSpec,
    /// Seed of the first pair; the following ones have the seeds after it.
    pub first_seed: u64,
}

/// A run to start for an experiment.
#[derive(Debug, Clone, PartialEq)]
pub struct NewExperimentRun {
    /// From 1.
    pub pair: u32,
    pub side: Side,
    /// From 1.
    pub attempt: u32,
    pub run: NewRun,
}
