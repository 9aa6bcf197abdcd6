//! `kindling experiment`: experiments of a lab. Listing and showing read the folder, whether or not a server holds it; an experiment is started
//! on the server, which continues it even if this command ends.

mod follow;

use std::io;
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use store::{Store, StoreError};
use tokio::task::JoinError;
use wire::access::{Role, TokenKind, Visible};
use wire::experiment::ExperimentSpec;
use wire::experiment::record::{ExperimentRun, ExperimentSummary, ExperimentView};
use wire::number::{counted, in_sentence};

use super::client::{Client, ClientError};
use super::data::{DataArgs, UnusedFolder};
use super::train::split_tables;
use crate::auth::tokens::{DAY_MS, default_days};
use crate::live::clock::now_ms;
use crate::output::{self, OutputError};
use crate::workers::local;

const EXAMPLES: &str = "\
Examples:
  Start an experiment on the server of this folder, and print what happens until there is a verdict:
    kindling experiment layers.toml
  List the experiments of the lab:
    kindling experiment --list
  Show one with its pairs of runs, for a program:
    kindling experiment --show 3 --json

A spec is a TOML file:
  title = \"Half the learning rate\"
  hypothesis = \"The learning rate of the preset is too high for 300 steps.\"
  [baseline]
  spec = { preset = \"tiny\", corpus = \"tales\", steps = 300 }
  [change]
  overrides = { \"optimizer.learning_rate\" = 1e-3 }
  [prediction]
  difference = -0.05
  probability = 0.7
  [rule]
  effect = 0.02
  max_pairs = 8
  [budget]
  steps = 300
  device_hours = 1.0";

/// Experiments that `--list` prints.
const LISTED: u32 = 1_000;

/// Tests a change against a baseline: pairs of runs with equal seeds, until a rule that is fixed in advance gives a verdict.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, group = ArgGroup::new("what").required(true).args(["spec", "list", "show"]))]
pub struct ExperimentArgs {
    /// TOML file with the hypothesis, the change, the prediction, the decision rule and the budget [default: none, nothing is started]
    #[arg(value_name = "SPEC.toml")]
    spec: Option<PathBuf>,
    /// List the experiments of the lab, newest first
    #[arg(long)]
    list: bool,
    /// Show the experiment with this number [default: none]
    #[arg(long, value_name = "ID")]
    show: Option<u64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Author of an experiment that is started, whose predictions are scored
    #[arg(long, value_name = "NAME", default_value = "command line")]
    author: String,
    #[command(flatten)]
    data: DataArgs,
}

/// Errors of `kindling experiment`.
#[derive(Debug, thiserror::Error)]
pub enum ExperimentError {
    #[error(transparent)]
    Unused(#[from] UnusedFolder),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the spec {} cannot be read: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        source: io::Error,
    },
    #[error("{} is not a valid spec: {}", path.display(), wire::error::in_words(source))]
    Spec {
        /// The file.
        path: PathBuf,
        source: Box<toml::de::Error>,
    },
    #[error("{} is not a valid spec: {source}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        source: wire::PlanError,
    },
    #[error("no server runs on {}: start one with `kindling serve --data {}`", folder.display(), folder.display())]
    NoServer { folder: PathBuf },
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("there is no experiment {id}; kindling experiment --list lists them")]
    Unknown { id: u64 },
    #[error("the experiment {id} is {state}: {reason}")]
    NoVerdict {
        id: u64,
        /// Its state in a word.
        state: &'static str,
        reason: String,
    },
    #[error("the command was interrupted: {source}")]
    Interrupted {
        /// The task.
        #[from]
        source: JoinError,
    },
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("{0}")]
    Output(#[from] OutputError),
}

impl ExperimentArgs {
    /// Starts and follows an experiment, or prints what is stored.
    ///
    /// # Errors
    /// There is no lab in the folder; the spec is invalid; no server runs, or it refuses; the experiment ends without a verdict.
    pub async fn run(self) -> Result<(), ExperimentError> {
        let folder = self.data.used()?;
        if let Some(path) = &self.spec {
            return start(folder, &read(path)?, &self.author, self.json).await;
        }
        let store = Store::open_access(folder).await?;
        match self.show {
            Some(id) => {
                let view = store.experiment(id).await?.ok_or(ExperimentError::Unknown { id })?;
                print(self.json, &view, described)
            }
            None => print(self.json, &store.experiments(&Visible::All, LISTED).await?, |all| listed(all)),
        }
    }
}

fn print<T: serde::Serialize>(
    as_json: bool,
    value: &T,
    described: impl Fn(&T) -> String,
) -> Result<(), ExperimentError> {
    Ok(output::line(if as_json { serde_json::to_string_pretty(value)? } else { described(value) })?)
}

