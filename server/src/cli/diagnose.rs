//! `kindling diagnose`: what the rules found in a run, with or without a server that has the folder open.

use clap::Args;
use store::{Store, StoreError};
use wire::RunId;
use wire::diagnosis::{Diagnosis, FindingView, Remedy, RunFinding};
use wire::number::grouped;

use super::data::{DataArgs, UnusedFolder};
use crate::live::Feed;
use crate::live::diagnosis::Diagnosis as Rules;
use crate::runs::diagnosis;

const EXAMPLES: &str = "\
Examples:
  Check a run by every rule:
    kindling diagnose amber-fox-7k2q
  Count the alerts of a run in a script:
    kindling diagnose amber-fox-7k2q --json";

/// Prints what the rules found in a run and what can be done about it; works while a server trains the run too.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DiagnoseArgs {
    /// Run, by its id
    run: RunId,
    /// Print JSON, as GET /api/v1/runs/{id}/findings answers it
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
    #[error("the findings cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl DiagnoseArgs {
    /// Prints the findings on standard output. Without a server, the rules first read what they have not read.
    ///
    /// # Errors
    /// There is no lab in the folder, the run does not exist, or the store fails.
    pub async fn run(self) -> Result<(), DiagnoseError> {
        let folder = self.data.used()?;
        let found = match Store::open(folder).await {
            Ok(store) => {
                let rules = Rules::new(Feed::new(store.clone()));
                let found = diagnosis::check(&store, &rules, &self.run).await;
                drop(rules);
                store.close().await;
                found?
            }
            // The server reads the run as it trains.
            Err(StoreError::Locked { .. }) => diagnosis::stored(&Store::open_access(folder).await?, &self.run).await?,
            Err(error) => return Err(error.into()),
        };
        match self.json {
            true => println!("{}", serde_json::to_string_pretty(&found)?),
            false => print!("{}", described(&self.run, &found)),
        }
        Ok(())
    }
}

/// The findings as text, newest first.
fn described(run: &RunId, Diagnosis { health, findings, checked_step, .. }: &Diagnosis) -> String {
    let Some(health) = health.sentence() else {
        return format!("{run}: no rule has read it yet; rules read a run from its first step on\n");
    };
    let until = checked_step.map(|step| format!(", up to step {}", grouped(step))).unwrap_or_default();
    let lines: String = findings.iter().map(finding).collect();
    format!("{run}: {health}{until}\n{lines}")
}

fn finding(FindingView { found, remedies }: &FindingView) -> String {
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
