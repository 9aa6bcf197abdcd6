//! The descriptions of a research loop to create, and of the runs of a round.

use wire::Author;
use wire::research_loop::LoopGoal;
use wire::research_loop::record::LoopStart;

use crate::new_experiment::NewExperiment;
use crate::sweep_records::NewSweep;

/// A loop to create.
#[derive(Debug, Clone, PartialEq)]
pub struct NewLoop {
    pub project: String,
    pub author: Author,
    /// The person who creates it; `None` for a token of the lab.
    pub person: Option<i64>,
    /// The token of a program with which they create it; `None` for a browser.
    pub token: Option<i64>,
    /// The goal, already checked.
    pub goal: LoopGoal,
    pub start: LoopStart,
}

/// The sweep or the experiment of a round.
#[derive(Debug, Clone, PartialEq)]
pub enum NewRoundRuns {
    /// Screening trials, or the runs of the noise floor.
    Sweep(NewSweep),
    /// Pairs of full-length runs.
    Experiment(NewExperiment),
}
