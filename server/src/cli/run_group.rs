//! Runs of a lab on the command line: by names, ids or a tag, with what fits and replays read of them.

use clap::Args;
use store::{Store, StoreError};
use wire::{RunId, RunSummary};

use super::run_name::{RunNameError, run_named};
use crate::runs::comparison::tagged;
use crate::runs::trial_curves::{TrialRun, Unlike, alike};

/// The runs that a command reads.
#[derive(Debug, Clone, Args)]
pub struct RunGroupArgs {
    /// Runs, by names or ids; separated by commas or spaces [default: the runs with the tag]
    #[arg(value_name = "RUN", value_delimiter = ',', required_unless_present = "tag")]
    runs: Vec<String>,
    /// Read the finished runs with this tag [default: the named runs]
    #[arg(long, value_name = "TAG", conflicts_with = "runs")]
    tag: Option<String>,
}

/// Errors of choosing and reading runs.
#[derive(Debug, thiserror::Error)]
pub enum RunGroupError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Run(#[from] RunNameError),
    #[error("no finished run has the tag {tag:?}; tag runs on the Lab page, or give names of runs")]
    NoGroup { tag: String },
    #[error(transparent)]
    Unlike(#[from] Unlike),
}

impl RunGroupArgs {
    /// The runs, in the order of their creation.
    ///
    /// # Errors
    /// A name names no run or several, no run has the tag, or the runs differ in tokenizer or datasets.
    pub async fn read(&self, store: &Store) -> Result<Vec<TrialRun>, RunGroupError> {
        let summaries = store.runs(false).await?;
        let mut found = vec![];
        for run in self.ids(&summaries)? {
            found.extend(TrialRun::read(store, &run).await?);
        }
        found.sort_by_key(|run| run.view.summary.created_ms);
        found.dedup_by(|a, b| a.view.summary.id == b.view.summary.id);
        alike(&found)?;
        Ok(found)
    }

    fn ids(&self, summaries: &[RunSummary]) -> Result<Vec<RunId>, RunGroupError> {
        match &self.tag {
            Some(tag) => {
                let found = tagged(tag, summaries);
                if found.is_empty() { Err(RunGroupError::NoGroup { tag: tag.clone() }) } else { Ok(found) }
            }
            None => {
                let names = self.runs.iter().map(|name| name.trim()).filter(|name| !name.is_empty());
                Ok(names.map(|name| run_named(name, summaries)).collect::<Result<_, _>>()?)
            }
        }
    }
}
