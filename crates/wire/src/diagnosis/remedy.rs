//! Remedies: changes that may resolve a finding, computed for the run as it is now.

use serde::{Deserialize, Serialize};

use crate::control::command::Command;
use crate::run::spec::RunSpec;

/// A change that may resolve a finding. Nothing is done until a client sends it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Remedy {
    /// What a button says: `Halve the learning rate`.
    pub label: String,
    /// What would happen to the run as it is now, with its numbers, in plain sentences.
    pub effect: String,
    pub action: RemedyAction,
    /// Why it cannot be done now and what to do, in a sentence; `None` if it can.
    pub obstacle: Option<String>,
}

/// What a client sends to carry a remedy out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RemedyAction {
    /// `POST /runs/{id}/commands` with this body.
    Command(Command),
    /// `POST /runs` with this body: a fork, or a new run with changed hyperparameters. The run itself is not changed.
    Run(Box<RunSpec>),
    /// An address of the page, below the base address: where to look first.
    Page(String),
    /// Something that a person does outside the program; the effect says what.
    Advice,
}
