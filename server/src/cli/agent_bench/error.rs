//! The errors of `kindling agent-bench`.

use std::io;
use std::path::PathBuf;

use store::StoreError;

use crate::lab::open::ServeError;
use crate::output::OutputError;

/// Why the agent bench ends early.
#[derive(Debug, thiserror::Error)]
pub enum AgentBenchError {
    #[error("no scenario is named {name:?}: give one of {known}")]
    UnknownScenario {
        /// The name as given.
        name: String,
        /// All names.
        known: String,
    },
    #[error("no temporary folder for a lab can be created: {0}")]
    Folder(io::Error),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the lab could not be built: {what}: {message}")]
    Build {
        /// The request, or the state that was waited for.
        what: String,
        /// The answer of the server, or what was waited for.
        message: String,
    },
    #[error("the address of a lab cannot be used: {0}")]
    Listen(io::Error),
    #[error("{} cannot be written: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        source: io::Error,
    },
    #[error("the results cannot be encoded: {0}")]
    Json(#[from] serde_json::Error),
    #[error("{0}")]
    Output(#[from] OutputError),
    #[error("--command is empty: give a program, such as --command \"python agent.py\"")]
    NoCommand,
    #[error("--command {command:?} could not be run: {source}")]
    Command {
        /// The command as given.
        command: String,
        source: io::Error,
    },
    #[error("interrupted: the scenarios that have ended are in the files")]
    Interrupted,
}

impl AgentBenchError {
    pub(super) fn build(what: impl Into<String>, message: impl ToString) -> Self {
        Self::Build { what: what.into(), message: message.to_string() }
    }
}
