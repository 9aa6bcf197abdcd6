//! `kindling diagnose`: what the rules found in a run, with or without a server that has the folder open.

use clap::Args;
use store::{Store, StoreError};
use wire::RunId;
use wire::diagnosis::{Diagnosis, FindingView, Remedy, RunFinding};
use wire::number::grouped;

use super::data::{DataArgs, UnusedFolder};
use super::run_name::{RunNameError, run_named};
use crate::live::Feed;
use crate::live::diagnosis::Diagnosis as Rules;
use crate::output::{self, OutputError};
use crate::runs::diagnosis;

const EXAMPLES: &str = "\
Examples:
  Check a run by every rule, by its name or id:
    kindling diagnose amber-fox
  Count the alerts of a run in a script:
    kindling diagnose amber-fox-7k2q --json";

/// Prints the findings of the rules in a run and their remedies; also works while a server trains the run.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DiagnoseArgs {
    /// Run, by its name or id
    run: String,
    /// Print JSON, as returned by GET /api/v1/runs/{id}/findings
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: DataArgs,
}

/// Errors of `kindling diagnose`.
#[derive(Debug, thiserror::Error)]
pub enum DiagnoseError {
    #[error(transparent)]
    Unused(#[from] UnusedFolder),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Run(#[from] RunNameError),
    #[error("the findings cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("{0}")]
    Output(#[from] OutputError),
}

impl DiagnoseArgs {
    /// Prints the findings on standard output. Without a server, the rules first read what they have not read.
    ///
    /// # Errors
    /// There is no lab in the folder, the text names no run or several, or the store fails.
    pub async fn run(self) -> Result<(), DiagnoseError> {
        let folder = self.data.used()?;
        let (run, found) = match Store::open(folder).await {
            Ok(store) => {
                let found = self.check(&store).await;
                store.close().await;
                found?
            }
            // The server reads the run as it trains.
            Err(StoreError::Locked { .. }) => {
                let store = Store::open_access(folder).await?;
                let run = self.named(&store).await?;
                let found = diagnosis::stored(&store, &run).await?;
                (run, found)
            }
            Err(error) => return Err(error.into()),
        };
        match self.json {
            true => output::line(serde_json::to_string_pretty(&found)?)?,
            false => output::bytes(described(&run, &found).as_bytes())?,
        }
        Ok(())
    }

    async fn check(&self, store: &Store) -> Result<(RunId, Diagnosis), DiagnoseError> {
        let run = self.named(store).await?;
        let rules = Rules::new(Feed::new(store.clone()));
        let found = diagnosis::check(store, &rules, &run).await?;
        Ok((run, found))
    }

    /// The run. A deleted one keeps its findings until it is purged, and is named by its id only.
    async fn named(&self, store: &Store) -> Result<RunId, DiagnoseError> {
        let mut runs = store.runs(true).await?;
        runs.retain(|run| run.deleted_ms.is_none() || run.id.as_str() == self.run);
        Ok(run_named(&self.run, &runs)?)
    }
}

/// The findings as text, newest first.
fn described(run: &RunId, Diagnosis { health, findings, checked_step, .. }: &Diagnosis) -> String {
    let Some(health) = health.sentence() else {
        return format!("{run}: no rule has checked it yet; rules check a run from its first step on\n");
    };
    let until = checked_step.map(|step| format!(", up to step {}", grouped(step))).unwrap_or_default();
    let lines: String = findings.iter().map(finding).collect();
    format!("{run}: {health}{until}\n{lines}")
}

fn finding(FindingView { found, remedies, .. }: &FindingView) -> String {
    let RunFinding { id, finding, label, text, .. } = found;
    let (level, step) = (finding.level.word(), grouped(finding.step));
    let remedies: String = remedies.iter().map(remedy).collect();
    format!("\n{id}. {label} ({level}, step {step}{}). {text}\n{remedies}", condition(found))
}

/// Why a finding is over or does not count; empty for one that does.
fn condition(found: &RunFinding) -> String {
    match found {
        RunFinding { is_abandoned: true, .. } => ", abandoned branch".to_owned(),
        RunFinding { is_dismissed: true, .. } => ", dismissed".to_owned(),
        RunFinding { became: Some(alert), .. } => format!(", became finding {alert}"),
        RunFinding { ended_step: Some(step), .. } => format!(", ended at step {}", grouped(*step)),
        _ => String::new(),
    }
}

fn remedy(Remedy { label, effect, obstacle, .. }: &Remedy) -> String {
    format!("   - {label}. {}\n", obstacle.as_ref().unwrap_or(effect))
}