/// Reads a spec. Overrides may be written by path or as tables.
fn read(path: &Path) -> Result<ExperimentSpec, ExperimentError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| ExperimentError::File { path: path.to_owned(), source })?;
    let invalid = |source| ExperimentError::Spec { path: path.to_owned(), source: Box::new(source) };
    let mut spec: ExperimentSpec = toml::from_str(&text).map_err(invalid)?;
    let of_baseline = spec.baseline.spec.as_mut().map(|spec| &mut spec.overrides);
    for overrides in [Some(&mut spec.change.overrides), of_baseline].into_iter().flatten() {
        split_tables(overrides);
    }
    spec.check().map_err(|source| ExperimentError::Value { path: path.to_owned(), source })?;
    Ok(spec)
}

/// Starts an experiment with a token of its own, which gives its runs their rights, and ends when the experiment has ended.
async fn start(folder: &Path, spec: &ExperimentSpec, author: &str, as_json: bool) -> Result<(), ExperimentError> {
    let Some(url) = local::address_of_server(folder) else {
        return Err(ExperimentError::NoServer { folder: folder.to_owned() });
    };
    let access = Store::open_access(folder).await?;
    let expires_ms = now_ms() + i64::from(default_days(false)) * DAY_MS;
    let token = access.add_token(author, Role::Steer, TokenKind::Api, Some(expires_ms)).await?;
    let (spec, client) = (spec.clone(), Client::new(url, &token));
    let followed = tokio::task::spawn_blocking(move || follow::start(&client, &spec)).await?;
    // An experiment that continues without this command needs the rights of its token, and so does a paused one when it is resumed.
    let is_over = match &followed {
        Ok(view) => view.summary.ended_ms.is_some(),
        Err(error) => error.is_refusal(),
    };
    if is_over && let Some(own) = access.identify(&token).await? {
        access.revoke(own.token_id).await?;
    }
    let view = followed?;
    let ExperimentSummary { id, state, ref reason, ref verdict, .. } = view.summary;
    match verdict {
        Some(verdict) => print(as_json, &view, |_| verdict.sentence.clone()),
        None => {
            let reason = reason.clone().unwrap_or_default();
            Err(ExperimentError::NoVerdict { id, state: state.word(), reason })
        }
    }
}

fn listed(all: &[ExperimentSummary]) -> String {
    if all.is_empty() {
        return "The lab has no experiments.".to_owned();
    }
    let line = |one: &ExperimentSummary| {
        let state = one.verdict.as_ref().map_or(one.state.word(), |verdict| verdict.outcome.word());
        format!("{}  {state}, {}  {}", one.id, counted(one.pairs.into(), "pair"), one.spec.title)
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn described(view: &ExperimentView) -> String {
    let ExperimentSummary { id, spec, state, reason, verdict, .. } = &view.summary;
    let with_unit = |value: f64| format!("{} {}", in_sentence(value), spec.metric.unit()).trim_end().to_owned();
    let state = reason.as_ref().map_or(state.word().to_owned(), |reason| format!("{}: {reason}", state.word()));
    let mut lines = vec![
        format!("Experiment {id}: {}", spec.title),
        format!("Hypothesis: {}", spec.hypothesis),
        format!("Change: {}", spec.change.phrase()),
        format!(
            "Prediction: {}, confirmed with probability {}",
            with_unit(spec.prediction.difference),
            spec.prediction.probability
        ),
        format!(
            "Rule: smallest effect {}, alpha {}, {} to {} pairs",
            with_unit(spec.rule.effect),
            spec.rule.alpha,
            spec.rule.min_pairs,
            spec.rule.max_pairs
        ),
        format!("State: {state}"),
    ];
    lines.extend(view.runs.iter().map(about_run));
    lines.extend(verdict.iter().map(|verdict| verdict.sentence.clone()));
    lines.join("\n")
}

fn about_run(run: &ExperimentRun) -> String {
    let result = match (&run.value, &run.failure) {
        (Some(value), _) => format!("{value:.4}"),
        (None, Some(failure)) => failure.clone(),
        (None, None) => "not ended".to_owned(),
    };
    format!("  pair {}, {}, seed {}: {} {result}", run.pair, run.side.word(), run.seed, run.run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spec_of_the_help_is_valid() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spec.toml");
        let (_, spec) = EXAMPLES.split_once("A spec is a TOML file:\n").unwrap();
        std::fs::write(&path, spec).unwrap();
        let read_spec = read(&path).unwrap();
        assert_eq!(read_spec.change.phrase(), "optimizer.learning_rate = 0.001");
        std::fs::write(&path, spec.replace("\"optimizer.learning_rate\"", "optimizer.learning_rate")).unwrap();
        assert_eq!(read(&path).unwrap(), read_spec, "as a table");
        std::fs::write(&path, spec.replace("effect = 0.02", "effect = 0.5")).unwrap();
        let error = read(&path).unwrap_err();
        assert!(matches!(&error, ExperimentError::Value { source, .. } if source.field == "prediction.difference"));
        std::fs::write(&path, spec.replace("probability", "chance")).unwrap();
        assert!(matches!(read(&path), Err(ExperimentError::Spec { .. })));
    }
}
